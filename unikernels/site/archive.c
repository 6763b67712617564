#include "site/archive.h"

#include <string.h>

#define CPIO_MAGIC      "070701"
#define CPIO_MAGIC_CRC  "070702"
#define CPIO_HEADER     110u
#define CPIO_TRAILER    "TRAILER!!!"
#define CPIO_FIELD_SIZE 8
#define CPIO_INODE      0 /* which of the header's fields */
#define CPIO_MODE       1
#define CPIO_LINKS      4
#define CPIO_MODIFIED   5
#define CPIO_SIZE       6
#define CPIO_NAME_SIZE  11
#define CPIO_MODE_KIND  0170000u
#define CPIO_MODE_FILE  0100000u

#define TAR_BLOCK       512u
#define TAR_NAME        0
#define TAR_NAME_SIZE   100
#define TAR_SIZE        124
#define TAR_MODIFIED    136
#define TAR_NUMBER_SIZE 12
#define TAR_TYPE        156
#define TAR_TARGET      157
#define TAR_MAGIC       257
#define TAR_PREFIX      345
#define TAR_PREFIX_SIZE 155

struct archive archive_open(const uint8_t *bytes, size_t length)
{
    struct archive archive = {.reader = reader_over(bytes, length)};

    if (length >= CPIO_HEADER &&
        (memcmp(bytes, CPIO_MAGIC, 6) == 0 || memcmp(bytes, CPIO_MAGIC_CRC, 6) == 0))
        archive.format = ARCHIVE_CPIO;
    else if (length >= TAR_BLOCK && memcmp(bytes + TAR_MAGIC, "ustar", 5) == 0)
        archive.format = ARCHIVE_TAR;
    return archive;
}

