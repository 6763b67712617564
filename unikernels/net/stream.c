/* jitsu/stream.h on lwIP's TCP. */
#include "jitsu/stream.h"

#include <stdlib.h>

#include "jitsu/application.h"
#include "jitsu/boot.h"
#include "jitsu/clock.h"
#include "jitsu/console.h"
#include "jitsu/memory.h"
#include "lwip/tcp.h"
#include "net/address.h"
#include "net/conduit.h"
#include "net/network.h"
#include "net/stop.h"
#include "platform/arrivals.h"
#include "platform/boot.h"
#include "platform/platform.h"

#define BACKLOG              255
#define TICK                 (2 * TCP_TMR_INTERVAL) /* milliseconds, in which lwIP counts */
#define POLL_INTERVAL        (500 / TICK)
#define MEMORY_A_STREAM      (32 * 1024)
#define CAPACITY_LEAST       16
#define CAPACITY_MOST        2048
#define SEND_SHARE_LEAST     (64 * 1024)
#define WRITE_CHUNK          (44 * TCP_MSS) /* the largest that a call of lwIP's takes, whole segments */
#define ROOM_WORTH_A_CALL    (16 * TCP_MSS)
#define FIRST_RETRANSMISSION (1000 / TICK) /* RFC 6298: until a round trip was measured */

#define READY "jitsu: ready\n"

enum leaving { STAYS, CLOSES, ABORTS };

struct stream {
    struct stream *previous, *next;
    struct tcp_pcb *pcb;
    const struct stream_handler *handler;
    void *state;
    struct pbuf *waiting; /* received, and not taken by the application */
    uint64_t deadline;
    uint8_t inside;    /* so many of the handler's functions are running */
    bool reading;      /* it is being offered what is waiting */
    bool client_ended; /* the end of its data has come */
    bool end_reported;
    bool wants_room;
    bool told_to_stop;
    struct segments segments;
    struct recovery recovery;
    enum leaving leaving; /* what happens once the handler's functions have returned */
};

static size_t capacity, send_share;
static size_t open_streams;
static struct stream *first_stream, *last_stream;
static bool memory_was_short; /* some stream could not write all that there was room for */
static uint64_t bytes_received, bytes_sent;

static void list_prepend(struct stream *stream)
{
    stream->previous = NULL;
    stream->next = first_stream;
    *(first_stream ? &first_stream->previous : &last_stream) = stream;
    first_stream = stream;
}

static void list_append(struct stream *stream)
{
    stream->previous = last_stream;
    stream->next = NULL;
    *(last_stream ? &last_stream->next : &first_stream) = stream;
    last_stream = stream;
}

static void list_remove(struct stream *stream)
{
    *(stream->previous ? &stream->previous->next : &first_stream) = stream->next;
    *(stream->next ? &stream->next->previous : &last_stream) = stream->previous;
}

static void compute_shares(void)
{
    size_t memory = memory_free();

    capacity = memory / MEMORY_A_STREAM;
    if (capacity < CAPACITY_LEAST)
        capacity = CAPACITY_LEAST;
    if (capacity > CAPACITY_MOST)
        capacity = CAPACITY_MOST;
    /* Not all will be sending much at once; if they do, memory runs out, and they wait for it. */
    send_share = memory / capacity * 4;
    if (send_share < SEND_SHARE_LEAST)
        send_share = SEND_SHARE_LEAST;
    if (send_share > TCP_SND_BUF)
        send_share = TCP_SND_BUF;
}

static void start(void)
{
    network_start();
    if (capacity == 0)
        compute_shares();
}

size_t stream_capacity(void)
{
    start();
    return capacity;
}

size_t stream_count(void)
{
    return open_streams;
}

void streams_bytes(uint64_t *received, uint64_t *sent)
{
    *received = bytes_received;
    *sent = bytes_sent;
}

static void discard(struct stream *stream)
{
    list_remove(stream);
    open_streams--;
    free(stream);
}

/* Closes or aborts the connection, tells the application, and frees the stream. Returns what lwIP
 * is to be told by the callback it is in. */
