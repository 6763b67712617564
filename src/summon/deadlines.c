#include <event2/event.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/parts.h"

#define SHORTEST_WAIT (1 * NANOSECONDS_PER_MILLISECOND) /* libevent's clock is that coarse */

static void place(struct deadlines *deadlines, uint32_t at, struct service *service)
{
    deadlines->heap[at] = service;
    service->deadline_place = at;
}

static void move_up(struct deadlines *deadlines, uint32_t at, struct service *service)
{
    for (; at > 1 && deadlines->heap[at / 2]->deadline > service->deadline; at /= 2)
        place(deadlines, at, deadlines->heap[at / 2]);
    place(deadlines, at, service);
}

static void move_down(struct deadlines *deadlines, uint32_t at, struct service *service)
{
    for (uint32_t child = at * 2; child <= deadlines->count; at = child, child *= 2) {
        if (child < deadlines->count &&
            deadlines->heap[child + 1]->deadline < deadlines->heap[child]->deadline)
            child++;
        if (deadlines->heap[child]->deadline >= service->deadline)
            break;
        place(deadlines, at, deadlines->heap[child]);
    }
    place(deadlines, at, service);
}

static void settle(struct deadlines *deadlines, uint32_t at, struct service *service)
{
    if (at > 1 && deadlines->heap[at / 2]->deadline > service->deadline)
        move_up(deadlines, at, service);
    else
        move_down(deadlines, at, service);
}

/* A timer that fires too early finds nothing due and is set again: so one that was set for a
 * deadline since cleared or put off is left as it is. */
static void arm(struct deadlines *deadlines)
{
    if (deadlines->count == 0)
        return;
    uint64_t first = deadlines->heap[1]->deadline;
    if (deadlines->armed && deadlines->armed <= first)
        return;
    uint64_t now = clock_now();
    uint64_t wait = first > now + SHORTEST_WAIT ? first - now : SHORTEST_WAIT;
    struct timeval interval = clock_timeval(wait);
    evtimer_add(deadlines->timer, &interval);
    deadlines->armed = first;
}

static void grow(struct deadlines *deadlines)
{
    uint32_t capacity = deadlines->capacity ? deadlines->capacity * 2 : 64;
    struct service **heap = reallocarray(deadlines->heap, capacity, sizeof *heap);
    if (!heap) {
        log_error("memory is exhausted: machines can be neither started nor stopped in time; "
                  "giving up, machines go on running");
        abort();
    }
    deadlines->heap = heap;
    deadlines->capacity = capacity;
}

void deadline_set(struct service *service, uint64_t moment)
{
    struct deadlines *deadlines = &service->summoner->deadlines;

    service->deadline = moment;
    if (service->deadline_place) {
        settle(deadlines, service->deadline_place, service);
    } else {
        if (deadlines->count + 1 >= deadlines->capacity)
            grow(deadlines);
        move_up(deadlines, ++deadlines->count, service);
    }
    arm(deadlines);
}

void deadline_clear(struct service *service)
{
    struct deadlines *deadlines = &service->summoner->deadlines;
    uint32_t at = service->deadline_place;

    if (!at)
        return;
    service->deadline_place = 0;
    struct service *last = deadlines->heap[deadlines->count--];
    if (last != service)
        settle(deadlines, at, last);
}

void deadlines_run(struct summoner *summoner)
{
    struct deadlines *deadlines = &summoner->deadlines;
    uint64_t now = clock_now();

    while (deadlines->count && deadlines->heap[1]->deadline <= now) {
        struct service *service = deadlines->heap[1];
        deadline_clear(service);
        service_due(service);
    }
    arm(deadlines);
}

static void timer_fired(evutil_socket_t descriptor, short events, void *argument)
{
    struct summoner *summoner = argument;
    (void)descriptor, (void)events;
    summoner->deadlines.armed = 0;
    deadlines_run(summoner);
}

int deadlines_new(struct summoner *summoner)
{
    summoner->deadlines.timer = evtimer_new(summoner->base, timer_fired, summoner);
    return summoner->deadlines.timer ? 0 : -1;
}

void deadlines_free(struct summoner *summoner)
{
    if (summoner->deadlines.timer)
        event_free(summoner->deadlines.timer);
    free(summoner->deadlines.heap);
}
