#include "dns/draft.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/random.h>

#define CHUNK_SIZE (256u * 1024)

struct draft_chunk {
    struct draft_chunk *next;
    size_t used, size;
    alignas(max_align_t) uint8_t bytes[];
};

int draft_error(struct draft *draft, const char *file, uint32_t line, const char *format, ...)
{
    char text[CONFIG_PATH_MAX + ERROR_TEXT_SIZE];
    int used = line ? snprintf(text, sizeof text, "%s:%u: ", file, line)
                    : snprintf(text, sizeof text, "%s: ", file);
    if (used > 0 && (size_t)used < sizeof text) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
        va_end(arguments);
    }
    draft->errors++;
    draft->report(draft->argument, text);
    return -1;
}

int draft_out_of_memory(struct draft *draft)
{
    return draft_error(draft, draft->config->file, 0, "out of memory while compiling the zones");
}

static void *allocate(struct draft *draft, size_t size)
{
    size = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct draft_chunk *chunk = draft->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = malloc(sizeof *chunk + room);
        if (!chunk) {
            draft_out_of_memory(draft);
            return NULL;
        }
        *chunk = (struct draft_chunk){.next = draft->chunks, .size = room};
        draft->chunks = chunk;
    }
    void *start = chunk->bytes + chunk->used;
    chunk->used += size;
    return start;
}

int draft_init(struct draft *draft, const struct config *config, size_t names,
               config_error_function *report, void *argument)
{
    *draft = (struct draft){.config = config, .report = report, .argument = argument};
    size_t slots = 64;
    while (slots < 2 * names && slots <= UINT32_MAX / 2)
        slots *= 2;
    draft->mask = (uint32_t)(slots - 1);
    draft->slots = calloc(slots, sizeof *draft->slots);
    draft->apexes = calloc(config->zone_count + 1, sizeof(struct draft_name *));
    if (!draft->slots || !draft->apexes)
        return draft_out_of_memory(draft);
    /* A customer who may choose names must not be able to choose names that collide. */
    if (getrandom(&draft->seed, sizeof draft->seed, 0) != sizeof draft->seed)
        draft->seed = (uint64_t)(uintptr_t)draft->slots;
    return 0;
}

void draft_free(struct draft *draft)
{
    while (draft->chunks) {
        struct draft_chunk *next = draft->chunks->next;
        free(draft->chunks);
        draft->chunks = next;
    }
    free(draft->apexes);
    free(draft->names);
    free(draft->slots);
}

/* The slot that holds the name, or the empty one where it would go. */
static uint32_t *find_slot(const struct draft *draft, struct name name, uint32_t hash)
{
    uint32_t i = hash & draft->mask;
    for (; draft->slots[i]; i = (i + 1) & draft->mask) {
        const struct draft_name *there = draft->names[draft->slots[i] - 1];
        if (there->hash == hash && name_equal(there->name, name))
            break;
    }
    return &draft->slots[i];
}

struct draft_name *draft_find(const struct draft *draft, struct name name)
{
    uint32_t slot = *find_slot(draft, name, name_hash(name.wire, name.length, draft->seed));
    return slot ? draft->names[slot - 1] : NULL;
}

/* Twice as many slots. */
static int grow_slots(struct draft *draft)
{
    size_t slots = 2 * ((size_t)draft->mask + 1);
    uint32_t *grown = calloc(slots, sizeof *grown);
    if (!grown)
        return draft_out_of_memory(draft);
    free(draft->slots);
    draft->slots = grown;
    draft->mask = (uint32_t)(slots - 1);
    for (uint32_t i = 0; i < draft->count; i++)
        *find_slot(draft, draft->names[i]->name, draft->names[i]->hash) = i + 1;
    return 0;
}

static int grow_names(struct draft *draft)
{
    uint32_t capacity = draft->capacity ? 2 * draft->capacity : 64;
    struct draft_name **names = realloc(draft->names, capacity * sizeof(struct draft_name *));
    if (!names)
        return draft_out_of_memory(draft);
    draft->names = names;
    draft->capacity = capacity;
    return 0;
}

struct draft_name *draft_add(struct draft *draft, struct name name, uint32_t zone)
{
    uint32_t hash = name_hash(name.wire, name.length, draft->seed);
    uint32_t *slot = find_slot(draft, name, hash);
    if (*slot)
        return draft->names[*slot - 1];

    if (draft->count >= draft->mask / 2) {
        if (grow_slots(draft) != 0)
            return NULL;
        slot = find_slot(draft, name, hash);
    }
    if (draft->count == draft->capacity && grow_names(draft) != 0)
        return NULL;
    struct draft_name *added = allocate(draft, sizeof *added + name.length);
    if (!added)
        return NULL;
    uint8_t *wire = (uint8_t *)(added + 1);
    memcpy(wire, name.wire, name.length);
    *added =
        (struct draft_name){.name = {wire, name.length, name.labels}, .hash = hash, .zone = zone};
    draft->names[draft->count++] = added;
    *slot = draft->count;
    return added;
}

int draft_add_record(struct draft *draft, struct draft_name *at, uint16_t type, uint32_t ttl,
                     uint32_t line, const void *data, size_t length)
{
    for (const struct draft_record *other = at->records; other; other = other->next)
        if (other->type == type && other->length == length &&
            memcmp(other->data, data, length) == 0)
            return 0;
    struct draft_record *record = allocate(draft, sizeof *record + length);
    if (!record)
        return -1;
    *record =
        (struct draft_record){.ttl = ttl, .line = line, .type = type, .length = (uint16_t)length};
    memcpy(record->data, data, length);
    if (at->last)
        at->last->next = record;
    else
        at->records = record;
    at->last = record;
    return 0;
}

struct draft_record *draft_record(const struct draft_name *at, uint16_t type)
{
    struct draft_record *record = at->records;
    while (record && record->type != type)
        record = record->next;
    return record;
}

uint32_t draft_zone_of(const struct draft *draft, struct name name)
{
    for (;;) {
        const struct draft_name *at = draft_find(draft, name);
        if (at && at->flags & DRAFT_APEX)
            return at->zone;
        if (name.labels == 0)
            return DRAFT_NO_ZONE;
        name = name_parent(name);
    }
}
