/* A bounds-checked reader and writer over bytes: every parser of bytes from outside uses it, so
 * that no parser can read or write past the end. After the first attempt to do so `failed` is set
 * and stays set, reads give zeroes, and writes do nothing: a parser may check once at its end. */
#ifndef JITSU_COMMON_CURSOR_H
#define JITSU_COMMON_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
    const uint8_t *bytes;
    size_t length;
    size_t position;
    bool failed;
};

struct writer {
    uint8_t *bytes;
    size_t capacity;
    size_t position;
    bool failed;
};

static inline struct reader reader_over(const void *bytes, size_t length)
{
    return (struct reader){.bytes = bytes, .length = length};
}

static inline size_t reader_left(const struct reader *reader)
{
    return reader->length - reader->position;
}

/* The next `count` bytes in place, or NULL (and failed) if there are fewer. */
static inline const uint8_t *reader_take(struct reader *reader, size_t count)
{
    if (reader->failed || count > reader_left(reader)) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *start = reader->bytes + reader->position;
    reader->position += count;
    return start;
}

static inline void reader_skip(struct reader *reader, size_t count)
{
    (void)reader_take(reader, count);
}

static inline uint8_t reader_u8(struct reader *reader)
{
    const uint8_t *b = reader_take(reader, 1);
    return b ? b[0] : 0;
}

/* Network byte order. */
static inline uint16_t reader_u16(struct reader *reader)
{
    const uint8_t *b = reader_take(reader, 2);
    return (uint16_t)(b ? b[0] << 8 | b[1] : 0);
}

static inline uint32_t reader_u32(struct reader *reader)
{
    const uint8_t *b = reader_take(reader, 4);
    return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}

static inline uint64_t reader_u64(struct reader *reader)
{
    uint64_t high = reader_u32(reader);
    return high << 32 | reader_u32(reader);
}

static inline struct writer writer_over(void *bytes, size_t capacity)
{
    return (struct writer){.bytes = bytes, .capacity = capacity};
}

/* Room for `count` bytes at the end of what is written, or NULL (and failed) if there is none. */
static inline uint8_t *writer_reserve(struct writer *writer, size_t count)
{
    if (writer->failed || count > writer->capacity - writer->position) {
        writer->failed = true;
        return NULL;
    }
    uint8_t *start = writer->bytes + writer->position;
    writer->position += count;
    return start;
}

static inline void writer_bytes(struct writer *writer, const void *bytes, size_t count)
{
    uint8_t *start = writer_reserve(writer, count);
    if (start && count)
        memcpy(start, bytes, count);
}

static inline void writer_u8(struct writer *writer, uint8_t value)
{
    writer_bytes(writer, &value, 1);
}

static inline void writer_u16(struct writer *writer, uint16_t value)
{
    uint8_t b[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    writer_bytes(writer, b, sizeof b);
}

static inline void writer_u32(struct writer *writer, uint32_t value)
{
    uint8_t b[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                    (uint8_t)value};
    writer_bytes(writer, b, sizeof b);
}

static inline void writer_u64(struct writer *writer, uint64_t value)
{
    writer_u32(writer, (uint32_t)(value >> 32));
    writer_u32(writer, (uint32_t)value);
}

#endif
