/* The instances of wildcards: services that are made when somebody asks for their label, and
 * forgotten when their machine is off and no client can have their addresses in its cache any more.
 *
 * Each takes one of its wildcard's places, which have the addresses, and on a user network sockets
 * that listen on them all along. A place that becomes free waits behind all others that are, so
 * that an address comes to another instance as late as possible.
 *
 * Nothing frees an instance but the deadline at which it is forgotten, and a reload: whoever
 * handles one need not fear that a call takes it away. A DNS worker may have found one just before
 * it was forgotten, and wants it then: so it is kept until every worker has got past that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/wildcard.h"

/* Remembered so long at least after its last use, though no client may keep its addresses. */
#define SHORTEST_MEMORY (1 * NANOSECONDS_PER_SECOND)

/* --- a wildcard --- */

static struct place *place_of(const struct service *instance)
{
    return &instance->of->wildcard->places[instance->place];
}

int instances_open(struct service *service)
{
    service->wildcard = wildcard_new(service->config->places);
    if (!service->wildcard)
        return -1;
    wildcard_give_back_all(service->wildcard);
    return 0;
}

static void open_again(struct service *service)
{
    if (service->wildcard->closed)
        TAILQ_REMOVE(&service->summoner->closed, service, waiting);
    service->wildcard->closed = false;
}

void instances_close(struct service *service)
{
    if (!service->wildcard)
        return;
    open_again(service);
    wildcard_free(service->wildcard);
    service->wildcard = NULL;
}

/* --- which there are --- */

struct service *instances_find(const struct service *service, const char *label)
{
    struct dns_host *host = dns_instances_find(service->host->instances, label);
    return host ? host->owner : NULL;
}

static int list(struct service *instance)
{
    struct summoner *summoner = instance->summoner;
    size_t count = summoner->instance_count + 1;
    struct service **instances = reallocarray(summoner->instances, count, sizeof *instances);
    if (!instances)
        return -1;
    summoner->instances = instances;
    instances[summoner->instance_count] = instance;
    instance->number = (uint32_t)summoner->instance_count++;
    return 0;
}

static void unlist(struct service *instance)
{
    struct summoner *summoner = instance->summoner;
    struct service *last = summoner->instances[--summoner->instance_count];
    summoner->instances[instance->number] = last;
    last->number = instance->number;
}

/* --- making one --- */

/* Tells DNS of the instance by a host that says what its wildcard's does. */
static struct dns_host *make_host(struct service *instance, const struct dns_host *wildcard,
                                  const char *label)
{
    struct dns_host *host = dns_instance_new(instance->config, label);
    if (!host)
        return NULL;
    host->owner = instance;
    host->summons = wildcard->summons;
    host->summon_from = wildcard->summon_from;
    host->summon_from_count = wildcard->summon_from_count;
    host->answer_delay = wildcard->answer_delay;
    return host;
}

static struct service *instance_new(struct service *service, const char *label, uint32_t number,
                                    struct error *error)
{
    const struct config_service *config =
        config_instance_new(service->config, label, number, error);
    struct service *instance = config ? calloc(1, sizeof *instance) : NULL;
    if (!instance) {
        if (config)
            error_set(error, "memory is exhausted");
        free((void *)config);
        return NULL;
    }
    instance->summoner = service->summoner;
    instance->config = config;
    instance->of = service;
    instance->place = number;
    instance->made = clock_now();
    instance->host = make_host(instance, service->host, label);
    if (instance->host && list(instance) == 0)
        return instance;
    error_set(error, "memory is exhausted");
    dns_instance_free(instance->host);
    free((void *)config);
    free(instance);
    return NULL;
}

/* The machine of a service that was called so must have gone first. */
static bool is_name_free(const struct service *service, const char *label)
{
    char name[CONFIG_NAME_TEXT_MAX];
    const struct service *departed;
    snprintf(name, sizeof name, "%s%s", label, service->config->name + 1);
    TAILQ_FOREACH(departed, &service->summoner->departed, waiting)
    {
        if (strcmp(departed->config->name, name) == 0)
            return false;
    }
    return true;
}

/* A suspended machine keeps its place, until that is needed: the one that has not been used for the
 * longest time makes room for those who ask later. */
