#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "summon/parts.h"

/* --- prepare --- */

/* The host that the new DNS table is to use; NULL if memory is exhausted. */
static struct dns_host *prepare_host(struct service *service, const struct config_service *config)
{
    if (service->config == config || service_host_fits(service->host, config))
        return service->host;
    struct dns_host *host = service_host_new(service, config);
    if (host)
        atomic_store(&host->disposition, atomic_load(&service->host->disposition));
    service->next_host = host;
    return host;
}

static int prepare_service(struct summoner *summoner, const struct config_service *config, size_t i)
{
    struct prepared_reload *reload = &summoner->reload;
    struct service *service = summoner_configured_or_departed(summoner, config->name);
    if (!service)
        service = service_new(summoner, config);
    if (!service)
        return -1;
    service->claimed = true;
    reload->services[i] = service;
    reload->hosts[i] = prepare_host(service, config);
    return reload->hosts[i] ? 0 : -1;
}

int summoner_reload_prepare(struct summoner *summoner, const struct config *config,
                            struct error *error)
{
    struct prepared_reload *reload = &summoner->reload;

    *reload = (struct prepared_reload){
        .config = config,
        .services = calloc(config->service_count + 1, sizeof *reload->services),
        .hosts = calloc(config->service_count + 1, sizeof *reload->hosts)};
    if (!reload->services || !reload->hosts)
        goto exhausted;
    for (size_t i = 0; i < config->service_count; i++)
        if (prepare_service(summoner, &config->services[i], i) != 0)
            goto exhausted;
    return 0;

exhausted:
    summoner_reload_abandon(summoner);
    return error_set(error, "memory is exhausted while preparing %zu services",
                     config->service_count);
}

struct dns_host *const *summoner_reload_hosts(const struct summoner *summoner)
{
    return summoner->reload.hosts;
}

void summoner_reload_abandon(struct summoner *summoner)
{
    struct prepared_reload *reload = &summoner->reload;

    for (size_t i = 0; reload->services && i < reload->config->service_count; i++) {
        struct service *service = reload->services[i];
        if (!service)
            continue;
        service_host_free(service->next_host);
        service->next_host = NULL;
        service->claimed = false;
        if (service->config == &reload->config->services[i])
            service_free(service);
        else if (service->departed && !service->run)
            summoner_bury(service);
    }
    free(reload->services);
    free(reload->hosts);
    *reload = (struct prepared_reload){0};
}

/* --- commit: services that stay or come --- */

static void take_up_host(struct service *service)
{
    struct dns_host *old = service->host;
    if (!service->next_host)
        return;
    uint64_t last_query = service_last_query(service);
    service->host = service->next_host;
    service->next_host = NULL;
    atomic_store(&service->host->last_query, last_query);
    holding_allow(service);
    service_host_free(old);
}

static bool is_configured(const struct config_service *config,
                          const struct service_listener *listener)
{
    bool port = false, address = false;
    for (unsigned i = 0; i < config->port_count; i++)
        port = port || (config->ports[i].listen == listener->endpoint.port &&
                        config->ports[i].machine == listener->machine_port);
    for (unsigned i = 0; i < config->address_count; i++)
        address = address || address_equal(&config->addresses[i], &listener->endpoint.address);
    return port && address;
}

/* The hold stops listening on all at once: those that stay are opened again with the new ones. */
static void drop_listeners(struct service *service)
{
    for (unsigned i = 0; i < service->listener_count; i++)
        if (!is_configured(service->config, &service->listeners[i])) {
            proxy_service_unlisten(service->proxy);
            free(service->listeners);
            service->listeners = NULL;
            service->listener_count = 0;
            return;
        }
}

static void come_back(struct service *service, const struct config_service *old)
{
    TAILQ_REMOVE(&service->summoner->departed, service, waiting);
    service->departed = false;
    free((void *)old);
}

static void take_up(struct service *service, const struct config_service *config)
{
    const struct config_service *old = service->config;
    service->claimed = false;
    service->config = config;
    if (service->departed)
        come_back(service, old);
    else if (service->wildcard && service->next_host)
        instances_reload(service, old, service->next_host);
    else
        holding_reconfigure(service, old);
    take_up_host(service);
    drop_listeners(service);
    service_taken_up(service);
}

void service_taken_up(struct service *service)
{
    if (service->backing_off) {
        service->backing_off = false;
        service->failures_in_row = 0;
        deadline_clear(service);
        service_expect_wants(service);
    }
    if (service->state == MACHINE_RUNNING)
        reaper_watch(service);
    service_publish(service);
}

/* --- commit: services that go --- */

/* What is needed of its configuration until its machine has ended. */
static const struct config_service *copy_for_departure(const struct config_service *config)
{
    size_t length = strlen(config->name) + 1;
    struct config_service *copy = calloc(1, sizeof *copy + length);
    if (!copy) {
        log_error("%s: memory is exhausted while it is removed; giving up, machines go on running",
                  config->name);
        abort();
    }
    copy->name = memcpy(copy + 1, config->name, length);
    copy->memory = config->memory;
    copy->stop = config->stop == CONFIG_STOP_SHUTDOWN ? CONFIG_STOP_SHUTDOWN : CONFIG_STOP_DESTROY;
    return copy;
}

void service_depart(struct service *service)
{
    if (service->wildcard)
        instances_depart(service);
    if (service->queued)
        start_queue_remove(service);
    if (service->refused)
        start_queue_unrefuse(service);
    if (service->state == MACHINE_FAILED)
        machine_give_up(service, CAUSE_RELOAD);
    free(service->pending);
    service->pending = NULL;
    service_expect_wants(service); /* it may come back */
    holding_close(service);
    free(service->listeners);
    service->listeners = NULL;
    service->listener_count = 0;

    service->config = copy_for_departure(service->config);
    service->departed = true;
    TAILQ_INSERT_TAIL(&service->summoner->departed, service, waiting);
    if (!service->run)
        summoner_bury(service);
    else if (machine_state_next((enum machine_state)service->state, EVENT_STOP) >= 0)
        machine_stop(service, (enum config_stop)service->config->stop, CAUSE_RELOAD);
}

void summoner_bury(struct service *service)
{
    if (service->claimed)
        return;
    TAILQ_REMOVE(&service->summoner->departed, service, waiting);
    service_free(service);
}

void summoner_reload_commit(struct summoner *summoner)
{
    struct prepared_reload reload = summoner->reload;
    struct service **old = summoner->services;
    size_t old_count = summoner->service_count;

    /* No DNS worker uses the old table any more: after this no want is for a service that goes. */
    wants_run(summoner);
    labels_drop_old(summoner);
    free(summoner->hosts);
    summoner->reload = (struct prepared_reload){0};
    summoner->config = reload.config;
    summoner->services = reload.services;
    summoner->hosts = reload.hosts;
    summoner->service_count = reload.config->service_count;

    for (size_t i = 0; i < old_count; i++)
        if (!old[i]->claimed)
            service_depart(old[i]);
    free(old);
    for (size_t i = 0; i < summoner->service_count; i++)
        take_up(summoner->services[i], &summoner->config->services[i]);
    ports_reconfigure(summoner);
    for (size_t i = 0; i < summoner_service_count(summoner); i++)
        holding_open(summoner_service(summoner, i));
    for (size_t i = 0; summoner->kept_are_started && i < summoner->service_count; i++)
        service_keep(summoner->services[i]);
    start_queue_run(summoner);
    labels_run(summoner);
}
