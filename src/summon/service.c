#include "summon/service.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "summon/parts.h"

static const char *const cause_names[CAUSES] = {
    [CAUSE_DNS] = "dns",
    [CAUSE_CONNECTION] = "connection",
    [CAUSE_KEEP] = "keep",
    [CAUSE_COMMAND] = "command",
    [CAUSE_IDLE] = "idle",
    [CAUSE_RELOAD] = "reload",
    [CAUSE_SHUTDOWN] = "shutdown",
    [CAUSE_START_FAILED] = "start-failed",
    [CAUSE_BOOT_TIMEOUT] = "boot-timeout",
    [CAUSE_EXITED] = "exited",
    [CAUSE_READY] = "ready",
    [CAUSE_FIRST_BYTE] = "first-byte",
    [CAUSE_ADOPTED] = "adopted",
    [CAUSE_STOPPED] = "stopped",
    [CAUSE_SUSPENDED] = "suspended",
};

const char *cause_name(enum cause cause)
{
    return cause_names[cause];
}

/* --- life --- */

/* The prefixes lie behind the host, so that they live as long as it does: a reload replaces the
 * configuration while DNS workers go on using hosts that stay the same. */
struct dns_host *service_host_new(struct service *service, const struct config_service *config)
{
    size_t prefixes = config->summon_from_count * sizeof(struct prefix);
    struct dns_host *host = calloc(1, sizeof *host + prefixes);
    if (!host)
        return NULL;
    host->owner = service;
    host->summons = config->summon & CONFIG_SUMMON_DNS;
    host->answer_delay = config->answer_delay;
    host->summon_from_count = config->summon_from_count;
    if (config_is_wildcard(config)) {
        host->instances = dns_instances_new(config->places->count);
        host->is_sparse = config_has_files_of_instances(config);
        if (!host->instances) {
            free(host);
            return NULL;
        }
    }
    if (prefixes) {
        memcpy(host + 1, config->summon_from, prefixes);
        host->summon_from = (const struct prefix *)(host + 1);
    }
    return host;
}

void service_host_free(struct dns_host *host)
{
    if (host)
        dns_instances_free(host->instances);
    free(host);
}

static bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
    return a->length == b->length && address_equal(&a->address, &b->address);
}

bool service_host_fits(const struct dns_host *host, const struct config_service *config)
{
    /* What a wildcard's instances say is made anew with its host. */
    if (config_is_wildcard(config) ||
        host->summons != ((config->summon & CONFIG_SUMMON_DNS) != 0) ||
        host->answer_delay != config->answer_delay ||
        host->summon_from_count != config->summon_from_count)
        return false;
    for (unsigned i = 0; i < config->summon_from_count; i++)
        if (!prefix_equal(&host->summon_from[i], &config->summon_from[i]))
            return false;
    return true;
}

struct service *service_new(struct summoner *summoner, const struct config_service *config)
{
    struct service *service = calloc(1, sizeof *service);
    if (!service)
        return NULL;
    service->summoner = summoner;
    service->config = config;
    service->host = service_host_new(service, config);
    if (!service->host || (config_is_wildcard(config) && instances_open(service) != 0)) {
        service_host_free(service->host);
        free(service);
        return NULL;
    }
    service->state = MACHINE_OFF;
    service_publish(service);
    return service;
}

static void free_host(struct service *service)
{
    if (service->of)
        dns_instances_remove(service->of->host->instances, service->host);
    if (service->of || service->forgotten)
        dns_instance_free(service->host);
    else
        service_host_free(service->host);
    service_host_free(service->next_host);
}

void service_free(struct service *service)
{
    if (service->run)
        machine_run_free(service->run);
    holding_close(service);
    console_free(service);
    counters_free(service);
    free(service->pending);
    free(service->listeners);
    free(service->error);
    free_host(service);
    instances_close(service);
    if (service->departed || service->of || service->forgotten)
        free((void *)service->config);
    free(service);
}

/* --- what DNS and the hold are told --- */

