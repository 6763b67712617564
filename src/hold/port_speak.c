/* What the port sends: in machines' names, and in its own. */
#include "common/conduit.h"
#include "hold/port_private.h"
#include "hold/unreachable.h"

/* A frame being made. */
struct draft {
    uint8_t bytes[ETHERNET_FRAME_MAX];
    struct writer writer;
};

static void draft_begin(struct draft *draft, struct mac destination, struct mac source,
                        uint16_t type)
{
    struct ethernet_header header = {destination, source, type};
    draft->writer = writer_over(draft->bytes, sizeof draft->bytes);
    ethernet_write(&draft->writer, &header);
}

static uint16_t type_of(const struct address *address)
{
    return address->family == AF_INET ? ETHERNET_IPV4 : ETHERNET_IPV6;
}

static void send_as_self(struct port *port, const struct draft *draft)
{
    if (!draft->writer.failed)
        port_transmit(port, draft->bytes, draft->writer.position);
}

/* What has the machine's MAC address as its source draws its frames here. */
static void send_as_machine(struct port_service *service, const struct draft *draft)
{
    if (draft->writer.failed || !port_transmit(service->port, draft->bytes, draft->writer.position))
        return;
    service->location = LOCATION_PORT;
    /* What the machine has sent before may still be waiting to be read: it shows nothing. */
    service->spoke = service->port->is_drained ? 0 : service->port->batch;
}

/* --- addresses --- */

static void draft_arp(struct draft *draft, struct mac destination, const struct arp *arp)
{
    draft_begin(draft, destination, arp->sender_mac, ETHERNET_ARP);
    arp_write(&draft->writer, arp);
}

static void draft_arp_answer(struct draft *draft, const struct packet *question, struct mac mac)
{
    const struct arp *asked = &question->arp;
    struct arp answer = {.operation = ARP_REPLY,
                         .sender_mac = mac,
                         .sender = asked->target,
                         .target_mac = asked->sender_mac,
                         .target = asked->sender};
    draft_arp(draft, question->ethernet.source, &answer);
}

void port_answer_arp(struct port_service *service, const struct packet *question)
{
    struct draft draft;
    draft_arp_answer(&draft, question, service->mac);
    send_as_machine(service, &draft);
}

void port_answer_arp_self(struct port *port, const struct packet *question)
{
    struct draft draft;
    draft_arp_answer(&draft, question, port->mac);
    send_as_self(port, &draft);
}

static void draft_neighbour(struct draft *draft, struct mac destination,
                            const struct neighbour *neighbour, const struct address *from,
                            const struct address *to)
{
    struct ip_packet packet = {.source = *from, .destination = *to};
    draft_begin(draft, destination, neighbour->mac, ETHERNET_IPV6);
    neighbour_write(&draft->writer, neighbour, &packet);
}

static void draft_neighbour_answer(struct draft *draft, const struct packet *question,
                                   struct mac mac)
{
    struct neighbour answer = {.type = NEIGHBOUR_ADVERTISEMENT,
                               .flags = NEIGHBOUR_SOLICITED | NEIGHBOUR_OVERRIDE,
                               .target = question->neighbour.target,
                               .has_mac = true,
                               .mac = mac};
    struct address to = question->ip.source;
    struct mac destination = question->ethernet.source;
    if (ip_is_unspecified(&to)) {
        to = neighbour_all_nodes();
        destination = neighbour_group_mac(&to);
        answer.flags = NEIGHBOUR_OVERRIDE;
    }
    draft_neighbour(draft, destination, &answer, &answer.target, &to);
}

void port_answer_neighbour(struct port_service *service, const struct packet *question)
{
    struct draft draft;
    draft_neighbour_answer(&draft, question, service->mac);
    send_as_machine(service, &draft);
}

void port_answer_neighbour_self(struct port *port, const struct packet *question)
{
    struct draft draft;
    draft_neighbour_answer(&draft, question, port->mac);
    send_as_self(port, &draft);
}

/* A gratuitous ARP (RFC 5227, section 3), or an unsolicited advertisement (RFC 4861, 7.2.6). */
static void announce_address(struct port_service *service, const struct address *address)
{
    struct draft draft;
    if (address->family == AF_INET) {
        struct arp arp = {.operation = ARP_REQUEST,
                          .sender_mac = service->mac,
                          .sender = *address,
                          .target = *address};
        draft_arp(&draft, MAC_BROADCAST, &arp);
    } else {
        struct neighbour neighbour = {.type = NEIGHBOUR_ADVERTISEMENT,
                                      .flags = NEIGHBOUR_OVERRIDE,
                                      .target = *address,
                                      .has_mac = true,
                                      .mac = service->mac};
        struct address all = neighbour_all_nodes();
        draft_neighbour(&draft, neighbour_group_mac(&all), &neighbour, address, &all);
    }
    send_as_machine(service, &draft);
}

