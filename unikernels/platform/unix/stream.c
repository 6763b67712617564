/* jitsu/stream.h on sockets.
 *
 * What epoll tells (edge-triggered) is only noted, and the stream put on the list of those that
 * have something to do; streams_run() does it. So no handler ever runs while events that may
 * concern other streams are still to be told. */
#include "jitsu/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jitsu/clock.h"
#include "jitsu/memory.h"
#include "platform/arrivals.h"
#include "platform/unix/address.h"
#include "platform/unix/lingering.h"
#include "platform/unix/list.h"
#include "platform/unix/outgoing.h"
#include "platform/unix/poller.h"
#include "platform/unix/socket.h"
#include "platform/unix/streams.h"

#define MEMORY_A_STREAM (32u * 1024)
#define CAPACITY_LEAST  16u
#define CAPACITY_MOST   65536u
#define READ_AT_ONCE    (16u * 1024)
#define READS_IN_A_ROW  8
#define COPIED_AT_MOST  4096u /* of what may be sent in place: saves a system call */
#define GRAIN           (100 * CLOCK_MILLISECOND) /* of deadlines */

#define EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

enum leaving { STAYS, CLOSES, ABORTS };

struct stream {
    struct watch watch;
    struct link among_all;
    struct link to_do; /* in a list if there is something to do */
    int socket;
    struct stream_address peer;
    const struct stream_handler *handler;
    void *state;
    uint64_t deadline;
    const uint8_t *waiting; /* received, and not taken by the application */
    size_t waiting_length;
    uint8_t *kept; /* where that is, if it had to be copied */
    struct outgoing outgoing;
    uint8_t inside;        /* so many of the handler's functions are running */
    bool readable, ending; /* there may be something to read; the end, or an error, among it */
    bool connecting;       /* the other end has not answered yet */
    bool full;             /* the socket takes nothing for now */
    bool watches_room;     /* epoll tells when it does again */
    bool broken;           /* there is no connection any more */
    bool reading;          /* it is being offered what is waiting */
    bool client_ended;     /* the end of its data has come */
    bool end_reported;
    bool shut, end_sent; /* nothing more is to be sent; the client has been told so */
    bool has_sent;       /* anything at all */
    bool wants_room;
    bool is_due; /* the deadline has passed */
    bool to_be_stopped;
    enum leaving leaving; /* what happens once the handler's functions have returned */
};

static struct link open_streams = LIST_EMPTY(open_streams);
static struct link busy_streams = LIST_EMPTY(busy_streams);
static size_t open_count;
static uint64_t earliest_deadline = NEVER; /* none is before */
static uint64_t deadlines_looked_at;       /* when that was last found out */

size_t stream_capacity(void)
{
    static size_t capacity;

    if (capacity == 0) {
        size_t descriptors = descriptors_limit();
        capacity = memory_free() / MEMORY_A_STREAM;
        if (capacity > CAPACITY_MOST)
            capacity = CAPACITY_MOST;
        /* The others are for connections that linger, and for making room. */
        if (capacity > descriptors / 4 * 3)
            capacity = descriptors / 4 * 3;
        if (capacity < CAPACITY_LEAST)
            capacity = CAPACITY_LEAST;
    }
    return capacity;
}

static void schedule(struct stream *stream)
{
    if (list_is_empty(&stream->to_do))
        list_append(&busy_streams, &stream->to_do);
}

static void set_deadline(struct stream *stream, uint64_t deadline)
{
    stream->deadline = deadline;
    stream->is_due = false;
    if (deadline && deadline < earliest_deadline)
        earliest_deadline = deadline;
}

static void happened(struct watch *watch, uint32_t events)
{
    struct stream *stream = CONTAINER_OF(watch, struct stream, watch);

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
        stream->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP))
        stream->ending = true;
    if (events & EPOLLOUT)
        stream->full = stream->connecting = false;
    if (events & EPOLLERR)
        stream->broken = true;
    schedule(stream);
}

/* --- the end --- */

