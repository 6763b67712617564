/* What a connection is to send and its socket has not taken yet: a queue of bounded size. */
#ifndef JITSU_PLATFORM_UNIX_OUTGOING_H
#define JITSU_PLATFORM_UNIX_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: empty. */
struct outgoing {
    uint8_t *bytes;
    size_t start, end; /* of what is queued */
};

static inline size_t outgoing_length(const struct outgoing *outgoing)
{
    return outgoing->end - outgoing->start;
}

/* How many bytes outgoing_append() would take; 0 also if there is no memory. */
size_t outgoing_room(struct outgoing *outgoing);

/* Queues bytes, of which there is room for. */
void outgoing_append(struct outgoing *outgoing, const void *bytes, size_t length);

enum outgoing_result {
    OUTGOING_SENT,   /* the socket may take more */
    OUTGOING_FULL,   /* the socket takes no more for now */
    OUTGOING_FAILED, /* the connection is broken */
};

/* Sends what is queued and behind it `length` bytes that are not, as much as the socket takes, but
 * not without end. `*taken` becomes how many of the latter went. `more`: others will follow at
 * once. */
enum outgoing_result outgoing_send(struct outgoing *outgoing, int socket, const void *bytes,
                                   size_t length, bool more, size_t *taken);

/* Drops what is queued. */
void outgoing_drop(struct outgoing *outgoing);

#endif
