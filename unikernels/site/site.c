#include "site/site.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "http/text.h"
#include "site/archive.h"

#define FIRST_CAPACITY 64u /* a power of two */
#define HIDDEN         "/.jitsu"
#define INDEX          ".jitsu/index"

struct entry {
    struct site_file file;
    uint64_t inode;    /* of cpio's files with several names; else 0 */
    char *joined_name; /* owned; NULL if the name lies in the archive */
    uint32_t hash;     /* 0: the place is free */
    bool is_unfilled;  /* another name of a file whose contents have not come yet */
};

/* Open addressing: an entry is at its hash's place or, in one piece, behind it. */
struct site {
    struct entry *entries;
    size_t capacity, count;
};

/* FNV-1a, never 0; continued from `hash`. */
#define HASH_START 2166136261u
static uint32_t hash_text(uint32_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    return hash;
}

static uint32_t hash_finish(uint32_t hash)
{
    hash ^= hash >> 15;
    return hash ? hash : 1;
}

static struct entry *place_of(const struct site *site, uint32_t hash, const char *name,
                              size_t length, const char *suffix, size_t suffix_length)
{
    for (size_t i = hash;; i++) {
        struct entry *entry = &site->entries[i & (site->capacity - 1)];
        if (entry->hash == 0)
            return entry;
        if (entry->hash == hash && entry->file.name_length == length + suffix_length &&
            memcmp(entry->file.name, name, length) == 0 &&
            memcmp(entry->file.name + length, suffix, suffix_length) == 0)
            return entry;
    }
}

static bool grow(struct site *site)
{
    size_t capacity = site->capacity ? site->capacity * 2 : FIRST_CAPACITY;
    struct entry *old = site->entries;
    struct entry *entries = calloc(capacity, sizeof *entries);

    if (!entries)
        return false;
    for (size_t i = 0; i < site->capacity; i++) {
        if (old[i].hash == 0)
            continue;
        size_t at = old[i].hash;
        while (entries[at & (capacity - 1)].hash != 0)
            at++;
        entries[at & (capacity - 1)] = old[i];
    }
    free(old);
    site->entries = entries;
    site->capacity = capacity;
    return true;
}

/* Takes "./" and "/" from a name's start. */
static void strip(const char **name, size_t *length)
{
    for (;;) {
        size_t skip = *length > 0 && (*name)[0] == '/'                        ? 1
                      : *length > 1 && (*name)[0] == '.' && (*name)[1] == '/' ? 2
                                                                              : 0;
        if (skip == 0)
            return;
        *name += skip;
        *length -= skip;
    }
}

static struct entry *find(const struct site *site, const char *name, size_t length,
                          const char *suffix)
{
    size_t suffix_length = strlen(suffix);
    uint32_t hash = hash_text(hash_text(HASH_START, name, length), suffix, suffix_length);

    if (site->capacity == 0)
        return NULL;
    struct entry *entry = place_of(site, hash_finish(hash), name, length, suffix, suffix_length);
    return entry->hash ? entry : NULL;
}

/* Contents have come: they are those of the names that came before, too. */
static void fill_names(struct site *site, const struct entry *filled)
{
    for (size_t i = 0; i < site->capacity; i++) {
        struct entry *entry = &site->entries[i];
        if (entry->hash && entry->is_unfilled && entry->inode == filled->inode) {
            entry->file.bytes = filled->file.bytes;
            entry->file.size = filled->file.size;
            entry->is_unfilled = false;
        }
    }
}

/* Adds a file; one of the same name that came before is replaced, as unpacking would. Returns false
 * if there is no memory. */
static bool add(struct site *site, const struct archive_entry *from)
{
    const char *name = from->name;
    size_t length = from->name_length;
    char *joined = NULL;

    if (from->directory_length > 0) {
        length = from->directory_length + 1 + from->name_length;
        joined = malloc(length);
        if (!joined)
            return false;
        memcpy(joined, from->directory, from->directory_length);
        joined[from->directory_length] = '/';
        memcpy(joined + from->directory_length + 1, from->name, from->name_length);
        name = joined;
    }
    strip(&name, &length);
    if (site->count * 2 >= site->capacity && !grow(site)) {
        free(joined);
        return false;
    }
    uint32_t hash = hash_finish(hash_text(HASH_START, name, length));
    struct entry *entry = place_of(site, hash, name, length, "", 0);
    if (entry->hash == 0)
        site->count++;
    free(entry->joined_name);
    *entry = (struct entry){
        .file = {.name = name,
                 .name_length = length,
                 .bytes = from->bytes,
                 .size = from->size,
                 .modified = from->modified},
        .inode = from->inode,
        .joined_name = joined,
        .hash = hash,
        .is_unfilled = from->kind == ARCHIVE_LINK,
    };
    if (from->inode && !entry->is_unfilled)
        fill_names(site, entry);
    return true;
}

