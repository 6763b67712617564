#include "platform/unix/lingering.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "jitsu/clock.h"
#include "platform/unix/list.h"
#include "platform/unix/poller.h"
#include "platform/unix/socket.h"
#include "platform/unix/streams.h"

#define TIME          (20 * CLOCK_SECOND) /* for a client to take anything at all, or to end */
#define TIME_IN_HURRY (1 * CLOCK_SECOND)
#define READ_AT_ONCE  (16u * 1024)
#define READS_IN_ROW  8

struct lingering {
    struct watch watch;
    struct link among_all;
    struct link to_do; /* in a list if there is something to do */
    int socket;
    struct outgoing outgoing;
    uint64_t deadline;
    size_t unacknowledged; /* when the deadline was set */
    bool end_sent, client_ended, broken;
};

/* By deadline: each waits as long as the others. */
static struct link all = LIST_EMPTY(all);
static struct link busy = LIST_EMPTY(busy);
static size_t count;
static uint64_t time_each = TIME;

static void schedule(struct lingering *lingering)
{
    if (list_is_empty(&lingering->to_do))
        list_append(&busy, &lingering->to_do);
}

static void happened(struct watch *watch, uint32_t events)
{
    struct lingering *lingering = CONTAINER_OF(watch, struct lingering, watch);

    if (events & EPOLLERR)
        lingering->broken = true;
    schedule(lingering);
}

static size_t unacknowledged(const struct lingering *lingering)
{
    return outgoing_length(&lingering->outgoing) +
           socket_unacknowledged(lingering->socket, lingering->end_sent);
}

static void release(struct lingering *lingering, bool reset)
{
    (reset ? socket_reset : socket_close)(lingering->socket);
    outgoing_drop(&lingering->outgoing);
    list_remove(&lingering->among_all);
    list_remove(&lingering->to_do);
    free(lingering);
    count--;
}

static void send_rest(struct lingering *lingering)
{
    size_t none;

    while (outgoing_length(&lingering->outgoing) > 0 && !lingering->broken) {
        switch (outgoing_send(&lingering->outgoing, lingering->socket, NULL, 0, false, &none)) {
        case OUTGOING_SENT:
            break;
        case OUTGOING_FULL:
            return;
        case OUTGOING_FAILED:
            lingering->broken = true;
            break;
        }
    }
    if (!lingering->end_sent && !lingering->broken) {
        lingering->end_sent = true;
        lingering->broken = shutdown(lingering->socket, SHUT_WR) != 0;
    }
}

/* Drops what has come, in turn with other connections if it is much. */
static void drop_received(struct lingering *lingering)
{
    static uint8_t dropped[READ_AT_ONCE];
    ssize_t got = 1;

    for (int i = 0; i < READS_IN_ROW && got > 0; i++)
        do {
            got = recv(lingering->socket, dropped, sizeof dropped, MSG_DONTWAIT);
        } while (got < 0 && errno == EINTR);
    if (got > 0)
        schedule(lingering);
    else if (got == 0)
        lingering->client_ended = true;
    else if (errno != EAGAIN)
        lingering->broken = true;
}

/* Returns whether nothing is left to be done. */
static bool go_on(struct lingering *lingering)
{
    send_rest(lingering);
    if (!lingering->client_ended && !lingering->broken)
        drop_received(lingering);
    return lingering->broken || (lingering->end_sent && lingering->client_ended);
}

static void set_deadline(struct lingering *lingering)
{
    lingering->unacknowledged = unacknowledged(lingering);
    lingering->deadline = clock_now() + time_each;
    list_remove(&lingering->among_all);
    list_append(&all, &lingering->among_all);
}

static struct lingering *oldest(void)
{
    return list_is_empty(&all) ? NULL : CONTAINER_OF(all.next, struct lingering, among_all);
}

void lingering_add(int socket, struct outgoing *outgoing, bool end_sent, bool client_ended)
{
    struct lingering *lingering = calloc(1, sizeof *lingering);

    if (!lingering) {
        (outgoing_length(outgoing) > 0 ? socket_reset : socket_close)(socket);
        outgoing_drop(outgoing);
        return;
    }
    *lingering = (struct lingering){
        .watch = {.happened = happened},
        .among_all = LIST_EMPTY(lingering->among_all),
        .to_do = LIST_EMPTY(lingering->to_do),
        .socket = socket,
        .outgoing = *outgoing,
        .end_sent = end_sent,
        .client_ended = client_ended,
    };
    *outgoing = (struct outgoing){0};
    count++;
    if (go_on(lingering) ||
        !poller_change(&lingering->watch, socket, EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET)) {
        release(lingering, outgoing_length(&lingering->outgoing) > 0);
        return;
    }
    set_deadline(lingering);
    /* The one that has been here longest makes room for others. */
    if (count > descriptors_limit() / 8)
        release(oldest(), outgoing_length(&oldest()->outgoing) > 0);
}

/* Goes on waiting for a client that has taken something meanwhile. */
static void expire(struct lingering *lingering)
{
    size_t left = unacknowledged(lingering);

    if (left > 0 && left < lingering->unacknowledged)
        set_deadline(lingering);
    else
        release(lingering, left > 0);
}

uint64_t lingering_run(void)
{
    struct link now_busy = LIST_EMPTY(now_busy);
    struct lingering *first;

    list_move(&now_busy, &busy);
    while (!list_is_empty(&now_busy)) {
        struct lingering *lingering = CONTAINER_OF(now_busy.next, struct lingering, to_do);
        list_remove(&lingering->to_do);
        if (go_on(lingering))
            release(lingering, false);
    }
    while ((first = oldest()) && clock_now() >= first->deadline)
        expire(first);
    if (!list_is_empty(&busy))
        return 0;
    return first ? first->deadline : NEVER;
}

void lingering_hurry(void)
{
    uint64_t soon = clock_now() + TIME_IN_HURRY;

    time_each = TIME_IN_HURRY;
    for (struct link *link = all.next; link != &all; link = link->next) {
        struct lingering *lingering = CONTAINER_OF(link, struct lingering, among_all);
        if (lingering->deadline > soon)
            lingering->deadline = soon;
    }
}

void lingering_cut(void)
{
    struct lingering *lingering;

    while ((lingering = oldest()))
        release(lingering, unacknowledged(lingering) > 0);
}

bool lingering_is_over(void)
{
    return list_is_empty(&all);
}