static enum dns_disposition disposition(const struct service *service)
{
    const struct config_service *config = service->config;
    if (service->refused)
        return DNS_NO_RESOURCES;
    if (service->backing_off)
        return DNS_FAILED;
    if (service->state == MACHINE_RUNNING)
        return DNS_ANSWER;
    if (config->answer == CONFIG_ANSWER_WHEN_READY && (config->summon & CONFIG_SUMMON_DNS))
        return DNS_WHEN_READY;
    return config->answer_delay ? DNS_DELAY : DNS_ANSWER;
}

/* A connection that would neither be served nor summon is better refused than left waiting. */
static bool refuses_connections(const struct service *service)
{
    if (service->refused || service->backing_off || service->departed)
        return true;
    return !(service->config->summon & CONFIG_SUMMON_PACKET) && !service->queued &&
           !service->pending &&
           (service->state == MACHINE_OFF || service->state == MACHINE_FAILED ||
            service->state == MACHINE_SUSPENDED);
}

void service_publish(struct service *service)
{
    uint8_t now = (uint8_t)disposition(service);
    atomic_store(&service->host->disposition, now);
    if (service->next_host)
        atomic_store(&service->next_host->disposition, now);
    holding_refuse(service, refuses_connections(service));
    if (service->of)
        instance_watch(service);
}

void service_expect_wants(struct service *service)
{
    service->earlier_query = service_last_query(service);
    atomic_store(&service->host->wanted, false);
    if (service->next_host)
        atomic_store(&service->next_host->wanted, false);
}

void service_turn_away(struct service *service)
{
    holding_turn_away(service);
    if (service->summoner->dns) {
        dns_server_release(service->summoner->dns, service->host, false);
        if (service->next_host)
            dns_server_release(service->summoner->dns, service->next_host, false);
    }
}

/* --- use --- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t service_last_query(const struct service *service)
{
    uint64_t last = atomic_load(&service->host->last_query);
    if (service->next_host)
        last = later(last, atomic_load(&service->next_host->last_query));
    return last;
}

uint64_t service_last_use(const struct service *service)
{
    uint64_t last = service_last_query(service);
    last = later(last, holding_last_use(service));
    if (service->run)
        last = later(last, service->run->was_in_use);
    return last;
}

double service_last_use_wall(const struct service *service)
{
    double last = clock_to_wall(service_last_use(service));
    return last > service->remembered_use ? last : service->remembered_use;
}

size_t service_connections(const struct service *service)
{
    return holding_connections(service);
}

/* --- what is remembered --- */

void service_remember(struct service *service)
{
    if (!service->summoner->store || service->wildcard)
        return;
    const struct machine_run *run = service->run;
    struct store_row row = {
        .state = service->state,
        .starts = service->starts,
        .failures = service->failures,
        .last_use = service_last_use_wall(service),
    };
    strncpy(row.service, service->config->name, sizeof row.service - 1);
    if (run && run->serial) {
        row.serial = run->serial;
        row.pid = run->pid;
        row.started = run->started;
        service->run->stored_use = service_last_use(service);
    }
    store_put(service->summoner->store, &service->stored, &row);
}

void service_unremember(struct service *service)
{
    struct store_row row = {.forgotten = true};
    if (!service->summoner->store)
        return;
    strncpy(row.service, service->config->name, sizeof row.service - 1);
    store_put(service->summoner->store, &service->stored, &row);
}

/* --- what admin asks --- */

enum machine_state service_state(const struct service *service)
{
    return (enum machine_state)service->state;
}

bool service_is_wildcard(const struct service *service)
{
    return service->wildcard;
}

void service_status(const struct service *service, struct service_status *status)
{
    const struct machine_run *run = service->run;
    *status = (struct service_status){
        .config = service->config,
        .state = (enum machine_state)service->state,
        .last_use = service_last_use_wall(service),
        .retry = service->backing_off ? clock_to_wall(service->deadline) : 0,
        .connections = service_connections(service),
        .connections_unknown = holding_hides_connections(service),
        .starts = service->starts,
        .failures = service->failures,
        .wildcard = service->of ? service->of->config : NULL,
        .instances = instances_known(service),
    };
    if (run && run->serial) {
        status->pid = run->pid;
        status->started = run->started;
        memcpy(status->domain, run->domain, sizeof status->domain);
    }
    if (service->error)
        strncpy(status->error, service->error, sizeof status->error - 1);
}
