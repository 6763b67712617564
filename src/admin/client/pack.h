/* Packs the directory of a site into the archive that the www unikernel serves. */
#ifndef JITSU_ADMIN_CLIENT_PACK_H
#define JITSU_ADMIN_CLIENT_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* Larger files are not compressed, and not kept in memory. */
#define PACK_COMPRESS_LIMIT (16u << 20)

struct pack_totals {
    unsigned files;         /* of the site */
    uint64_t content_bytes; /* in them */
    uint64_t archive_bytes;
    unsigned compressed_files; /* those that compressed forms were added for, */
    uint64_t compressed_from;  /* the bytes in them, */
    uint64_t compressed_to;    /* and in the smallest form of each */
};

/* Writes all files and directories below `directory` into the archive `file`, sorted by name, owned
 * by user and group 0, files with their times; modes become 0755 or 0644. Symbolic links are
 * followed as long as they stay below `directory`. First in the archive is an index with the media
 * type and ETag of every file; with `compress`, FILE.br and FILE.gz follow each FILE for which they
 * are worth it and are not there already.
 *
 * The same files give the same bytes, whoever packs them, where and when: times later than
 * `latest_time` (seconds since the epoch) are written as that.
 *
 * `file` is replaced at once when all is written; it is left out should it lie below `directory`.
 * Returns 0, or -1 with what is in the way; `file` is then as it was. */
struct pack_options {
    bool compress;
    int64_t latest_time;
};
int pack_directory(const char *directory, const char *file, const struct pack_options *options,
                   struct pack_totals *totals, struct error *error);

#endif
