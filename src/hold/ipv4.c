#include "hold/checksum.h"
#include "hold/ip.h"

#define HEADER_SIZE      20u
#define VERSION          4u
#define MORE_FRAGMENTS   0x2000u
#define DO_NOT_FRAGMENT  0x4000u
#define FRAGMENT_OFFSET  0x1fffu
#define CHECKSUM_OFFSET  10u
#define CHECKSUM_SIZE    2u
#define NETWORK_LOOPBACK 127

static bool source_is_possible(const struct address *source)
{
    return source->bytes[0] != 0 && source->bytes[0] != NETWORK_LOOPBACK &&
           !ip_is_multicast(source);
}

bool ipv4_read(struct ip_packet *packet, const uint8_t *bytes, size_t length)
{
    struct reader reader = reader_over(bytes, length);
    uint8_t first = reader_u8(&reader);
    size_t header_length = (size_t)(first & 0xf) * 4;

    reader_skip(&reader, 1); /* type of service */
    size_t total = reader_u16(&reader);
    reader_skip(&reader, 2); /* identification */
    uint16_t fragment = reader_u16(&reader);
    packet->hop_limit = reader_u8(&reader);
    packet->protocol = reader_u8(&reader);
    reader_skip(&reader, CHECKSUM_SIZE);
    packet->source = reader_address(&reader, AF_INET);
    packet->destination = reader_address(&reader, AF_INET);
    if (reader.failed || first >> 4 != VERSION || header_length < HEADER_SIZE ||
        total < header_length || total > length || !source_is_possible(&packet->source))
        return false;
    if (checksum_finish(checksum_add(0, bytes, header_length)) != 0)
        return false;

    packet->is_fragment = fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET);
    packet->is_later_fragment = fragment & FRAGMENT_OFFSET;
    packet->bytes = bytes;
    packet->length = total;
    packet->payload = bytes + header_length;
    packet->payload_length = total - header_length;
    return true;
}

void ipv4_write(struct writer *writer, const struct ip_packet *packet, size_t payload_length)
{
    size_t start = writer->position;

    writer_u8(writer, VERSION << 4 | HEADER_SIZE / 4);
    writer_u8(writer, 0); /* type of service */
    writer_u16(writer, (uint16_t)(HEADER_SIZE + payload_length));
    writer_u16(writer, 0); /* identification: only fragments need it (RFC 6864) */
    writer_u16(writer, DO_NOT_FRAGMENT);
    writer_u8(writer, packet->hop_limit);
    writer_u8(writer, packet->protocol);
    writer_u16(writer, 0); /* checksum */
    writer_address(writer, &packet->source);
    writer_address(writer, &packet->destination);
    if (writer->failed)
        return;
    struct writer sum = writer_over(writer->bytes + start + CHECKSUM_OFFSET, CHECKSUM_SIZE);
    writer_u16(&sum, checksum_finish(checksum_add(0, writer->bytes + start, HEADER_SIZE)));
}