static void release(struct stream *stream)
{
    open_count--;
    list_remove(&stream->among_all);
    list_remove(&stream->to_do);
    outgoing_drop(&stream->outgoing);
    free(stream->kept);
    free(stream);
}

/* Lets go of the connection and tells the application. */
static void finish(struct stream *stream)
{
    const struct stream_handler *handler = stream->handler;
    void *state = stream->state;

    if (stream->leaving == ABORTS || stream->broken || stream->connecting)
        socket_reset(stream->socket);
    else if (stream->client_ended && outgoing_length(&stream->outgoing) == 0)
        socket_close(stream->socket);
    else
        lingering_add(stream->socket, &stream->outgoing, stream->end_sent, stream->client_ended);
    release(stream);
    if (state)
        handler->closed(state);
}

static void begin_leaving(struct stream *stream, enum leaving how)
{
    if (stream->leaving != STAYS)
        return;
    stream->leaving = how;
    if (stream->inside == 0)
        finish(stream);
}

void stream_close(struct stream *stream)
{
    begin_leaving(stream, CLOSES);
}

void stream_abort(struct stream *stream)
{
    begin_leaving(stream, ABORTS);
}

/* --- sending --- */

/* Sends what is queued and then these bytes. Returns how many of the latter went. */
static size_t send_now(struct stream *stream, const void *bytes, size_t length, bool more)
{
    size_t taken = 0;

    if (stream->full || stream->broken)
        return 0;
    stream->has_sent = true;
    switch (outgoing_send(&stream->outgoing, stream->socket, bytes, length, more, &taken)) {
    case OUTGOING_SENT:
        break;
    case OUTGOING_FULL:
        stream->full = true;
        if (!stream->watches_room &&
            !poller_change(&stream->watch, stream->socket, EVENTS | EPOLLOUT))
            stream->broken = true;
        stream->watches_room = true;
        break;
    case OUTGOING_FAILED:
        stream->broken = true;
        break;
    }
    return taken;
}

/* Sends what is queued, and behind it the end if it is to be sent. */
static void flush(struct stream *stream)
{
    if (outgoing_length(&stream->outgoing) > 0)
        send_now(stream, NULL, 0, false);
    if (stream->shut && !stream->end_sent && !stream->connecting &&
        outgoing_length(&stream->outgoing) == 0) {
        stream->end_sent = true;
        if (shutdown(stream->socket, SHUT_WR) != 0)
            stream->broken = true;
    }
}

size_t stream_write(struct stream *stream, const void *bytes, size_t length, unsigned flags)
{
    const uint8_t *at = bytes;
    bool copies = !(flags & STREAM_IN_PLACE) || length <= COPIED_AT_MOST;
    size_t taken = 0;

    if (stream->leaving != STAYS || stream->broken)
        return length;
    if (stream->shut)
        return 0;
    size_t room = copies ? outgoing_room(&stream->outgoing) : 0;
    if (length > room) {
        taken = send_now(stream, bytes, length, flags & STREAM_MORE);
        room = copies ? outgoing_room(&stream->outgoing) : 0;
    }
    if (room > length - taken)
        room = length - taken;
    outgoing_append(&stream->outgoing, at + taken, room);
    taken += room;
    if (taken < length)
        stream->wants_room = true;
    /* Inside one of its handler's functions the queue is sent after it. */
    if (stream->inside == 0 || (stream->wants_room && !stream->full))
        schedule(stream);
    return stream->broken ? length : taken;
}

void stream_shutdown(struct stream *stream)
{
    if (stream->leaving != STAYS || stream->shut)
        return;
    stream->shut = true;
    if (stream->inside == 0)
        schedule(stream);
}

struct stream_address stream_peer(const struct stream *stream)
{
    return stream->peer;
}

size_t stream_count(void)
{
    return open_count;
}

size_t stream_unacknowledged(const struct stream *stream)
{
    size_t in_socket = 0;

    if (stream->broken)
        return 0;
    if (stream->has_sent)
        in_socket = socket_unacknowledged(stream->socket, stream->end_sent);
    return in_socket + outgoing_length(&stream->outgoing);
}