/* Eight hexadecimal digits. */
static bool cpio_field(const uint8_t *header, unsigned field, uint32_t *value)
{
    const uint8_t *digits = header + 6 + field * CPIO_FIELD_SIZE;

    *value = 0;
    for (int i = 0; i < CPIO_FIELD_SIZE; i++) {
        unsigned c = digits[i];
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        if (digit > 15)
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

/* Names and contents are padded to multiples of four bytes; the archive's last padding may be
 * missing. */
static void cpio_align(struct reader *reader)
{
    size_t padding = -reader->position & 3;

    reader_skip(reader, padding < reader_left(reader) ? padding : reader_left(reader));
}

static enum archive_result cpio_next(struct archive *archive, struct archive_entry *entry)
{
    struct reader *reader = &archive->reader;
    const uint8_t *header = reader_take(reader, CPIO_HEADER);
    uint32_t inode, mode, links, modified, size, name_size;

    if (!header || (memcmp(header, CPIO_MAGIC, 6) != 0 && memcmp(header, CPIO_MAGIC_CRC, 6) != 0) ||
        !cpio_field(header, CPIO_INODE, &inode) || !cpio_field(header, CPIO_MODE, &mode) ||
        !cpio_field(header, CPIO_LINKS, &links) || !cpio_field(header, CPIO_MODIFIED, &modified) ||
        !cpio_field(header, CPIO_SIZE, &size) || !cpio_field(header, CPIO_NAME_SIZE, &name_size))
        return ARCHIVE_BROKEN;
    const uint8_t *name = reader_take(reader, name_size);
    if (!name || name_size == 0 || name[name_size - 1] != '\0')
        return ARCHIVE_BROKEN;
    cpio_align(reader);
    const uint8_t *bytes = reader_take(reader, size);
    if (!bytes)
        return ARCHIVE_BROKEN;
    cpio_align(reader);

    *entry = (struct archive_entry){
        .kind = (mode & CPIO_MODE_KIND) == CPIO_MODE_FILE ? ARCHIVE_FILE : ARCHIVE_OTHER,
        .name = (const char *)name,
        .name_length = name_size - 1,
        .modified = modified,
        .bytes = bytes,
        .size = size,
    };
    if (entry->name_length == strlen(CPIO_TRAILER) &&
        memcmp(name, CPIO_TRAILER, entry->name_length) == 0)
        return ARCHIVE_END;
    if (entry->kind == ARCHIVE_FILE && links > 1) {
        entry->inode = inode;
        /* Of a file's names, all but the last come without its contents. */
        if (size == 0)
            entry->kind = ARCHIVE_LINK;
    }
    return ARCHIVE_ENTRY;
}

/* Octal digits between spaces or NULs; or, with the first bit set, a binary number (GNU). */
static bool tar_number(const uint8_t *field, uint64_t *value)
{
    int i = 0;

    *value = 0;
    if (field[0] & 0x80) {
        for (i = 1; i < TAR_NUMBER_SIZE; i++) {
            if (*value >> 56)
                return false;
            *value = *value << 8 | field[i];
        }
        return field[0] == 0x80;
    }
    while (i < TAR_NUMBER_SIZE && field[i] == ' ')
        i++;
    for (; i < TAR_NUMBER_SIZE && field[i] >= '0' && field[i] <= '7'; i++)
        *value = *value << 3 | (uint64_t)(field[i] - '0');
    return i == TAR_NUMBER_SIZE || field[i] == ' ' || field[i] == '\0';
}

static size_t tar_text_length(const uint8_t *text, size_t size)
{
    const uint8_t *end = memchr(text, '\0', size);
    return end ? (size_t)(end - text) : size;
}

/* The value of `key` in pax's records "LENGTH KEY=VALUE\n". */
static bool pax_value(const uint8_t *records, size_t size, const char *key, const char **value,
                      size_t *value_length)
{
    struct reader reader = reader_over(records, size);
    size_t key_length = strlen(key);
    bool found = false;

    while (reader_left(&reader) > 0) {
        size_t length = 0, digits = 0;
        for (uint8_t c; (c = reader_u8(&reader)) != ' '; digits++) {
            if (c < '0' || c > '9' || digits == 9)
                return found;
            length = length * 10 + (size_t)(c - '0');
        }
        if (length < digits + 2)
            return found;
        length -= digits + 1;
        const uint8_t *record = reader_take(&reader, length);
        if (!record)
            return found;
        if (length > key_length + 1 && memcmp(record, key, key_length) == 0 &&
            record[key_length] == '=') {
            *value = (const char *)record + key_length + 1;
            *value_length = length - key_length - 2;
            found = true;
        }
    }
    return found;
}

static bool all_zero(const uint8_t *block)
{
    for (unsigned i = 0; i < TAR_BLOCK; i++)
        if (block[i])
            return false;
    return true;
}

/* Contents, and the padding behind them, which may be missing at the archive's end. */
static const uint8_t *tar_contents(struct reader *reader, uint64_t size)
{
    const uint8_t *bytes = size <= reader_left(reader) ? reader_take(reader, size) : NULL;
    size_t padding = -size & (TAR_BLOCK - 1);

    if (bytes)
        reader_skip(reader, padding < reader_left(reader) ? padding : reader_left(reader));
    return bytes;
}

/* What earlier blocks said of the entry that follows them. */
struct tar_long {
    const char *name, *target;
    size_t name_length, target_length;
};

static void fill_entry(struct archive_entry *entry, const uint8_t *header,
                       const struct tar_long *longer)
{
    uint8_t type = header[TAR_TYPE];

    *entry = (struct archive_entry){.kind = ARCHIVE_OTHER};
    if (type == '0' || type == '\0' || type == '7')
        entry->kind = ARCHIVE_FILE;
    else if (type == '1')
        entry->kind = ARCHIVE_LINK;
    entry->name = (const char *)header + TAR_NAME;
    entry->name_length = tar_text_length(header + TAR_NAME, TAR_NAME_SIZE);
    entry->target = (const char *)header + TAR_TARGET;
    entry->target_length = tar_text_length(header + TAR_TARGET, TAR_NAME_SIZE);
    /* GNU's own format ("ustar  ") has other things in the prefix's place. */
    if (header[TAR_MAGIC + 5] == '\0') {
        entry->directory = (const char *)header + TAR_PREFIX;
        entry->directory_length = tar_text_length(header + TAR_PREFIX, TAR_PREFIX_SIZE);
    }
    if (longer->name) {
        entry->name = longer->name;
        entry->name_length = longer->name_length;
        entry->directory_length = 0;
    }
    if (longer->target) {
        entry->target = longer->target;
        entry->target_length = longer->target_length;
    }
}

static enum archive_result tar_next(struct archive *archive, struct archive_entry *entry)
{
    struct reader *reader = &archive->reader;
    struct tar_long longer = {0};

    for (;;) {
        uint64_t size, modified;
        if (reader_left(reader) == 0)
            return ARCHIVE_END;
        const uint8_t *header = reader_take(reader, TAR_BLOCK);
        if (!header)
            return ARCHIVE_BROKEN;
        if (memcmp(header + TAR_MAGIC, "ustar", 5) != 0)
            return all_zero(header) ? ARCHIVE_END : ARCHIVE_BROKEN;
        if (!tar_number(header + TAR_SIZE, &size) || !tar_number(header + TAR_MODIFIED, &modified))
            return ARCHIVE_BROKEN;
        uint8_t type = header[TAR_TYPE];
        /* Only these have contents; others may have a size all the same. */
        bool has_contents = !(type >= '1' && type <= '6');
        const uint8_t *bytes = tar_contents(reader, has_contents ? size : 0);
        if (!bytes)
            return ARCHIVE_BROKEN;

        switch (type) {
        case 'L': /* GNU: the next entry's name */
            longer.name = (const char *)bytes;
            longer.name_length = tar_text_length(bytes, size);
            break;
        case 'K': /* and its target */
            longer.target = (const char *)bytes;
            longer.target_length = tar_text_length(bytes, size);
            break;
        case 'x': /* pax */
            pax_value(bytes, size, "path", &longer.name, &longer.name_length);
            pax_value(bytes, size, "linkpath", &longer.target, &longer.target_length);
            break;
        case 'g':
            break;
        default:
            fill_entry(entry, header, &longer);
            entry->modified = modified <= INT64_MAX ? (int64_t)modified : 0;
            entry->bytes = bytes;
            entry->size = has_contents ? size : 0;
            return ARCHIVE_ENTRY;
        }
    }
}

enum archive_result archive_next(struct archive *archive, struct archive_entry *entry)
{
    archive->entry_start = archive->reader.position;
    switch (archive->format) {
    case ARCHIVE_CPIO:
        return cpio_next(archive, entry);
    case ARCHIVE_TAR:
        return tar_next(archive, entry);
    default:
        return ARCHIVE_BROKEN;
    }
}
