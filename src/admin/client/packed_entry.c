#include "admin/client/packed_entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/client/decompress.h"

const char *const coding_suffixes[CODINGS] = {[CODING_BROTLI] = ".br", [CODING_GZIP] = ".gz"};

struct packed_entry *packed_entry_new(const char *path, mode_t mode, size_t size, bool in_memory)
{
    struct packed_entry *entry = calloc(1, sizeof *entry);

    if (!entry)
        return NULL;
    entry->mode = mode;
    entry->size = size;
    entry->path = strdup(path);
    if (in_memory)
        entry->bytes = malloc(size + 1);
    if (entry->path && (entry->bytes || !in_memory))
        return entry;
    packed_entry_free(entry);
    return NULL;
}

void packed_entry_free(struct packed_entry *entry)
{
    if (!entry)
        return;
    for (unsigned i = 0; i < CODINGS; i++) {
        free(entry->coded[i].given.bytes);
        free(entry->coded[i].contents.bytes);
    }
    free(entry->bytes);
    free(entry->path);
    free(entry);
}

/* The most bytes with which a compressed form is worth being sent instead. */
static size_t worthwhile_size(size_t size)
{
    return size - (size + 19) / 20;
}

static void drop(struct compressed *contents)
{
    free(contents->bytes);
    *contents = (struct compressed){0};
}

static void check_given(struct packed_entry *file)
{
    typedef enum holding holds_function(const uint8_t *, size_t, const uint8_t *, size_t);
    static holds_function *const holds[CODINGS] = {
        [CODING_BROTLI] = brotli_holds,
        [CODING_GZIP] = gzip_holds,
    };

    for (unsigned i = 0; i < CODINGS; i++) {
        const struct compressed *given = &file->coded[i].given;
        if (!given->bytes)
            continue;
        enum holding holding = holds[i](given->bytes, given->size, file->bytes, file->size);
        file->coded[i].is_other = holding == HOLDS_OTHER;
        if (holding == HOLDS_UNKNOWN)
            file->no_memory = true;
    }
}

static void make_wanted(struct packed_entry *file)
{
    struct coded_file *gzip = &file->coded[CODING_GZIP], *brotli = &file->coded[CODING_BROTLI];
    size_t limit = worthwhile_size(file->size);
    enum compress_kind kind;

    if (!content_type_compresses(file->type, &kind))
        return;
    if (gzip->wanted && compress_gzip(file->bytes, file->size, limit, &gzip->contents) != 0)
        file->no_memory = true;
    if (brotli->wanted &&
        compress_brotli(file->bytes, file->size, limit, kind, &brotli->contents) != 0)
        file->no_memory = true;
    if (gzip->contents.bytes && brotli->contents.size >= gzip->contents.size)
        drop(&brotli->contents);
    for (unsigned i = 0; i < CODINGS; i++)
        etag_from_bytes(file->coded[i].contents.bytes, file->coded[i].contents.size,
                        file->coded[i].etag);
}

void packed_entry_compress(struct packed_entry *file)
{
    check_given(file);
    make_wanted(file);
}

void etag_from_digest(SHA2_CTX *digest, char etag[ETAG_SIZE])
{
    uint8_t sum[SHA256_DIGEST_LENGTH];

    SHA256Final(sum, digest);
    for (unsigned i = 0; i < (ETAG_SIZE - 1) / 2; i++)
        snprintf(etag + 2 * i, 3, "%02x", sum[i]);
}

void etag_from_bytes(const uint8_t *bytes, size_t size, char etag[ETAG_SIZE])
{
    SHA2_CTX digest;

    SHA256Init(&digest);
    if (size > 0)
        SHA256Update(&digest, bytes, size);
    etag_from_digest(&digest, etag);
}
