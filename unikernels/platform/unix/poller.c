#include "platform/unix/poller.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "jitsu/application.h"
#include "jitsu/clock.h"

#define EVENTS_AT_ONCE 256

static int poller = -1;

static bool control(int operation, struct watch *watch, int descriptor, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (poller == -1)
        poller = epoll_create1(EPOLL_CLOEXEC);
    return poller != -1 && epoll_ctl(poller, operation, descriptor, &event) == 0;
}

bool poller_add(struct watch *watch, int descriptor, uint32_t events)
{
    return control(EPOLL_CTL_ADD, watch, descriptor, events);
}

bool poller_change(struct watch *watch, int descriptor, uint32_t events)
{
    return control(EPOLL_CTL_MOD, watch, descriptor, events);
}

/* In milliseconds, rounded up: a deadline must have passed afterwards. */
static int time_left(uint64_t deadline)
{
    uint64_t now;

    if (deadline == 0 || deadline <= (now = clock_now()))
        return 0;
    uint64_t left = (deadline - now - 1) / CLOCK_MILLISECOND + 1;
    return left < INT_MAX ? (int)left : INT_MAX;
}

void poller_wait(uint64_t deadline)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(poller, events, EVENTS_AT_ONCE, time_left(deadline));

    if (count < 0 && errno != EINTR)
        application_fail("cannot wait for connections: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        watch->happened(watch, events[i].events);
    }
}