static err_t finish(struct stream *stream)
{
    struct tcp_pcb *pcb = stream->pcb;
    err_t result = ERR_OK;

    if (pcb) {
        tcp_arg(pcb, NULL);
        tcp_recv(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_poll(pcb, NULL, 0);
        tcp_err(pcb, NULL);
        recovery_attach(NULL, pcb);
        /* lwIP would reset a connection whose data was not received. */
        if (stream->waiting)
            tcp_recved(pcb, stream->waiting->tot_len);
        if (stream->leaving == ABORTS || tcp_close(pcb) != ERR_OK) {
            /* Where the client's window is closed, it heeds no reset that is beyond it, as a probe
             * of it is. */
            if (pcb->snd_wnd == 0 && !pcb->unacked)
                pcb->snd_nxt = pcb->lastack;
            tcp_abort(pcb);
            result = ERR_ABRT;
        }
    }
    if (stream->waiting)
        pbuf_free(stream->waiting);
    if (stream->state)
        stream->handler->closed(stream->state);
    discard(stream);
    return result;
}

static void enter(struct stream *stream)
{
    stream->inside++;
}

/* After a handler's function: does what it has asked for. */
static err_t exit_handler(struct stream *stream)
{
    if (--stream->inside > 0 || stream->leaving == STAYS)
        return ERR_OK;
    return finish(stream);
}

/* The same outside of lwIP's callbacks, after which it sends by itself. */
static void leave_from_outside(struct stream *stream)
{
    struct tcp_pcb *pcb = stream->leaving == STAYS ? stream->pcb : NULL;

    exit_handler(stream);
    if (pcb)
        tcp_output(pcb);
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

/* Offers the application what is waiting until it takes no more. */
static void offer(struct stream *stream)
{
    if (stream->reading)
        return;
    stream->reading = true;
    while (stream->waiting && stream->leaving == STAYS) {
        struct pbuf *first = stream->waiting;
        size_t taken = stream->handler->received(stream, stream->state, first->payload, first->len);
        if (taken == 0)
            break;
        if (stream->pcb)
            tcp_recved(stream->pcb, (u16_t)taken);
        if (taken < first->len) {
            pbuf_remove_header(first, taken);
            continue;
        }
        stream->waiting = first->next;
        if (stream->waiting)
            pbuf_ref(stream->waiting);
        pbuf_free(first); /* and what follows it, as far as that is not referenced otherwise */
    }
    stream->reading = false;
    if (!stream->waiting && stream->client_ended && !stream->end_reported &&
        stream->leaving == STAYS) {
        stream->end_reported = true;
        stream->handler->ended(stream, stream->state);
    }
}

void stream_read(struct stream *stream)
{
    if (stream->leaving != STAYS)
        return;
    enter(stream);
    offer(stream);
    exit_handler(stream);
}

struct stream_address stream_peer(const struct stream *stream)
{
    if (!stream->pcb)
        return (struct stream_address){0};
    return network_address(&stream->pcb->remote_ip, stream->pcb->remote_port);
}

/* Keeps what has come for the application. */
static void append(struct stream *stream, struct pbuf *pbuf)
{
    bytes_received += pbuf->tot_len;
    if (stream->waiting)
        pbuf_cat(stream->waiting, pbuf);
    else
        stream->waiting = pbuf;
}

static err_t received(void *argument, struct tcp_pcb *pcb, struct pbuf *pbuf, err_t error)
{
    struct stream *stream = argument;

    (void)error;
    segments_begin(&stream->segments, pcb);
    if (pbuf)
        append(stream, pbuf);
    else
        stream->client_ended = true;
    enter(stream);
    offer(stream);
    return exit_handler(stream);
}

static err_t report_room(struct stream *stream)
{
    stream->wants_room = false;
    enter(stream);
    stream->handler->writable(stream, stream->state);
    return exit_handler(stream);
}

/* How many bytes TCP takes: as many as may be under way soon, so that segments are not made long
 * before it is known how long they should be. */
static size_t room(const struct stream *stream)
{
    size_t has = send_share - stream->pcb->snd_buf;
    size_t most = 2 * (size_t)stream->pcb->cwnd;

    if (most < SEND_SHARE_LEAST)
        most = SEND_SHARE_LEAST;
    if (most > send_share)
        most = send_share;
    return has < most && !recovery_is_waiting(stream->pcb) ? most - has : 0;
}

static err_t sent(void *argument, struct tcp_pcb *pcb, u16_t length)
{
    struct stream *stream = argument;

    segments_adapt(&stream->segments, pcb, length);
    if (stream->wants_room &&
        (room(stream) >= ROOM_WORTH_A_CALL || stream_unacknowledged(stream) == 0))
        return report_room(stream);
    return ERR_OK;
}

static err_t poll(void *argument, struct tcp_pcb *pcb)
{
    struct stream *stream = argument;

    (void)pcb;
    if (stream->deadline && clock_now() >= stream->deadline) {
        stream->deadline = 0;
        enter(stream);
        stream->handler->expired(stream, stream->state);
        return exit_handler(stream);
    }
    /* If memory had run out, no segment may be under way whose acknowledgement would come. */
    if (stream->wants_room && stream_unacknowledged(stream) == 0)
        return report_room(stream);
    return ERR_OK;
}

/* lwIP has freed the connection already. */
static void failed(void *argument, err_t error)
{
    struct stream *stream = argument;

    (void)error;
    stream->pcb = NULL;
    begin_leaving(stream, ABORTS);
}

/* A stream on that connection, or NULL if there is no memory. */
static struct stream *attach(struct tcp_pcb *pcb, const struct stream_handler *handler)
{
    struct stream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return NULL;
    open_streams++;
    list_prepend(stream);
    stream->pcb = pcb;
    stream->handler = handler;
    tcp_arg(pcb, stream);
    tcp_recv(pcb, received);
    tcp_sent(pcb, sent);
    tcp_poll(pcb, poll, POLL_INTERVAL);
    tcp_err(pcb, failed);
    tcp_nagle_disable(pcb);
    recovery_attach(&stream->recovery, pcb);
    pcb->snd_buf = (tcpwnd_size_t)send_share;
    if (pcb->sv > FIRST_RETRANSMISSION) {
        pcb->sv = FIRST_RETRANSMISSION;
        pcb->rto = (s16_t)((pcb->sa >> 3) + pcb->sv);
    }
    return stream;
}

static void tell_to_stop(struct stream *stream)
{
    stream->told_to_stop = true;
    stream->handler->stopping(stream, stream->state);
}

static err_t accepted(void *argument, struct tcp_pcb *pcb, err_t error)
{
    const struct stream_handler *handler = argument;

    if (error != ERR_OK || !pcb)
        return ERR_VAL;
    struct stream *stream = attach(pcb, handler);
    if (!stream) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    arrivals_add(STREAM_ACCEPTED);
    enter(stream);
    stream->state = handler->opened(stream);
    if (!stream->state)
        stream_abort(stream);
    else if (stop_is_under_way() && stream->leaving == STAYS)
        tell_to_stop(stream);
    return exit_handler(stream);
}

bool stream_take(struct tcp_pcb *pcb, struct pbuf *data, bool client_ended)
{
    const struct stream_handler *handler = pcb->callback_arg;
    struct stream *stream = attach(pcb, handler);

    if (!stream)
        return false;
    segments_begin(&stream->segments, pcb);
    enter(stream);
    stream->state = handler->opened(stream);
    if (!stream->state) {
        tcp_err(pcb, NULL);
        recovery_attach(NULL, pcb);
        discard(stream);
        return false;
    }
    arrivals_add(STREAM_HANDED_OVER);
    if (data)
        append(stream, data);
    stream->client_ended = client_ended;
    offer(stream);
    leave_from_outside(stream);
    return true;
}

void streams_stop(void)
{
    struct stream *stream;

    /* Whoever has been told goes to the end: any of them may be gone after each call. */
    while ((stream = first_stream) && !stream->told_to_stop) {
        list_remove(stream);
        list_append(stream);
        enter(stream);
        tell_to_stop(stream);
        leave_from_outside(stream);
    }
}

static err_t connected(void *argument, struct tcp_pcb *pcb, err_t error)
{
    (void)pcb;
    (void)error; /* failed() is called instead */
    return report_room(argument);
}

struct stream *stream_connect(const struct stream_address *address,
                              const struct stream_handler *handler, void *state)
{
    ip_addr_t remote = network_lwip_address(address);

    start();
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&remote));
    struct stream *stream = pcb ? attach(pcb, handler) : NULL;
    if (stream && tcp_connect(pcb, &remote, address->port, connected) == ERR_OK) {
        stream->state = state;
        return stream;
    }
    if (stream)
        discard(stream);
    if (pcb) {
        tcp_err(pcb, NULL);
        tcp_abort(pcb);
    }
    return NULL;
}

