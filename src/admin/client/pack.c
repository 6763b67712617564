#include "config.h"

#include "admin/client/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "admin/client/packing.h"

/* The directories that lead to where the walk is: to notice a link that leads back up. */
struct ancestor {
    const struct ancestor *up;
    dev_t device;
    ino_t inode;
};

bool packing_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int packing_open(struct packing *packing, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(O_CLOEXEC | flags),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    const char *path = packing->path[0] ? packing->path : ".";
    int descriptor = (int)syscall(SYS_openat2, packing->root, path, &how, sizeof how);

    if (descriptor == -1 && errno == EXDEV)
        return error_set(packing->error,
                         "%s/%s: a symbolic link that is absolute or leads out of the directory",
                         packing->directory, packing->path);
    if (descriptor == -1)
        return error_set_errno(packing->error, "cannot open %s/%s", packing->directory,
                               packing->path);
    return descriptor;
}

int packing_no_memory(struct packing *packing, const char *path)
{
    return error_set(packing->error, "no memory for %s/%s", packing->directory, path);
}

/* Says so if the site has a compressed form of the file that is another file's: www would send it
 * in this one's place. */
static int check_given(struct packing *packing, const struct packed_entry *file)
{
    for (unsigned i = 0; i < CODINGS; i++)
        if (file->coded[i].is_other)
            return error_set(packing->error,
                             "%s/%s%s does not hold what %s has in it: make it anew, or remove it",
                             packing->directory, file->path, coding_suffixes[i], file->path);
    return 0;
}

/* Adds the entry that was found first of those in the queue, if there is one. */
static int add_oldest(struct packing *packing, bool *none)
{
    struct packed_entry *entry = compress_queue_take(packing->queue);
    int result = 0;

    *none = !entry;
    if (!entry)
        return 0;
    if (entry->no_memory)
        result = packing_no_memory(packing, entry->path);
    else
        result = check_given(packing, entry);
    if (result == 0)
        site_archive_add(&packing->archive, entry);
    packed_entry_free(entry);
    return result == 0 ? site_archive_check(&packing->archive, packing->error) : result;
}

int packing_drain(struct packing *packing)
{
    bool none = false;

    while (!none)
        if (add_oldest(packing, &none) != 0)
            return -1;
    return 0;
}

int packing_put(struct packing *packing, struct packed_entry *entry)
{
    bool none;

    while (compress_queue_is_full(packing->queue))
        if (add_oldest(packing, &none) != 0) {
            packed_entry_free(entry);
            return -1;
        }
    compress_queue_add(packing->queue, entry);
    return 0;
}

static int walk(struct packing *packing, int descriptor, const struct stat *status,
                const struct ancestor *up);

static int pack_subdirectory(struct packing *packing, const struct stat *status,
                             const struct ancestor *up)
{
    for (const struct ancestor *ancestor = up; ancestor; ancestor = ancestor->up)
        if (ancestor->device == status->st_dev && ancestor->inode == status->st_ino)
            return error_set(packing->error, "%s/%s: a symbolic link that leads back up",
                             packing->directory, packing->path);
    int descriptor = packing_open(packing, O_RDONLY | O_DIRECTORY);
    if (descriptor == -1)
        return -1;
    struct packed_entry *entry = packed_entry_new(packing->path, status->st_mode, 0, false);
    int result = entry ? packing_put(packing, entry) : packing_no_memory(packing, packing->path);
    if (result != 0) {
        close(descriptor);
        return -1;
    }
    return walk(packing, descriptor, status, up);
}

static int pack_entry(struct packing *packing, const struct ancestor *up)
{
    struct stat status;
    int descriptor = packing_open(packing, O_PATH);
    if (descriptor == -1)
        return -1;
    int result = fstat(descriptor, &status);
    close(descriptor);
    if (result != 0)
        return error_set_errno(packing->error, "cannot look at %s/%s", packing->directory,
                               packing->path);
    if (packing->has_previous && packing_same_file(&status, &packing->previous))
        return 0;
    if (S_ISREG(status.st_mode))
        return packing_file(packing, &status);
    if (S_ISDIR(status.st_mode))
        return pack_subdirectory(packing, &status, up);
    return error_set(packing->error, "%s/%s: neither a file nor a directory", packing->directory,
                     packing->path);
}

static int not_dot(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* In the order of the bytes, whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int pack_named(struct packing *packing, const char *name, const struct ancestor *up)
{
    size_t length = strlen(packing->path);
    int written = snprintf(packing->path + length, sizeof packing->path - length, "%s%s",
                           length > 0 ? "/" : "", name);
    int result;

    if (written < 0 || (size_t)written >= sizeof packing->path - length)
        result = error_set(packing->error, "%s/%s: a longer path than there may be",
                           packing->directory, packing->path);
    else if (strcmp(packing->path, CPIO_TRAILER) == 0 ||
             strcmp(packing->path, SITE_ARCHIVE_INDEX_DIRECTORY) == 0)
        result = error_set(packing->error, "%s/%s: a name that the archive needs for itself",
                           packing->directory, packing->path);
    else
        result = pack_entry(packing, up);
    packing->path[length] = '\0';
    return result;
}

/* Packs what is in the directory `descriptor`, which it closes. */
static int walk(struct packing *packing, int descriptor, const struct stat *status,
                const struct ancestor *up)
{
    const struct ancestor here = {up, status->st_dev, status->st_ino};
    struct dirent **entries;
    int result = 0;

    int count = scandirat(descriptor, ".", &entries, not_dot, by_name);
    if (count < 0)
        result = error_set_errno(packing->error, "cannot read the directory %s/%s",
                                 packing->directory, packing->path);
    close(descriptor);
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = pack_named(packing, entries[i]->d_name, &here);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return result;
}

static int pack_root(struct packing *packing)
{
    struct stat status;
    int descriptor = packing_open(packing, O_RDONLY | O_DIRECTORY);

    if (descriptor == -1)
        return -1;
    if (fstat(descriptor, &status) != 0) {
        close(descriptor);
        return error_set_errno(packing->error, "cannot look at %s", packing->directory);
    }
    if (walk(packing, descriptor, &status, NULL) != 0)
        return -1;
    return packing_drain(packing);
}

int pack_directory(const char *directory, const char *file, const struct pack_options *options,
                   struct pack_totals *totals, struct error *error)
{
    struct packing packing = {.options = options, .directory = directory, .error = error};
    int result = -1;

    packing.root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (packing.root == -1)
        return error_set_errno(error, "cannot open %s", directory);
    packing.has_previous = stat(file, &packing.previous) == 0;
    if (site_archive_open(&packing.archive, file, error) == 0 &&
        (packing.queue = compress_queue_open(error)) && pack_root(&packing) == 0)
        result = site_archive_finish(&packing.archive, error);
    *totals = packing.archive.totals;
    compress_queue_close(packing.queue);
    site_archive_close(&packing.archive);
    close(packing.root);
    return result;
}
