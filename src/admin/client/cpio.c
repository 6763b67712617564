#include "admin/client/cpio.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(struct cpio *cpio, const void *bytes, size_t length)
{
    cpio->written += fwrite(bytes, 1, length, cpio->stream);
}

/* Headers with their names, and data, begin at multiples of 4. */
static void align(struct cpio *cpio)
{
    put(cpio, "\0\0\0", (size_t)(-cpio->written & 3));
}

/* The format has 32 bits for a time. */
static uint32_t time_field(time_t time)
{
    if (time < 0)
        return 0;
    return time > UINT32_MAX ? UINT32_MAX : (uint32_t)time;
}

static void put_header(struct cpio *cpio, const char *name, uint32_t inode, mode_t mode,
                       time_t modified, uint32_t size)
{
    char header[110 + 1];
    uint32_t links = S_ISDIR(mode) ? 2 : 1;

    snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
             inode, (uint32_t)mode, 0, 0, links, time_field(modified), size, 0, 0, 0, 0,
             (uint32_t)strlen(name) + 1, 0);
    put(cpio, header, sizeof header - 1);
    put(cpio, name, strlen(name) + 1);
    align(cpio);
}

void cpio_directory(struct cpio *cpio, const char *name, time_t modified)
{
    put_header(cpio, name, ++cpio->entries, S_IFDIR | 0755, modified, 0);
}

int cpio_file(struct cpio *cpio, const char *name, mode_t mode, time_t modified, off_t size,
              int descriptor, struct error *error)
{
    char buffer[65536];

    if (size > UINT32_MAX)
        return error_set(error, "%s: larger than the 4 GiB that a cpio archive can hold", name);
    put_header(cpio, name, ++cpio->entries, S_IFREG | (mode & 0111 ? 0755 : 0644), modified,
               (uint32_t)size);
    while (size > 0) {
        size_t wanted = size < (off_t)sizeof buffer ? (size_t)size : sizeof buffer;
        ssize_t got = read(descriptor, buffer, wanted);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, "cannot read %s", name);
        if (got == 0)
            return error_set(error, "%s became shorter while it was read", name);
        put(cpio, buffer, (size_t)got);
        size -= got;
    }
    align(cpio);
    return 0;
}

void cpio_trailer(struct cpio *cpio)
{
    put_header(cpio, "TRAILER!!!", 0, 0, 0, 0);
}
