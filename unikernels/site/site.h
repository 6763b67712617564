/* The files that are served: those of an archive, found by their paths.
 *
 * An archive may have an index, the file .jitsu/index: lines `PATH TYPE TAG` separated by tabs,
 * with the media type of a file and 16 hexadecimal digits that stand for its contents. What else is
 * in .jitsu/ is kept for later use; nothing of it is served. */
#ifndef JITSU_SITE_SITE_H
#define JITSU_SITE_SITE_H

#include <stddef.h>
#include <stdint.h>

#include "site/coding.h"

#define SITE_TYPE_MAX   100 /* bytes of a media type in an index */
#define SITE_TAG_LENGTH 16

struct site_file {
    const char *name; /* its path without the first slash; not ended by a NUL */
    size_t name_length;
    const uint8_t *bytes; /* in the archive */
    size_t size;
    int64_t modified;                       /* seconds since the epoch; 0: not known */
    struct http_text type;                  /* from the index; else `at` is NULL */
    const char *tag;                        /* the same; SITE_TAG_LENGTH digits */
    const struct site_file *coded[CODINGS]; /* the same compressed, if that is smaller; or NULL */
};

struct site;

/* Reads the archive of `length` bytes, which must stay as it is: files are served from it. Returns
 * the site, owned by the caller, or NULL with `*problem` saying what is wrong with the archive, and
 * `*position` where. */
struct site *site_open(const uint8_t *archive, size_t length, const char **problem,
                       size_t *position);

/* A site of one file, which is not copied; NULL if there is no memory. */
struct site *site_of_file(const struct site_file *file);

void site_free(struct site *site);

size_t site_file_count(const struct site *site);

/* The file of that path (as struct http_request has it), with `suffix` (often "") appended; NULL if
 * there is none that may be served. */
const struct site_file *site_find(const struct site *site, const char *path, size_t length,
                                  const char *suffix);

#endif
