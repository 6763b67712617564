#include "hold/neighbour.h"

#include "hold/checksum.h"

#define HOP_LIMIT       255u /* from this link only (RFC 4861, section 11.2) */
#define FIXED_SIZE      24u
#define OPTION_SIZE     8u
#define CHECKSUM_OFFSET 2u

enum { OPTION_SOURCE_MAC = 1, OPTION_TARGET_MAC = 2 };

/* False if an option is empty or goes past the end. */
static bool read_options(struct neighbour *neighbour, struct reader *reader, uint8_t wanted)
{
    neighbour->has_mac = false;
    while (reader_left(reader) > 0 && !reader->failed) {
        uint8_t kind = reader_u8(reader);
        size_t length = reader_u8(reader) * (size_t)OPTION_SIZE;
        if (length == 0)
            return false;
        struct reader body = reader_over(reader_take(reader, length - 2), length - 2);
        if (reader->failed)
            return false;
        if (kind == wanted && length == OPTION_SIZE) {
            neighbour->mac = reader_mac(&body);
            neighbour->has_mac = true;
        }
    }
    return !reader->failed;
}

bool neighbour_read(struct neighbour *neighbour, const struct ip_packet *packet)
{
    struct reader reader = reader_over(packet->payload, packet->payload_length);

    if (packet->protocol != IP_PROTOCOL_ICMPV6 || packet->is_fragment ||
        packet->source.family != AF_INET6 || packet->hop_limit != HOP_LIMIT)
        return false;
    neighbour->type = reader_u8(&reader);
    uint8_t code = reader_u8(&reader);
    reader_skip(&reader, 2); /* checksum */
    neighbour->flags = reader_u32(&reader);
    neighbour->target = reader_address(&reader, AF_INET6);
    if (reader.failed || code != 0 || ip_is_multicast(&neighbour->target) ||
        (neighbour->type != NEIGHBOUR_SOLICITATION && neighbour->type != NEIGHBOUR_ADVERTISEMENT))
        return false;
    uint64_t sum = ip_pseudo_header(packet, packet->payload_length);
    if (checksum_finish(checksum_add(sum, packet->payload, packet->payload_length)) != 0)
        return false;
    return read_options(neighbour, &reader,
                        neighbour->type == NEIGHBOUR_SOLICITATION ? OPTION_SOURCE_MAC
                                                                  : OPTION_TARGET_MAC);
}

void neighbour_write(struct writer *writer, const struct neighbour *neighbour,
                     const struct ip_packet *packet)
{
    struct ip_packet header = *packet;
    size_t length = FIXED_SIZE + (neighbour->has_mac ? OPTION_SIZE : 0);

    header.protocol = IP_PROTOCOL_ICMPV6;
    header.hop_limit = HOP_LIMIT;
    ipv6_write(writer, &header, length);
    size_t start = writer->position;
    writer_u8(writer, neighbour->type);
    writer_u8(writer, 0);  /* code */
    writer_u16(writer, 0); /* checksum */
    writer_u32(writer, neighbour->flags);
    writer_address(writer, &neighbour->target);
    if (neighbour->has_mac) {
        writer_u8(writer, neighbour->type == NEIGHBOUR_SOLICITATION ? OPTION_SOURCE_MAC
                                                                    : OPTION_TARGET_MAC);
        writer_u8(writer, 1); /* times 8 bytes */
        writer_mac(writer, neighbour->mac);
    }
    if (writer->failed)
        return;
    uint64_t sum = checksum_add(ip_pseudo_header(&header, length), writer->bytes + start, length);
    struct writer checksum = writer_over(writer->bytes + start + CHECKSUM_OFFSET, 2);
    writer_u16(&checksum, checksum_finish(sum));
}

struct address neighbour_group(const struct address *address)
{
    struct address group = {AF_INET6, {0xff, 2, [11] = 1, 0xff}};
    memcpy(group.bytes + 13, address->bytes + 13, 3);
    return group;
}

struct mac neighbour_group_mac(const struct address *group)
{
    struct mac mac = {{0x33, 0x33}};
    memcpy(mac.bytes + 2, group->bytes + 12, 4);
    return mac;
}

struct address neighbour_link_local(struct mac mac)
{
    struct address address = {AF_INET6, {0xfe, 0x80, [11] = 0xff, 0xfe}};
    memcpy(address.bytes + 8, mac.bytes, 3);
    memcpy(address.bytes + 13, mac.bytes + 3, 3);
    address.bytes[8] ^= 2;
    return address;
}

struct address neighbour_all_nodes(void)
{
    return (struct address){AF_INET6, {0xff, 2, [15] = 1}};
}
