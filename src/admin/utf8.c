#include "admin/utf8.h"

#include <stdint.h>
#include <string.h>

#include "common/cursor.h"

/* What may follow a first byte: how many bytes, and the range of the one that comes next (the rest
 * are 80 to BF). Unicode standard, table 3-7. */
struct sequence {
    unsigned following;
    uint8_t low, high;
};

static struct sequence sequence_of(uint8_t first)
{
    if (first < 0x80)
        return (struct sequence){0, 0, 0};
    if (first >= 0xc2 && first <= 0xdf)
        return (struct sequence){1, 0x80, 0xbf};
    if (first >= 0xe0 && first <= 0xef)
        return (struct sequence){2, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf};
    if (first >= 0xf0 && first <= 0xf4)
        return (struct sequence){3, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf};
    return (struct sequence){0, 1, 0};
}

enum outcome { VALID, INVALID, UNFINISHED };

/* Takes one character, or the longest beginning of one, from `reader`. */
static enum outcome take_character(struct reader *reader)
{
    struct sequence sequence = sequence_of(reader_u8(reader));
    if (sequence.low > sequence.high)
        return INVALID;
    for (unsigned i = 0; i < sequence.following; i++) {
        if (reader_left(reader) == 0)
            return UNFINISHED;
        uint8_t next = reader->bytes[reader->position];
        if (next < (i == 0 ? sequence.low : 0x80) || next > (i == 0 ? sequence.high : 0xbf))
            return INVALID;
        reader_skip(reader, 1);
    }
    return VALID;
}

size_t utf8_replace_invalid(const void *bytes, size_t length, char *text, size_t *unfinished)
{
    struct reader reader = reader_over(bytes, length);
    struct writer writer = writer_over(text, UTF8_ROOM(length));

    if (unfinished)
        *unfinished = 0;
    while (reader_left(&reader) > 0) {
        size_t start = reader.position;
        enum outcome outcome = take_character(&reader);
        if (outcome == VALID) {
            writer_bytes(&writer, reader.bytes + start, reader.position - start);
        } else if (outcome == UNFINISHED && unfinished) {
            *unfinished = reader.position - start;
        } else {
            writer_bytes(&writer, "\xef\xbf\xbd", 3);
        }
    }
    return writer.position;
}
