#include "summon/store.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/store_file.h"

#define GATHER (20 * NANOSECONDS_PER_MILLISECOND)
#define RETRY  (60 * NANOSECONDS_PER_SECOND)

struct rows {
    struct store_row *rows;
    size_t count, capacity;
};

/* What both threads use is guarded by `lock`; `file` belongs to the writing thread once it runs. */
struct store {
    char *path;
    uint64_t gather, retry;
    void (*available)(void *argument);
    void *argument;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* something to do for the thread */
    struct rows pending;    /* to be written */
    uint32_t generation;    /* of `pending`; slots of others are void */
    struct rows loaded;     /* read, for the main loop to take */
    bool untaken;           /* it has not yet: nothing may be written */
    bool closing;
    struct store_file *file; /* NULL: cannot be used now */
    uint64_t retry_at;       /* clock_now(); 0: nothing failed */
    struct error problem;    /* what was logged last; "" if all is well */
    int wake_up;             /* eventfd: `loaded` can be taken */
    struct event *event;
};

/* --- rows --- */

static int rows_add(struct rows *rows, const struct store_row *row)
{
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity ? rows->capacity * 2 : 16;
        struct store_row *more = reallocarray(rows->rows, capacity, sizeof *more);
        if (!more)
            return -1;
        rows->rows = more;
        rows->capacity = capacity;
    }
    rows->rows[rows->count++] = *row;
    return 0;
}

static void rows_free(struct rows *rows)
{
    free(rows->rows);
    *rows = (struct rows){0};
}

static int compare_services(const void *a, const void *b)
{
    const struct store_row *const *first = a, *const *second = b;
    int order = strcmp((*first)->service, (*second)->service);
    if (order != 0)
        return order;
    return *first < *second ? -1 : *first > *second;
}

/* Adds `later` to `rows` and keeps the last row of each service, so that rows do not pile up while
 * they cannot be written. If memory is exhausted for that they do pile up a little. */
static void rows_merge(struct rows *rows, struct rows *later)
{
    struct rows merged = {0};
    for (size_t i = 0; i < later->count; i++)
        if (rows_add(rows, &later->rows[i]) != 0)
            log_error("memory is exhausted: %s is not written to the state file",
                      later->rows[i].service);
    rows_free(later);

    const struct store_row **order = calloc(rows->count + 1, sizeof *order);
    if (!order)
        return;
    for (size_t i = 0; i < rows->count; i++)
        order[i] = &rows->rows[i];
    qsort(order, rows->count, sizeof *order, compare_services);
    for (size_t i = 0; i < rows->count; i++) {
        bool last = i + 1 == rows->count || strcmp(order[i]->service, order[i + 1]->service) != 0;
        if (last && rows_add(&merged, order[i]) != 0) {
            rows_free(&merged);
            free(order);
            return;
        }
    }
    free(order);
    rows_free(rows);
    *rows = merged;
}

/* --- problems --- */

static void log_problem(struct store *store, const struct error *error)
{
    if (strcmp(store->problem.text, error->text) == 0)
        return;
    store->problem = *error;
    log_error("%s: machines go on, but counters and last use are kept in memory only until it can "
              "be written; trying again every %.4g s",
              error->text, (double)store->retry / (double)NANOSECONDS_PER_SECOND);
}

static void log_recovery(struct store *store)
{
    if (store->problem.text[0])
        log_info("%s: can be used again; nothing of this run of jitsud was lost", store->path);
    store->problem.text[0] = '\0';
}

/* --- the writing thread --- */

static int load_row(void *argument, const struct store_row *row)
{
    return rows_add(argument, row);
}

/* Opens the file and reads all of it; without the lock. */
static bool open_file(struct store *store, struct rows *loaded, struct error *error)
{
    store->file = store_file_open(store->path, load_row, loaded, error);
    if (!store->file)
        rows_free(loaded);
    return store->file;
}

/* With the lock held; gives it up meanwhile. */
static void open_again(struct store *store)
{
    struct rows loaded = {0};
    struct error error;

    pthread_mutex_unlock(&store->lock);
    bool opened = open_file(store, &loaded, &error);
    pthread_mutex_lock(&store->lock);
    if (!opened) {
        log_problem(store, &error);
        store->retry_at = clock_now() + store->retry;
        return;
    }
    rows_free(&store->loaded);
    store->loaded = loaded;
    store->untaken = true;
    store->retry_at = 0;
    eventfd_write(store->wake_up, 1);
}

static void wait_until(struct store *store, uint64_t moment)
{
    struct timespec time = {.tv_sec = (time_t)(moment / NANOSECONDS_PER_SECOND),
                            .tv_nsec = (long)(moment % NANOSECONDS_PER_SECOND)};
    pthread_cond_timedwait(&store->changed, &store->lock, &time);
}

