/* A file's contents in the content codings of HTTP (RFC 9110 section 8.4.1, RFC 7932). */
#ifndef JITSU_ADMIN_CLIENT_COMPRESS_H
#define JITSU_ADMIN_CLIENT_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

struct compressed {
    uint8_t *bytes; /* owned; NULL if the result would be larger than asked for */
    size_t size;
};

/* What brotli is told of the contents. */
enum compress_kind { COMPRESS_BYTES, COMPRESS_TEXT, COMPRESS_FONT };

/* Compress as far as zlib (level 9) and brotli (quality 11) can, into at most `limit` bytes. The
 * same input gives the same bytes: gzip's header has neither a name nor a time. Return 0, or -1 if
 * there is no memory. Any thread. */
int compress_gzip(const uint8_t *bytes, size_t size, size_t limit, struct compressed *result);
int compress_brotli(const uint8_t *bytes, size_t size, size_t limit, enum compress_kind kind,
                    struct compressed *result);

#endif
