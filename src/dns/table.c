#include "dns/table.h"

#include <stdlib.h>

#include "dns/forward_rules.h"

const struct node *table_find(const struct dns_table *table, struct name name, uint32_t hash)
{
    for (uint32_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        const struct slot *slot = &table->slots[i];
        if (slot->place == 0)
            return NULL;
        if (slot->hash != hash)
            continue;
        const struct node *node = table_at(table, slot->place);
        if (node->name_length == name.length &&
            memcmp(node_name(node), name.wire, name.length) == 0)
            return node;
    }
}

const struct node *table_find_above(const struct dns_table *table, struct name name)
{
    while (name.labels > 0) {
        name = name_parent(name);
        if (name.labels > table->labels_max)
            continue;
        const struct node *node =
            table_find(table, name, name_hash(name.wire, name.length, table->seed));
        if (node)
            return node;
    }
    return NULL;
}

void dns_table_free(struct dns_table *table)
{
    if (!table)
        return;
    forward_rules_release(table->forward);
    free(table->memory);
    free(table);
}
