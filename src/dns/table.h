/* The compiled answers: one block of memory and a hash table over it, both immutable.
 *
 * Every name that exists is a node; so are empty non-terminals and delegations. A node holds its
 * RRsets as they stand in a response that asks for it: their owner name is the pointer 0xc00c to
 * the question. What does not belong to one name is a tail: the SOA record of a negative answer,
 * the NS records and addresses of a referral. A tail's compression pointers are written for a
 * question that asks for the tail's own name; for longer names they are moved by the difference.
 *
 * A lookup touches a slot (8 bytes) and a node, whose most wanted part is in its first two cache
 * lines: both can be prefetched. */
#ifndef JITSU_DNS_TABLE_H
#define JITSU_DNS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/dns.h"
#include "dns/name.h"

#define CACHE_LINE 64

/* Places in the block are counted in units, so that 32 bits reach 32 GB. Place 0 is nothing. */
#define TABLE_UNIT 8

/* An RRset's records as they stand in a response. */
struct rrset {
    uint16_t type;
    uint16_t count;
    uint16_t length;      /* bytes of all the records */
    uint16_t extra_count; /* records for the additional section, which follow in the block */
    uint16_t extra_length;
    uint16_t reserved;
    uint32_t offset; /* from the node */
};

enum node_flags {
    NODE_DELEGATION = 1, /* the zone ends here: `referral` */
    NODE_ALIAS = 2,      /* has a CNAME record */
    NODE_INSTANCES = 4,  /* a wildcard whose labels have machines of their own: `instances` */
};

/* A name; its RRsets' table, its folded name and its records follow. */
struct node {
    struct dns_host *host; /* NULL: not a service's */
    uint32_t negative;     /* place of the zone's SOA tail */
    union {
        uint32_t referral;  /* of a delegation: place of its tail */
        uint32_t parent;    /* of an apex: place of the SOA tail of the zone around, if that is ours
                               too: it answers for DS (RFC 4035, 3.1.4.1) */
        uint32_t instances; /* of a wildcard: place of the pointer to its host */
    };
    uint32_t wildcard; /* place of the node "*" below this one; 0: none */
    uint16_t rrset_count;
    uint8_t name_length;
    uint8_t flags; /* enum node_flags */
    struct rrset rrsets[];
};

/* Records for the authority and additional sections. */
struct tail {
    uint16_t length;
    uint16_t authority_count, additional_count;
    uint16_t pointer_count; /* compression pointers to be moved */
    uint8_t name_length;    /* of the name that the pointers are written for */
    uint8_t reserved;
    uint16_t pointers[]; /* where in the bytes, which follow */
};

struct slot {
    uint32_t hash;
    uint32_t place; /* of a node; 0: empty */
};

struct dns_table {
    const uint8_t *block;
    const struct slot *slots;
    uint32_t mask;                 /* number of slots - 1 */
    uint8_t labels_max;            /* no node has more labels */
    uint64_t seed;                 /* for name_hash() */
    uint8_t *memory;               /* what holds both */
    struct forward_rules *forward; /* what is done about other names; NULL: they are refused */
};

static inline const void *table_at(const struct dns_table *table, uint32_t place)
{
    return table->block + (size_t)place * TABLE_UNIT;
}

static inline const uint8_t *node_name(const struct node *node)
{
    return (const uint8_t *)&node->rrsets[node->rrset_count];
}

static inline const uint8_t *rrset_records(const struct node *node, const struct rrset *rrset)
{
    return (const uint8_t *)node + rrset->offset;
}

static inline const uint8_t *tail_records(const struct tail *tail)
{
    return (const uint8_t *)&tail->pointers[tail->pointer_count];
}

/* The node's RRset of that type, or NULL. */
static inline const struct rrset *node_rrset(const struct node *node, uint16_t type)
{
    for (uint16_t i = 0; i < node->rrset_count; i++)
        if (node->rrsets[i].type == type)
            return &node->rrsets[i];
    return NULL;
}

/* Bring what a lookup of `hash` will touch into the cache: first the slot, then, when that has
 * come, the node. */
static inline void table_prefetch_slot(const struct dns_table *table, uint32_t hash)
{
    __builtin_prefetch(&table->slots[hash & table->mask]);
}

static inline void table_prefetch_node(const struct dns_table *table, uint32_t hash)
{
    const uint8_t *node = table_at(table, table->slots[hash & table->mask].place);
    __builtin_prefetch(node);
    __builtin_prefetch(node + CACHE_LINE);
}

/* The node of a folded name, whose hash is given; NULL: there is none. */
const struct node *table_find(const struct dns_table *table, struct name name, uint32_t hash);

/* The node of the longest name above a folded name that exists; NULL: the name is in no zone. */
const struct node *table_find_above(const struct dns_table *table, struct name name);

#endif
