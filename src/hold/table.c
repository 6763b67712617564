#include "hold/table.h"

#include <stdlib.h>

#define SIZE_FIRST 64u

int table_init(struct table *table)
{
    table->count = 0;
    table->size = SIZE_FIRST;
    table->buckets = calloc(table->size, sizeof *table->buckets);
    return table->buckets ? 0 : -1;
}

void table_clear(struct table *table)
{
    free(table->buckets);
    table->buckets = NULL;
}

static void insert(struct table_entry **buckets, size_t size, struct table_entry *entry)
{
    struct table_entry **bucket = &buckets[entry->hash & (size - 1)];
    entry->next = *bucket;
    *bucket = entry;
}

static void grow(struct table *table)
{
    size_t size = table->size * 2;
    struct table_entry **buckets = calloc(size, sizeof *buckets);
    if (!buckets)
        return;
    for (size_t i = 0; i < table->size; i++)
        for (struct table_entry *entry = table->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            insert(buckets, size, entry);
        }
    free(table->buckets);
    table->buckets = buckets;
    table->size = size;
}

void table_add(struct table *table, struct table_entry *entry, uint64_t hash)
{
    if (table->count++ >= table->size)
        grow(table);
    entry->hash = hash;
    insert(table->buckets, table->size, entry);
}

void table_remove(struct table *table, struct table_entry *entry)
{
    struct table_entry **link = &table->buckets[entry->hash & (table->size - 1)];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    table->count--;
}

static struct table_entry *of_hash(struct table_entry *entry, uint64_t hash)
{
    while (entry && entry->hash != hash)
        entry = entry->next;
    return entry;
}

struct table_entry *table_first(const struct table *table, uint64_t hash)
{
    return of_hash(table->buckets[hash & (table->size - 1)], hash);
}

struct table_entry *table_next(const struct table_entry *entry)
{
    return of_hash(entry->next, entry->hash);
}
