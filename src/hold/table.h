/* A hash table whose entries lie in what they stand for. Entries of the same hash are compared by
 * whoever looks for one. */
#ifndef JITSU_HOLD_TABLE_H
#define JITSU_HOLD_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_entry {
    struct table_entry *next;
    uint64_t hash;
};

struct table {
    struct table_entry **buckets;
    size_t size; /* a power of two */
    size_t count;
};

/* Returns 0, or -1 if memory is exhausted. */
int table_init(struct table *table);
void table_clear(struct table *table); /* frees what is the table's own */

/* Never fails: with little memory the table only becomes slower. */
void table_add(struct table *table, struct table_entry *entry, uint64_t hash);
void table_remove(struct table *table, struct table_entry *entry);

/* The entries of that hash, one after the other; NULL at the end. */
struct table_entry *table_first(const struct table *table, uint64_t hash);
struct table_entry *table_next(const struct table_entry *entry);

/* What an entry is a member of. */
#define TABLE_OWNER(entry, type, member) ((type *)(void *)((char *)(entry)-offsetof(type, member)))

#endif