static void vacate(struct service *service)
{
    const struct wildcard *wildcard = service->wildcard;
    struct service *oldest = NULL;
    for (uint32_t i = 0; i < wildcard->config->count; i++) {
        struct service *instance = wildcard->places[i].instance;
        if (instance->state == MACHINE_STOPPING)
            return;
        if (instance->state == MACHINE_SUSPENDED && !instance->queued &&
            (!oldest || service_last_use(instance) < service_last_use(oldest)))
            oldest = instance;
    }
    if (oldest)
        machine_stop(oldest, CONFIG_STOP_DESTROY, CAUSE_IDLE);
}

struct service *instances_make(struct service *service, const char *label, long number,
                               struct error *error)
{
    struct wildcard *wildcard = service->wildcard;
    if (!is_name_free(service, label)) {
        error_set(error, "a machine that was called so is still stopping");
        return NULL;
    }
    if (wildcard->free_count == 0) {
        vacate(service);
        error_set(error, "all its instances are in use: %u", wildcard->config->count);
        return NULL;
    }
    if (number < 0)
        number = wildcard->free[wildcard->free_first];
    if (wildcard->places[number].instance) {
        error_set(error, "another instance has its addresses");
        return NULL;
    }
    struct service *instance = instance_new(service, label, (uint32_t)number, error);
    if (!instance)
        return NULL;
    wildcard_take(wildcard, (uint32_t)number);
    wildcard->places[number].instance = instance;
    place_lend_proxy(instance, &wildcard->places[number]);
    holding_open(instance);
    service_publish(instance);
    dns_instances_add(service->host->instances, instance->host);
    return instance;
}

/* --- room --- */

void instances_refuse(struct service *service, const struct error *why)
{
    struct wildcard *wildcard = service->wildcard;
    if (wildcard->closed)
        return;
    wildcard->closed = true;
    TAILQ_INSERT_TAIL(&service->summoner->closed, service, waiting);
    log_warning("%s: no further instance: %s; queries for others get SERVFAIL until there is room",
                service->config->name, why->text);
    atomic_store(&service->host->disposition, DNS_NO_RESOURCES);
}

void instances_reopen(struct summoner *summoner)
{
    struct service *service;
    while ((service = TAILQ_FIRST(&summoner->closed))) {
        open_again(service);
        atomic_store(&service->host->disposition, DNS_ANSWER);
    }
}

uint32_t instances_known(const struct service *service)
{
    const struct wildcard *wildcard = service->wildcard;
    return wildcard ? wildcard->config->count - wildcard->free_count : 0;
}

/* --- forgetting --- */

static bool is_at_rest(const struct service *instance)
{
    return !instance->run && !instance->queued && !instance->backing_off &&
           (instance->state == MACHINE_OFF || instance->state == MACHINE_FAILED);
}

/* From then on no client has an answer with its addresses in its cache. */
static uint64_t end_of_answers(const struct service *instance)
{
    uint64_t ttl = instance->config->ttl * NANOSECONDS_PER_SECOND;
    uint64_t last = service_last_query(instance);
    if (last < instance->made)
        last = instance->made;
    return last + (ttl > SHORTEST_MEMORY ? ttl : SHORTEST_MEMORY);
}

void instance_watch(struct service *instance)
{
    if (is_at_rest(instance) && !instance->deadline_place)
        deadline_set(instance, end_of_answers(instance));
}

void instance_hold(struct service *service)
{
    if (service->of && is_at_rest(service))
        deadline_clear(service);
}

/* Takes it away from its wildcard; its place is free again. */
static void leave_place(struct service *instance)
{
    struct wildcard *wildcard = instance->of->wildcard;
    struct place *place = place_of(instance);
    place_return_proxy(instance, place);
    place->instance = NULL;
    wildcard_give_back(wildcard, instance->place);
    unlist(instance);
    instance->of->handed_over += holding_handed_over(instance);
    instances_reopen(instance->summoner);
}

static void forget(struct service *instance)
{
    struct summoner *summoner = instance->summoner;
    struct service *service = instance->of;
    log_debug("%s: forgotten", instance->config->name);
    if (instance->refused)
        start_queue_unrefuse(instance);
    dns_instances_remove(service->host->instances, instance->host);
    leave_place(instance);
    holding_close(instance);
    service_unremember(instance);
    instance->of = NULL;
    instance->forgotten = true;
    TAILQ_INSERT_TAIL(&summoner->forgotten, instance, waiting);
    if (summoner->dns)
        dns_server_retire(summoner->dns, instance->host);
    else
        instances_bury(instance);
}

