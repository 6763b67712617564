/* The connections that the port has accepted in machines' stead. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "hold/port_private.h"

/* SYN-ACK goes out so often (RFC 9293, section 3.8.1: it is a segment like any other), always after
 * the same pause, as long as clients that exist wait between their SYNs. */
#define ANSWER_PAUSE    NANOSECONDS_PER_SECOND
#define ANSWER_ATTEMPTS 5

/* A client that has not been heard of for so long waits no more. */
#define SILENCE_MOST (120 * NANOSECONDS_PER_SECOND)

#define CAPACITY_FIRST 2048u

/* --- which --- */

struct flow {
    uint8_t client[16], machine[16];
    uint16_t client_port, machine_port;
};

uint64_t port_flow_hash(const struct port *port, const struct packet *packet)
{
    struct flow flow = {.client_port = packet->tcp.source_port,
                        .machine_port = packet->tcp.destination_port};
    memcpy(flow.client, packet->ip.source.bytes, sizeof flow.client);
    memcpy(flow.machine, packet->ip.destination.bytes, sizeof flow.machine);
    return siphash(&port->key, &flow, sizeof flow);
}

struct connection *port_connection_find(const struct port_service *service,
                                        const struct packet *packet)
{
    const struct port *port = service->port;
    if (service->connection_count == 0)
        return NULL;
    struct table_entry *entry = table_first(&port->connections, port_flow_hash(port, packet));
    for (; entry; entry = table_next(entry)) {
        struct connection *connection = TABLE_OWNER(entry, struct connection, entry);
        if (connection->service == service && connection->client_port == packet->tcp.source_port &&
            connection->machine_port == packet->tcp.destination_port &&
            address_equal(&connection->client, &packet->ip.source) &&
            address_equal(&connection->machine, &packet->ip.destination))
            return connection;
    }
    return NULL;
}

/* --- life --- */

static bool has_room(struct port_service *service)
{
    return service->connection_count < service->port->memory->limits.connections_per_service &&
           port_memory_for_connection(service, port_memory_of_connection());
}

static void count_half_open(const struct connection *connection, int more)
{
    struct port_service *service = connection->service;
    service->half_open_count += (size_t)more;
    service->port->statistics.half_open += (size_t)more;
    service->port->memory->half_open += (size_t)more;
}

static struct connection *make(struct port_service *service, const struct packet *packet)
{
    struct port *port = service->port;
    struct connection *connection = has_room(service) ? calloc(1, sizeof *connection) : NULL;
    if (!connection)
        return NULL;
    connection->service = service;
    connection->id = ++port->last_id;
    connection->moment = port->now;
    connection->client_mac = packet->ethernet.source;
    connection->client = packet->ip.source;
    connection->machine = packet->ip.destination;
    connection->client_port = packet->tcp.source_port;
    connection->machine_port = packet->tcp.destination_port;
    connection->send_window = packet->tcp.window;
    connection->state = CONDUIT_SYN_RECEIVED;
    TAILQ_INIT(&connection->late);
    TAILQ_INSERT_TAIL(&service->connections, connection, of_service);
    TAILQ_INSERT_TAIL(&port->half_open, connection, of_port);
    table_add(&port->connections, &connection->entry, port_flow_hash(port, packet));
    service->connection_count++;
    port->statistics.connections++;
    port_memory_take_for_connection(service, port_memory_of_connection());
    count_half_open(connection, 1);
    return connection;
}

/* RFC 6528: a number that rises with time, from a place that only this port knows. */
static uint32_t pick_first(const struct port *port, const struct packet *packet)
{
    return (uint32_t)(port_flow_hash(port, packet) >> 32) + (uint32_t)(port->now / 4000);
}

struct connection *port_connection_new(struct port_service *service, const struct packet *packet)
{
    struct port *port = service->port;
    const struct tcp_segment *tcp = &packet->tcp;
    const struct port_limits *limits = &port->memory->limits;
    if (port->memory->half_open >= limits->half_open ||
        service->half_open_count >= limits->half_open_per_service)
        return NULL;
    struct connection *connection = make(service, packet);
    if (!connection)
        return NULL;
    connection->first = pick_first(port, packet);
    connection->receive_start = connection->receive_next = tcp->sequence + 1;
    connection->segment_max = tcp->segment_max;
    connection->send_scale = tcp->scale;
    connection->flags =
        (uint8_t)((tcp->has_scale ? CONDUIT_SCALED : 0u) | (tcp->permits_sack ? CONDUIT_SACK : 0u));
    connection->due = port->now + ANSWER_PAUSE;
    port_wake_up(port, connection->due);
    return connection;
}

struct connection *port_connection_restore(struct port_service *service,
                                           const struct packet *packet, uint32_t first,
                                           uint16_t segment_max)
{
    struct connection *connection = make(service, packet);
    if (!connection)
        return NULL;
    connection->first = first;
    connection->receive_start = connection->receive_next = packet->tcp.sequence;
    connection->segment_max = segment_max;
    port_connection_establish(connection);
    return connection;
}

