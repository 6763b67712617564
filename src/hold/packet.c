#include "hold/packet.h"

#include "common/conduit.h"

static enum packet_kind read_ip_payload(struct packet *packet)
{
    struct reader reader = reader_over(packet->ip.payload, packet->ip.payload_length);

    if (packet->ip.is_later_fragment)
        return PACKET_IP;
    switch (packet->ip.protocol) {
    case IP_PROTOCOL_TCP:
        return tcp_read(&packet->tcp, &packet->ip) ? PACKET_TCP : PACKET_OTHER;
    case IP_PROTOCOL_UDP:
        packet->udp.source_port = reader_u16(&reader);
        packet->udp.destination_port = reader_u16(&reader);
        reader_skip(&reader, 4); /* length, checksum */
        return reader.failed ? PACKET_OTHER : PACKET_UDP;
    case IP_PROTOCOL_ICMPV6:
        return neighbour_read(&packet->neighbour, &packet->ip) ? PACKET_NEIGHBOUR : PACKET_IP;
    default:
        return PACKET_IP;
    }
}

static enum packet_kind read_payload(struct packet *packet, struct reader *reader)
{
    size_t length = reader_left(reader);
    const uint8_t *payload = reader->bytes + reader->position;

    switch (packet->ethernet.type) {
    case ETHERNET_ARP:
        return arp_read(&packet->arp, reader) ? PACKET_ARP : PACKET_OTHER;
    case ETHERNET_IPV4:
        return ipv4_read(&packet->ip, payload, length) ? read_ip_payload(packet) : PACKET_OTHER;
    case ETHERNET_IPV6:
        return ipv6_read(&packet->ip, payload, length) ? read_ip_payload(packet) : PACKET_OTHER;
    case CONDUIT_ETHERTYPE:
        packet->conduit.payload = payload;
        packet->conduit.length = length;
        return PACKET_CONDUIT;
    default:
        return PACKET_OTHER;
    }
}

bool packet_read(struct packet *packet, const uint8_t *frame, size_t length)
{
    struct reader reader = reader_over(frame, length);

    packet->frame = frame;
    packet->length = length;
    if (!ethernet_read(&packet->ethernet, &reader))
        return false;
    packet->kind = read_payload(packet, &reader);
    return true;
}

struct endpoint packet_source(const struct packet *packet)
{
    struct endpoint source = {.address = packet->ip.source};
    if (packet->kind == PACKET_TCP)
        source.port = packet->tcp.source_port;
    else if (packet->kind == PACKET_UDP)
        source.port = packet->udp.source_port;
    return source;
}

uint16_t packet_destination_port(const struct packet *packet)
{
    if (packet->kind == PACKET_TCP)
        return packet->tcp.destination_port;
    return packet->kind == PACKET_UDP ? packet->udp.destination_port : 0;
}
