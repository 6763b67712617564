#include "keeper/xen/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "common/log.h"

/* More machines than that are rarely started and stopped in the same moment, and each takes
 * processor time of dom0 all the while. */
#define THREADS_MAX 8

#define PATIENCE 5 /* seconds */

/* First in, first out. */
struct queue {
    struct xen_job *first, **last;
};

struct xen_workers {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct queue waiting, finished;
    bool ending;
    unsigned count, idle;
    pthread_t threads[THREADS_MAX];
    int wake; /* an eventfd: something is finished */
    struct event *woken;
};

static void queue_clear(struct queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_add(struct queue *queue, struct xen_job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
}

static struct xen_job *queue_take(struct queue *queue)
{
    struct xen_job *job = queue->first;
    if (!job)
        return NULL;
    queue->first = job->next;
    if (!queue->first)
        queue->last = &queue->first;
    return job;
}

/* --- on a thread --- */

/* The next one; NULL: the thread is to end. */
static struct xen_job *await_job(struct xen_workers *workers)
{
    struct xen_job *job = NULL;
    pthread_mutex_lock(&workers->mutex);
    workers->idle++;
    while (!workers->ending && !(job = queue_take(&workers->waiting)))
        pthread_cond_wait(&workers->work, &workers->mutex);
    workers->idle--;
    pthread_mutex_unlock(&workers->mutex);
    return job;
}

static void finish(struct xen_workers *workers, struct xen_job *job)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&workers->mutex);
    queue_add(&workers->finished, job);
    pthread_mutex_unlock(&workers->mutex);
    while (write(workers->wake, &one, sizeof one) == -1 && errno == EINTR)
        ;
}

/* libxenlight waits for its child processes by SIGCHLD; other signals are the loop's. */
static void choose_signals(void)
{
    sigset_t others;
    sigfillset(&others);
    sigdelset(&others, SIGCHLD);
    pthread_sigmask(SIG_SETMASK, &others, NULL);
}

static void *work(void *argument)
{
    struct xen_workers *workers = argument;
    struct xen_tools *tools = NULL;
    choose_signals();
    for (struct xen_job *job; (job = await_job(workers));) {
        job->failed = 0;
        if (!tools)
            tools = xen_tools_open(&job->error);
        job->work(job, tools);
        finish(workers, job);
    }
    xen_tools_close(tools);
    return NULL;
}

/* --- on the loop --- */

static void on_finished(evutil_socket_t wake, short events, void *argument)
{
    (void)events;
    struct xen_workers *workers = argument;
    uint64_t count;
    struct queue finished;

    if (read(wake, &count, sizeof count) == -1)
        return;
    queue_clear(&finished);
    pthread_mutex_lock(&workers->mutex);
    for (struct xen_job *job; (job = queue_take(&workers->finished));)
        queue_add(&finished, job);
    pthread_mutex_unlock(&workers->mutex);
    for (struct xen_job *job; (job = queue_take(&finished));)
        job->done(job);
}

struct xen_workers *xen_workers_new(struct event_base *base)
{
    struct xen_workers *workers = calloc(1, sizeof *workers);
    if (!workers)
        return NULL;
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->work, NULL);
    queue_clear(&workers->waiting);
    queue_clear(&workers->finished);
    workers->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (workers->wake != -1)
        workers->woken = event_new(base, workers->wake, EV_READ | EV_PERSIST, on_finished, workers);
    if (workers->woken && event_add(workers->woken, NULL) == 0)
        return workers;
    xen_workers_free(workers);
    return NULL;
}

/* With the mutex held. */
static void add_thread(struct xen_workers *workers)
{
    int failed = pthread_create(&workers->threads[workers->count], NULL, work, workers);
    if (!failed)
        workers->count++;
    else if (workers->count == 0)
        log_error("cannot make a thread, and so no Xen machine starts or stops until that is "
                  "possible");
}

void xen_workers_do(struct xen_workers *workers, struct xen_job *job)
{
    pthread_mutex_lock(&workers->mutex);
    queue_add(&workers->waiting, job);
    if (workers->idle == 0 && workers->count < THREADS_MAX)
        add_thread(workers);
    pthread_cond_signal(&workers->work);
    pthread_mutex_unlock(&workers->mutex);
}

static bool join_all(const struct xen_workers *workers)
{
    struct timespec deadline;
    bool all = true;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE;
    for (unsigned i = 0; i < workers->count; i++)
        all = pthread_timedjoin_np(workers->threads[i], NULL, &deadline) == 0 && all;
    return all;
}

bool xen_workers_free(struct xen_workers *workers)
{
    if (!workers)
        return true;
    pthread_mutex_lock(&workers->mutex);
    workers->ending = true;
    pthread_cond_broadcast(&workers->work);
    pthread_mutex_unlock(&workers->mutex);
    if (!join_all(workers))
        return false;
    if (workers->woken)
        event_free(workers->woken);
    descriptor_close(&workers->wake);
    pthread_cond_destroy(&workers->work);
    pthread_mutex_destroy(&workers->mutex);
    free(workers);
    return true;
}
