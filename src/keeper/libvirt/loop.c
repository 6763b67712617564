#include "keeper/libvirt/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "common/log.h"

/* A descriptor or a timer that libvirt has us watch. */
struct watch {
    TAILQ_ENTRY(watch) entry;
    int number;
    int descriptor;   /* -1: a timer */
    int events;       /* VIR_EVENT_HANDLE_* */
    int milliseconds; /* of a timer; negative: it is off */
    bool removed;
    bool changed; /* since the loop looked last */
    virEventHandleCallback on_descriptor;
    virEventTimeoutCallback on_time;
    void *argument;
    virFreeCallback free_argument;
    struct event *event; /* the loop's own; NULL: nothing to watch just now */
};

TAILQ_HEAD(watch_list, watch);

/* The lock is for the list and for what the watches in it ask for. libvirt's callbacks are made
 * without it, as they ask for changes, and a watch is freed by the loop alone, while none of them
 * runs. */
static struct {
    pthread_mutex_t lock;
    struct watch_list watches;
    int last_number;
    bool registered;
    struct event_base *base;
    int poke; /* eventfd: something has changed */
    struct event *poked;
} loop = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .watches = TAILQ_HEAD_INITIALIZER(loop.watches), .poke = -1};

/* --- on the loop --- */

static short wanted_events(const struct watch *watch)
{
    int events = 0;
    if (watch->events & VIR_EVENT_HANDLE_READABLE)
        events |= EV_READ;
    if (watch->events & VIR_EVENT_HANDLE_WRITABLE)
        events |= EV_WRITE;
    /* An error or a hang-up shows as readable. */
    if (!events && watch->events & (VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP))
        events |= EV_READ;
    return (short)events;
}

static bool is_gone(struct watch *watch)
{
    pthread_mutex_lock(&loop.lock);
    bool gone = watch->removed || watch->changed;
    pthread_mutex_unlock(&loop.lock);
    return gone;
}

/* What has been changed by another thread meanwhile is first looked at anew. */
static void on_descriptor(evutil_socket_t descriptor, short what, void *argument)
{
    struct watch *watch = argument;
    int events = (what & EV_READ ? VIR_EVENT_HANDLE_READABLE : 0) |
                 (what & EV_WRITE ? VIR_EVENT_HANDLE_WRITABLE : 0);
    if (!is_gone(watch))
        watch->on_descriptor(watch->number, (int)descriptor, events, watch->argument);
}

static void set_timer(struct watch *watch)
{
    struct timeval wait = {.tv_sec = watch->milliseconds / 1000,
                           .tv_usec = watch->milliseconds % 1000 * 1000};
    event_add(watch->event, &wait);
}

static void on_time(evutil_socket_t unused, short what, void *argument)
{
    (void)unused, (void)what;
    struct watch *watch = argument;
    if (is_gone(watch))
        return;
    watch->on_time(watch->number, watch->argument);
    pthread_mutex_lock(&loop.lock);
    if (!watch->changed && !watch->removed && watch->milliseconds >= 0)
        set_timer(watch);
    pthread_mutex_unlock(&loop.lock);
}

static void stop_watching(struct watch *watch)
{
    if (watch->event)
        event_free(watch->event);
    watch->event = NULL;
}

static void watch_as_wanted(struct watch *watch)
{
    short events = watch->descriptor == -1 ? 0 : wanted_events(watch);
    bool wanted = watch->descriptor == -1 ? watch->milliseconds >= 0 : events != 0;
    watch->changed = false;
    stop_watching(watch);
    if (!wanted)
        return;
    watch->event = watch->descriptor == -1
                       ? evtimer_new(loop.base, on_time, watch)
                       : event_new(loop.base, watch->descriptor, (short)(events | EV_PERSIST),
                                   on_descriptor, watch);
    if (!watch->event)
        log_error("memory is exhausted: a libvirt connection is not watched");
    else if (watch->descriptor == -1)
        set_timer(watch);
    else
        event_add(watch->event, NULL);
}

static void free_watches(struct watch_list *watches)
{
    struct watch *watch;
    while ((watch = TAILQ_FIRST(watches))) {
        TAILQ_REMOVE(watches, watch, entry);
        stop_watching(watch);
        if (watch->free_argument)
            watch->free_argument(watch->argument);
        free(watch);
    }
}

