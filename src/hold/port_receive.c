/* What a frame from the bridge means. */
#include "common/clock.h"
#include "hold/port_private.h"

/* How long after it was ready there may still be frames on their way to the port that were sent
 * before the bridge learnt where the machine is. Later ones are copies: the bridge has forgotten
 * the machine, and sends its frames everywhere. */
#define STRAGGLERS_TIME NANOSECONDS_PER_SECOND

/* --- who has this address? --- */

static bool is_for_silent_machine(const struct port_service *service,
                                  const struct port_service *origin)
{
    return service && service != origin && service->state != PORT_READY;
}

/* Returns whether the frame needs no more than the answer. */
static bool receive_arp(struct port *port, const struct port_service *origin,
                        const struct packet *packet)
{
    const struct arp *arp = &packet->arp;
    if (arp->operation != ARP_REQUEST)
        return false;
    if (port->address4.family && address_equal(&arp->target, &port->address4)) {
        port_answer_arp_self(port, packet);
        return true;
    }
    /* Whoever looks for a duplicate, or tells its own address, asks nothing. */
    if (arp_is_probe(arp) || address_equal(&arp->sender, &arp->target))
        return true;
    struct port_service *service = port_service_of_address(port, &arp->target);
    if (is_for_silent_machine(service, origin))
        port_answer_arp(service, packet);
    return true;
}

static bool receive_neighbour(struct port *port, const struct port_service *origin,
                              const struct packet *packet)
{
    const struct neighbour *neighbour = &packet->neighbour;
    if (neighbour->type != NEIGHBOUR_SOLICITATION)
        return false;
    if (address_equal(&neighbour->target, &port->address6)) {
        port_answer_neighbour_self(port, packet);
        return true;
    }
    if (ip_is_unspecified(&packet->ip.source))
        return true;
    struct port_service *service = port_service_of_address(port, &neighbour->target);
    if (is_for_silent_machine(service, origin))
        port_answer_neighbour(service, packet);
    return true;
}

/* --- what is it to the machine? --- */

static bool is_port_of(const struct port_service *service, uint16_t port)
{
    for (uint32_t i = 0; i < service->port_count; i++)
        if (service->ports[i] == port)
            return true;
    return service->port_count == 0;
}

static bool may_summon(const struct port_service *service, const struct address *client)
{
    for (uint32_t i = 0; i < service->summon_from_count; i++)
        if (prefix_contains(&service->summon_from[i], client))
            return true;
    return service->summon_from_count == 0;
}

static bool is_of_connection(const struct packet *packet)
{
    return packet->kind == PACKET_TCP && !tcp_is_opening(&packet->tcp);
}

static enum port_purpose purpose_of(const struct port_service *service, const struct packet *packet)
{
    if (!packet_is_ip(packet) || ip_is_unspecified(&packet->ip.source) ||
        port_service_of_address(service->port, &packet->ip.destination) != service)
        return PURPOSE_NONE;
    switch (packet->kind) {
    case PACKET_TCP:
        if (!is_port_of(service, packet->tcp.destination_port))
            return PURPOSE_NONE;
        if (is_of_connection(packet))
            return may_summon(service, &packet->ip.source) ? PURPOSE_STALE : PURPOSE_UNWELCOME;
        break;
    case PACKET_UDP:
        if (!is_port_of(service, packet->udp.destination_port))
            return PURPOSE_NONE;
        break;
    default:
        if (service->port_count > 0 || packet->ip.is_later_fragment ||
            packet->ip.protocol == IP_PROTOCOL_ICMP || packet->ip.protocol == IP_PROTOCOL_ICMPV6)
            return PURPOSE_NONE;
    }
    if (may_summon(service, &packet->ip.source))
        return PURPOSE_SUMMONS;
    /* Where there are no ports this may be of the machine's own affairs. */
    return service->port_count > 0 ? PURPOSE_UNWELCOME : PURPOSE_NONE;
}

/* --- a frame for the machine --- */

static void receive_ready(struct port_service *service, const struct packet *packet)
{
    const struct port *port = service->port;
    if (service->location == LOCATION_PORT)
        port_hold(service, packet, purpose_of(service, packet));
    else if (port->now - service->began < STRAGGLERS_TIME)
        port_pass_on(service, packet->frame, packet->length);
}

/* The machine is off or suspended, and its owner is told. */
static void summon(struct port_service *service, const struct packet *packet)
{
    struct port *port = service->port;
    struct endpoint client = packet_source(packet);
    if (port_hold(service, packet, PURPOSE_SUMMONS))
        port->callbacks.wanted(service->owner, &client, packet_destination_port(packet), port->now);
}

