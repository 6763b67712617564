/* Compresses files on all processors. Entries come out in the order in which they went in. */
#ifndef JITSU_ADMIN_CLIENT_COMPRESS_QUEUE_H
#define JITSU_ADMIN_CLIENT_COMPRESS_QUEUE_H

#include <stdbool.h>

#include "admin/client/packed_entry.h"
#include "common/error.h"

struct compress_queue;

/* Starts the threads. Returns NULL with the reason if none can be started. */
struct compress_queue *compress_queue_open(struct error *error);

/* Stops them; drops the entries that have not been taken. NULL is fine. */
void compress_queue_close(struct compress_queue *queue);

/* Whether an entry must be taken before another may be added: there is a limit to how many entries,
 * and how many bytes of files, are in memory. */
bool compress_queue_is_full(struct compress_queue *queue);

/* Adds an entry, which belongs to the queue until it is taken. */
void compress_queue_add(struct compress_queue *queue, struct packed_entry *entry);

/* The entry that was added first, as soon as packed_entry_compress() is done with it; NULL if there
 * is none. */
struct packed_entry *compress_queue_take(struct compress_queue *queue);

#endif