/* --- the handler's functions --- */

static void enter(struct stream *stream)
{
    stream->inside++;
}

/* After a handler's function: does what it has asked for. */
static void exit_handler(struct stream *stream)
{
    if (stream->inside == 1 && stream->leaving == STAYS) {
        flush(stream);
        if (stream->broken)
            stream->leaving = ABORTS;
    }
    if (--stream->inside == 0 && stream->leaving != STAYS)
        finish(stream);
}

static void report_room(struct stream *stream)
{
    stream->wants_room = false;
    stream->handler->writable(stream, stream->state);
}

static void report_expiry(struct stream *stream)
{
    set_deadline(stream, 0);
    stream->handler->expired(stream, stream->state);
}

static void report_stop(struct stream *stream)
{
    stream->to_be_stopped = false;
    stream->handler->stopping(stream, stream->state);
}

/* Offers the application what is waiting until it takes no more. */
static void offer(struct stream *stream)
{
    if (stream->reading)
        return;
    stream->reading = true;
    while (stream->waiting_length > 0 && stream->leaving == STAYS) {
        size_t taken = stream->handler->received(stream, stream->state, stream->waiting,
                                                 stream->waiting_length);
        if (taken == 0)
            break;
        stream->waiting += taken;
        stream->waiting_length -= taken;
    }
    stream->reading = false;
    if (stream->waiting_length == 0 && stream->kept) {
        free(stream->kept);
        stream->kept = NULL;
    }
    /* The end is only seen once all before it has been taken. */
    if (stream->client_ended && !stream->end_reported && stream->leaving == STAYS) {
        stream->end_reported = true;
        stream->handler->ended(stream, stream->state);
    }
}

/* What the application has not taken must not lie in the buffer that all share. */
static void keep_waiting(struct stream *stream)
{
    if (stream->waiting_length == 0 || stream->kept || stream->leaving != STAYS)
        return;
    stream->kept = malloc(stream->waiting_length);
    if (!stream->kept) {
        stream->leaving = ABORTS;
        return;
    }
    memcpy(stream->kept, stream->waiting, stream->waiting_length);
    stream->waiting = stream->kept;
}

