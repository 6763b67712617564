/* What clients' segments do to the connections that the port accepts in machines' stead: the
 * passive side of TCP (RFC 9293), as far as it goes without sending data. */
#include <string.h>

#include "common/clock.h"
#include "common/cookie.h"
#include "hold/port_private.h"

static bool is_before(uint32_t one, uint32_t other)
{
    return (int32_t)(one - other) < 0;
}

/* --- opening --- */

static struct cookie_flow flow_of(const struct packet *packet, uint32_t client_first)
{
    struct cookie_flow flow = {.client_port = packet->tcp.source_port,
                               .machine_port = packet->tcp.destination_port,
                               .client_first = client_first};
    memcpy(flow.client, packet->ip.source.bytes, sizeof flow.client);
    memcpy(flow.machine, packet->ip.destination.bytes, sizeof flow.machine);
    return flow;
}

/* Accepts without keeping anything: what scaling and selective acknowledgement were agreed on could
 * not be remembered, so neither is. */
static void answer_with_cookie(struct port_service *service, const struct packet *packet)
{
    struct port *port = service->port;
    struct cookie_flow flow = flow_of(packet, packet->tcp.sequence);
    struct ip_packet back = {.source = packet->ip.destination, .destination = packet->ip.source};
    struct tcp_segment segment = {
        .source_port = packet->tcp.destination_port,
        .destination_port = packet->tcp.source_port,
        .sequence = cookie_make(&service->cookie_key, &flow, packet->tcp.segment_max, port->now),
        .acknowledgement = packet->tcp.sequence + 1,
        .flags = TCP_SYN | TCP_ACK,
        .window = CONDUIT_WINDOW,
        .segment_max = packet->ip.source.family == AF_INET ? CONDUIT_SEGMENT_MAX_IPV4
                                                           : CONDUIT_SEGMENT_MAX_IPV6};
    port->statistics.cookies++;
    port->cookies_until = port->now + COOKIE_TIME;
    port_speak_segment(service, packet->ethernet.source, &back, &segment);
}

void port_handshake_open(struct port_service *service, const struct packet *packet)
{
    if (!tcp_checksum_is_right(&packet->ip))
        return;
    port_drop_opening(service->port, packet);
    struct connection *connection = port_connection_new(service, packet);
    if (connection)
        port_connection_answer(connection);
    else
        answer_with_cookie(service, packet);
}

bool port_handshake_restore(struct port_service *service, const struct packet *packet)
{
    struct port *port = service->port;
    const struct tcp_segment *tcp = &packet->tcp;
    uint16_t segment_max;

    if (port->now >= port->cookies_until ||
        (tcp->flags & (TCP_ACK | TCP_SYN | TCP_RST)) != TCP_ACK ||
        !tcp_checksum_is_right(&packet->ip))
        return false;
    struct cookie_flow flow = flow_of(packet, tcp->sequence - 1);
    if (!cookie_check(&service->cookie_key, &flow, tcp->acknowledgement - 1, port->now,
                      &segment_max))
        return false;
    struct connection *connection =
        port_connection_restore(service, packet, tcp->acknowledgement - 1, segment_max);
    if (connection)
        port_handshake_receive(connection, packet);
    return true;
}

/* --- open --- */

/* RFC 9293, section 3.10.7.4, first: is it of the place where the connection is? */
static bool is_acceptable(const struct connection *connection, const struct tcp_segment *tcp)
{
    uint32_t end = connection->receive_start + CONDUIT_WINDOW;
    uint32_t last = tcp->sequence + tcp_length(tcp);
    if (is_before(last, connection->receive_next) || is_before(end, tcp->sequence))
        return false;
    return true;
}

/* Only with the very next number; else it might be of somebody who guesses (RFC 5961, section 3).
 */
static void receive_reset(struct connection *connection, const struct tcp_segment *tcp)
{
    if (tcp->sequence == connection->receive_next)
        port_connection_free(connection);
    else if (is_acceptable(connection, tcp))
        port_connection_acknowledge(connection);
}

/* The client's opening, once more or anew. */
static void receive_opening(struct connection *connection, const struct packet *packet)
{
    struct port_service *service = connection->service;
    if (connection->state == CONDUIT_ESTABLISHED) {
        port_connection_acknowledge(connection);
    } else if (packet->tcp.sequence + 1 == connection->receive_start) {
        service->port->statistics.repeated++;
        port_connection_answer(connection);
    } else {
        port_connection_free(connection);
        port_handshake_open(service, packet);
    }
}

/* Returns false if the segment is not to be looked at any further. */
static bool receive_acknowledgement(struct connection *connection, const struct packet *packet)
{
    uint32_t next = connection->first + 1;
    if (connection->state == CONDUIT_SYN_RECEIVED) {
        if (packet->tcp.acknowledgement != next) {
            port_reject(connection->service, packet);
            return false;
        }
        port_connection_establish(connection);
    } else if (is_before(next, packet->tcp.acknowledgement)) {
        port_connection_acknowledge(connection); /* of what has never been sent */
        return false;
    }
    return true;
}

/* Takes what is new and in its turn. The client is told what there is now. */
static void receive_data(struct connection *connection, const struct tcp_segment *tcp)
{
    uint32_t old = connection->receive_next - tcp->sequence;
    size_t room = CONDUIT_WINDOW - (connection->receive_next - connection->receive_start);
    bool is_in_turn = !is_before(connection->receive_next, tcp->sequence) &&
                      !(connection->flags & CONDUIT_CLIENT_ENDED) && old <= tcp->data_length;

    if (is_in_turn) {
        size_t length = tcp->data_length - old;
        bool is_cut = length > room;
        if (is_cut)
            length = room;
        if (length > 0 && !port_connection_append(connection, tcp->data + old, length))
            return; /* not acknowledged: it will come again */
        connection->receive_next += (uint32_t)length;
        if (tcp->flags & TCP_FIN && !is_cut && length < room) {
            connection->flags |= CONDUIT_CLIENT_ENDED;
            connection->receive_next++;
        }
    }
    port_connection_acknowledge(connection);
}

void port_handshake_receive(struct connection *connection, const struct packet *packet)
{
    struct port_service *service = connection->service;
    struct port *port = service->port;
    const struct tcp_segment *tcp = &packet->tcp;

    if (packet->ip.is_fragment || !tcp_checksum_is_right(&packet->ip))
        return;
    if (service->state == PORT_READY) {
        port_hold_late(service, packet, &connection->late);
        return;
    }
    service->last_use = connection->moment = port->now;
    if (connection->state == CONDUIT_ESTABLISHED) {
        TAILQ_REMOVE(&port->established, connection, of_port);
        TAILQ_INSERT_TAIL(&port->established, connection, of_port);
    }
    if (tcp->flags & TCP_RST) {
        receive_reset(connection, tcp);
    } else if (tcp->flags & TCP_SYN) {
        receive_opening(connection, packet);
    } else if (!(tcp->flags & TCP_ACK)) {
        return;
    } else if (!is_acceptable(connection, tcp)) {
        port_connection_acknowledge(connection);
    } else if (receive_acknowledgement(connection, packet)) {
        if (tcp->sequence == connection->receive_next)
            connection->send_window = (uint32_t)tcp->window << connection->send_scale;
        if (tcp_length(tcp) > 0)
            receive_data(connection, tcp);
    }
}
