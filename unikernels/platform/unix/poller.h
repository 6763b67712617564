/* Waits for descriptors, with epoll. A descriptor that is closed is forgotten by itself. */
#ifndef JITSU_PLATFORM_UNIX_POLLER_H
#define JITSU_PLATFORM_UNIX_POLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

/* Part of what wants to know about a descriptor, and must live as long as that is open. */
struct watch {
    /* Notes which events have come (EPOLLIN and so on). Nothing may be closed or freed by it: other
     * events that have come at the same time are still to be told. */
    void (*happened)(struct watch *watch, uint32_t events);
};

#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Watches a descriptor for `events`; changes for which. Return false, with errno, if that cannot
 * be. */
bool poller_add(struct watch *watch, int descriptor, uint32_t events);
bool poller_change(struct watch *watch, int descriptor, uint32_t events);

/* Waits until something has happened, at the latest until clock_now() is `deadline`, and tells whom
 * it concerns. */
void poller_wait(uint64_t deadline);

#endif
