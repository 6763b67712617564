#include "hold/ip.h"

#define HEADER_SIZE    40u
#define VERSION        6u
#define EXTENSIONS_MAX 8 /* of one packet; nobody sends so many */

/* Extension headers (RFC 8200, section 4). */
enum {
    HOP_BY_HOP = 0,
    ROUTING = 43,
    FRAGMENT = 44,
    DESTINATION_OPTIONS = 60,
};
#define MORE_FRAGMENTS  0x0001u
#define FRAGMENT_OFFSET 0xfff8u

/* Goes past one extension header, if there is one. Returns whether there was. */
static bool skip_extension(struct ip_packet *packet, struct reader *reader)
{
    uint8_t kind = packet->protocol;

    if (packet->is_later_fragment ||
        (kind != HOP_BY_HOP && kind != ROUTING && kind != DESTINATION_OPTIONS && kind != FRAGMENT))
        return false;
    packet->protocol = reader_u8(reader);
    size_t length = reader_u8(reader);
    if (kind == FRAGMENT) {
        uint16_t fragment = reader_u16(reader);
        reader_skip(reader, 4); /* identification */
        packet->is_fragment = fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET);
        packet->is_later_fragment = fragment & FRAGMENT_OFFSET;
    } else {
        reader_skip(reader, length * 8 + 6);
    }
    return !reader->failed;
}

bool ipv6_read(struct ip_packet *packet, const uint8_t *bytes, size_t length)
{
    struct reader reader = reader_over(bytes, length);
    uint8_t first = reader_u8(&reader);

    reader_skip(&reader, 3); /* traffic class and flow label */
    size_t payload_length = reader_u16(&reader);
    packet->protocol = reader_u8(&reader);
    packet->hop_limit = reader_u8(&reader);
    packet->source = reader_address(&reader, AF_INET6);
    packet->destination = reader_address(&reader, AF_INET6);
    if (reader.failed || first >> 4 != VERSION || payload_length > reader_left(&reader) ||
        ip_is_multicast(&packet->source))
        return false;

    packet->is_fragment = packet->is_later_fragment = false;
    packet->bytes = bytes;
    packet->length = HEADER_SIZE + payload_length;
    reader.length = packet->length;
    for (int i = 0; i < EXTENSIONS_MAX && skip_extension(packet, &reader); i++)
        continue;
    packet->payload_length = reader_left(&reader);
    packet->payload = reader_take(&reader, packet->payload_length);
    return !reader.failed;
}

void ipv6_write(struct writer *writer, const struct ip_packet *packet, size_t payload_length)
{
    writer_u32(writer, VERSION << 28);
    writer_u16(writer, (uint16_t)payload_length);
    writer_u8(writer, packet->protocol);
    writer_u8(writer, packet->hop_limit);
    writer_address(writer, &packet->source);
    writer_address(writer, &packet->destination);
}
