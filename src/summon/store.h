/* What outlives the front: counters, last use and running machines of services, in one SQLite file.
 *
 * A thread of its own does all reading and writing after the start, so that a slow, full or broken
 * disk never holds up the main loop. While the file cannot be used this is logged, everything is
 * kept in memory, and it is tried again every minute until it works. A file that is damaged is
 * renamed to FILE.corrupt-DATE and a new one begun; one that is not the store's, or was written by
 * a newer version, is left alone. All functions are for the main loop's thread. */
#ifndef JITSU_SUMMON_STORE_H
#define JITSU_SUMMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "config/config.h"

struct event_base;
struct store;

struct store_row {
    char service[CONFIG_NAME_TEXT_MAX];
    bool forgotten;  /* to be written: there is nothing to remember of it any more */
    uint8_t state;   /* enum machine_state */
    int32_t pid;     /* 0: none */
    uint32_t serial; /* of the machine's run; 0: there is no machine */
    uint64_t starts, failures;
    double last_use; /* seconds since the epoch; 0: never */
    double started;  /* the same; 0: not running */
};

/* Where the last row of a service lies among those not written yet; zeroed at first. */
struct store_slot {
    uint32_t generation, index;
};

struct store_options {
    const char *path;
    uint64_t gather; /* nanoseconds that rows are gathered before they are written as one
                        transaction; 0: 20 ms */
    uint64_t retry;  /* nanoseconds between attempts while the file cannot be used; 0: 60 s */
    /* Called on the loop of `base` when the file could be read (again) after it could not be:
     * store_take() has rows, and all rows have to be put again. */
    struct event_base *base;
    void (*available)(void *argument);
    void *argument;
};

/* Opens or creates the file; what hinders that is logged and no error. NULL only if memory, threads
 * or descriptors are exhausted. */
struct store *store_new(const struct store_options *options, struct error *error);

/* The rows read from the file, once after store_new() or each `available`; nothing is written
 * before they are taken. Returns false if the file could not be read; else `*rows` is the caller's,
 * to free(). */
bool store_take(struct store *store, struct store_row **rows, size_t *count);

/* Gives it a row to write soon, which replaces an earlier one of the same service. */
void store_put(struct store *store, struct store_slot *slot, const struct store_row *row);

/* Writes what is left, closes the file, frees it. */
void store_free(struct store *store);

#endif
