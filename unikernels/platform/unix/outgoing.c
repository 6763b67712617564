#include "platform/unix/outgoing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define QUEUE_SIZE   (16u * 1024)
#define SENT_AT_ONCE (1024u * 1024) /* then it is another connection's turn */

/* Most queues are empty again before the next one is filled: they take turns with this one. */
static uint8_t *spare;

void outgoing_drop(struct outgoing *outgoing)
{
    if (!outgoing->bytes)
        return;
    if (spare)
        free(outgoing->bytes);
    else
        spare = outgoing->bytes;
    *outgoing = (struct outgoing){0};
}

size_t outgoing_room(struct outgoing *outgoing)
{
    if (!outgoing->bytes) {
        outgoing->bytes = spare ? spare : malloc(QUEUE_SIZE);
        spare = NULL;
    }
    return outgoing->bytes ? QUEUE_SIZE - outgoing_length(outgoing) : 0;
}

void outgoing_append(struct outgoing *outgoing, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    if (length > QUEUE_SIZE - outgoing->end) {
        memmove(outgoing->bytes, outgoing->bytes + outgoing->start, outgoing_length(outgoing));
        outgoing->end -= outgoing->start;
        outgoing->start = 0;
    }
    memcpy(outgoing->bytes + outgoing->end, bytes, length);
    outgoing->end += length;
}

static ssize_t send_parts(int socket, struct iovec parts[2], bool more)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
    ssize_t sent;

    do {
        if (parts[0].iov_len == 0)
            sent = send(socket, parts[1].iov_base, parts[1].iov_len, flags);
        else if (parts[1].iov_len == 0)
            sent = send(socket, parts[0].iov_base, parts[0].iov_len, flags);
        else
            sent = sendmsg(socket, &message, flags);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

enum outgoing_result outgoing_send(struct outgoing *outgoing, int socket, const void *bytes,
                                   size_t length, bool more, size_t *taken)
{
    size_t queued = outgoing_length(outgoing);
    size_t count = length < SENT_AT_ONCE ? length : SENT_AT_ONCE;
    struct iovec parts[2] = {
        {.iov_base = queued > 0 ? outgoing->bytes + outgoing->start : NULL, .iov_len = queued},
        {.iov_base = (void *)(uintptr_t)bytes, .iov_len = count},
    };

    *taken = 0;
    if (queued + count == 0)
        return OUTGOING_SENT;
    ssize_t result = send_parts(socket, parts, more || count < length);
    if (result < 0)
        return errno == EAGAIN ? OUTGOING_FULL : OUTGOING_FAILED;
    size_t sent = (size_t)result;
    if (sent < queued) {
        outgoing->start += sent;
        return OUTGOING_FULL;
    }
    outgoing_drop(outgoing);
    *taken = sent - queued;
    return *taken < count ? OUTGOING_FULL : OUTGOING_SENT;
}
