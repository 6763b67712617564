#include "admin/client/compress_queue.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_LIMIT 32
#define ENTRIES_LIMIT 256
#define BYTES_LIMIT   (64u << 20)

struct slot {
    struct packed_entry *entry;
    bool done;
};

/* A ring. Entries are counted as they are added; each number's slot is its remainder. */
struct compress_queue {
    pthread_mutex_t lock;
    pthread_cond_t something_to_do, something_done;
    struct slot slots[ENTRIES_LIMIT];
    size_t taken, begun, added; /* taken <= begun <= added <= taken + ENTRIES_LIMIT */
    size_t bytes;
    bool closing;
    pthread_t threads[THREADS_LIMIT];
    unsigned thread_count;
};

static struct slot *slot_of(struct compress_queue *queue, size_t number)
{
    return &queue->slots[number % ENTRIES_LIMIT];
}

/* A thread's life: takes up one entry after the other until the queue is closed. */
static void *compress_entries(void *argument)
{
    struct compress_queue *queue = argument;

    pthread_mutex_lock(&queue->lock);
    for (;;) {
        while (queue->begun == queue->added && !queue->closing)
            pthread_cond_wait(&queue->something_to_do, &queue->lock);
        if (queue->closing)
            break;
        struct slot *slot = slot_of(queue, queue->begun++);
        pthread_mutex_unlock(&queue->lock);
        packed_entry_compress(slot->entry);
        pthread_mutex_lock(&queue->lock);
        slot->done = true;
        pthread_cond_signal(&queue->something_done);
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

static unsigned processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < THREADS_LIMIT ? (unsigned)count : THREADS_LIMIT;
}

struct compress_queue *compress_queue_open(struct error *error)
{
    struct compress_queue *queue = calloc(1, sizeof *queue);
    int failure = 0;

    if (!queue) {
        error_set(error, "no memory to compress files");
        return NULL;
    }
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->something_to_do, NULL);
    pthread_cond_init(&queue->something_done, NULL);
    for (unsigned wanted = processors(); queue->thread_count < wanted; queue->thread_count++) {
        failure =
            pthread_create(&queue->threads[queue->thread_count], NULL, compress_entries, queue);
        if (failure)
            break;
    }
    if (queue->thread_count > 0)
        return queue;
    error_set(error, "cannot start a thread to compress files: %s", strerror(failure));
    compress_queue_close(queue);
    return NULL;
}

void compress_queue_close(struct compress_queue *queue)
{
    if (!queue)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->closing = true;
    pthread_cond_broadcast(&queue->something_to_do);
    pthread_mutex_unlock(&queue->lock);
    for (unsigned i = 0; i < queue->thread_count; i++)
        pthread_join(queue->threads[i], NULL);
    while (queue->taken < queue->added)
        packed_entry_free(slot_of(queue, queue->taken++)->entry);
    pthread_cond_destroy(&queue->something_done);
    pthread_cond_destroy(&queue->something_to_do);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

bool compress_queue_is_full(struct compress_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    bool full = queue->added - queue->taken == ENTRIES_LIMIT || queue->bytes >= BYTES_LIMIT;
    pthread_mutex_unlock(&queue->lock);
    return full;
}

void compress_queue_add(struct compress_queue *queue, struct packed_entry *entry)
{
    pthread_mutex_lock(&queue->lock);
    *slot_of(queue, queue->added++) = (struct slot){.entry = entry};
    queue->bytes += entry->size;
    pthread_cond_signal(&queue->something_to_do);
    pthread_mutex_unlock(&queue->lock);
}

struct packed_entry *compress_queue_take(struct compress_queue *queue)
{
    struct packed_entry *entry = NULL;

    pthread_mutex_lock(&queue->lock);
    if (queue->taken < queue->added) {
        struct slot *slot = slot_of(queue, queue->taken);
        while (!slot->done)
            pthread_cond_wait(&queue->something_done, &queue->lock);
        entry = slot->entry;
        queue->taken++;
        queue->bytes -= entry->size;
    }
    pthread_mutex_unlock(&queue->lock);
    return entry;
}