static void receive_absent(struct port_service *service, const struct packet *packet,
                           enum port_purpose purpose)
{
    bool is_suspended = service->state == PORT_SUSPENDED;
    if (purpose == PURPOSE_SUMMONS || (purpose == PURPOSE_STALE && is_suspended))
        summon(service, packet);
    else if (is_of_connection(packet) && purpose != PURPOSE_NONE && !is_suspended)
        port_reject(service, packet);
}

/* The frame came here only because the bridge sent it everywhere. */
static void draw_clients(struct port_service *service)
{
    /* A machine that checks its IPv6 address for duplicates just now would take the announcement
     * for somebody else's. */
    if (service->state == PORT_STARTING)
        port_draw(service);
    else
        port_announce(service);
}

/* New connections are accepted here; not where the machine has some already, which may be of the
 * same client. */
static bool accepts(const struct port_service *service)
{
    return service->hold == PORT_HANDOFF &&
           (service->state == PORT_OFF || (service->state == PORT_STARTING && !service->resumes));
}

/* Returns false if the segment opens none, nor answers a cookie. */
static bool open_connection(struct port_service *service, const struct packet *packet,
                            enum port_purpose purpose)
{
    if (purpose != PURPOSE_SUMMONS)
        return purpose == PURPOSE_STALE && port_handshake_restore(service, packet);
    port_handshake_open(service, packet);
    return true;
}

/* Returns whether the segment is one of the connections that the port accepts itself. */
static bool receive_segment(struct port_service *service, const struct packet *packet,
                            enum port_purpose purpose)
{
    const struct port *port = service->port;
    if (packet->kind != PACKET_TCP || packet->ip.is_fragment || !accepts(service) ||
        !open_connection(service, packet, purpose))
        return false;
    struct endpoint client = packet_source(packet);
    if (service->state == PORT_OFF)
        port->callbacks.wanted(service->owner, &client, packet_destination_port(packet), port->now);
    return true;
}

/* While it is off, each such segment is rejected. */
static bool is_of_earlier_machine(const struct port_service *service, const struct packet *packet)
{
    return service->state == PORT_STARTING && !service->resumes && is_of_connection(packet) &&
           port_served_is(service, packet);
}

static void receive_for(struct port_service *service, const struct packet *packet)
{
    struct connection *connection =
        packet->kind == PACKET_TCP ? port_connection_find(service, packet) : NULL;
    if (connection) {
        port_handshake_receive(connection, packet);
        return;
    }
    if (service->state == PORT_READY) {
        receive_ready(service, packet);
        return;
    }
    if (packet->kind == PACKET_TCP && port_challenge_answered(service, packet))
        return;
    enum port_purpose purpose = purpose_of(service, packet);
    if (purpose == PURPOSE_SUMMONS)
        service->last_use = service->port->now;
    if (service->location == LOCATION_UNKNOWN && purpose > PURPOSE_UNWELCOME)
        draw_clients(service);
    if (service->refuse && purpose != PURPOSE_NONE)
        port_reject(service, packet);
    else if (receive_segment(service, packet, purpose))
        return;
    else if (is_of_earlier_machine(service, packet))
        port_reject(service, packet);
    else if (service->state == PORT_OFF || service->state == PORT_SUSPENDED)
        receive_absent(service, packet, purpose);
    else
        port_hold(service, packet, purpose);
}

/* --- any frame --- */

static void receive_conduit(struct port *port, struct port_service *origin,
                            const struct packet *packet)
{
    if (!mac_equal(packet->ethernet.destination, port->mac))
        return;
    if (origin && origin->conduit.is_open)
        port_conduit_receive(origin, packet);
    else
        port->statistics.strange++;
}

void port_receive_packet(struct port *port, const struct packet *packet)
{
    struct port_service *origin = port_service_of_mac(port, packet->ethernet.source);
    if (origin && !port_machine_seen(origin, packet))
        return;
    if (packet->kind == PACKET_ARP && receive_arp(port, origin, packet))
        return;
    if (packet->kind == PACKET_NEIGHBOUR && receive_neighbour(port, origin, packet))
        return;
    if (mac_is_group(packet->ethernet.destination))
        return;
    if (packet->kind == PACKET_CONDUIT) {
        receive_conduit(port, origin, packet);
        return;
    }
    struct port_service *service = port_service_of_mac(port, packet->ethernet.destination);
    if (service && service != origin)
        receive_for(service, packet);
}