/* Reads once. Returns the number of bytes, 0 if there is nothing (more) to read. */
static size_t read_socket(struct stream *stream, uint8_t *buffer, size_t size)
{
    ssize_t got;

    do {
        got = recv(stream->socket, buffer, size, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    /* A read that is not filled has emptied the socket: more would be told anew. */
    if (got < (ssize_t)size && !stream->ending)
        stream->readable = false;
    if (got > 0)
        return (size_t)got;
    stream->readable = false;
    if (got == 0)
        stream->client_ended = true;
    else if (errno != EAGAIN)
        stream->broken = true;
    return 0;
}

static bool may_read(const struct stream *stream)
{
    return stream->readable && !stream->client_ended && !stream->broken;
}

static void receive(struct stream *stream)
{
    static uint8_t buffer[READ_AT_ONCE];

    for (int i = 0; i < READS_IN_A_ROW; i++) {
        if (!may_read(stream) || stream->waiting_length > 0 || stream->leaving != STAYS)
            return;
        stream->waiting_length = read_socket(stream, buffer, sizeof buffer);
        stream->waiting = buffer;
        offer(stream);
        keep_waiting(stream);
    }
    if (may_read(stream))
        schedule(stream);
}

void stream_read(struct stream *stream)
{
    if (stream->leaving != STAYS)
        return;
    enter(stream);
    offer(stream);
    if (stream->waiting_length == 0 && may_read(stream))
        schedule(stream);
    exit_handler(stream);
}

void stream_deadline(struct stream *stream, uint64_t deadline)
{
    set_deadline(stream, deadline);
}

/* --- all streams --- */

/* A stream on that socket, which it owns, or NULL (and the socket is closed). */
static struct stream *add(int socket, uint32_t events, const struct stream_address *peer,
                          const struct stream_handler *handler)
{
    struct stream *stream = calloc(1, sizeof *stream);

    if (!stream) {
        socket_reset(socket);
        return NULL;
    }
    stream->watch.happened = happened;
    stream->socket = socket;
    stream->handler = handler;
    stream->peer = *peer;
    stream->to_do = (struct link)LIST_EMPTY(stream->to_do);
    list_append(&open_streams, &stream->among_all);
    open_count++;
    if (poller_add(&stream->watch, socket, events))
        return stream;
    socket_reset(socket);
    release(stream);
    return NULL;
}

void streams_accepted(int socket, const union socket_address *peer,
                      const struct stream_handler *handler)
{
    const struct stream_address address = address_of_socket(peer);
    struct stream *stream = add(socket, EVENTS, &address, handler);

    if (!stream)
        return;
    arrivals_add(STREAM_ACCEPTED);
    enter(stream);
    stream->state = handler->opened(stream);
    if (!stream->state)
        stream->leaving = ABORTS;
    exit_handler(stream);
}

struct stream *stream_connect(const struct stream_address *address,
                              const struct stream_handler *handler, void *state)
{
    union socket_address to = address_for_socket(address);
    int descriptor = socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (descriptor == -1)
        return NULL;
    socket_set_options(descriptor);
    if (connect(descriptor, &to.any, address_size(&to)) != 0 && errno != EINPROGRESS) {
        close(descriptor);
        return NULL;
    }
    struct stream *stream = add(descriptor, EVENTS | EPOLLOUT, address, handler);
    if (!stream)
        return NULL;
    stream->state = state;
    /* Once there is room, it is connected. */
    stream->connecting = stream->full = stream->watches_room = stream->wants_room = true;
    return stream;
}

static void run_stream(struct stream *stream)
{
    enter(stream);
    if (stream->broken)
        stream->leaving = ABORTS;
    if (stream->leaving == STAYS)
        flush(stream);
    if (stream->leaving == STAYS && stream->wants_room && !stream->full && !stream->broken)
        report_room(stream);
    if (stream->leaving == STAYS)
        receive(stream);
    if (stream->leaving == STAYS && stream->to_be_stopped)
        report_stop(stream);
    if (stream->leaving == STAYS && stream->is_due)
        report_expiry(stream);
    exit_handler(stream);
}

/* Puts the streams whose time has come on the list. */
static void look_at_deadlines(void)
{
    uint64_t now = clock_now();

    if (now < earliest_deadline || now < deadlines_looked_at + GRAIN)
        return;
    deadlines_looked_at = now;
    earliest_deadline = NEVER;
    for (struct link *link = open_streams.next; link != &open_streams; link = link->next) {
        struct stream *stream = CONTAINER_OF(link, struct stream, among_all);
        stream->is_due = stream->deadline && stream->deadline <= now;
        if (stream->is_due)
            schedule(stream);
        else if (stream->deadline && stream->deadline < earliest_deadline)
            earliest_deadline = stream->deadline;
    }
}

uint64_t streams_run(void)
{
    struct link now_busy = LIST_EMPTY(now_busy);

    if (earliest_deadline != NEVER)
        look_at_deadlines();
    list_move(&now_busy, &busy_streams);
    while (!list_is_empty(&now_busy)) {
        struct link *first = now_busy.next;
        list_remove(first);
        run_stream(CONTAINER_OF(first, struct stream, to_do));
    }
    if (!list_is_empty(&busy_streams))
        return 0;
    if (earliest_deadline == NEVER)
        return NEVER;
    uint64_t next_look = deadlines_looked_at + GRAIN;
    return earliest_deadline > next_look ? earliest_deadline : next_look;
}

void streams_stop(void)
{
    for (struct link *link = open_streams.next; link != &open_streams; link = link->next) {
        struct stream *stream = CONTAINER_OF(link, struct stream, among_all);
        stream->to_be_stopped = true;
        schedule(stream);
    }
}

void streams_cut(void)
{
    while (!list_is_empty(&open_streams))
        stream_abort(CONTAINER_OF(open_streams.next, struct stream, among_all));
}

bool streams_are_over(void)
{
    return open_count == 0;
}
