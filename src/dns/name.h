/* Domain names in wire format (RFC 1035, 3.1), uncompressed. A folded name is in lower case, which
 * is what names are compared and hashed in (RFC 4343). */
#ifndef JITSU_DNS_NAME_H
#define JITSU_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/cursor.h"

#define NAME_WIRE_MAX  255 /* bytes, root label included (RFC 1035, 2.3.4) */
#define NAME_LABEL_MAX 63
#define NAME_TEXT_SIZE 1005 /* any name as text, all of it escaped, with its NUL */

/* Room for a folded name: name_fold() writes whole words. */
#define NAME_FOLDED_SIZE 256

struct name {
    const uint8_t *wire;
    uint8_t length; /* root label included: at least 1 */
    uint8_t labels; /* without the root label */
};

/* Reads an uncompressed name in place. False if the bytes at the reader are not one. */
bool name_read(struct reader *reader, struct name *name);

/* Passes over a name that may be compressed (the pointer is not followed). Sets reader->failed if
 * there is none. */
void name_skip(struct reader *reader);

/* The name that `wire`, known to be well formed, begins with. */
struct name name_at(const uint8_t *wire);

/* The name without its first label. Not for the root. */
static inline struct name name_parent(struct name name)
{
    uint8_t label = (uint8_t)(name.wire[0] + 1);
    return (struct name){name.wire + label, (uint8_t)(name.length - label),
                         (uint8_t)(name.labels - 1)};
}

/* Is a folded name equal to, or below, another? */
bool name_is_below(struct name name, struct name ancestor);

static inline bool name_equal(struct name a, struct name b)
{
    return a.length == b.length && memcmp(a.wire, b.wire, a.length) == 0;
}

static inline bool name_is_wildcard(struct name name)
{
    return name.length > 2 && name.wire[0] == 1 && name.wire[1] == '*';
}

/* Length of the longest suffix, in whole labels, that both have in common, in any case; 1 if that
 * is the root alone. */
uint8_t name_common_suffix(struct name a, struct name b);

/* Copies `length` bytes, letters in lower case. Length bytes of labels pass unchanged: they are
 * below 'A'. `folded` has room for NAME_FOLDED_SIZE bytes. */
void name_fold(uint8_t *folded, const uint8_t *wire, size_t length);

/* Hash of a folded name. */
uint32_t name_hash(const uint8_t *folded, size_t length, uint64_t seed);

/* Writes the wire form of a name in text, with or without its last dot, escapes as in zone files,
 * into `wire` (NAME_WIRE_MAX bytes), in lower case. False if it is not one. */
bool name_from_text(const char *text, uint8_t *wire, struct name *name);

/* Writes the text without last dot ("." for the root), special characters escaped as in zone files,
 * cut at `size` - 1 characters. Returns `text`. */
const char *name_to_text(struct name name, char *text, size_t size);

#endif
