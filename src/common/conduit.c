/* The conduit's wire format. The functions that read and those that write stand side by side in the
 * order of the fields: there is nothing else to keep alike. */
#include "common/conduit.h"

#include <string.h>

#include "common/cursor.h"

#define RESERVED      0
#define ADDRESS_SIZE  16u
#define IPV4_SIZE     4u
#define SCALE_MOST    14 /* RFC 7323, section 2.3 */
#define FLAGS_OF_TAKE (CONDUIT_SCALED | CONDUIT_SACK | CONDUIT_CLIENT_ENDED)

bool conduit_read(struct conduit_frame *frame, const void *payload, size_t length)
{
    struct reader reader = reader_over(payload, length);

    if (reader_u32(&reader) != CONDUIT_MAGIC || reader_u8(&reader) != CONDUIT_VERSION)
        return false;
    frame->type = reader_u8(&reader);
    frame->flags = reader_u8(&reader);
    reader_skip(&reader, 1);
    frame->sequence = reader_u32(&reader);
    frame->acknowledgement = reader_u32(&reader);
    frame->token = reader_take(&reader, CONDUIT_TOKEN_SIZE);
    frame->body_length = reader_u16(&reader);
    frame->piece_offset = reader_u16(&reader);
    frame->piece_length = reader_u16(&reader);
    frame->piece = reader_take(&reader, frame->piece_length);
    if (reader.failed || frame->piece_offset + frame->piece_length > frame->body_length)
        return false;
    /* An empty piece says nothing, except of a body that is empty itself. */
    return frame->piece_length > 0 || frame->body_length == 0;
}

size_t conduit_write(const struct conduit_frame *frame, uint8_t payload[CONDUIT_PAYLOAD_MAX])
{
    struct writer writer = writer_over(payload, CONDUIT_PAYLOAD_MAX);

    writer_u32(&writer, CONDUIT_MAGIC);
    writer_u8(&writer, CONDUIT_VERSION);
    writer_u8(&writer, frame->type);
    writer_u8(&writer, frame->flags);
    writer_u8(&writer, RESERVED);
    writer_u32(&writer, frame->sequence);
    writer_u32(&writer, frame->acknowledgement);
    writer_bytes(&writer, frame->token, CONDUIT_TOKEN_SIZE);
    writer_u16(&writer, frame->body_length);
    writer_u16(&writer, frame->piece_offset);
    writer_u16(&writer, frame->piece_length);
    writer_bytes(&writer, frame->piece, frame->piece_length);
    return writer.position;
}

bool conduit_token_equal(const uint8_t *one, const uint8_t *other)
{
    unsigned differences = 0;

    for (size_t i = 0; i < CONDUIT_TOKEN_SIZE; i++)
        differences |= (unsigned)(one[i] ^ other[i]);
    return differences == 0;
}

static int hexadecimal_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

