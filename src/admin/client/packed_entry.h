/* A file or directory on its way into the archive: what is known of it, and a file's compressed
 * forms. */
#ifndef JITSU_ADMIN_CLIENT_PACKED_ENTRY_H
#define JITSU_ADMIN_CLIENT_PACKED_ENTRY_H

#include <sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "admin/client/compress.h"
#include "admin/client/content_type.h"

#define ETAG_SIZE 17 /* 16 hexadecimal digits and a NUL */

/* In the order in which their files follow FILE. */
enum coding { CODING_BROTLI, CODING_GZIP, CODINGS };

/* What is appended to a file's name for one of its codings: ".br", ".gz". */
extern const char *const coding_suffixes[CODINGS];

struct coded_file {
    bool wanted;
    struct compressed given; /* the file of its name that the site has, to be checked */
    bool is_other;           /* `given` holds something else than the file */
    struct compressed contents;
    char etag[ETAG_SIZE];
};

struct packed_entry {
    char *path;  /* from the root of the site */
    mode_t mode; /* with what it is: S_ISREG() or S_ISDIR(); of a directory there is no more */
    time_t modified;
    size_t size;
    uint8_t *bytes; /* its contents; NULL if they are not kept in memory */
    char type[CONTENT_TYPE_SIZE];
    char etag[ETAG_SIZE];
    struct coded_file coded[CODINGS];
    bool no_memory; /* for packed_entry_compress() */
};

/* An entry with room for its contents if they are kept in memory. NULL if there is no memory. */
struct packed_entry *packed_entry_new(const char *path, mode_t mode, size_t size, bool in_memory);
void packed_entry_free(struct packed_entry *entry);

/* Checks the coded files that are given. Makes those that are wanted and worth it: at least 5 %
 * smaller than the file, and brotli's only if it is smaller than gzip's. Any thread. */
void packed_entry_compress(struct packed_entry *file);

/* The ETag of contents: 64 bits of their SHA-256, which these finish. */
void etag_from_digest(SHA2_CTX *digest, char etag[ETAG_SIZE]);
void etag_from_bytes(const uint8_t *bytes, size_t size, char etag[ETAG_SIZE]);

#endif
