/* Archives in the making, for tests of sites. */
#ifndef JITSU_UNIT_SITE_FIXTURE_H
#define JITSU_UNIT_SITE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "site/site.h"

#define MODIFIED       784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define FILE_MODE      0100644u
#define DIRECTORY_MODE 0040755u
#define ARCHIVE_SIZE   (64 * 1024)

/* There is one at a time. */
extern uint8_t archive_bytes[ARCHIVE_SIZE];
extern size_t archive_length;

/* For cmocka, before and after a test. */
int begin_archive(void **state);
int free_archive(void **state);

void add_cpio(const char *name, const char *contents);
void add_cpio_full(const char *name, const char *contents, unsigned mode, unsigned inode,
                   unsigned links);
void end_cpio(void);

void add_tar(const char *name, const char *contents);
void add_tar_full(const char *prefix, const char *name, const char *contents, char type,
                  const char *target);
void end_tar(void);

/* Opens a copy of the archive's first `size` bytes that ends where they do, so that a read past it
 * is noticed. */
struct site *open_site(size_t size, const char **problem, size_t *position);

/* Opens all of it; the test fails if that does. */
struct site *must_open(void);

#endif
