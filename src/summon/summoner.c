#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "summon/parts.h"

#define REMEMBER_USES_EVERY (5 * NANOSECONDS_PER_SECOND)

/* --- what is remembered --- */

static void remember_uses(struct summoner *summoner)
{
    struct machine_run *run;
    TAILQ_FOREACH(run, &summoner->runs, entry)
    {
        if (run->serial && run->stored_use != service_last_use(run->service))
            service_remember(run->service);
    }
}

static void use_timer_fired(evutil_socket_t descriptor, short events, void *argument)
{
    struct summoner *summoner = argument;
    (void)descriptor, (void)events;
    remember_uses(summoner);
    summoner_watch_uses(summoner);
}

void summoner_watch_uses(struct summoner *summoner)
{
    struct timeval interval = clock_timeval(REMEMBER_USES_EVERY);
    if (summoner->store && !TAILQ_EMPTY(&summoner->runs) &&
        !evtimer_pending(summoner->use_timer, NULL))
        evtimer_add(summoner->use_timer, &interval);
}

static void recall(struct service *service, const struct store_row *row)
{
    service->starts += row->starts;
    service->failures += row->failures;
    if (row->last_use > service->remembered_use)
        service->remembered_use = row->last_use;
    if (!service->summoner->kept_are_started) {
        service->earlier_serial = row->serial;
        service->was_suspended = row->state == MACHINE_SUSPENDED;
    }
}

/* The first time only: what is read later was written from here. */
static void recall_rows(struct summoner *summoner)
{
    struct store_row *rows;
    size_t count;
    if (!store_take(summoner->store, &rows, &count))
        return;
    for (size_t i = 0; i < count && !summoner->recalled; i++) {
        struct service *service = summoner_service_of_name(summoner, rows[i].service);
        if (service)
            recall(service, &rows[i]);
    }
    summoner->recalled = true;
    free(rows);
}

void summoner_recall_late(void *argument)
{
    struct summoner *summoner = argument;
    recall_rows(summoner);
    for (size_t i = 0; i < summoner->service_count; i++) {
        struct service *service = summoner->services[i];
        if (service->starts || service->failures || service_last_use_wall(service) > 0)
            service_remember(service);
    }
}

int summoner_open_store(struct summoner *summoner, const char *path, struct error *error)
{
    struct store_options options = {.path = path,
                                    .base = summoner->base,
                                    .available = summoner_recall_late,
                                    .argument = summoner};
    summoner->store = store_new(&options, error);
    if (!summoner->store)
        return -1;
    recall_rows(summoner);
    return 0;
}

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
    summoner->use_timer = evtimer_new(summoner->base, use_timer_fired, summoner);
    if (!summoner->proxy || !summoner->use_timer || history_new(summoner) != 0 ||
        deadlines_new(summoner) != 0 || wants_new(summoner) != 0)
        return -1;
    return make_services(summoner);
}

