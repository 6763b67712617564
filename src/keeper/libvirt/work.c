#include "keeper/libvirt/work.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"

/* libvirtd serves five calls of a client at a time. */
#define THREADS_MAX 5
#define SLOW_MAX    3

STAILQ_HEAD(job_list, libvirt_job);

/* Shared by the loop and the threads; the last of them frees it. */
struct libvirt_workers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct job_list fast, slow; /* to be done */
    struct job_list done;
    unsigned threads, idle, at_slow;
    unsigned queued;  /* in both lists to be done */
    unsigned pending; /* jobs that the loop has not been told of */
    bool ended;       /* the loop is not interested any more */
    int poke;         /* eventfd: something is done */
    struct event *poked;
};

static void tell(struct libvirt_workers *workers)
{
    uint64_t one = 1;
    if (write(workers->poke, &one, sizeof one) < 0)
        log_error("cannot wake up the keeper's loop: %s", strerror(errno));
}

/* --- the threads --- */

/* With the lock: the next job that may be done, or NULL. */
static struct libvirt_job *next_job(struct libvirt_workers *workers)
{
    struct job_list *list = &workers->fast;
    if (STAILQ_EMPTY(list) && workers->at_slow < SLOW_MAX)
        list = &workers->slow;
    struct libvirt_job *job = STAILQ_FIRST(list);
    if (job) {
        STAILQ_REMOVE_HEAD(list, entry);
        workers->queued--;
    }
    return job;
}

static void end(struct libvirt_workers *workers)
{
    pthread_mutex_destroy(&workers->lock);
    pthread_cond_destroy(&workers->work);
    descriptor_close(&workers->poke);
    free(workers);
}

static void *run(void *argument)
{
    struct libvirt_workers *workers = argument;
    pthread_mutex_lock(&workers->lock);
    while (!workers->ended) {
        struct libvirt_job *job = next_job(workers);
        if (!job) {
            workers->idle++;
            pthread_cond_wait(&workers->work, &workers->lock);
            workers->idle--;
            continue;
        }
        bool slow = job->slow;
        workers->at_slow += slow;
        pthread_mutex_unlock(&workers->lock);
        job->work(job);
        pthread_mutex_lock(&workers->lock);
        workers->at_slow -= slow;
        STAILQ_INSERT_TAIL(&workers->done, job, entry);
        if (!workers->ended)
            tell(workers);
    }
    bool last = --workers->threads == 0;
    struct job_list done = STAILQ_HEAD_INITIALIZER(done);
    STAILQ_CONCAT(&done, &workers->done);
    pthread_mutex_unlock(&workers->lock);
    for (struct libvirt_job *job; (job = STAILQ_FIRST(&done));) {
        STAILQ_REMOVE_HEAD(&done, entry);
        job->done(job, true);
    }
    if (last)
        end(workers);
    return NULL;
}

/* With the lock. Signals are for the keeper's own thread. */
static void add_thread(struct libvirt_workers *workers)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&thread, NULL, run, workers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        log_error("cannot make a thread for a libvirt connection: %s", strerror(failed));
        return;
    }
    pthread_detach(thread);
    workers->threads++;
}

/* --- the loop --- */

static void take_done(struct libvirt_workers *workers)
{
    struct libvirt_job *job;
    struct job_list done = STAILQ_HEAD_INITIALIZER(done);
    pthread_mutex_lock(&workers->lock);
    STAILQ_FOREACH(job, &workers->done, entry)
    {
        workers->pending--;
    }
    STAILQ_CONCAT(&done, &workers->done);
    pthread_mutex_unlock(&workers->lock);
    while ((job = STAILQ_FIRST(&done))) {
        STAILQ_REMOVE_HEAD(&done, entry);
        job->done(job, false);
    }
}

static void on_done(evutil_socket_t poke, short events, void *argument)
{
    (void)events;
    uint64_t count;
    if (read(poke, &count, sizeof count) < 0)
        return;
    take_done(argument);
}

struct libvirt_workers *libvirt_workers_new(struct event_base *base)
{
    struct libvirt_workers *workers = calloc(1, sizeof *workers);
    if (!workers)
        return NULL;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->work, NULL);
    STAILQ_INIT(&workers->fast);
    STAILQ_INIT(&workers->slow);
    STAILQ_INIT(&workers->done);
    workers->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (workers->poke != -1)
        workers->poked = event_new(base, workers->poke, EV_READ | EV_PERSIST, on_done, workers);
    if (workers->poked && event_add(workers->poked, NULL) == 0)
        return workers;
    if (workers->poked)
        event_free(workers->poked);
    end(workers);
    return NULL;
}

void libvirt_workers_do(struct libvirt_workers *workers, struct libvirt_job *job)
{
    pthread_mutex_lock(&workers->lock);
    workers->pending++;
    workers->queued++;
    STAILQ_INSERT_TAIL(job->slow ? &workers->slow : &workers->fast, job, entry);
    if (workers->idle > 0)
        pthread_cond_signal(&workers->work);
    if (workers->threads < THREADS_MAX && workers->queued > workers->idle)
        add_thread(workers);
    pthread_mutex_unlock(&workers->lock);
}

void libvirt_workers_tell(struct libvirt_workers *workers, struct libvirt_job *job)
{
    pthread_mutex_lock(&workers->lock);
    workers->pending++;
    STAILQ_INSERT_TAIL(&workers->done, job, entry);
    tell(workers);
    pthread_mutex_unlock(&workers->lock);
}

static bool has_pending(struct libvirt_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    bool pending = workers->pending > 0;
    pthread_mutex_unlock(&workers->lock);
    return pending;
}

void libvirt_workers_finish(struct libvirt_workers *workers, unsigned milliseconds)
{
    uint64_t deadline = clock_now() + milliseconds * NANOSECONDS_PER_MILLISECOND;
    while (has_pending(workers) && clock_now() < deadline) {
        struct pollfd done = {.fd = workers->poke, .events = POLLIN};
        int left = (int)((deadline - clock_now()) / NANOSECONDS_PER_MILLISECOND) + 1;
        if (poll(&done, 1, left) == 1)
            on_done(workers->poke, EV_READ, workers);
    }
}

void libvirt_workers_free(struct libvirt_workers *workers)
{
    if (!workers)
        return;
    struct job_list dropped = STAILQ_HEAD_INITIALIZER(dropped);
    event_free(workers->poked);
    pthread_mutex_lock(&workers->lock);
    workers->ended = true;
    STAILQ_CONCAT(&dropped, &workers->fast);
    STAILQ_CONCAT(&dropped, &workers->slow);
    STAILQ_CONCAT(&dropped, &workers->done);
    pthread_cond_broadcast(&workers->work);
    bool last = workers->threads == 0;
    pthread_mutex_unlock(&workers->lock);
    if (last)
        end(workers);
    for (struct libvirt_job *job; (job = STAILQ_FIRST(&dropped));) {
        STAILQ_REMOVE_HEAD(&dropped, entry);
        job->done(job, true);
    }
}
