/* Writes a cpio archive in the "newc" format (cpio(5)), the same bytes for the same input. */
#ifndef JITSU_ADMIN_CLIENT_CPIO_H
#define JITSU_ADMIN_CLIENT_CPIO_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* The name of the entry that ends an archive: no file can have it. */
#define CPIO_TRAILER "TRAILER!!!"

/* The largest file that the format has room for. */
#define CPIO_FILE_LIMIT UINT32_MAX

struct cpio {
    FILE *stream;
    uint32_t entries; /* also the last inode number */
    uint64_t written; /* bytes; a file starts at a multiple of 4 */
    int failure; /* errno of the first write that failed, else 0; nothing is written after it */
};

/* Adds a directory. `name` has no leading slash. */
void cpio_directory(struct cpio *cpio, const char *name);

/* Adds a regular file: begin, its `size` bytes in any number of pieces, end. `mode` becomes 0755 if
 * anybody may execute it, else 0644. */
void cpio_file_begin(struct cpio *cpio, const char *name, mode_t mode, time_t modified,
                     uint32_t size);
void cpio_file_bytes(struct cpio *cpio, const void *bytes, size_t length);
void cpio_file_end(struct cpio *cpio);

/* Adds the entries that another archive has written to the file `from`, from its beginning, and its
 * end. They may be many. Returns -1 if they cannot be read, else 0. */
int cpio_append(struct cpio *cpio, FILE *from);

/* Ends the archive. */
void cpio_trailer(struct cpio *cpio);

/* Writes out what is buffered. */
void cpio_flush(struct cpio *cpio);

#endif
