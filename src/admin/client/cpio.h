/* Writes a cpio archive in the "newc" format (cpio(5)), the same bytes for the same input. */
#ifndef JITSU_ADMIN_CLIENT_CPIO_H
#define JITSU_ADMIN_CLIENT_CPIO_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/error.h"

struct cpio {
    FILE *stream;
    uint32_t entries; /* also the last inode number */
    uint64_t written; /* bytes */
};

/* Adds a directory. Failures to write show in ferror(cpio->stream). `name` has no leading slash. */
void cpio_directory(struct cpio *cpio, const char *name, time_t modified);

/* Adds a regular file with `size` bytes read from `descriptor`. Returns 0, or -1 if it cannot be
 * read or is shorter. */
int cpio_file(struct cpio *cpio, const char *name, mode_t mode, time_t modified, off_t size,
              int descriptor, struct error *error);

/* Ends the archive. */
void cpio_trailer(struct cpio *cpio);

#endif
