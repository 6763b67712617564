/* Memory that is handed out piece by piece and given back all at once. */
#ifndef JITSU_CONFIG_ARENA_H
#define JITSU_CONFIG_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct config_arena;

/* An empty arena, or NULL if memory is exhausted. */
struct config_arena *config_arena_new(void);

/* Frees it with all that it handed out; NULL is allowed. */
void config_arena_free(struct config_arena *arena);

/* `size` bytes, not initialised, aligned to `alignment` (a power of two, at most 16), or NULL if
 * memory is exhausted, which config_arena_failed() then remembers. */
void *config_arena_allocate(struct config_arena *arena, size_t size, size_t alignment);

/* A copy of `count` elements of `size` bytes; NULL for none, or if memory is exhausted. */
void *config_arena_copy(struct config_arena *arena, const void *elements, size_t count, size_t size,
                        size_t alignment);

/* A copy of `length` bytes of text with a NUL after them, or NULL if memory is exhausted. */
char *config_arena_text(struct config_arena *arena, const char *text, size_t length);

/* Has any allocation failed so far? */
bool config_arena_failed(const struct config_arena *arena);

#endif
