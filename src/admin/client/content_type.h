/* The media type of a file: by the suffix of its name, and by what is in it. */
#ifndef JITSU_ADMIN_CLIENT_CONTENT_TYPE_H
#define JITSU_ADMIN_CLIENT_CONTENT_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "admin/client/compress.h"

#define CONTENT_START     1024 /* first bytes that are looked at for signs of a format */
#define CONTENT_TYPE_SIZE 64

/* What has been seen of a file's contents; starts as all zero. */
struct content {
    uint8_t start[CONTENT_START];
    size_t start_length;
    uint8_t continuation;    /* bytes of a UTF-8 sequence that are still to come */
    uint8_t lowest, highest; /* the next of them is between these */
    bool not_utf8;
    bool binary; /* has control characters that no text has */
};

/* Adds the next bytes. */
void content_add(struct content *content, const uint8_t *bytes, size_t length);

/* The type of the file `name` when all its bytes have been added. Its suffix decides; where that
 * says nothing, its contents do. Text is said to be UTF-8 if it is. */
void content_type(const struct content *content, const char *name, char type[CONTENT_TYPE_SIZE]);

/* Whether contents of this type usually become smaller by compression, and then what to tell the
 * compressor. */
bool content_type_compresses(const char *type, enum compress_kind *kind);

#endif
