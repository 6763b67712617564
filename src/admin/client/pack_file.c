#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/client/packing.h"

static int changed(struct packing *packing)
{
    return error_set(packing->error, "%s/%s changed while it was read", packing->directory,
                     packing->path);
}

/* Reads all of `size` bytes. */
static int read_bytes(struct packing *packing, int descriptor, uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t got = read(descriptor, bytes, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(packing->error, "cannot read %s/%s", packing->directory,
                                   packing->path);
        if (got == 0)
            return changed(packing);
        bytes += got;
        size -= (size_t)got;
    }
    return 0;
}

/* Reads the file that the site itself has for a coding, if it is one that can be checked. */
static int read_given(struct packing *packing, struct coded_file *coded)
{
    struct stat status;
    int descriptor = packing_open(packing, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    int result = 0;

    if (descriptor == -1)
        return -1;
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size <= PACK_COMPRESS_LIMIT) {
        coded->given.size = (size_t)status.st_size;
        coded->given.bytes = malloc(coded->given.size + 1);
        result = coded->given.bytes
                     ? read_bytes(packing, descriptor, coded->given.bytes, coded->given.size)
                     : packing_no_memory(packing, packing->path);
    }
    close(descriptor);
    return result;
}

/* Finds out whether the site has the coded file itself, so that it is not made but checked. */
static int look_for_coded(struct packing *packing, struct packed_entry *file, enum coding coding)
{
    struct coded_file *coded = &file->coded[coding];
    size_t length = strlen(packing->path), suffix_length = strlen(coding_suffixes[coding]);
    int result = 0;

    if (length + suffix_length >= sizeof packing->path)
        return 0;
    memcpy(packing->path + length, coding_suffixes[coding], suffix_length + 1);
    if (faccessat(packing->root, packing->path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        result = read_given(packing, coded);
    else if (errno == ENOENT)
        coded->wanted = packing->options->compress;
    packing->path[length] = '\0';
    return result;
}

/* Reads a file into memory, so that it can be compressed. */
static int pack_small_file(struct packing *packing, struct packed_entry *file, int descriptor)
{
    struct content content = {0};

    if (read_bytes(packing, descriptor, file->bytes, file->size) != 0)
        return -1;
    content_add(&content, file->bytes, file->size);
    content_type(&content, file->path, file->type);
    etag_from_bytes(file->bytes, file->size, file->etag);
    for (unsigned i = 0; i < CODINGS; i++)
        if (look_for_coded(packing, file, i) != 0)
            return -1;
    return 0;
}

/* Adds a file to the archive without ever having much of it in memory. */
static int pack_large_file(struct packing *packing, struct packed_entry *file, int descriptor)
{
    struct content content = {0};
    SHA2_CTX digest;
    uint8_t bytes[65536];

    if (packing_drain(packing) != 0)
        return -1;
    SHA256Init(&digest);
    site_archive_begin_file(&packing->archive, file);
    for (size_t left = file->size; left > 0;) {
        size_t length = left < sizeof bytes ? left : sizeof bytes;
        if (read_bytes(packing, descriptor, bytes, length) != 0)
            return -1;
        SHA256Update(&digest, bytes, length);
        content_add(&content, bytes, length);
        site_archive_add_bytes(&packing->archive, bytes, length);
        if (site_archive_check(&packing->archive, packing->error) != 0)
            return -1;
        left -= length;
    }
    content_type(&content, file->path, file->type);
    etag_from_digest(&digest, file->etag);
    site_archive_end_file(&packing->archive, file);
    return 0;
}

static int pack_open_file(struct packing *packing, int descriptor, const struct stat *status)
{
    bool is_small = status->st_size <= PACK_COMPRESS_LIMIT;
    struct stat after;

    if (status->st_size > CPIO_FILE_LIMIT)
        return error_set(packing->error,
                         "%s/%s: larger than the 4 GiB that a cpio archive can hold",
                         packing->directory, packing->path);
    struct packed_entry *file =
        packed_entry_new(packing->path, status->st_mode, (size_t)status->st_size, is_small);
    if (!file)
        return packing_no_memory(packing, packing->path);
    file->modified = status->st_mtime < packing->options->latest_time
                         ? status->st_mtime
                         : packing->options->latest_time;
    int result = is_small ? pack_small_file(packing, file, descriptor)
                          : pack_large_file(packing, file, descriptor);
    if (result == 0 && (fstat(descriptor, &after) != 0 || after.st_size != status->st_size ||
                        after.st_mtim.tv_sec != status->st_mtim.tv_sec ||
                        after.st_mtim.tv_nsec != status->st_mtim.tv_nsec))
        result = changed(packing);
    if (result == 0 && is_small)
        return packing_put(packing, file);
    packed_entry_free(file);
    return result;
}

int packing_file(struct packing *packing, const struct stat *status)
{
    struct stat opened;
    int descriptor = packing_open(packing, O_RDONLY | O_NONBLOCK | O_NOCTTY);

    if (descriptor == -1)
        return -1;
    int result = fstat(descriptor, &opened) != 0 || !packing_same_file(&opened, status)
                     ? changed(packing)
                     : pack_open_file(packing, descriptor, &opened);
    close(descriptor);
    return result;
}