bool conduit_token_parse(uint8_t token[CONDUIT_TOKEN_SIZE], const char *text, size_t length)
{
    if (length != CONDUIT_TOKEN_SIZE * 2u)
        return false;
    for (size_t i = 0; i < CONDUIT_TOKEN_SIZE; i++) {
        int high = hexadecimal_digit(text[2 * i]), low = hexadecimal_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        token[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool all_read(const struct reader *reader)
{
    return !reader->failed && reader_left(reader) == 0;
}

static size_t written(const struct writer *writer)
{
    return writer->failed ? 0 : writer->position;
}

bool conduit_read_hello(struct conduit_hello *hello, const uint8_t *body, size_t length)
{
    struct reader reader = reader_over(body, length);

    hello->features = reader_u32(&reader);
    return all_read(&reader);
}

size_t conduit_write_hello(const struct conduit_hello *hello, uint8_t *body, size_t room)
{
    struct writer writer = writer_over(body, room);

    writer_u32(&writer, hello->features);
    return written(&writer);
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool is_right(const struct conduit_take *take)
{
    bool scaled = take->flags & CONDUIT_SCALED;

    if (take->family != 4 && take->family != 6)
        return false;
    if (take->family == 4 && (!is_zero(take->machine_address + IPV4_SIZE, 12) ||
                              !is_zero(take->client_address + IPV4_SIZE, 12)))
        return false;
    if (take->machine_port == 0 || take->client_port == 0)
        return false;
    if (take->flags & ~FLAGS_OF_TAKE || take->send_scale > SCALE_MOST ||
        take->receive_scale > SCALE_MOST || (!scaled && (take->send_scale || take->receive_scale)))
        return false;
    if (take->send_window > 0xffffu << (scaled ? take->send_scale : 0))
        return false;
    if (take->data_length > CONDUIT_WINDOW ||
        take->receive_window > CONDUIT_WINDOW - take->data_length)
        return false;
    if (take->state == CONDUIT_SYN_RECEIVED)
        return take->data_length == 0 && !(take->flags & CONDUIT_CLIENT_ENDED);
    return take->state == CONDUIT_ESTABLISHED;
}

static void read_address(struct reader *reader, uint8_t address[ADDRESS_SIZE])
{
    const uint8_t *bytes = reader_take(reader, ADDRESS_SIZE);

    if (bytes)
        memcpy(address, bytes, ADDRESS_SIZE);
}

bool conduit_read_take(struct conduit_take *take, const uint8_t *body, size_t length)
{
    struct reader reader = reader_over(body, length);

    take->id = reader_u32(&reader);
    take->family = reader_u8(&reader);
    take->state = reader_u8(&reader);
    take->flags = reader_u8(&reader);
    take->send_scale = reader_u8(&reader);
    take->receive_scale = reader_u8(&reader);
    reader_skip(&reader, 1);
    take->client_segment_max = reader_u16(&reader);
    read_address(&reader, take->machine_address);
    read_address(&reader, take->client_address);
    take->machine_port = reader_u16(&reader);
    take->client_port = reader_u16(&reader);
    take->send_next = reader_u32(&reader);
    take->receive_next = reader_u32(&reader);
    take->send_window = reader_u32(&reader);
    take->receive_window = reader_u32(&reader);
    take->round_trip = reader_u16(&reader);
    take->data_length = reader_left(&reader);
    take->data = reader_take(&reader, take->data_length);
    return !reader.failed && is_right(take);
}

size_t conduit_write_take(const struct conduit_take *take, uint8_t *body, size_t room)
{
    struct writer writer = writer_over(body, room);

    writer_u32(&writer, take->id);
    writer_u8(&writer, take->family);
    writer_u8(&writer, take->state);
    writer_u8(&writer, take->flags);
    writer_u8(&writer, take->send_scale);
    writer_u8(&writer, take->receive_scale);
    writer_u8(&writer, RESERVED);
    writer_u16(&writer, take->client_segment_max);
    writer_bytes(&writer, take->machine_address, ADDRESS_SIZE);
    writer_bytes(&writer, take->client_address, ADDRESS_SIZE);
    writer_u16(&writer, take->machine_port);
    writer_u16(&writer, take->client_port);
    writer_u32(&writer, take->send_next);
    writer_u32(&writer, take->receive_next);
    writer_u32(&writer, take->send_window);
    writer_u32(&writer, take->receive_window);
    writer_u16(&writer, take->round_trip);
    writer_bytes(&writer, take->data, take->data_length);
    return written(&writer);
}

bool conduit_read_taken(struct conduit_taken *taken, const uint8_t *body, size_t length)
{
    struct reader reader = reader_over(body, length);

    taken->id = reader_u32(&reader);
    taken->outcome = reader_u8(&reader);
    return all_read(&reader) && taken->outcome <= CONDUIT_NO_MORE;
}

size_t conduit_write_taken(const struct conduit_taken *taken, uint8_t *body, size_t room)
{
    struct writer writer = writer_over(body, room);

    writer_u32(&writer, taken->id);
    writer_u8(&writer, taken->outcome);
    return written(&writer);
}

bool conduit_read_load(struct conduit_load *load, const uint8_t *body, size_t length)
{
    struct reader reader = reader_over(body, length);

    load->connections = reader_u32(&reader);
    load->dropped = reader_u32(&reader);
    load->received = reader_u64(&reader);
    load->sent = reader_u64(&reader);
    return all_read(&reader);
}

size_t conduit_write_load(const struct conduit_load *load, uint8_t *body, size_t room)
{
    struct writer writer = writer_over(body, room);

    writer_u32(&writer, load->connections);
    writer_u32(&writer, load->dropped);
    writer_u64(&writer, load->received);
    writer_u64(&writer, load->sent);
    return written(&writer);
}

bool conduit_read_stop(struct conduit_stop *stop, const uint8_t *body, size_t length)
{
    struct reader reader = reader_over(body, length);

    stop->deadline = reader_u32(&reader);
    return all_read(&reader);
}

size_t conduit_write_stop(const struct conduit_stop *stop, uint8_t *body, size_t room)
{
    struct writer writer = writer_over(body, room);

    writer_u32(&writer, stop->deadline);
    return written(&writer);
}

bool conduit_read_stopped(struct conduit_stopped *stopped, const uint8_t *body, size_t length)
{
    struct reader reader = reader_over(body, length);

    stopped->cut = reader_u32(&reader);
    return all_read(&reader);
}

size_t conduit_write_stopped(const struct conduit_stopped *stopped, uint8_t *body, size_t room)
{
    struct writer writer = writer_over(body, room);

    writer_u32(&writer, stopped->cut);
    return written(&writer);
}

bool conduit_read_settled(struct conduit_settled *settled, const uint8_t *body, size_t length)
{
    struct reader reader = reader_over(body, length);

    settled->key.words[0] = reader_u64(&reader);
    settled->key.words[1] = reader_u64(&reader);
    settled->now = reader_u64(&reader);
    settled->expires = reader_u64(&reader);
    return all_read(&reader);
}

size_t conduit_write_settled(const struct conduit_settled *settled, uint8_t *body, size_t room)
{
    struct writer writer = writer_over(body, room);

    writer_u64(&writer, settled->key.words[0]);
    writer_u64(&writer, settled->key.words[1]);
    writer_u64(&writer, settled->now);
    writer_u64(&writer, settled->expires);
    return written(&writer);
}
