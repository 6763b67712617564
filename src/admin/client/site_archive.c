#include "admin/client/site_archive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/media_type.h"

static int cannot_write(const struct site_archive *archive, int number, struct error *error)
{
    errno = number;
    return error_set_errno(error, "cannot write %s", archive->path);
}

/* A new file beside the archive's path; its name goes into `name`. Returns a stream or NULL. */
static FILE *make_temporary(const struct site_archive *archive, char name[PATH_MAX],
                            struct error *error)
{
    if (snprintf(name, PATH_MAX, "%s.XXXXXX", archive->path) >= PATH_MAX) {
        error_set(error, "%s: a longer path than there may be", archive->path);
        return NULL;
    }
    int descriptor = mkostemp(name, O_CLOEXEC);
    FILE *stream = descriptor == -1 ? NULL : fdopen(descriptor, "w+");
    if (stream)
        return stream;
    cannot_write(archive, errno, error);
    if (descriptor != -1) {
        close(descriptor);
        unlink(name);
    }
    return NULL;
}

int site_archive_open(struct site_archive *archive, const char *path, struct error *error)
{
    char name[PATH_MAX];

    *archive = (struct site_archive){.path = path};
    /* Number 1 is for the index. */
    archive->entries = (struct cpio){.stream = make_temporary(archive, name, error), .entries = 1};
    if (!archive->entries.stream)
        return -1;
    unlink(name);
    archive->index = open_memstream(&archive->index_text, &archive->index_length);
    if (!archive->index)
        return error_set_errno(error, "cannot begin an index");
    return 0;
}

void site_archive_close(struct site_archive *archive)
{
    if (archive->entries.stream)
        fclose(archive->entries.stream);
    if (archive->index)
        fclose(archive->index);
    free(archive->index_text);
}

/* A path that the index has no way to write is left out: www then goes by the suffix. */
static void add_to_index(struct site_archive *archive, const char *path, const char *suffix,
                         const char *type, const char *etag)
{
    if (!strpbrk(path, "\t\n"))
        fprintf(archive->index, "%s%s\t%s\t%s\n", path, suffix, type, etag);
}

void site_archive_begin_file(struct site_archive *archive, const struct packed_entry *file)
{
    cpio_file_begin(&archive->entries, file->path, file->mode, file->modified,
                    (uint32_t)file->size);
}

void site_archive_add_bytes(struct site_archive *archive, const void *bytes, size_t length)
{
    cpio_file_bytes(&archive->entries, bytes, length);
}

void site_archive_end_file(struct site_archive *archive, const struct packed_entry *file)
{
    cpio_file_end(&archive->entries);
    add_to_index(archive, file->path, "", file->type, file->etag);
    archive->totals.files++;
    archive->totals.content_bytes += file->size;
}

static void add_coded(struct site_archive *archive, const struct packed_entry *file,
                      enum coding coding)
{
    const struct coded_file *coded = &file->coded[coding];
    const char *suffix = coding_suffixes[coding];
    char path[PATH_MAX + 8];

    snprintf(path, sizeof path, "%s%s", file->path, suffix);
    cpio_file_begin(&archive->entries, path, file->mode, file->modified,
                    (uint32_t)coded->contents.size);
    cpio_file_bytes(&archive->entries, coded->contents.bytes, coded->contents.size);
    cpio_file_end(&archive->entries);
    add_to_index(archive, file->path, suffix, media_type(path, strlen(path)), coded->etag);
}

/* The smallest of its coded files, or 0 if it has none. */
static size_t smallest_coded(const struct packed_entry *file)
{
    size_t smallest = 0;

    for (unsigned i = 0; i < CODINGS; i++)
        if (file->coded[i].contents.bytes &&
            (smallest == 0 || file->coded[i].contents.size < smallest))
            smallest = file->coded[i].contents.size;
    return smallest;
}

static void add_file(struct site_archive *archive, const struct packed_entry *file)
{
    size_t smallest = smallest_coded(file);

    site_archive_begin_file(archive, file);
    site_archive_add_bytes(archive, file->bytes, file->size);
    site_archive_end_file(archive, file);
    for (unsigned i = 0; i < CODINGS; i++)
        if (file->coded[i].contents.bytes)
            add_coded(archive, file, i);
    if (smallest > 0) {
        archive->totals.compressed_files++;
        archive->totals.compressed_from += file->size;
        archive->totals.compressed_to += smallest;
    }
}

void site_archive_add(struct site_archive *archive, const struct packed_entry *entry)
{
    if (S_ISDIR(entry->mode))
        cpio_directory(&archive->entries, entry->path);
    else
        add_file(archive, entry);
}

int site_archive_check(const struct site_archive *archive, struct error *error)
{
    return archive->entries.failure ? cannot_write(archive, archive->entries.failure, error) : 0;
}

/* Writes all to `stream`. */
static int write_whole(struct site_archive *archive, FILE *stream, struct error *error)
{
    struct cpio whole = {.stream = stream};

    cpio_file_begin(&whole, SITE_ARCHIVE_INDEX, 0, 0, (uint32_t)archive->index_length);
    cpio_file_bytes(&whole, archive->index_text, archive->index_length);
    cpio_file_end(&whole);
    if (cpio_append(&whole, archive->entries.stream) != 0)
        return error_set_errno(error, "cannot read what was written for %s", archive->path);
    cpio_flush(&whole);
    if (!whole.failure && fsync(fileno(stream)) != 0)
        whole.failure = errno;
    if (whole.failure)
        return cannot_write(archive, whole.failure, error);
    archive->totals.archive_bytes = whole.written;
    return 0;
}

/* The mode that a new file gets. */
static mode_t new_file_mode(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static int replace(struct site_archive *archive, struct error *error)
{
    char name[PATH_MAX];
    FILE *stream = make_temporary(archive, name, error);

    if (!stream)
        return -1;
    int result = write_whole(archive, stream, error);
    if (result == 0 && fchmod(fileno(stream), new_file_mode()) != 0)
        result = cannot_write(archive, errno, error);
    fclose(stream);
    if (result == 0 && rename(name, archive->path) != 0)
        result = error_set_errno(error, "cannot replace %s", archive->path);
    if (result != 0)
        unlink(name);
    return result;
}

int site_archive_finish(struct site_archive *archive, struct error *error)
{
    cpio_trailer(&archive->entries);
    cpio_flush(&archive->entries);
    if (site_archive_check(archive, error) != 0)
        return -1;
    if (fflush(archive->index) != 0 || ferror(archive->index))
        return error_set(error, "no memory for the index of %s", archive->path);
    if (archive->index_length > CPIO_FILE_LIMIT)
        return error_set(error, "too many files for the index of %s", archive->path);
    return replace(archive, error);
}
