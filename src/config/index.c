#include "config/index.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64u

struct entry {
    const char *name; /* NULL: free */
    uint32_t hash;
    uint32_t value;
};

struct config_index {
    struct entry *entries;
    uint32_t capacity; /* a power of two, more than 4/3 of count */
    uint32_t count;
};

/* FNV-1a, 32 bits. */
static uint32_t hash_of(const char *name)
{
    uint32_t hash = UINT32_C(2166136261);
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * UINT32_C(16777619);
    return hash;
}

struct config_index *config_index_new(void)
{
    struct config_index *index = calloc(1, sizeof *index);
    if (!index)
        return NULL;
    index->capacity = FIRST_CAPACITY;
    index->entries = calloc(index->capacity, sizeof *index->entries);
    if (!index->entries) {
        free(index);
        return NULL;
    }
    return index;
}

void config_index_free(struct config_index *index)
{
    if (!index)
        return;
    free(index->entries);
    free(index);
}

/* The entry of that name, or the free one where it belongs. */
static struct entry *locate(const struct config_index *index, const char *name, uint32_t hash)
{
    uint32_t mask = index->capacity - 1;
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        struct entry *entry = &index->entries[at];
        if (!entry->name || (entry->hash == hash && strcmp(entry->name, name) == 0))
            return entry;
    }
}

static int grow(struct config_index *index)
{
    struct entry *old = index->entries;
    uint32_t old_capacity = index->capacity;
    struct entry *entries = calloc((size_t)old_capacity * 2, sizeof *entries);
    if (!entries)
        return -1;

    index->entries = entries;
    index->capacity = old_capacity * 2;
    uint32_t mask = index->capacity - 1;
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (!old[i].name)
            continue;
        uint32_t at = old[i].hash & mask;
        while (entries[at].name)
            at = (at + 1) & mask;
        entries[at] = old[i];
    }
    free(old);
    return 0;
}

int config_index_add(struct config_index *index, const char *name, uint32_t value,
                     uint32_t *present)
{
    uint32_t hash = hash_of(name);
    struct entry *entry = locate(index, name, hash);
    if (entry->name) {
        *present = entry->value;
        return 1;
    }
    if (index->count >= index->capacity / 4 * 3) {
        if (grow(index) != 0)
            return -1;
        entry = locate(index, name, hash);
    }
    *entry = (struct entry){.name = name, .hash = hash, .value = value};
    index->count++;
    return 0;
}

const char *config_index_find(const struct config_index *index, const char *name, uint32_t *value)
{
    const struct entry *entry = locate(index, name, hash_of(name));
    if (entry->name)
        *value = entry->value;
    return entry->name;
}
