#include "hold/unreachable.h"

#include "hold/checksum.h"

#define HEADER_SIZE      8u
#define CHECKSUM_OFFSET  2u
#define IPV4_PACKET_MOST 576u  /* of the answer (RFC 1812, section 4.3.2.3) */
#define IPV6_PACKET_MOST 1280u /* RFC 4443, section 3.1 */
#define IPV4_HEADER_SIZE 20u
#define IPV6_HEADER_SIZE 40u

enum {
    IPV4_UNREACHABLE = 3,
    IPV4_CODE_HOST = 1,
    IPV4_CODE_PORT = 3,
    IPV6_UNREACHABLE = 1,
    IPV6_CODE_ADDRESS = 3,
    IPV6_CODE_PORT = 4,
};

static bool may_be_answered(const struct ip_packet *packet)
{
    return packet->protocol != IP_PROTOCOL_ICMP && packet->protocol != IP_PROTOCOL_ICMPV6 &&
           !packet->is_later_fragment && !ip_is_unspecified(&packet->source) &&
           !ip_is_multicast(&packet->source) && !ip_is_multicast(&packet->destination);
}

bool unreachable_write(struct writer *writer, const struct ip_packet *packet)
{
    if (!may_be_answered(packet))
        return false;
    bool is_ipv4 = packet->source.family == AF_INET, is_udp = packet->protocol == IP_PROTOCOL_UDP;
    size_t room = is_ipv4 ? IPV4_PACKET_MOST - IPV4_HEADER_SIZE - HEADER_SIZE
                          : IPV6_PACKET_MOST - IPV6_HEADER_SIZE - HEADER_SIZE;
    size_t quoted = packet->length < room ? packet->length : room;
    size_t length = HEADER_SIZE + quoted;
    struct ip_packet header = {.source = packet->destination,
                               .destination = packet->source,
                               .protocol = is_ipv4 ? IP_PROTOCOL_ICMP : IP_PROTOCOL_ICMPV6,
                               .hop_limit = IP_HOP_LIMIT};

    ip_write(writer, &header, length);
    size_t start = writer->position;
    writer_u8(writer, is_ipv4 ? IPV4_UNREACHABLE : IPV6_UNREACHABLE);
    if (is_ipv4)
        writer_u8(writer, is_udp ? IPV4_CODE_PORT : IPV4_CODE_HOST);
    else
        writer_u8(writer, is_udp ? IPV6_CODE_PORT : IPV6_CODE_ADDRESS);
    writer_u16(writer, 0); /* checksum */
    writer_u32(writer, 0); /* unused */
    writer_bytes(writer, packet->bytes, quoted);
    if (writer->failed)
        return false;
    uint64_t sum = is_ipv4 ? 0 : ip_pseudo_header(&header, length);
    struct writer checksum = writer_over(writer->bytes + start + CHECKSUM_OFFSET, 2);
    writer_u16(&checksum, checksum_finish(checksum_add(sum, writer->bytes + start, length)));
    return true;
}
