/* A walk through the directory of a site that puts all it finds into an archive: what pack.c, which
 * walks, and pack_file.c, which reads files, share. */
#ifndef JITSU_ADMIN_CLIENT_PACKING_H
#define JITSU_ADMIN_CLIENT_PACKING_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "admin/client/compress_queue.h"
#include "admin/client/pack.h"
#include "admin/client/packed_entry.h"
#include "admin/client/site_archive.h"
#include "common/error.h"

struct packing {
    const struct pack_options *options;
    struct site_archive archive;
    struct compress_queue *queue; /* what goes into the archive next, while it is compressed */
    int root;                     /* descriptor of the directory to pack */
    const char *directory;        /* its path, for messages */
    struct stat previous;         /* the archive that is to be replaced, not packed */
    bool has_previous;
    char path[PATH_MAX]; /* of the entry, from the root; "" is the root */
    struct error *error;
};

bool packing_same_file(const struct stat *a, const struct stat *b);

/* Opens the entry at packing->path, following links that stay below the root. */
int packing_open(struct packing *packing, int flags);

/* Says that there is no memory for the entry at `path`. Returns -1. */
int packing_no_memory(struct packing *packing, const char *path);

/* Passes on an entry, which is added to the archive when those before it have been. */
int packing_put(struct packing *packing, struct packed_entry *entry);

/* Adds to the archive what has been passed on. */
int packing_drain(struct packing *packing);

/* Packs the file at packing->path, which was seen to be `status`. */
int packing_file(struct packing *packing, const struct stat *status);

#endif
