/* The SQLite file of the store: opening, reading and writing it, and telling what is wrong with it.
 * Blocks; one thread at a time. */
#ifndef JITSU_SUMMON_STORE_FILE_H
#define JITSU_SUMMON_STORE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "summon/store.h"

struct store_file;

/* Returns 0, or -1 if it cannot take more. */
typedef int store_file_row(void *argument, const struct store_row *row);

/* Opens or creates `path` and gives each row in it to `row`. A damaged file is renamed to
 * PATH.corrupt-DATE, which is logged, and a new one is made. NULL, with `error`, if it cannot be
 * used; a file of somebody else, or of a newer version, is left as it is. `row` may have been
 * called then. */
struct store_file *store_file_open(const char *path, store_file_row *row, void *argument,
                                   struct error *error);

/* Writes all rows in one transaction, or none: then returns -1. `*usable` becomes false if the file
 * should be closed and opened again. */
int store_file_write(struct store_file *file, const struct store_row *rows, size_t count,
                     bool *usable, struct error *error);

/* NULL is allowed. */
void store_file_close(struct store_file *file);

#endif
