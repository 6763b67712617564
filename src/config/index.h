/* Names to numbers: a hash table with open addressing. The names are not copied and must stay. */
#ifndef JITSU_CONFIG_INDEX_H
#define JITSU_CONFIG_INDEX_H

#include <stdbool.h>
#include <stdint.h>

struct config_index;

/* An empty index, or NULL if memory is exhausted. */
struct config_index *config_index_new(void);
void config_index_free(struct config_index *index);

/* Adds `name` with `value`. Returns 0; 1 with the old value in `*present` if the name is there
 * already (nothing is changed then); -1 if memory is exhausted. */
int config_index_add(struct config_index *index, const char *name, uint32_t value,
                     uint32_t *present);

/* The name as it was added and its value, or NULL if it is not there. */
const char *config_index_find(const struct config_index *index, const char *name, uint32_t *value);

#endif