void stream_listen(uint16_t port, const struct stream_handler *handler)
{
    start();
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
    if (!pcb || tcp_bind(pcb, IP_ANY_TYPE, port) != ERR_OK)
        application_fail("cannot listen on port %u: it is in use or there is no memory", port);
    struct tcp_pcb *listener = tcp_listen_with_backlog(pcb, BACKLOG);
    if (!listener)
        platform_fatal("no memory to listen");
    tcp_arg(listener, (void *)(uintptr_t)handler);
    tcp_accept(listener, accepted);
}

/* Gives lwIP so many bytes, or, where memory is short, fewer. Returns how many it took. */
static size_t write_chunk(struct tcp_pcb *pcb, const uint8_t *bytes, size_t length, u8_t flags)
{
    while (length > 0 && tcp_write(pcb, bytes, (u16_t)length, flags) != ERR_OK) {
        length = length / 2 / TCP_MSS * TCP_MSS;
        flags |= TCP_WRITE_FLAG_MORE;
    }
    return length;
}

size_t stream_write(struct stream *stream, const void *bytes, size_t length, unsigned flags)
{
    struct tcp_pcb *pcb = stream->pcb;
    const uint8_t *at = bytes;
    size_t left = length;

    if (stream->leaving != STAYS)
        return length;
    while (left > 0) {
        size_t chunk = left < WRITE_CHUNK ? left : WRITE_CHUNK;
        size_t free = room(stream);
        if (chunk > free)
            chunk = free;
        bool more = flags & STREAM_MORE || chunk < left;
        u8_t lwip_flags = (u8_t)((flags & STREAM_IN_PLACE ? 0 : TCP_WRITE_FLAG_COPY) |
                                 (more ? TCP_WRITE_FLAG_MORE : 0));
        size_t taken = write_chunk(pcb, at, chunk, lwip_flags);
        at += taken;
        left -= taken;
        if (taken < chunk || taken == 0) {
            stream->wants_room = true;
            if (taken < chunk)
                memory_was_short = true;
            break;
        }
    }
    bytes_sent += length - left;
    /* Inside a callback lwIP sends after it. */
    if (stream->inside == 0)
        tcp_output(pcb);
    return length - left;
}

