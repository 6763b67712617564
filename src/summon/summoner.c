#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "summon/parts.h"

/* --- life --- */

/* A connection takes two sockets and, while it is spliced, two pipes. */
static struct proxy_limits proxy_limits(void)
{
    size_t connections = descriptor_raise_limit() / 8;
    return (struct proxy_limits){
        .waiting_per_service = 256,
        .waiting_total = connections / 2 > 256 ? connections / 2 : 256,
        .connections_total = connections > 256 ? connections : 256,
    };
}

static int make_services(struct summoner *summoner)
{
    const struct config *config = summoner->config;
    summoner->services = calloc(config->service_count + 1, sizeof *summoner->services);
    summoner->hosts = calloc(config->service_count + 1, sizeof *summoner->hosts);
    if (!summoner->services || !summoner->hosts)
        return -1;
    for (size_t i = 0; i < config->service_count; i++) {
        struct service *service = service_new(summoner, &config->services[i]);
        if (!service)
            return -1;
        summoner->services[i] = service;
        summoner->hosts[i] = service->host;
        summoner->service_count++;
    }
    return 0;
}

static int make_parts(struct summoner *summoner)
{
    static const struct proxy_callbacks callbacks = {wants_from_hold, machine_first_byte};
    struct proxy_limits limits = proxy_limits();

    summoner->proxy = proxy_new(summoner->base, &callbacks, &limits);
    if (!summoner->proxy || ports_new(summoner) != 0 || history_new(summoner) != 0 ||
        deadlines_new(summoner) != 0 || wants_new(summoner) != 0 || labels_new(summoner) != 0)
        return -1;
    return make_services(summoner);
}

static void free_parts(struct summoner *summoner)
{
    struct service *departed;
    remember_end(summoner);
    labels_free(summoner);
    while (summoner->instance_count > 0)
        service_free(summoner->instances[--summoner->instance_count]);
    free(summoner->instances);
    for (size_t i = 0; i < summoner->service_count; i++)
        service_free(summoner->services[i]);
    while ((departed = TAILQ_FIRST(&summoner->departed))) {
        TAILQ_REMOVE(&summoner->departed, departed, waiting);
        service_free(departed);
    }
    summoner->service_count = 0;
    ports_free(summoner);
    free(summoner->services);
    free(summoner->hosts);
    if (summoner->wants.event)
        wants_free(summoner);
    deadlines_free(summoner);
    history_free(summoner);
    if (summoner->proxy)
        proxy_free(summoner->proxy);
    free(summoner);
}

struct summoner *summoner_new(const struct summoner_options *options, struct error *error)
{
    struct summoner *summoner = calloc(1, sizeof *summoner);
    if (!summoner) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    summoner->base = options->base;
    summoner->config = options->config;
    TAILQ_INIT(&summoner->runs);
    TAILQ_INIT(&summoner->queue);
    TAILQ_INIT(&summoner->refused);
    TAILQ_INIT(&summoner->departed);
    TAILQ_INIT(&summoner->forgotten);
    TAILQ_INIT(&summoner->closed);
    TAILQ_INIT(&summoner->history.subscriptions);
    TAILQ_INIT(&summoner->consoles);
    /* So that a late message about a machine of an earlier front is not taken for one of ours. */
    if (getrandom(&summoner->last_serial, sizeof summoner->last_serial, 0) < 0)
        summoner->last_serial = (uint32_t)clock_now();

    if (make_parts(summoner) != 0)
        error_set(error, "memory or descriptors are exhausted while making %zu services",
                  options->config->service_count);
    else if (!options->store_path || summoner_open_store(summoner, options->store_path, error) == 0)
        return summoner;
    free_parts(summoner);
    return NULL;
}

void summoner_free(struct summoner *summoner)
{
    if (summoner->reload.services)
        summoner_reload_abandon(summoner);
    free_parts(summoner);
}

void summoner_set_dns(struct summoner *summoner, struct dns_server *server)
{
    summoner->dns = server;
}

struct dns_host *const *summoner_dns_hosts(const struct summoner *summoner)
{
    return summoner->hosts;
}

/* --- what admin asks --- */

struct service *summoner_wildcard_of(const struct summoner *summoner, const char *name,
                                     char label[CONFIG_LABEL_MAX + 1])
{
    const struct config_service *config = config_find_wildcard(summoner->config, name, label);
    return config ? summoner->services[config - summoner->config->services] : NULL;
}

struct service *summoner_find(struct summoner *summoner, const char *name,
                              const struct config_service **wildcard)
{
    char label[CONFIG_LABEL_MAX + 1];
    const struct config_service *config = config_find_service(summoner->config, name);
    struct service *service = config ? NULL : summoner_wildcard_of(summoner, name, label);
    if (wildcard)
        *wildcard = service ? service->config : NULL;
    if (config)
        return summoner->services[config - summoner->config->services];
    return service ? instances_find(service, label) : NULL;
}

struct service *summoner_find_or_make(struct summoner *summoner, const char *name,
                                      struct error *error)
{
    char label[CONFIG_LABEL_MAX + 1];
    struct service *service = summoner_find(summoner, name, NULL);
    if (service)
        return service;
    service = summoner_wildcard_of(summoner, name, label);
    if (service && summoner->kept_are_started)
        return instances_make(service, label, -1, error);
    if (service)
        error_set(error, "it is not known yet which machines run already: try again in a moment");
    else
        error_set(error, "there is no service \"%s\"", name);
    return NULL;
}

struct service *summoner_configured_or_departed(struct summoner *summoner, const char *name)
{
    const struct config_service *config = config_find_service(summoner->config, name);
    struct service *service;
    if (config && strcmp(config->name, name) == 0)
        return summoner->services[config - summoner->config->services];
    TAILQ_FOREACH(service, &summoner->departed, waiting)
    {
        if (strcmp(service->config->name, name) == 0)
            return service;
    }
    return NULL;
}

struct service *summoner_service_of_name(struct summoner *summoner, const char *name)
{
    char label[CONFIG_LABEL_MAX + 1];
    struct service *service = summoner_wildcard_of(summoner, name, label);
    if (service)
        service = instances_find(service, label);
    if (service && strcmp(service->config->name, name) == 0)
        return service;
    return summoner_configured_or_departed(summoner, name);
}

size_t summoner_service_count(const struct summoner *summoner)
{
    return summoner->service_count + summoner->instance_count;
}

struct service *summoner_service(const struct summoner *summoner, size_t index)
{
    return index < summoner->service_count ? summoner->services[index]
                                           : summoner->instances[index - summoner->service_count];
}

const struct config *summoner_config(const struct summoner *summoner)
{
    return summoner->config;
}

void summoner_limits(const struct summoner *summoner, struct limits_status *limits)
{
    struct port_statistics ports;
    summoner_port_statistics(summoner, &ports);
    *limits = (struct limits_status){
        .memory = summoner->used.memory - summoner->waiting.memory,
        .memory_limit = summoner->config->memory_limit,
        .machines = summoner->used.machines - summoner->waiting.machines,
        .machine_limit = summoner->config->machine_limit,
        .starts = summoner->starting,
        .start_limit = summoner->config->start_limit,
        .waiting = summoner->queue_length,
        .held = ports.bytes,
        .held_limit = summoner->config->held_limit,
    };
}

void summoner_proxy_statistics(const struct summoner *summoner, struct proxy_statistics *statistics)
{
    proxy_statistics(summoner->proxy, statistics);
}
