/* The messages of xenstore (Xen's io/xs_wire.h): put together from the bytes that come, and read.
 */
#ifndef JITSU_XEN_STORE_MESSAGE_H
#define JITSU_XEN_STORE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/xen/interface.h"

/* A message as far as it has come. All zeroes at first. */
struct store_message {
    uint8_t bytes[sizeof(struct xen_store_header) + XEN_STORE_BYTES_MAX];
    size_t length;
};

enum store_progress { STORE_PARTLY, STORE_WHOLE, STORE_BROKEN };

/* How many bytes the message still lacks, as far as is known: of its header, if that is not there.
 * 0: it is whole, or broken. */
size_t store_message_lacks(const struct store_message *message);

/* Is it whole, or longer than messages may be? */
enum store_progress store_message_progress(const struct store_message *message);

/* A whole message, read. Texts lie in the message and are not ended by a NUL. */
struct store_answer {
    uint32_t type;
    uint32_t id;
    const char *text; /* the value, names, or reason */
    size_t length;
};
struct store_answer store_message_answer(const struct store_message *message);

/* The token of a watch whose path has changed (XEN_STORE_CHANGED), a decimal number. Returns false
 * if there is none. */
bool store_message_token(const struct store_answer *answer, uint32_t *token);

/* A text as a decimal number. Returns false if it is not one, or larger than `most`. */
bool store_number(const char *text, size_t length, uint32_t most, uint32_t *number);

/* Takes bytes out of a ring of xenstore's of `size` bytes, a power of two, from index `*taken` on:
 * at most `count`, and none beyond `given`, both of which grow for ever. Returns how many; SIZE_MAX
 * if the indices contradict each other. */
size_t store_ring_take(const uint8_t *ring, uint32_t size, uint32_t *taken, uint32_t given,
                       uint8_t *bytes, size_t count);

/* Puts bytes into such a ring, as many as there is room for. Returns how many; SIZE_MAX likewise.
 */
size_t store_ring_give(uint8_t *ring, uint32_t size, uint32_t taken, uint32_t *given,
                       const uint8_t *bytes, size_t count);

#endif
