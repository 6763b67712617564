/* Checks that a compressed file holds what it should. */
#ifndef JITSU_ADMIN_CLIENT_DECOMPRESS_H
#define JITSU_ADMIN_CLIENT_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>

enum holding { HOLDS_SAME, HOLDS_OTHER, HOLDS_UNKNOWN /* there is no memory to find out */ };

/* Whether the `coded_size` bytes at `coded`, in gzip's or brotli's format, are these bytes. Any
 * thread. */
enum holding gzip_holds(const uint8_t *coded, size_t coded_size, const uint8_t *bytes, size_t size);
enum holding brotli_holds(const uint8_t *coded, size_t coded_size, const uint8_t *bytes,
                          size_t size);

#endif
