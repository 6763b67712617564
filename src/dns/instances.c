/* A table of chains. Its one writer links an instance in when that is complete, and takes one out
 * by a single store; a worker that stands on it just then still finds its way on. What was taken
 * out is freed only when every worker has come by a moment in which it looks at none. */
#include "dns/instances.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/random.h>

#include "dns/question.h"

#define OWNER_POINTER 0xc00c /* the question's name */
#define RECORD_HEAD   12     /* of a record whose owner is a pointer: all before its data */

struct dns_instances {
    uint64_t seed;
    uint32_t mask;
    struct instance *_Atomic chains[];
};

struct dns_instances *dns_instances_new(size_t most)
{
    size_t count = 4;
    while (count < most)
        count *= 2;
    struct dns_instances *instances =
        calloc(1, sizeof *instances + count * sizeof instances->chains[0]);
    if (!instances)
        return NULL;
    instances->mask = (uint32_t)count - 1;
    if (getrandom(&instances->seed, sizeof instances->seed, 0) < 0)
        instances->seed = (uintptr_t)instances;
    return instances;
}

void dns_instances_free(struct dns_instances *instances)
{
    if (!instances)
        return;
    for (uint32_t i = 0; i <= instances->mask; i++)
        for (struct instance *instance = instances->chains[i], *next; instance; instance = next) {
            next = instance->next;
            free(instance);
        }
    free(instances);
}

/* --- one instance --- */

static size_t records_size(const struct config_service *service)
{
    return (size_t)service->address_count * (RECORD_HEAD + 16);
}

static void write_family(struct instance *instance, struct writer *writer,
                         const struct config_service *service, int family)
{
    struct rrset *rrset = &instance->rrsets[instance->rrset_count];
    size_t start = writer->position;
    uint16_t length = family == AF_INET ? 4 : 16;
    rrset->type = family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;
    rrset->offset = (uint32_t)(sizeof *instance + start);
    for (unsigned i = 0; i < service->address_count; i++) {
        if (service->addresses[i].family != family)
            continue;
        writer_u16(writer, OWNER_POINTER);
        writer_u16(writer, rrset->type);
        writer_u16(writer, DNS_CLASS_IN);
        writer_u32(writer, service->ttl);
        writer_u16(writer, length);
        writer_bytes(writer, service->addresses[i].bytes, length);
        rrset->count++;
    }
    rrset->length = (uint16_t)(writer->position - start);
    if (rrset->count > 0)
        instance->rrset_count++;
}

struct dns_host *dns_instance_new(const struct config_service *service, const char *label)
{
    size_t length = strlen(label), size = records_size(service);
    struct instance *instance = calloc(1, sizeof *instance + size);
    if (!instance || length > NAME_LABEL_MAX) {
        free(instance);
        return NULL;
    }
    struct writer writer = writer_over((uint8_t *)(instance + 1), size);
    memcpy(instance->label, label, length);
    instance->label_length = (uint8_t)length;
    write_family(instance, &writer, service, AF_INET);
    write_family(instance, &writer, service, AF_INET6);
    return &instance->host;
}

void dns_instance_free(struct dns_host *host)
{
    free(host ? instance_of(host) : NULL);
}

/* --- which there are --- */

static uint32_t hash_of(const struct dns_instances *instances, const void *label, size_t length)
{
    return name_hash(label, length, instances->seed);
}

void dns_instances_add(struct dns_instances *instances, struct dns_host *host)
{
    struct instance *instance = instance_of(host);
    instance->hash = hash_of(instances, instance->label, instance->label_length);
    struct instance *_Atomic *chain = &instances->chains[instance->hash & instances->mask];
    atomic_store_explicit(&instance->next, atomic_load_explicit(chain, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(chain, instance, memory_order_release);
}

void dns_instances_remove(struct dns_instances *instances, struct dns_host *host)
{
    struct instance *instance = instance_of(host);
    struct instance *_Atomic *link = &instances->chains[instance->hash & instances->mask];
    while (*link != instance)
        link = &(*link)->next;
    atomic_store_explicit(link, instance->next, memory_order_release);
}

const struct instance *instance_of_label(const struct dns_instances *instances,
                                         const uint8_t *label, size_t length)
{
    uint32_t hash = hash_of(instances, label, length);
    const struct instance *instance =
        atomic_load_explicit(&instances->chains[hash & instances->mask], memory_order_acquire);
    while (instance && (instance->hash != hash || instance->label_length != length ||
                        memcmp(instance->label, label, length) != 0))
        instance = atomic_load_explicit(&instance->next, memory_order_acquire);
    return instance;
}

struct dns_host *dns_instances_find(const struct dns_instances *instances, const char *label)
{
    const struct instance *instance =
        instance_of_label(instances, (const uint8_t *)label, strlen(label));
    return instance ? (struct dns_host *)&instance->host : NULL;
}
