#include "admin/client/cpio.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void put(struct cpio *cpio, const void *bytes, size_t length)
{
    if (cpio->failure)
        return;
    if (fwrite(bytes, 1, length, cpio->stream) == length)
        cpio->written += length;
    else
        cpio->failure = errno;
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

void cpio_directory(struct cpio *cpio, const char *name)
{
    put_header(cpio, name, ++cpio->entries, S_IFDIR | 0755, 0, 0);
}

void cpio_file_begin(struct cpio *cpio, const char *name, mode_t mode, time_t modified,
                     uint32_t size)
{
    put_header(cpio, name, ++cpio->entries, S_IFREG | (mode & 0111 ? 0755 : 0644), modified, size);
}

void cpio_file_bytes(struct cpio *cpio, const void *bytes, size_t length)
{
    put(cpio, bytes, length);
}

void cpio_file_end(struct cpio *cpio)
{
    align(cpio);
}

int cpio_append(struct cpio *cpio, FILE *from)
{
    char buffer[65536];
    size_t length;

    rewind(from);
    while ((length = fread(buffer, 1, sizeof buffer, from)) > 0)
        put(cpio, buffer, length);
    return ferror(from) ? -1 : 0;
}

void cpio_trailer(struct cpio *cpio)
{
    put_header(cpio, CPIO_TRAILER, 0, 0, 0, 0);
}

void cpio_flush(struct cpio *cpio)
{
    if (!cpio->failure && fflush(cpio->stream) != 0)
        cpio->failure = errno;
}