static void free_parts(struct summoner *summoner)
{
    struct service *departed;
    for (size_t i = 0; i < summoner->service_count; i++)
        service_free(summoner->services[i]);
    while ((departed = TAILQ_FIRST(&summoner->departed))) {
        TAILQ_REMOVE(&summoner->departed, departed, waiting);
        service_free(departed);
    }
    free(summoner->services);
    free(summoner->hosts);
    if (summoner->wants.event)
        wants_free(summoner);
    deadlines_free(summoner);
    history_free(summoner);
    if (summoner->use_timer)
        event_free(summoner->use_timer);
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
    if (summoner->store) {
        remember_uses(summoner);
        store_free(summoner->store);
        summoner->store = NULL;
    }
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

/* --- listeners --- */

static bool is_listening(const struct service *service, const struct endpoint *endpoint,
                         uint16_t machine_port)
{
    for (unsigned i = 0; i < service->listener_count; i++)
        if (endpoint_equal(&service->listeners[i].endpoint, endpoint) &&
            service->listeners[i].machine_port == machine_port)
            return true;
    return false;
}

static void list_missing(const struct service *service, summoner_listener_function *function,
                         void *argument)
{
    const struct config_service *config = service->config;
    if (!config->network || config->network->type != CONFIG_NETWORK_USER)
        return;
    for (unsigned a = 0; a < config->address_count; a++)
        for (unsigned p = 0; p < config->port_count; p++) {
            struct endpoint endpoint = {config->addresses[a], config->ports[p].listen};
            if (!is_listening(service, &endpoint, config->ports[p].machine))
                function(argument, config->name, &endpoint, config->ports[p].machine);
        }
}

void summoner_missing_listeners(const struct summoner *summoner,
                                summoner_listener_function *function, void *argument)
{
    for (size_t i = 0; i < summoner->service_count; i++)
        list_missing(summoner->services[i], function, argument);
}

static int make_hold(struct service *service)
{
    service->hold = proxy_service_new(service->summoner->proxy, service);
    if (!service->hold)
        return -1;
    proxy_service_allow(service->hold, service->host->summon_from,
                        service->host->summon_from_count);
    service->refusing = false;
    service_publish(service);
    if (service->state == MACHINE_RUNNING)
        machine_open(service);
    return 0;
}

static int add_listener(struct service *service, const struct endpoint *endpoint,
                        uint16_t machine_port)
{
    struct service_listener *listeners =
        reallocarray(service->listeners, (size_t)service->listener_count + 1, sizeof *listeners);
    if (!listeners)
        return -1;
    service->listeners = listeners;
    listeners[service->listener_count++] = (struct service_listener){*endpoint, machine_port};
    return 0;
}

int summoner_listen(struct summoner *summoner, const char *name, const struct endpoint *endpoint,
                    uint16_t machine_port, int descriptor)
{
    struct service *service = summoner_service_of_name(summoner, name);
    if (!service || service->departed) {
        log_debug("%s: no longer configured: not listened for", name);
        close(descriptor);
        return 0;
    }
    if ((!service->hold && make_hold(service) != 0) ||
        add_listener(service, endpoint, machine_port) != 0) {
        close(descriptor);
        return -1;
    }
    if (proxy_service_listen(service->hold, descriptor, endpoint, machine_port) != 0) {
        service->listener_count--;
        return -1;
    }
    return 0;
}

/* --- what admin asks --- */

struct service *summoner_find(struct summoner *summoner, const char *name)
{
    const struct config_service *config = config_find_service(summoner->config, name);
    return config ? summoner->services[config - summoner->config->services] : NULL;
}

struct service *summoner_service_of_name(struct summoner *summoner, const char *name)
{
    struct service *service = summoner_find(summoner, name);
    if (service && strcmp(service->config->name, name) == 0)
        return service;
    TAILQ_FOREACH(service, &summoner->departed, waiting)
    {
        if (strcmp(service->config->name, name) == 0)
            return service;
    }
    return NULL;
}

size_t summoner_service_count(const struct summoner *summoner)
{
    return summoner->service_count;
}

struct service *summoner_service(struct summoner *summoner, size_t index)
{
    return summoner->services[index];
}

const struct config *summoner_config(const struct summoner *summoner)
{
    return summoner->config;
}

void summoner_limits(const struct summoner *summoner, struct limits_status *limits)
{
    *limits = (struct limits_status){
        .memory = summoner->used.memory - summoner->waiting.memory,
        .memory_limit = summoner->config->memory_limit,
        .machines = summoner->used.machines - summoner->waiting.machines,
        .machine_limit = summoner->config->machine_limit,
        .starts = summoner->starting,
        .start_limit = summoner->config->start_limit,
        .waiting = summoner->queue_length,
    };
}

void summoner_proxy_statistics(const struct summoner *summoner, struct proxy_statistics *statistics)
{
    proxy_statistics(summoner->proxy, statistics);
}

int summoner_start(struct summoner *summoner, struct service *service, struct error *error)
{
    if (service->state == MACHINE_STARTING || service->state == MACHINE_RUNNING || service->queued)
        return 0;
    if (summoner->stopping_all)
        return error_set(error, "jitsud is stopping all machines");
    if (!start_queue_has_room(service)) {
        start_queue_explain(service, error);
        return -1;
    }
    struct want *want = want_new(service, CAUSE_COMMAND, clock_now(), NULL, NULL, 0);
    if (!want)
        return error_set(error, "memory is exhausted");
    if (service->refused)
        start_queue_unrefuse(service);
    if (service->backing_off) {
        service->backing_off = false;
        deadline_clear(service);
    }
    service->stopped_by_command = false;
    service_want(service, want);
    return 0;
}

/* Nobody is to wait for a machine any more. */
static void withdraw_wants(struct service *service)
{
    if (service->queued)
        start_queue_remove(service);
    if (service->refused)
        start_queue_unrefuse(service);
    free(service->pending);
    service->pending = NULL;
    service_expect_wants(service);
    service_publish(service);
    service_turn_away(service);
}

int summoner_stop(struct summoner *summoner, struct service *service, enum config_stop mode,
                  struct error *error)
{
    (void)error;
    service->stopped_by_command = true;
    switch ((enum machine_state)service->state) {
    case MACHINE_OFF:
        withdraw_wants(service);
        break;
    case MACHINE_FAILED:
        withdraw_wants(service);
        machine_give_up(service, CAUSE_COMMAND);
        break;
    case MACHINE_STOPPING:
        withdraw_wants(service);
        if (mode == CONFIG_STOP_DESTROY)
            machine_destroy(service);
        break;
    case MACHINE_SUSPENDED:
        withdraw_wants(service);
        if (mode != CONFIG_STOP_SUSPEND)
            machine_stop(service, CONFIG_STOP_DESTROY, CAUSE_COMMAND);
        break;
    case MACHINE_STARTING:
        service_expect_wants(service);
        machine_stop(service, mode == CONFIG_STOP_SUSPEND ? CONFIG_STOP_DESTROY : mode,
                     CAUSE_COMMAND);
        break;
    default:
        service_expect_wants(service);
        machine_stop(service, mode, CAUSE_COMMAND);
    }
    start_queue_run(summoner);
    return 0;
}

/* --- stopping all --- */

void summoner_machine_ended(struct summoner *summoner)
{
    struct machine_run *run;
    void (*done)(void *argument) = summoner->all_stopped;

    if (!done)
        return;
    TAILQ_FOREACH(run, &summoner->runs, entry)
    {
        if (run->service->state != MACHINE_SUSPENDED)
            return;
    }
    summoner->all_stopped = NULL;
    done(summoner->all_stopped_argument);
}

void summoner_stop_all(struct summoner *summoner, void (*done)(void *argument), void *argument)
{
    struct machine_run *run;
    struct service *service;

    summoner->stopping_all = true;
    summoner->all_stopped = done;
    summoner->all_stopped_argument = argument;
    while ((service = TAILQ_FIRST(&summoner->queue)))
        start_queue_remove(service);
    TAILQ_FOREACH(run, &summoner->runs, entry)
    {
        service = run->service;
        enum config_stop mode = (enum config_stop)service->config->stop;
        if (service->state == MACHINE_STARTING && mode == CONFIG_STOP_SUSPEND)
            mode = CONFIG_STOP_DESTROY;
        if (service->state == MACHINE_STARTING || service->state == MACHINE_RUNNING)
            machine_stop(service, mode, CAUSE_SHUTDOWN);
    }
    summoner_machine_ended(summoner);
}
