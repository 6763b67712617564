/* Packs the directory of a site into the archive that the www unikernel serves. */
#ifndef JITSU_ADMIN_CLIENT_PACK_H
#define JITSU_ADMIN_CLIENT_PACK_H

#include <stdint.h>

#include "common/error.h"

struct pack_totals {
    unsigned files;
    uint64_t bytes; /* of the archive */
};

/* Writes all files and directories below `directory` into the archive `file`, sorted by name, owned
 * by user and group 0, with their times; modes become 0755 or 0644. Symbolic links are followed as
 * long as they stay below `directory`. `file` is replaced at once when all is written; it is left
 * out should it lie below `directory`. Returns 0, or -1 with what is in the way; `file` is then as
 * it was. */
int pack_directory(const char *directory, const char *file, struct pack_totals *totals,
                   struct error *error);

#endif
