/* The threads of one connection, on which its calls block. What comes of a call is told on the
 * keeper's loop. */
#ifndef JITSU_KEEPER_LIBVIRT_WORK_H
#define JITSU_KEEPER_LIBVIRT_WORK_H

#include <stdbool.h>
#include <sys/queue.h>

struct event_base;

/* One call; the first member of whatever it needs. */
struct libvirt_job {
    STAILQ_ENTRY(libvirt_job) entry;
    bool slow; /* those are never all that is being done: a start finds a thread */
    void (*work)(struct libvirt_job *job); /* on a thread; touches the job alone */
    /* On the loop; frees it. `dropped`: the connection is being given up, and the work was perhaps
     * never done. */
    void (*done)(struct libvirt_job *job, bool dropped);
};

struct libvirt_workers;

/* NULL: memory is exhausted. Threads are made when there is work for them. */
struct libvirt_workers *libvirt_workers_new(struct event_base *base);

/* Takes over the job. */
void libvirt_workers_do(struct libvirt_workers *workers, struct libvirt_job *job);

/* Tells the loop of a job that needs no work: for callbacks that come on any thread. */
void libvirt_workers_tell(struct libvirt_workers *workers, struct libvirt_job *job);

/* Waits at most so long until all work has been done, telling of it. */
void libvirt_workers_finish(struct libvirt_workers *workers, unsigned milliseconds);

/* Does nothing more and tells of nothing; jobs are dropped. A thread that is still inside of a call
 * goes away when that returns. NULL is allowed. */
void libvirt_workers_free(struct libvirt_workers *workers);

#endif
