#include "config.h"

#include "admin/client/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "admin/client/commands.h"
#include "admin/client/cpio.h"
#include "admin/client/output.h"
#include "common/descriptor.h"

/* The directories that lead to where the walk is: to notice a link that leads back up. */
struct ancestor {
    const struct ancestor *up;
    dev_t device;
    ino_t inode;
};

struct packing {
    struct cpio cpio;
    int root;                     /* descriptor of the directory to pack */
    const char *directory;        /* its path, for messages */
    struct stat output, previous; /* what must not pack itself */
    bool has_previous;
    unsigned files;
    char path[PATH_MAX]; /* of the entry, from the root; "" is the root */
    struct error *error;
};

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Opens the entry at packing->path, following links that stay below the root. */
static int open_entry(struct packing *packing, int flags)
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

static int walk(struct packing *packing, int descriptor, const struct stat *status,
                const struct ancestor *up);

static int pack_file(struct packing *packing, const struct stat *status)
{
    int descriptor = open_entry(packing, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (descriptor == -1)
        return -1;
    int result = cpio_file(&packing->cpio, packing->path, status->st_mode, status->st_mtime,
                           status->st_size, descriptor, packing->error);
    close(descriptor);
    packing->files++;
    return result;
}

static int pack_subdirectory(struct packing *packing, const struct stat *status,
                             const struct ancestor *up)
{
    for (const struct ancestor *ancestor = up; ancestor; ancestor = ancestor->up)
        if (ancestor->device == status->st_dev && ancestor->inode == status->st_ino)
            return error_set(packing->error, "%s/%s: a symbolic link that leads back up",
                             packing->directory, packing->path);
    int descriptor = open_entry(packing, O_RDONLY | O_DIRECTORY);
    if (descriptor == -1)
        return -1;
    cpio_directory(&packing->cpio, packing->path, status->st_mtime);
    return walk(packing, descriptor, status, up);
}

static int pack_entry(struct packing *packing, const struct ancestor *up)
{
    struct stat status;
    int descriptor = open_entry(packing, O_PATH);
    if (descriptor == -1)
        return -1;
    int result = fstat(descriptor, &status);
    close(descriptor);
    if (result != 0)
        return error_set_errno(packing->error, "cannot look at %s/%s", packing->directory,
                               packing->path);
    if (same_file(&status, &packing->output) ||
        (packing->has_previous && same_file(&status, &packing->previous)))
        return 0;
    if (S_ISREG(status.st_mode))
        return pack_file(packing, &status);
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
    int descriptor = open_entry(packing, O_RDONLY | O_DIRECTORY);

    if (descriptor == -1)
        return -1;
    if (fstat(descriptor, &status) != 0) {
        close(descriptor);
        return error_set_errno(packing->error, "cannot look at %s", packing->directory);
    }
    if (walk(packing, descriptor, &status, NULL) != 0)
        return -1;
    cpio_trailer(&packing->cpio);
    return 0;
}

/* Writes the archive to `descriptor`, which it closes. */
static int write_archive(struct packing *packing, int descriptor, const char *file)
{
    int result = -1;

    packing->has_previous = stat(file, &packing->previous) == 0;
    packing->cpio.stream = fdopen(descriptor, "w");
    if (!packing->cpio.stream) {
        error_set_errno(packing->error, "cannot write %s", file);
        close(descriptor);
        return -1;
    }
    if (fstat(descriptor, &packing->output) != 0)
        error_set_errno(packing->error, "cannot write %s", file);
    else
        result = pack_root(packing);
    if (result == 0 && (fflush(packing->cpio.stream) != 0 || ferror(packing->cpio.stream) ||
                        fsync(descriptor) != 0))
        result = error_set_errno(packing->error, "cannot write %s", file);
    fclose(packing->cpio.stream);
    return result;
}

/* A new file beside `file` with the mode that a new file gets; its name goes into `name`. */
static int make_temporary(const char *file, char name[PATH_MAX], struct error *error)
{
    mode_t mask = umask(0);
    umask(mask);
    if (snprintf(name, PATH_MAX, "%s.XXXXXX", file) >= PATH_MAX)
        return error_set(error, "%s: a longer path than there may be", file);
    int descriptor = mkostemp(name, O_CLOEXEC);
    if (descriptor == -1)
        return error_set_errno(error, "cannot write %s", file);
    if (fchmod(descriptor, 0666 & ~mask) == 0)
        return descriptor;
    error_set_errno(error, "cannot write %s", file);
    close(descriptor);
    unlink(name);
    return -1;
}

int pack_directory(const char *directory, const char *file, struct pack_totals *totals,
                   struct error *error)
{
    struct packing packing = {.directory = directory, .error = error};
    char temporary[PATH_MAX];
    int result = -1;

    packing.root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (packing.root == -1)
        return error_set_errno(error, "cannot open %s", directory);
    int descriptor = make_temporary(file, temporary, error);
    if (descriptor == -1)
        goto done;
    result = write_archive(&packing, descriptor, file);
    if (result == 0 && rename(temporary, file) != 0)
        result = error_set_errno(error, "cannot replace %s", file);
    if (result != 0)
        unlink(temporary);
    *totals = (struct pack_totals){packing.files, packing.cpio.written};
done:
    close(packing.root);
    return result;
}

int command_pack(const struct arguments *arguments)
{
    struct pack_totals totals;
    struct error error;
    char size[TEXT_SIZE];

    if (pack_directory(arguments->operand, arguments->output, &totals, &error) != 0) {
        print_error("%s", error.text);
        return EXIT_REFUSED;
    }
    if (arguments->json)
        printf("{\"ok\":true,\"files\":%u,\"bytes\":%ju}\n", totals.files, (uintmax_t)totals.bytes);
    else
        printf("%s: %u files, %s\n", arguments->output, totals.files,
               text_size(totals.bytes, size));
    return finish_output(EXIT_DONE);
}
