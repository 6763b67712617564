/* The files that are served: those of an archive, found by their paths. */
#ifndef JITSU_SITE_SITE_H
#define JITSU_SITE_SITE_H

#include <stddef.h>
#include <stdint.h>

struct site_file {
    const char *name; /* its path without the first slash; not ended by a NUL */
    size_t name_length;
    const uint8_t *bytes; /* in the archive */
    size_t size;
    int64_t modified; /* seconds since the epoch; 0: not known */
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

/* The file of that path (as struct http_request has it), with `suffix` (often "") appended; or
 * NULL. */
const struct site_file *site_find(const struct site *site, const char *path, size_t length,
                                  const char *suffix);

#endif
