#include "unit/site_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t archive_bytes[ARCHIVE_SIZE];
size_t archive_length;

/* A copy of the archive that was opened last. */
static uint8_t *opened;

int begin_archive(void **state)
{
    (void)state;
    memset(archive_bytes, 0, sizeof archive_bytes);
    archive_length = 0;
    return 0;
}

void add_cpio_full(const char *name, const char *contents, unsigned mode, unsigned inode,
                   unsigned links)
{
    archive_length +=
        (size_t)sprintf((char *)archive_bytes + archive_length,
                        "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X%s", inode,
                        mode, 0, 0, links, MODIFIED, strlen(contents), 0, 0, 0, 0, strlen(name) + 1,
                        0, name) +
        1;
    archive_length = (archive_length + 3) & ~(size_t)3;
    memcpy(archive_bytes + archive_length, contents, strlen(contents));
    archive_length = (archive_length + strlen(contents) + 3) & ~(size_t)3;
}

void add_cpio(const char *name, const char *contents)
{
    add_cpio_full(name, contents, FILE_MODE, 0, 1);
}

void end_cpio(void)
{
    add_cpio_full("TRAILER!!!", "", 0, 0, 1);
}

void add_tar_full(const char *prefix, const char *name, const char *contents, char type,
                  const char *target)
{
    char *header = (char *)archive_bytes + archive_length;

    strncpy(header, name, 100);
    sprintf(header + 124, "%011zo", strlen(contents));
    sprintf(header + 136, "%011o", MODIFIED);
    header[156] = type;
    strncpy(header + 157, target, 100);
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    strncpy(header + 345, prefix, 155);
    memcpy(archive_bytes + archive_length + 512, contents, strlen(contents));
    archive_length += 512 + ((strlen(contents) + 511) & ~(size_t)511);
}

void add_tar(const char *name, const char *contents)
{
    add_tar_full("", name, contents, '0', "");
}

void end_tar(void)
{
    archive_length += 1024;
}

struct site *open_site(size_t size, const char **problem, size_t *position)
{
    free(opened);
    opened = malloc(size ? size : 1);
    assert_non_null(opened);
    memcpy(opened, archive_bytes, size);
    return site_open(opened, size, problem, position);
}

struct site *must_open(void)
{
    const char *problem = "";
    size_t position;
    struct site *site = open_site(archive_length, &problem, &position);

    if (!site)
        fail_msg("%s at %zu", problem, position);
    return site;
}

int free_archive(void **state)
{
    (void)state;
    free(opened);
    opened = NULL;
    return 0;
}
