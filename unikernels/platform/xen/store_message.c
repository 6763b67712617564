#include "platform/xen/store_message.h"

#include <string.h>

#include "common/cursor.h"

static struct xen_store_header header_of(const struct store_message *message)
{
    struct xen_store_header header = {0};
    struct reader reader = reader_over(message->bytes, message->length);
    const uint8_t *bytes = reader_take(&reader, sizeof header);

    if (bytes)
        memcpy(&header, bytes, sizeof header);
    return header;
}

size_t store_message_lacks(const struct store_message *message)
{
    struct xen_store_header header = header_of(message);

    if (message->length < sizeof header)
        return sizeof header - message->length;
    if (store_message_progress(message) == STORE_BROKEN)
        return 0;
    return sizeof header + header.length - message->length;
}

enum store_progress store_message_progress(const struct store_message *message)
{
    struct xen_store_header header = header_of(message);

    if (message->length < sizeof header)
        return STORE_PARTLY;
    if (header.length > XEN_STORE_BYTES_MAX || message->length > sizeof header + header.length)
        return STORE_BROKEN;
    return message->length == sizeof header + header.length ? STORE_WHOLE : STORE_PARTLY;
}

struct store_answer store_message_answer(const struct store_message *message)
{
    struct xen_store_header header = header_of(message);
    struct reader reader = reader_over(message->bytes, message->length);

    reader_skip(&reader, sizeof header);
    const uint8_t *text = reader_take(&reader, header.length);
    return (struct store_answer){
        .type = header.type,
        .id = header.id,
        .text = text ? (const char *)text : "",
        .length = text ? header.length : 0,
    };
}

bool store_number(const char *text, size_t length, uint32_t most, uint32_t *number)
{
    uint64_t value = 0;

    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)(uint8_t)text[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
        if (value > most)
            return false;
    }
    *number = (uint32_t)value;
    return true;
}

bool store_message_token(const struct store_answer *answer, uint32_t *token)
{
    /* PATH, NUL, TOKEN, NUL */
    const char *path_end = memchr(answer->text, '\0', answer->length);
    if (!path_end)
        return false;
    const char *text = path_end + 1;
    size_t left = answer->length - (size_t)(text - answer->text);
    const char *text_end = memchr(text, '\0', left);
    if (!text_end)
        return false;
    return store_number(text, (size_t)(text_end - text), UINT32_MAX, token);
}

static void copy_out(const uint8_t *ring, uint32_t size, uint32_t from, uint8_t *bytes,
                     size_t count)
{
    size_t at = from % size;
    size_t first = count < size - at ? count : size - at;

    memcpy(bytes, ring + at, first);
    memcpy(bytes + first, ring, count - first);
}

static void copy_in(uint8_t *ring, uint32_t size, uint32_t to, const uint8_t *bytes, size_t count)
{
    size_t at = to % size;
    size_t first = count < size - at ? count : size - at;

    memcpy(ring + at, bytes, first);
    memcpy(ring, bytes + first, count - first);
}

size_t store_ring_take(const uint8_t *ring, uint32_t size, uint32_t *taken, uint32_t given,
                       uint8_t *bytes, size_t count)
{
    size_t there = given - *taken;

    if (there > size)
        return SIZE_MAX;
    if (count > there)
        count = there;
    copy_out(ring, size, *taken, bytes, count);
    *taken += (uint32_t)count;
    return count;
}

size_t store_ring_give(uint8_t *ring, uint32_t size, uint32_t taken, uint32_t *given,
                       const uint8_t *bytes, size_t count)
{
    size_t used = *given - taken;

    if (used > size)
        return SIZE_MAX;
    if (count > size - used)
        count = size - used;
    copy_in(ring, size, *given, bytes, count);
    *given += (uint32_t)count;
    return count;
}
