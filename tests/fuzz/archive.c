/* Archives as sites are read from them: every file of the site must lie in the archive. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "site/archive.h"
#include "site/site.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

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
        const struct site_file *file = site_find(site, "/index.html", 11, "");
        if (file && file->size > 0 && file->bytes < bytes)
            abort();
    }
    site_free(site);
    return 0;
}