/* tar's links name a file that came before. Others lead nowhere and are left out. */
static bool add_link(struct site *site, struct archive_entry *link)
{
    const char *target = link->target;
    size_t length = link->target_length;

    strip(&target, &length);
    const struct entry *entry = find(site, target, length, "");
    if (!entry)
        return true;
    link->kind = ARCHIVE_FILE;
    link->bytes = entry->file.bytes;
    link->size = entry->file.size;
    return add(site, link);
}

/* One that can stand in a header field. */
static bool is_type(struct http_text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] < ' ' || text.at[i] > '~')
            return false;
    return text.length > 0 && text.length <= SITE_TYPE_MAX;
}

static bool is_tag(struct http_text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!isxdigit((uint8_t)text.at[i]))
            return false;
    return text.length == SITE_TAG_LENGTH;
}

/* Lines that are not understood, or name no file, are skipped. */
static void read_index(struct site *site)
{
    const struct entry *index = find(site, INDEX, strlen(INDEX), "");
    struct http_text rest = {NULL, 0}, line, name, type, tag;

    if (index)
        rest = (struct http_text){(const char *)index->file.bytes, index->file.size};
    while (http_next_piece(&rest, '\n', &line)) {
        if (!http_next_piece(&line, '\t', &name) || !http_next_piece(&line, '\t', &type) ||
            !http_next_piece(&line, '\t', &tag) || line.at)
            continue;
        struct entry *entry = find(site, name.at, name.length, "");
        if (entry && is_type(type))
            entry->file.type = type;
        if (entry && is_tag(tag))
            entry->file.tag = tag.at;
    }
}

/* Does a compressed file stand beside the one whose name it has without its suffix? */
static void link_coded(struct site *site, const struct site_file *coded, enum coding coding)
{
    size_t suffix_length = strlen(coding_suffixes[coding]);

    if (coded->name_length <= suffix_length ||
        memcmp(coded->name + coded->name_length - suffix_length, coding_suffixes[coding],
               suffix_length) != 0)
        return;
    struct entry *plain = find(site, coded->name, coded->name_length - suffix_length, "");
    if (plain && coded->size < plain->file.size)
        plain->file.coded[coding] = coded;
}

static void link_all_coded(struct site *site)
{
    for (size_t i = 0; i < site->capacity; i++)
        for (enum coding coding = 0; coding < CODINGS && site->entries[i].hash; coding++)
            link_coded(site, &site->entries[i].file, coding);
}

struct site *site_open(const uint8_t *bytes, size_t length, const char **problem, size_t *position)
{
    struct archive archive = archive_open(bytes, length);
    struct archive_entry entry;
    enum archive_result result;
    struct site *site = calloc(1, sizeof *site);
    bool has_memory = site;

    while (has_memory && (result = archive_next(&archive, &entry)) == ARCHIVE_ENTRY) {
        if (entry.kind == ARCHIVE_LINK && archive.format == ARCHIVE_TAR)
            has_memory = add_link(site, &entry);
        else if (entry.kind != ARCHIVE_OTHER)
            has_memory = add(site, &entry);
    }
    if (has_memory && result == ARCHIVE_END) {
        read_index(site);
        link_all_coded(site);
        return site;
    }

    *position = archive.entry_start;
    if (!has_memory)
        *problem = "too many files for this much memory";
    else if (archive.format == ARCHIVE_UNKNOWN)
        *problem = "neither a cpio archive (newc) nor a tar archive";
    else
        *problem = "the archive is broken or cut off";
    site_free(site);
    return NULL;
}

struct site *site_of_file(const struct site_file *file)
{
    const struct archive_entry entry = {
        .kind = ARCHIVE_FILE,
        .name = file->name,
        .name_length = file->name_length,
        .modified = file->modified,
        .bytes = file->bytes,
        .size = file->size,
    };
    struct site *site = calloc(1, sizeof *site);

    if (site && !add(site, &entry)) {
        free(site);
        return NULL;
    }
    return site;
}

void site_free(struct site *site)
{
    if (!site)
        return;
    for (size_t i = 0; i < site->capacity; i++)
        free(site->entries[i].joined_name);
    free(site->entries);
    free(site);
}

size_t site_file_count(const struct site *site)
{
    return site->count;
}

/* It, or something in it. */
static bool is_hidden(const char *path, size_t length)
{
    size_t hidden_length = strlen(HIDDEN);

    return length >= hidden_length && memcmp(path, HIDDEN, hidden_length) == 0 &&
           (length == hidden_length || path[hidden_length] == '/');
}

const struct site_file *site_find(const struct site *site, const char *path, size_t length,
                                  const char *suffix)
{
    const struct entry *entry =
        is_hidden(path, length) ? NULL : find(site, path + 1, length - 1, suffix);

    return entry ? &entry->file : NULL;
}
