/* Threads for what blocks: libxenlight takes a large part of a second to make a domain, and any
 * time it likes to end one. Each thread has a context of its own, so that they do not wait for one
 * another. */
#ifndef JITSU_KEEPER_XEN_WORKER_H
#define JITSU_KEEPER_XEN_WORKER_H

#include <event2/event.h>
#include <stdbool.h>

#include "common/error.h"
#include "keeper/xen/tools.h"

/* Something to do: embedded in what it is about, which must live until `done` has been called. */
struct xen_job {
    struct xen_job *next;
    /* On a thread; `tools` is NULL if it could not be opened, for the reason `error`, where the
     * work puts its own, too. */
    void (*work)(struct xen_job *job, struct xen_tools *tools);
    void (*done)(struct xen_job *job); /* then, on the event loop */
    int failed;
    struct error error;
};

struct xen_workers;

/* NULL: memory or descriptors are exhausted. Starts no thread yet. */
struct xen_workers *xen_workers_new(struct event_base *base);

/* As soon as a thread is free. */
void xen_workers_do(struct xen_workers *workers, struct xen_job *job);

/* Waits for what is being worked on, but not longer than those who wait for the keeper's end do,
 * and calls `done` of nothing any more. false: some threads are still at work; they must find all
 * that they work on as it is until the process ends. NULL is allowed. */
bool xen_workers_free(struct xen_workers *workers);

#endif