/* More rows come in the same breath: one transaction for all. */
static void gather(struct store *store)
{
    uint64_t until = clock_now() + store->gather;
    while (!store->closing && clock_now() < until)
        wait_until(store, until);
}

static void put_back(struct store *store, struct rows *rows)
{
    rows_merge(rows, &store->pending);
    store->pending = *rows;
    store->generation++;
}

/* With the lock held; gives it up meanwhile. */
static void write_pending(struct store *store)
{
    struct rows rows = store->pending;
    struct error error;
    bool usable = true;

    store->pending = (struct rows){0};
    store->generation++;
    pthread_mutex_unlock(&store->lock);
    int result = store_file_write(store->file, rows.rows, rows.count, &usable, &error);
    if (!usable) {
        store_file_close(store->file);
        store->file = NULL;
    }
    pthread_mutex_lock(&store->lock);
    if (result == 0) {
        log_recovery(store);
        store->retry_at = 0;
        rows_free(&rows);
        return;
    }
    log_problem(store, &error);
    put_back(store, &rows);
    store->retry_at = clock_now() + store->retry;
}

static void *write_rows(void *argument)
{
    struct store *store = argument;

    pthread_mutex_lock(&store->lock);
    while (!store->closing) {
        if (store->retry_at && clock_now() < store->retry_at)
            wait_until(store, store->retry_at);
        else if (!store->file)
            open_again(store);
        else if (store->untaken || store->pending.count == 0)
            pthread_cond_wait(&store->changed, &store->lock);
        else {
            gather(store);
            write_pending(store);
        }
    }
    if (store->file && !store->untaken && store->pending.count)
        write_pending(store);
    if (store->pending.count)
        log_error("%s: counters and last use of %zu services could not be written and are lost",
                  store->path, store->pending.count);
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* --- the main loop's side --- */

static void woken(evutil_socket_t descriptor, short events, void *argument)
{
    struct store *store = argument;
    eventfd_t count;
    (void)events;
    eventfd_read(descriptor, &count);
    store->available(store->argument);
}

bool store_take(struct store *store, struct store_row **rows, size_t *count)
{
    pthread_mutex_lock(&store->lock);
    bool taken = store->untaken;
    *rows = store->loaded.rows;
    *count = store->loaded.count;
    store->loaded = (struct rows){0};
    store->untaken = false;
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->lock);
    return taken;
}

void store_put(struct store *store, struct store_slot *slot, const struct store_row *row)
{
    pthread_mutex_lock(&store->lock);
    if (slot->generation == store->generation) {
        store->pending.rows[slot->index] = *row;
    } else if (rows_add(&store->pending, row) == 0) {
        *slot = (struct store_slot){.generation = store->generation,
                                    .index = (uint32_t)(store->pending.count - 1)};
        if (store->pending.count == 1)
            pthread_cond_signal(&store->changed);
    } else {
        log_error("%s: memory is exhausted: its counters are not written to the state file now",
                  row->service);
    }
    pthread_mutex_unlock(&store->lock);
}

static int start_thread(struct store *store)
{
    sigset_t all, before;
    /* Signals are for the main loop. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&store->thread, NULL, write_rows, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int init_lock(struct store *store)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return -1;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int result = pthread_cond_init(&store->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (result == 0 && pthread_mutex_init(&store->lock, NULL) != 0) {
        pthread_cond_destroy(&store->changed);
        return -1;
    }
    return result;
}

static void free_all(struct store *store)
{
    if (store->event)
        event_free(store->event);
    if (store->wake_up != -1)
        close(store->wake_up);
    store_file_close(store->file);
    rows_free(&store->pending);
    rows_free(&store->loaded);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}

struct store *store_new(const struct store_options *options, struct error *error)
{
    struct error problem;
    struct store *store = calloc(1, sizeof *store);
    if (!store || init_lock(store) != 0) {
        free(store);
        error_set(error, "memory is exhausted while opening %s", options->path);
        return NULL;
    }
    store->path = strdup(options->path);
    store->gather = options->gather ? options->gather : GATHER;
    store->retry = options->retry ? options->retry : RETRY;
    store->available = options->available;
    store->argument = options->argument;
    store->generation = 1;
    store->wake_up = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (store->wake_up != -1)
        store->event = event_new(options->base, store->wake_up, EV_READ | EV_PERSIST, woken, store);
    if (!store->path || !store->event || event_add(store->event, NULL) != 0) {
        error_set(error, "memory or descriptors are exhausted while opening %s", options->path);
        goto failed;
    }
    store->untaken = open_file(store, &store->loaded, &problem);
    if (!store->untaken) {
        log_problem(store, &problem);
        store->retry_at = clock_now() + store->retry;
    }
    errno = start_thread(store);
    if (errno != 0) {
        error_set_errno(error, "cannot start the thread that writes %s", options->path);
        goto failed;
    }
    return store;

failed:
    free_all(store);
    return NULL;
}

void store_free(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    free_all(store);
}