void instance_due(struct service *instance)
{
    if (!is_at_rest(instance))
        return;
    if (end_of_answers(instance) > clock_now() || console_is_followed(instance))
        deadline_set(instance, console_is_followed(instance) ? clock_now() + SHORTEST_MEMORY
                                                             : end_of_answers(instance));
    else
        forget(instance);
}

void instances_bury(struct service *instance)
{
    TAILQ_REMOVE(&instance->summoner->forgotten, instance, waiting);
    service_free(instance);
}

/* --- a reload --- */

static bool same_ports(const struct config_service *a, const struct config_service *b)
{
    return a->network->type == b->network->type && a->port_count == b->port_count &&
           memcmp(a->ports, b->ports, a->port_count * sizeof *a->ports) == 0;
}

/* The instance as the new configuration has it; false if that has none at its addresses. */
static bool carry_over(struct service *instance, struct service *service, struct wildcard *to,
                       const struct dns_host *host)
{
    char label[CONFIG_LABEL_MAX + 1];
    struct error error;
    const struct config_service *old = instance->config;
    snprintf(label, sizeof label, "%.*s", (int)strcspn(old->name, "."), old->name);
    long number = config_find_place(to->config, old->addresses, old->address_count);
    if (number < 0 || config_find_service(service->summoner->config, old->name))
        return false;
    instance->config = config_instance_new(service->config, label, (uint32_t)number, &error);
    struct dns_host *own = instance->config ? make_host(instance, host, label) : NULL;
    if (!own) {
        free((void *)instance->config);
        instance->config = old;
        return false;
    }
    atomic_store(&own->last_query, atomic_load(&instance->host->last_query));
    atomic_store(&own->wanted, atomic_load(&instance->host->wanted));
    dns_instances_remove(service->host->instances, instance->host);
    dns_instance_free(instance->host);
    instance->host = own;
    instance->place = (uint32_t)number;
    to->places[number].instance = instance;
    holding_reconfigure(instance, old);
    free((void *)old);
    return true;
}

/* Nothing is left of it but a machine to be stopped. */
static void depart(struct service *instance)
{
    struct service *service = instance->of;
    struct dns_host *host = service_host_new(instance, instance->config);
    const struct config_service *config = instance->config;
    if (!host) {
        log_error("%s: memory is exhausted while it is removed; giving up, machines go on running",
                  config->name);
        abort();
    }
    dns_instances_remove(service->host->instances, instance->host);
    dns_instance_free(instance->host);
    instance->host = host;
    leave_place(instance);
    instance->of = NULL;
    service_depart(instance);
    free((void *)config);
}

/* No worker sees the old hosts any more: the table of answers that had them has been replaced. */
void instances_depart(struct service *service)
{
    struct summoner *summoner = service->summoner;
    for (size_t i = summoner->instance_count; i > 0; i--)
        if (summoner->instances[i - 1]->of == service)
            depart(summoner->instances[i - 1]);
    instances_close(service);
}

void instances_reload(struct service *service, const struct config_service *old,
                      struct dns_host *host)
{
    struct summoner *summoner = service->summoner;
    struct wildcard *from = service->wildcard, *to = wildcard_new(service->config->places);
    if (!to) {
        log_error("%s: memory is exhausted while it is reloaded; giving up, machines go on running",
                  service->config->name);
        abort();
    }
    for (size_t i = summoner->instance_count; i > 0; i--) {
        struct service *instance = summoner->instances[i - 1];
        if (instance->of == service && !carry_over(instance, service, to, host))
            depart(instance);
    }
    wildcard_move_proxies(from, to, same_ports(old, service->config));
    wildcard_inherit_free(to, from);
    open_again(service);
    wildcard_free(from);
    service->wildcard = to;
    for (size_t i = 0; i < summoner->instance_count; i++) {
        struct service *instance = summoner->instances[i];
        if (instance->of != service)
            continue;
        dns_instances_add(host->instances, instance->host);
        holding_allow(instance);
        service_taken_up(instance);
    }
}
