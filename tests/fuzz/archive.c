/* Archives as sites are read from them: every file of the site must lie in the archive. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "site/archive.h"
#include "site/site.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_within(const void *at, size_t size, const uint8_t *bytes, size_t length)
{
    const uint8_t *start = at;

    if (size > 0 && (start < bytes || size > length || start > bytes + length - size))
        abort();
}

static void check_file(const struct site_file *file, const uint8_t *bytes, size_t length)
{
    if (!file)
        return;
    check_within(file->bytes, file->size, bytes, length);
    check_within(file->type.at, file->type.length, bytes, length);
    for (size_t i = 0; i < file->type.length; i++)
        if (file->type.at[i] < ' ' || file->type.at[i] > '~')
            abort();
    if (file->tag)
        check_within(file->tag, SITE_TAG_LENGTH, bytes, length);
    for (enum coding coding = 0; coding < CODINGS; coding++)
        if (file->coded[coding] && file->coded[coding]->size >= file->size)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct archive archive = archive_open(bytes, length);
    struct archive_entry entry;
    const char *problem;
    size_t position;

    while (archive_next(&archive, &entry) == ARCHIVE_ENTRY)
        if (entry.size > 0 && (entry.bytes < bytes || entry.size > length ||
                               entry.bytes > bytes + length - entry.size))
            abort();

    struct site *site = site_open(bytes, length, &problem, &position);
    if (!site && (!problem || position > length))
        abort();
    if (site) {
        check_file(site_find(site, "/index.html", 11, ""), bytes, length);
        check_file(site_find(site, "/a", 2, ""), bytes, length);
        if (site_find(site, "/.jitsu/index", 13, ""))
            abort();
    }
    site_free(site);
    return 0;
}