void stream_shutdown(struct stream *stream)
{
    if (stream->leaving == STAYS)
        tcp_shutdown(stream->pcb, 0, 1);
}

void stream_deadline(struct stream *stream, uint64_t deadline)
{
    stream->deadline = deadline;
}

size_t stream_unacknowledged(const struct stream *stream)
{
    const struct tcp_pcb *pcb = stream->pcb;

    if (!pcb)
        return 0;
    /* The end of the stream has a sequence number too. */
    bool ending = pcb->state == FIN_WAIT_1 || pcb->state == CLOSING || pcb->state == LAST_ACK;
    return pcb->snd_lbb - pcb->lastack - (ending ? 1 : 0);
}

/* Others have given memory back, perhaps: whoever has nothing under way would not hear of it soon.
 */
static void share_memory(void)
{
    memory_was_short = false;
    for (size_t i = open_streams; i > 0 && first_stream; i--) {
        /* Any of them may be gone after each call. */
        struct stream *stream = first_stream;
        list_remove(stream);
        list_append(stream);
        if (!stream->wants_room || stream->leaving != STAYS || stream_unacknowledged(stream) > 0)
            continue;
        stream->wants_room = false;
        enter(stream);
        stream->handler->writable(stream, stream->state);
        leave_from_outside(stream);
    }
}

_Noreturn void network_serve(void)
{
    start();
    boot_phase("application");
    conduit_start();
    network_flush();
    console_write(READY, sizeof READY - 1);
    boot_phase("ready");
    boot_report();
    for (;;) {
        bool progress = network_poll();
        if (progress && memory_was_short)
            share_memory();
        uint64_t next = timers_run(), conduit_next = conduit_run();
        network_flush();
        if (!progress)
            platform_wait(next < conduit_next ? next : conduit_next, network_arm, NULL);
    }
}
