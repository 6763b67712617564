/* A directory as a cpio archive (newc), the boot module that `jitsuctl pack` would make of it,
 * without what that adds. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jitsu/application.h"
#include "platform/unix/process.h"

#define DEPTH_MOST 64

struct packing {
    FILE *archive;
    uint64_t written;
    int root;               /* descriptor of the directory */
    const char *directory;  /* its path, for messages */
    unsigned depth;         /* of the entry below it */
    char path[PATH_MAX];    /* of the entry, from the root; "" is the root */
    char buffer[64 * 1024]; /* of its contents */
};

static _Noreturn void fail(const struct packing *packing, const char *problem)
{
    application_fail("site=%s: %s: %s", packing->directory,
                     packing->path[0] ? packing->path : "the directory", problem);
}

static void put(struct packing *packing, const void *bytes, size_t length)
{
    if (fwrite(bytes, 1, length, packing->archive) != length)
        application_fail("no memory for the boot module: %s", strerror(errno));
    packing->written += length;
}

static void align(struct packing *packing)
{
    put(packing, "\0\0\0", (size_t)(-packing->written & 3));
}

static void put_header(struct packing *packing, const char *name, mode_t mode, int64_t modified,
                       uint64_t size)
{
    char header[110 + 1];
    uint32_t time = modified < 0 ? 0 : modified > UINT32_MAX ? UINT32_MAX : (uint32_t)modified;

    snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0,
             (unsigned)mode, 0, 0, 1, time, (unsigned)size, 0, 0, 0, 0, (unsigned)strlen(name) + 1,
             0);
    put(packing, header, sizeof header - 1);
    put(packing, name, strlen(name) + 1);
    align(packing);
}

/* Opens the entry at packing->path, following links that stay below the root. */
static int open_entry(const struct packing *packing)
{
    const struct open_how how = {
        .flags = O_CLOEXEC | O_RDONLY | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    int descriptor = (int)syscall(SYS_openat2, packing->root,
                                  packing->path[0] ? packing->path : ".", &how, sizeof how);

    if (descriptor == -1)
        fail(packing, errno == EXDEV
                          ? "a symbolic link that is absolute or leads out of the directory"
                          : strerror(errno));
    return descriptor;
}

static void pack_file(struct packing *packing, int descriptor, const struct stat *status)
{
    uint64_t left = (uint64_t)status->st_size;

    if (left > UINT32_MAX)
        fail(packing, "larger than 4 GiB");
    put_header(packing, packing->path, S_IFREG | 0644, status->st_mtime, left);
    while (left > 0) {
        size_t wanted = left < sizeof packing->buffer ? (size_t)left : sizeof packing->buffer;
        ssize_t got = read(descriptor, packing->buffer, wanted);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fail(packing, strerror(errno));
        if (got == 0)
            fail(packing, "became shorter while it was read");
        put(packing, packing->buffer, (size_t)got);
        left -= (size_t)got;
    }
    align(packing);
}

static void pack_directory(struct packing *packing, int descriptor);

static void pack_entry(struct packing *packing)
{
    struct stat status;
    int descriptor = open_entry(packing);

    if (fstat(descriptor, &status) != 0)
        fail(packing, strerror(errno));
    if (S_ISDIR(status.st_mode)) {
        pack_directory(packing, descriptor);
        return;
    }
    if (!S_ISREG(status.st_mode))
        fail(packing, "neither a file nor a directory");
    pack_file(packing, descriptor, &status);
    close(descriptor);
}

static void pack_named(struct packing *packing, const char *name)
{
    size_t length = strlen(packing->path);
    size_t room = sizeof packing->path - length;

    if ((size_t)snprintf(packing->path + length, room, "%s%s", length > 0 ? "/" : "", name) >= room)
        fail(packing, "a longer path than there may be");
    pack_entry(packing);
    packing->path[length] = '\0';
}

/* Packs what is in the directory `descriptor`, which it closes. */
static void pack_directory(struct packing *packing, int descriptor)
{
    DIR *directory = fdopendir(descriptor);
    const struct dirent *entry;

    if (!directory)
        fail(packing, strerror(errno));
    if (packing->depth++ == DEPTH_MOST)
        fail(packing, "too many directories in each other, or a symbolic link that leads back up");
    while ((errno = 0, entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            pack_named(packing, entry->d_name);
    if (errno != 0)
        fail(packing, strerror(errno));
    packing->depth--;
    closedir(directory);
}

void pack_site(const char *path, int descriptor)
{
    static struct packing packing;

    packing.directory = path;
    packing.root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (packing.root == -1)
        application_fail("site=%s: %s", path, strerror(errno));
    descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    packing.archive = descriptor == -1 ? NULL : fdopen(descriptor, "w");
    if (!packing.archive)
        application_fail("no memory for the boot module: %s", strerror(errno));
    pack_entry(&packing);
    put_header(&packing, "TRAILER!!!", 0, 0, 0);
    if (fclose(packing.archive) != 0)
        application_fail("no memory for the boot module: %s", strerror(errno));
    close(packing.root);
}
