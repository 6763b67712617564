/* The instances of wildcards as workers find them: by label, without a lock. */
#ifndef JITSU_DNS_INSTANCES_H
#define JITSU_DNS_INSTANCES_H

#include "dns/table.h"

/* One instance; its records follow. Immutable but for its host and its place in the chain. */
struct instance {
    struct dns_host host; /* first: outside of this room it is all that is known of it */
    struct instance *_Atomic next;
    atomic_uint users; /* once removed: workers that may still see it */
    uint32_t hash;
    uint8_t label_length;
    uint8_t rrset_count;
    char label[NAME_LABEL_MAX + 1];
    struct rrset rrsets[2]; /* offsets are from the instance */
};

/* The instance of a folded label, or NULL. For workers. */
const struct instance *instance_of_label(const struct dns_instances *instances,
                                         const uint8_t *label, size_t length);

static inline struct instance *instance_of(struct dns_host *host)
{
    return (struct instance *)host;
}

static inline const struct rrset *instance_rrset(const struct instance *instance, uint16_t type)
{
    for (uint8_t i = 0; i < instance->rrset_count; i++)
        if (instance->rrsets[i].type == type)
            return &instance->rrsets[i];
    return NULL;
}

/* One of its users sees it no more. Returns whether that was the last one. */
static inline bool instance_unuse(struct instance *instance)
{
    return atomic_fetch_sub_explicit(&instance->users, 1, memory_order_acq_rel) == 1;
}

#endif
