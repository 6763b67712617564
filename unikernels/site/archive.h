/* Archives as they lie in memory: cpio in the `newc` format, and tar (ustar, with GNU's and pax's
 * long names). Every offset in them is checked; nothing is copied. */
#ifndef JITSU_SITE_ARCHIVE_H
#define JITSU_SITE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cursor.h"

enum archive_format { ARCHIVE_UNKNOWN, ARCHIVE_CPIO, ARCHIVE_TAR };

enum archive_kind {
    ARCHIVE_FILE,
    ARCHIVE_LINK,  /* another name of a file: `target` in tar, `inode` in cpio */
    ARCHIVE_OTHER, /* directories, symbolic links, devices */
};

struct archive_entry {
    enum archive_kind kind;
    const char *name; /* no text here is ended by a NUL */
    size_t name_length;
    const char *directory; /* length not 0: the whole name is DIRECTORY/NAME */
    size_t directory_length;
    const char *target; /* tar's links */
    size_t target_length;
    uint64_t inode;   /* cpio's files with several names; else 0 */
    int64_t modified; /* seconds since the epoch; 0: not known */
    const uint8_t *bytes;
    size_t size;
};

struct archive {
    enum archive_format format;
    struct reader reader;
    size_t entry_start; /* where the entry that was last asked for begins, for messages */
};

/* Recognises the format of an archive by its first bytes. */
struct archive archive_open(const uint8_t *bytes, size_t length);

enum archive_result { ARCHIVE_ENTRY, ARCHIVE_END, ARCHIVE_BROKEN };

/* The next entry, which points into the archive. */
enum archive_result archive_next(struct archive *archive, struct archive_entry *entry);

#endif
