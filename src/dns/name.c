#include "dns/name.h"

#include <stdio.h>

bool name_read(struct reader *reader, struct name *name)
{
    const uint8_t *start = reader->bytes + reader->position;
    size_t length = 0;
    uint8_t labels = 0;

    for (;;) {
        uint8_t label = reader_u8(reader);
        length += label + 1u;
        if (reader->failed || label > NAME_LABEL_MAX || length > NAME_WIRE_MAX)
            return false;
        if (label == 0)
            break;
        reader_skip(reader, label);
        labels++;
    }
    *name = (struct name){start, (uint8_t)length, labels};
    return true;
}

void name_skip(struct reader *reader)
{
    size_t length = 0;
    while (!reader->failed) {
        uint8_t label = reader_u8(reader);
        if (label == 0)
            return;
        if (label >= 0xc0) {
            reader_skip(reader, 1);
            return;
        }
        length += label + 1u;
        if (label > NAME_LABEL_MAX || length >= NAME_WIRE_MAX)
            reader->failed = true;
        reader_skip(reader, label);
    }
}

struct name name_at(const uint8_t *wire)
{
    struct name name = {wire, 1, 0};
    while (*wire) {
        name.length = (uint8_t)(name.length + *wire + 1);
        name.labels++;
        wire += *wire + 1;
    }
    return name;
}

bool name_is_below(struct name name, struct name ancestor)
{
    if (name.labels < ancestor.labels)
        return false;
    while (name.labels > ancestor.labels)
        name = name_parent(name);
    return name_equal(name, ancestor);
}

uint8_t name_common_suffix(struct name a, struct name b)
{
    uint8_t folded_a[NAME_FOLDED_SIZE], folded_b[NAME_FOLDED_SIZE];
    name_fold(folded_a, a.wire, a.length);
    name_fold(folded_b, b.wire, b.length);
    a.wire = folded_a;
    b.wire = folded_b;
    while (a.labels > b.labels)
        a = name_parent(a);
    while (b.labels > a.labels)
        b = name_parent(b);
    while (!name_equal(a, b)) {
        a = name_parent(a);
        b = name_parent(b);
    }
    return a.length;
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Sets bit 5 of each byte that is 'A' to 'Z': the additions carry into a byte's top bit if its
 * other bits are at least 'A', or more than 'Z'. */
static uint64_t fold_word(uint64_t word)
{
    uint64_t low = word & EACH_BYTE(0x7f);
    uint64_t at_least_a = low + EACH_BYTE(0x80 - 'A');
    uint64_t above_z = low + EACH_BYTE(0x7f - 'Z');
    uint64_t upper = (at_least_a ^ above_z) & ~word & EACH_BYTE(0x80);
    return word | upper >> 2;
}

void name_fold(uint8_t *folded, const uint8_t *wire, size_t length)
{
    uint64_t word;
    for (; length >= sizeof word; length -= sizeof word) {
        memcpy(&word, wire, sizeof word);
        word = fold_word(word);
        memcpy(folded, &word, sizeof word);
        wire += sizeof word;
        folded += sizeof word;
    }
    word = 0;
    memcpy(&word, wire, length);
    word = fold_word(word);
    memcpy(folded, &word, length);
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

uint32_t name_hash(const uint8_t *folded, size_t length, uint64_t seed)
{
    uint64_t hash = seed ^ length, word;
    for (; length >= sizeof word; length -= sizeof word) {
        memcpy(&word, folded, sizeof word);
        hash = mix(hash, word);
        folded += sizeof word;
    }
    word = 0;
    memcpy(&word, folded, length);
    hash = mix(mix(hash, word), seed);
    return (uint32_t)(hash >> 16);
}

/* One character of a label, which may be escaped as \X or \DDD (RFC 1035, 5.1). Returns the
 * character after it, or NULL if the escape is not one. */
static const char *unescape(const char *text, uint8_t *byte)
{
    if (*text != '\\') {
        *byte = (uint8_t)*text;
        return text + 1;
    }
    text++;
    if (*text < '0' || *text > '9') {
        *byte = (uint8_t)*text;
        return *text ? text + 1 : NULL;
    }
    unsigned value = 0;
    for (int digit = 0; digit < 3; digit++, text++) {
        if (*text < '0' || *text > '9')
            return NULL;
        value = value * 10 + (unsigned)(*text - '0');
    }
    *byte = (uint8_t)value;
    return value <= 255 ? text : NULL;
}

bool name_from_text(const char *text, uint8_t *wire, struct name *name)
{
    struct writer writer = writer_over(wire, NAME_WIRE_MAX);
    if (strcmp(text, ".") == 0)
        text++;
    else if (*text == '\0')
        return false;
    while (*text) {
        uint8_t *length = writer_reserve(&writer, 1);
        size_t start = writer.position;
        while (*text && *text != '.') {
            uint8_t byte;
            text = unescape(text, &byte);
            if (!text)
                return false;
            if (byte >= 'A' && byte <= 'Z')
                byte |= 0x20;
            writer_u8(&writer, byte);
        }
        size_t label = writer.position - start;
        if (writer.failed || label == 0 || label > NAME_LABEL_MAX)
            return false;
        *length = (uint8_t)label;
        if (*text == '.')
            text++;
    }
    writer_u8(&writer, 0);
    if (writer.failed)
        return false;
    *name = name_at(wire);
    return true;
}

/* Writes a byte of a label as text; returns how many characters that took, without a NUL. */
static size_t escape(uint8_t byte, char text[5])
{
    if (byte <= ' ' || byte > '~')
        return (size_t)snprintf(text, 5, "\\%03u", byte);
    size_t length = 0;
    if (strchr(".\\\"();@$", byte))
        text[length++] = '\\';
    text[length++] = (char)byte;
    return length;
}

const char *name_to_text(struct name name, char *text, size_t size)
{
    struct writer writer = writer_over(text, size - 1);
    if (name.labels == 0)
        writer_u8(&writer, '.');
    for (const uint8_t *label = name.wire; *label; label += *label + 1) {
        if (label != name.wire)
            writer_u8(&writer, '.');
        for (uint8_t i = 1; i <= *label; i++) {
            char escaped[5];
            writer_bytes(&writer, escaped, escape(label[i], escaped));
        }
    }
    text[writer.position] = '\0';
    return text;
}
