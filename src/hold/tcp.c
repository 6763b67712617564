#include "hold/tcp.h"

#include "hold/checksum.h"

#define CHECKSUM_OFFSET 16u

enum {
    OPTION_END = 0,
    OPTION_NOTHING = 1,
    OPTION_SEGMENT_MAX = 2,
    OPTION_SCALE = 3,
    OPTION_SACK_PERMITTED = 4,
};

/* What is malformed ends the options: the segment is good without the rest. */
static void read_options(struct tcp_segment *segment, struct reader reader)
{
    while (reader_left(&reader) > 0 && !reader.failed) {
        uint8_t kind = reader_u8(&reader);
        if (kind == OPTION_END)
            return;
        if (kind == OPTION_NOTHING)
            continue;
        size_t length = reader_u8(&reader);
        if (reader.failed || length < 2)
            return;
        const uint8_t *bytes = reader_take(&reader, length - 2);
        if (!bytes)
            return;
        struct reader body = reader_over(bytes, length - 2);
        if (kind == OPTION_SEGMENT_MAX && length == 4) {
            segment->segment_max = reader_u16(&body);
        } else if (kind == OPTION_SCALE && length == 3) {
            uint8_t scale = reader_u8(&body);
            segment->has_scale = true;
            segment->scale = scale < TCP_SCALE_MOST ? scale : TCP_SCALE_MOST;
        } else if (kind == OPTION_SACK_PERMITTED && length == 2) {
            segment->permits_sack = true;
        }
    }
}

bool tcp_read(struct tcp_segment *segment, const struct ip_packet *packet)
{
    struct reader reader = reader_over(packet->payload, packet->payload_length);

    *segment = (struct tcp_segment){0};
    segment->source_port = reader_u16(&reader);
    segment->destination_port = reader_u16(&reader);
    segment->sequence = reader_u32(&reader);
    segment->acknowledgement = reader_u32(&reader);
    size_t header_length = (size_t)(reader_u8(&reader) >> 4) * 4;
    segment->flags = reader_u8(&reader);
    segment->window = reader_u16(&reader);
    reader_skip(&reader, 4); /* checksum, urgent pointer */
    if (reader.failed || header_length < TCP_HEADER_SIZE)
        return false;
    const uint8_t *options = reader_take(&reader, header_length - TCP_HEADER_SIZE);
    if (!options)
        return false;
    read_options(segment, reader_over(options, header_length - TCP_HEADER_SIZE));
    segment->data_length = reader_left(&reader);
    segment->data = reader_take(&reader, segment->data_length);
    return true;
}

bool tcp_checksum_is_right(const struct ip_packet *packet)
{
    uint64_t sum = ip_pseudo_header(packet, packet->payload_length);
    return checksum_finish(checksum_add(sum, packet->payload, packet->payload_length)) == 0;
}

/* Each is padded to a multiple of four bytes. */
static size_t options_length(const struct tcp_segment *segment)
{
    return (segment->segment_max ? 4u : 0u) + (segment->has_scale ? 4u : 0u) +
           (segment->permits_sack ? 4u : 0u);
}

static void write_options(struct writer *writer, const struct tcp_segment *segment)
{
    if (segment->segment_max) {
        writer_u8(writer, OPTION_SEGMENT_MAX);
        writer_u8(writer, 4);
        writer_u16(writer, segment->segment_max);
    }
    if (segment->has_scale) {
        writer_u8(writer, OPTION_NOTHING);
        writer_u8(writer, OPTION_SCALE);
        writer_u8(writer, 3);
        writer_u8(writer, segment->scale);
    }
    if (segment->permits_sack) {
        writer_u16(writer, OPTION_NOTHING << 8 | OPTION_NOTHING);
        writer_u8(writer, OPTION_SACK_PERMITTED);
        writer_u8(writer, 2);
    }
}

void tcp_write(struct writer *writer, const struct tcp_segment *segment,
               const struct ip_packet *packet)
{
    struct ip_packet header = *packet;
    size_t header_length = TCP_HEADER_SIZE + options_length(segment);
    size_t length = header_length + segment->data_length;

    header.protocol = IP_PROTOCOL_TCP;
    header.hop_limit = IP_HOP_LIMIT;
    ip_write(writer, &header, length);
    size_t start = writer->position;
    writer_u16(writer, segment->source_port);
    writer_u16(writer, segment->destination_port);
    writer_u32(writer, segment->sequence);
    writer_u32(writer, segment->acknowledgement);
    writer_u8(writer, (uint8_t)(header_length / 4 << 4));
    writer_u8(writer, segment->flags);
    writer_u16(writer, segment->window);
    writer_u32(writer, 0); /* checksum, urgent pointer */
    write_options(writer, segment);
    writer_bytes(writer, segment->data, segment->data_length);
    if (writer->failed)
        return;
    uint64_t sum = checksum_add(ip_pseudo_header(&header, length), writer->bytes + start, length);
    struct writer checksum = writer_over(writer->bytes + start + CHECKSUM_OFFSET, 2);
    writer_u16(&checksum, checksum_finish(sum));
}

uint32_t tcp_length(const struct tcp_segment *segment)
{
    return (uint32_t)segment->data_length + (segment->flags & TCP_SYN ? 1 : 0) +
           (segment->flags & TCP_FIN ? 1 : 0);
}

bool tcp_reset_for(const struct tcp_segment *segment, struct tcp_segment *reset)
{
    if (segment->flags & TCP_RST)
        return false;
    *reset = (struct tcp_segment){.source_port = segment->destination_port,
                                  .destination_port = segment->source_port,
                                  .flags = TCP_RST};
    if (segment->flags & TCP_ACK) {
        reset->sequence = segment->acknowledgement;
    } else {
        reset->flags |= TCP_ACK;
        reset->acknowledgement = segment->sequence + tcp_length(segment);
    }
    return true;
}
