/* The archive of a site while it is made: an index of all files, then their entries. */
#ifndef JITSU_ADMIN_CLIENT_SITE_ARCHIVE_H
#define JITSU_ADMIN_CLIENT_SITE_ARCHIVE_H

#include <stdio.h>

#include "admin/client/cpio.h"
#include "admin/client/pack.h"
#include "admin/client/packed_entry.h"
#include "common/error.h"

/* The name of the index, and of the directory that it is in: sites have none of that name. */
#define SITE_ARCHIVE_INDEX_DIRECTORY ".jitsu"
#define SITE_ARCHIVE_INDEX           SITE_ARCHIVE_INDEX_DIRECTORY "/index"

struct site_archive {
    const char *path;
    struct cpio entries; /* all but the index, in a file that has no name */
    FILE *index;         /* lines for the index, which goes before them, in memory */
    char *index_text;
    size_t index_length;
    struct pack_totals totals;
};

/* Begins an archive that is to become the file `path`. Returns 0 or -1; site_archive_close() is
 * called in the end in any case. */
int site_archive_open(struct site_archive *archive, const char *path, struct error *error);
void site_archive_close(struct site_archive *archive);

/* Adds a directory, or a file and what it has been compressed to. */
void site_archive_add(struct site_archive *archive, const struct packed_entry *entry);

/* Adds a file of which the contents come in pieces: `file` has path, mode, time and size when this
 * begins, and also type and ETag when it ends. */
void site_archive_begin_file(struct site_archive *archive, const struct packed_entry *file);
void site_archive_add_bytes(struct site_archive *archive, const void *bytes, size_t length);
void site_archive_end_file(struct site_archive *archive, const struct packed_entry *file);

/* Returns 0, or -1 if something could not be written until now. */
int site_archive_check(const struct site_archive *archive, struct error *error);

/* Puts the complete archive into its place. */
int site_archive_finish(struct site_archive *archive, struct error *error);

#endif