void port_announce(struct port_service *service)
{
    for (uint32_t i = 0; i < service->address_count; i++)
        announce_address(service, &service->addresses[i].address);
}

/* Its destination is here, too: the bridge learns from it, and sends it nowhere. A machine that is
 * just checking its addresses for duplicates does not see it. */
void port_draw(struct port_service *service)
{
    struct draft draft;
    draft_begin(&draft, service->port->mac, service->mac, CONDUIT_ETHERTYPE);
    send_as_machine(service, &draft);
}

/* --- to clients --- */

void port_speak_segment(struct port_service *service, struct mac client_mac,
                        const struct ip_packet *packet, const struct tcp_segment *segment)
{
    struct draft draft;
    /* A machine that is ready must not be drawn here. */
    bool as_machine = service->state != PORT_READY;
    draft_begin(&draft, client_mac, as_machine ? service->mac : service->port->mac,
                type_of(&packet->source));
    tcp_write(&draft.writer, segment, packet);
    if (as_machine)
        send_as_machine(service, &draft);
    else
        send_as_self(service->port, &draft);
}

/* A suspended machine, or one that may become one, answers for its connections when it resumes. */
static bool is_left_to_machine(const struct port_service *service, const struct packet *packet)
{
    return port_machine_is_there(service) && packet->kind == PACKET_TCP &&
           !tcp_is_opening(&packet->tcp);
}

void port_reject(struct port_service *service, const struct packet *packet)
{
    struct draft draft;
    struct tcp_segment reset;
    struct ip_packet back = {.source = packet->ip.destination, .destination = packet->ip.source};

    if (!packet_is_ip(packet) || ip_is_unspecified(&packet->ip.source) ||
        ip_is_multicast(&packet->ip.destination) || is_left_to_machine(service, packet))
        return;
    if (packet->kind == PACKET_TCP) {
        if (!tcp_reset_for(&packet->tcp, &reset))
            return;
        port_speak_segment(service, packet->ethernet.source, &back, &reset);
    } else {
        draft_begin(&draft, packet->ethernet.source, service->mac, packet->ethernet.type);
        if (!unreachable_write(&draft.writer, &packet->ip))
            return;
        send_as_machine(service, &draft);
    }
    service->port->statistics.refused++;
}

/* --- to the machine --- */

/* The address that the machine is spoken to by, and the port's of the same version. */
static const struct address *pick_address(const struct port_service *service,
                                          const struct address **own)
{
    const struct port *port = service->port;
    const struct address *first = &service->addresses[0].address;
    *own = &port->address4;
    for (uint32_t i = 0; i < service->address_count; i++) {
        const struct address *address = &service->addresses[i].address;
        *own = address->family == AF_INET ? &port->address4 : &port->address6;
        if ((*own)->family)
            return address;
    }
    return first;
}

void port_ask(struct port_service *service)
{
    static const struct address nobody = {.family = AF_INET};
    struct port *port = service->port;
    const struct address *own, *address = pick_address(service, &own);
    struct draft draft;

    if (address->family == AF_INET) {
        struct arp arp = {.operation = ARP_REQUEST,
                          .sender_mac = port->mac,
                          .sender = own->family ? *own : nobody,
                          .target = *address};
        draft_arp(&draft, MAC_BROADCAST, &arp);
    } else {
        struct neighbour neighbour = {
            .type = NEIGHBOUR_SOLICITATION, .target = *address, .has_mac = true, .mac = port->mac};
        struct address group = neighbour_group(address);
        draft_neighbour(&draft, neighbour_group_mac(&group), &neighbour, own, &group);
    }
    send_as_self(port, &draft);
}

void port_speak_conduit(struct port_service *service, const uint8_t *payload, size_t length)
{
    struct draft draft;
    draft_begin(&draft, service->mac, service->port->mac, CONDUIT_ETHERTYPE);
    writer_bytes(&draft.writer, payload, length);
    send_as_self(service->port, &draft);
}

static void send_attempt(struct port_service *service, const struct tcp_segment *segment)
{
    struct port *port = service->port;
    const struct address *own, *address = pick_address(service, &own);
    struct ip_packet packet = {.source = *own, .destination = *address};
    struct draft draft;

    draft_begin(&draft, service->mac, port->mac, type_of(address));
    tcp_write(&draft.writer, segment, &packet);
    send_as_self(port, &draft);
}

void port_attempt_open(struct port_service *service)
{
    struct tcp_segment segment = {.source_port = service->attempt.port,
                                  .destination_port = service->ready_port,
                                  .sequence = service->attempt.sequence,
                                  .flags = TCP_SYN,
                                  .window = 1024,
                                  .segment_max = 536};
    send_attempt(service, &segment);
}

void port_attempt_end(struct port_service *service)
{
    struct tcp_segment segment = {.source_port = service->attempt.port,
                                  .destination_port = service->ready_port,
                                  .sequence = service->attempt.sequence + 1,
                                  .flags = TCP_RST};
    send_attempt(service, &segment);
}
