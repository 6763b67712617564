#include "config/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CHUNK   ((size_t)4096)
#define LARGEST_CHUNK ((size_t)256 * 1024)

struct chunk {
    struct chunk *previous;
    size_t capacity, used;
    alignas(16) char room[];
};

struct config_arena {
    struct chunk *newest;
    bool failed;
};

struct config_arena *config_arena_new(void)
{
    return calloc(1, sizeof(struct config_arena));
}

void config_arena_free(struct config_arena *arena)
{
    if (!arena)
        return;
    for (struct chunk *chunk = arena->newest; chunk;) {
        struct chunk *previous = chunk->previous;
        free(chunk);
        chunk = previous;
    }
    free(arena);
}

static struct chunk *add_chunk(struct config_arena *arena, size_t least)
{
    size_t capacity = arena->newest ? arena->newest->capacity * 2 : FIRST_CHUNK;
    if (capacity > LARGEST_CHUNK)
        capacity = LARGEST_CHUNK;
    if (capacity < least)
        capacity = least;
    struct chunk *chunk =
        least > SIZE_MAX - sizeof *chunk ? NULL : malloc(sizeof *chunk + capacity);
    if (!chunk) {
        arena->failed = true;
        return NULL;
    }
    chunk->previous = arena->newest;
    chunk->capacity = capacity;
    chunk->used = 0;
    arena->newest = chunk;
    return chunk;
}

void *config_arena_allocate(struct config_arena *arena, size_t size, size_t alignment)
{
    struct chunk *chunk = arena->newest;
    size_t start = chunk ? (chunk->used + alignment - 1) & ~(alignment - 1) : 0;
    if (!chunk || start > chunk->capacity || size > chunk->capacity - start) {
        chunk = add_chunk(arena, size);
        if (!chunk)
            return NULL;
        start = 0;
    }
    chunk->used = start + size;
    return chunk->room + start;
}

void *config_arena_copy(struct config_arena *arena, const void *elements, size_t count, size_t size,
                        size_t alignment)
{
    if (count == 0)
        return NULL;
    void *copy = config_arena_allocate(arena, count * size, alignment);
    if (copy)
        memcpy(copy, elements, count * size);
    return copy;
}

char *config_arena_text(struct config_arena *arena, const char *text, size_t length)
{
    char *copy = config_arena_allocate(arena, length + 1, 1);
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

bool config_arena_failed(const struct config_arena *arena)
{
    return arena->failed;
}