static void on_poke(evutil_socket_t poke, short what, void *argument)
{
    (void)what, (void)argument;
    uint64_t count;
    struct watch *watch, *next;
    struct watch_list removed = TAILQ_HEAD_INITIALIZER(removed);
    if (read((int)poke, &count, sizeof count) < 0)
        return;
    pthread_mutex_lock(&loop.lock);
    for (watch = TAILQ_FIRST(&loop.watches); watch; watch = next) {
        next = TAILQ_NEXT(watch, entry);
        if (watch->removed) {
            TAILQ_REMOVE(&loop.watches, watch, entry);
            TAILQ_INSERT_TAIL(&removed, watch, entry);
        } else if (watch->changed) {
            watch_as_wanted(watch);
        }
    }
    pthread_mutex_unlock(&loop.lock);
    free_watches(&removed);
}

/* --- from any thread --- */

static void poke(void)
{
    uint64_t one = 1;
    if (loop.poke != -1 && write(loop.poke, &one, sizeof one) < 0)
        log_error("cannot wake up the keeper's loop: %s", strerror(errno));
}

static int add_watch(const struct watch *wanted)
{
    struct watch *watch = malloc(sizeof *watch);
    if (!watch)
        return -1;
    *watch = *wanted;
    watch->changed = true;
    pthread_mutex_lock(&loop.lock);
    int number = watch->number = ++loop.last_number;
    TAILQ_INSERT_TAIL(&loop.watches, watch, entry);
    poke();
    pthread_mutex_unlock(&loop.lock);
    return number;
}

/* With the lock; NULL: there is none of that number. */
static struct watch *find_watch(int number, bool timer)
{
    struct watch *watch;
    TAILQ_FOREACH(watch, &loop.watches, entry)
    {
        if (watch->number == number && !watch->removed && (watch->descriptor == -1) == timer)
            return watch;
    }
    return NULL;
}

static int remove_watch(int number, bool timer)
{
    pthread_mutex_lock(&loop.lock);
    struct watch *watch = find_watch(number, timer);
    if (watch) {
        watch->removed = true;
        poke();
    }
    pthread_mutex_unlock(&loop.lock);
    return watch ? 0 : -1;
}

static int add_handle(int descriptor, int events, virEventHandleCallback callback, void *argument,
                      virFreeCallback free_argument)
{
    return add_watch(&(struct watch){.descriptor = descriptor,
                                     .events = events,
                                     .on_descriptor = callback,
                                     .argument = argument,
                                     .free_argument = free_argument});
}

static void update_handle(int number, int events)
{
    pthread_mutex_lock(&loop.lock);
    struct watch *watch = find_watch(number, false);
    if (watch && watch->events != events) {
        watch->events = events;
        watch->changed = true;
        poke();
    }
    pthread_mutex_unlock(&loop.lock);
}

static int remove_handle(int number)
{
    return remove_watch(number, false);
}

static int add_timeout(int milliseconds, virEventTimeoutCallback callback, void *argument,
                       virFreeCallback free_argument)
{
    return add_watch(&(struct watch){.descriptor = -1,
                                     .milliseconds = milliseconds,
                                     .on_time = callback,
                                     .argument = argument,
                                     .free_argument = free_argument});
}

static void update_timeout(int number, int milliseconds)
{
    pthread_mutex_lock(&loop.lock);
    struct watch *watch = find_watch(number, true);
    if (watch) {
        watch->milliseconds = milliseconds;
        watch->changed = true;
        poke();
    }
    pthread_mutex_unlock(&loop.lock);
}

static int remove_timeout(int number)
{
    return remove_watch(number, true);
}

/* --- life --- */

int libvirt_loop_open(struct event_base *base, struct error *error)
{
    struct watch *watch;
    if (virInitialize() != 0)
        return error_set(error, "the libvirt library cannot be initialised");
    loop.base = base;
    loop.poke = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK); /* there may be watches from before */
    if (loop.poke != -1)
        loop.poked = event_new(base, loop.poke, EV_READ | EV_PERSIST, on_poke, NULL);
    if (!loop.poked || event_add(loop.poked, NULL) != 0) {
        libvirt_loop_close();
        return error_set(error, "cannot prepare the event loop of libvirt connections");
    }
    TAILQ_FOREACH(watch, &loop.watches, entry)
    {
        watch->changed = true;
    }
    if (!loop.registered)
        virEventRegisterImpl(add_handle, update_handle, remove_handle, add_timeout, update_timeout,
                             remove_timeout);
    loop.registered = true;
    return 0;
}

void libvirt_loop_close(void)
{
    struct watch *watch;
    pthread_mutex_lock(&loop.lock);
    TAILQ_FOREACH(watch, &loop.watches, entry)
    {
        stop_watching(watch);
    }
    if (loop.poked)
        event_free(loop.poked);
    loop.poked = NULL;
    loop.base = NULL;
    descriptor_close(&loop.poke);
    pthread_mutex_unlock(&loop.lock);
}
