#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "keeper/message.h"

/* Received in one go before other events of the loop get their turn. */
#define BATCH 64

struct queued {
    struct queued *next;
    int descriptor;
    size_t length;
    unsigned char bytes[];
};

struct message_link {
    int socket;
    struct event *readable, *writable;
    struct queued *first, **last;
    size_t queued;
    size_t most_queued; /* no message is received while more are queued; 0: no such limit */
    message_received_function *received;
    message_lost_function *lost;
    void *argument;
    bool broken;     /* nothing is sent any more; `lost` has been or is about to be called */
    const char *why; /* why it broke in message_link_send(), told from the loop */
    bool *freed;     /* of the receiving function on the stack, which must know; else NULL */
};

static void drop_first(struct message_link *link)
{
    struct queued *queued = link->first;
    link->first = queued->next;
    if (!link->first)
        link->last = &link->first;
    link->queued--;
    descriptor_close(&queued->descriptor);
    free(queued);
}

static void drop_queue(struct message_link *link)
{
    while (link->first)
        drop_first(link);
}

static void shut(struct message_link *link)
{
    link->broken = true;
    if (link->readable)
        event_del(link->readable);
    if (link->writable)
        event_del(link->writable);
    drop_queue(link);
    descriptor_close(&link->socket);
}

static void lose(struct message_link *link, const char *why)
{
    shut(link);
    link->lost(link->argument, why);
}

/* For failures outside the loop's callbacks: the caller of message_link_send() does not expect its
 * link to be reported lost, and perhaps freed, in the middle of what it does. */
static void lose_soon(struct message_link *link, const char *why)
{
    link->broken = true;
    link->why = why;
    drop_queue(link);
    event_active(link->readable, EV_READ, 0);
}

/* Then nothing more can be sent, but what it said before it went is still to be read. */
static bool other_end_is_gone(int error)
{
    return error == EPIPE || error == ECONNRESET;
}

static bool holds_back(const struct message_link *link)
{
    return link->most_queued && link->queued > link->most_queued;
}

static void on_readable(evutil_socket_t socket, short events, void *argument)
{
    struct message_link *link = argument;
    bool freed = false;
    (void)socket, (void)events;

    if (link->broken) {
        lose(link, link->why);
        return;
    }
    link->freed = &freed;
    for (unsigned i = 0; i < BATCH && !holds_back(link); i++) {
        struct message message;
        int descriptor;
        int received = message_receive(link->socket, &message, &descriptor);
        if (received < 0 && errno == EAGAIN)
            break;
        if (received <= 0) {
            link->freed = NULL;
            lose(link, received == 0 || other_end_is_gone(errno) ? "the other process ended"
                       : errno == EBADMSG ? "the other process sent what is not a message"
                                          : strerror(errno));
            return;
        }
        link->received(link->argument, &message, descriptor);
        if (freed)
            return;
        if (link->broken)
            break;
    }
    link->freed = NULL;
    if (holds_back(link) && !link->broken)
        event_del(link->readable);
}

static void on_writable(evutil_socket_t socket, short events, void *argument)
{
    struct message_link *link = argument;
    (void)socket, (void)events;

    while (link->first) {
        const struct queued *queued = link->first;
        if (descriptor_send(link->socket, queued->bytes, queued->length, queued->descriptor) == 0) {
            drop_first(link);
        } else if (errno == EAGAIN) {
            return;
        } else if (other_end_is_gone(errno)) {
            drop_queue(link);
        } else {
            lose(link, strerror(errno));
            return;
        }
    }
    event_del(link->writable);
    event_add(link->readable, NULL);
}

struct message_link *message_link_new(struct event_base *base, int socket,
                                      message_received_function *received,
                                      message_lost_function *lost, void *argument)
{
    struct message_link *link = calloc(1, sizeof *link);
    if (!link) {
        close(socket);
        return NULL;
    }
    link->socket = socket;
    link->last = &link->first;
    link->received = received;
    link->lost = lost;
    link->argument = argument;
    evutil_make_socket_nonblocking(socket);
    evutil_make_socket_closeonexec(socket);
    link->readable = event_new(base, socket, EV_READ | EV_PERSIST, on_readable, link);
    link->writable = event_new(base, socket, EV_WRITE | EV_PERSIST, on_writable, link);
    if (!link->readable || !link->writable || event_add(link->readable, NULL) != 0) {
        message_link_free(link);
        return NULL;
    }
    return link;
}

void message_link_hold_back(struct message_link *link, size_t most_queued)
{
    link->most_queued = most_queued;
}

size_t message_link_queued(const struct message_link *link)
{
    return link->queued;
}

static void enqueue(struct message_link *link, const struct message *message, int descriptor)
{
    size_t length = message_size(message);
    struct queued *queued = malloc(sizeof *queued + length);
    if (!queued) {
        lose_soon(link, "no memory for a message");
        return;
    }
    *queued = (struct queued){.length = length, .descriptor = -1};
    memcpy(queued->bytes, message, length);
    if (descriptor != -1) {
        queued->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
        if (queued->descriptor == -1) {
            free(queued);
            lose_soon(link, strerror(errno));
            return;
        }
    }
    *link->last = queued;
    link->last = &queued->next;
    if (link->queued++ == 0)
        event_add(link->writable, NULL);
}

void message_link_send(struct message_link *link, const struct message *message, int descriptor)
{
    if (link->broken)
        return;
    if (!link->first) {
        if (message_send(link->socket, message, descriptor) == 0)
            return;
        if (errno != EAGAIN) {
            if (!other_end_is_gone(errno))
                lose_soon(link, strerror(errno));
            return;
        }
    }
    enqueue(link, message, descriptor);
}

void message_link_free(struct message_link *link)
{
    if (!link)
        return;
    if (link->freed)
        *link->freed = true;
    shut(link);
    if (link->readable)
        event_free(link->readable);
    if (link->writable)
        event_free(link->writable);
    free(link);
}