void port_connection_establish(struct connection *connection)
{
    struct port *port = connection->service->port;
    uint64_t since = connection->answered ? port->now - connection->answered : 0;
    uint64_t milliseconds = (since + NANOSECONDS_PER_MILLISECOND - 1) / NANOSECONDS_PER_MILLISECOND;
    connection->round_trip = (uint16_t)(milliseconds < UINT16_MAX ? milliseconds : UINT16_MAX);
    connection->state = CONDUIT_ESTABLISHED;
    TAILQ_REMOVE(&port->half_open, connection, of_port);
    TAILQ_INSERT_TAIL(&port->established, connection, of_port);
    count_half_open(connection, -1);
    port->statistics.accepted++;
    port_wake_up(port, port->now + SILENCE_MOST);
}

void port_connection_free(struct connection *connection)
{
    struct port_service *service = connection->service;
    struct port *port = service->port;
    port_drop_queue(&connection->late);
    TAILQ_REMOVE(&service->connections, connection, of_service);
    if (connection->state == CONDUIT_SYN_RECEIVED) {
        TAILQ_REMOVE(&port->half_open, connection, of_port);
        count_half_open(connection, -1);
    } else {
        TAILQ_REMOVE(&port->established, connection, of_port);
    }
    table_remove(&port->connections, &connection->entry);
    if (service->conduit.leaving == connection)
        service->conduit.leaving = NULL;
    service->connection_count--;
    port->statistics.connections--;
    port_memory_give_of_connection(service, port_memory_of_connection() + connection->capacity);
    free(connection->data);
    free(connection);
}

bool port_connection_append(struct connection *connection, const uint8_t *data, size_t length)
{
    struct port_service *service = connection->service;
    size_t capacity = connection->capacity ? connection->capacity : CAPACITY_FIRST;
    while (capacity < connection->length + length)
        capacity *= 2;
    if (capacity > connection->capacity) {
        size_t more = capacity - connection->capacity;
        uint8_t *larger =
            port_memory_for_connection(service, more) ? realloc(connection->data, capacity) : NULL;
        if (!larger)
            return false;
        connection->data = larger;
        connection->capacity = capacity;
        port_memory_take_for_connection(service, more);
    }
    memcpy(connection->data + connection->length, data, length);
    connection->length += length;
    return true;
}

/* --- to the client --- */

static void speak(const struct connection *connection, struct tcp_segment *segment)
{
    struct ip_packet packet = {.source = connection->machine, .destination = connection->client};
    segment->source_port = connection->machine_port;
    segment->destination_port = connection->client_port;
    segment->acknowledgement = connection->receive_next;
    segment->window =
        (uint16_t)(CONDUIT_WINDOW - (connection->receive_next - connection->receive_start));
    port_speak_segment(connection->service, connection->client_mac, &packet, segment);
}

void port_connection_answer(struct connection *connection)
{
    struct tcp_segment segment = {.sequence = connection->first,
                                  .flags = TCP_SYN | TCP_ACK,
                                  .segment_max = connection->client.family == AF_INET
                                                     ? CONDUIT_SEGMENT_MAX_IPV4
                                                     : CONDUIT_SEGMENT_MAX_IPV6,
                                  .has_scale = connection->flags & CONDUIT_SCALED,
                                  .scale = CONDUIT_WINDOW_SCALE,
                                  .permits_sack = connection->flags & CONDUIT_SACK};
    connection->answered = connection->attempts++ == 0 ? connection->service->port->now : 0;
    speak(connection, &segment);
}

void port_connection_acknowledge(const struct connection *connection)
{
    struct tcp_segment segment = {.sequence = connection->first + 1, .flags = TCP_ACK};
    speak(connection, &segment);
}

void port_connection_reset(struct connection *connection)
{
    struct tcp_segment segment = {.sequence = connection->first + 1, .flags = TCP_RST | TCP_ACK};
    connection->service->port->statistics.refused++;
    speak(connection, &segment);
    port_connection_free(connection);
}

void port_connections_reset(struct port_service *service)
{
    while (!TAILQ_EMPTY(&service->connections))
        port_connection_reset(TAILQ_FIRST(&service->connections));
}

/* --- time --- */

static void answer_again(struct connection *connection)
{
    struct port *port = connection->service->port;
    if (connection->attempts >= ANSWER_ATTEMPTS) {
        port_connection_free(connection);
        return;
    }
    TAILQ_REMOVE(&port->half_open, connection, of_port);
    TAILQ_INSERT_TAIL(&port->half_open, connection, of_port);
    connection->due = port->now + ANSWER_PAUSE;
    /* A machine that is ready is the one to answer. */
    if (connection->service->state != PORT_READY)
        port_connection_answer(connection);
}

void port_connections_run(struct port *port)
{
    struct connection *connection;
    while ((connection = TAILQ_FIRST(&port->half_open)) != NULL && connection->due <= port->now)
        answer_again(connection);
    if (connection)
        port_wake_up(port, connection->due);
    while ((connection = TAILQ_FIRST(&port->established)) != NULL &&
           connection->moment + SILENCE_MOST <= port->now)
        port_connection_reset(connection);
    if (connection)
        port_wake_up(port, connection->moment + SILENCE_MOST);
}
