#include "summon_double.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"

#define HISTORY_MAX 1024
#define CONSOLE_MAX 65536

struct subscription {
    LIST_ENTRY(subscription) entry;
    transition_function *transition;
    console_function *console;
    const struct service *service;
    void *argument;
};

struct service {
    struct summoner *summoner;
    struct config_service config;
    struct service_status status;
    struct event *step;
    unsigned steps;
    char console[CONSOLE_MAX];
    size_t console_length;
};

struct summoner {
    struct event_base *base;
    struct service **services;
    size_t count;
    struct limits_status limits;
    struct config config;
    struct config_network network;
    struct transition history[HISTORY_MAX];
    uint64_t transitions;
    LIST_HEAD(, subscription) subscriptions;
};

struct dns_statistics double_dns_statistics;
struct proxy_statistics double_proxy_statistics;
struct port_statistics double_port_statistics;

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

struct summoner *double_new(struct event_base *base)
{
    struct summoner *summoner = must(calloc(1, sizeof *summoner));
    summoner->base = base;
    summoner->network = (struct config_network){
        .name = (char *)"loopback", .type = CONFIG_NETWORK_USER, .hold = CONFIG_HOLD_PROXY};
    summoner->limits = (struct limits_status){
        .memory_limit = UINT64_C(4) << 30, .machine_limit = 64, .start_limit = 4};
    LIST_INIT(&summoner->subscriptions);
    return summoner;
}

void double_free(struct summoner *summoner)
{
    for (size_t i = 0; i < summoner->count; i++) {
        struct service *service = summoner->services[i];
        if (service->step)
            event_free(service->step);
        free(service->config.name);
        free(service->config.aliases);
        free(service->config.addresses);
        free(service->config.ports);
        free(service);
    }
    free(summoner->services);
    free(summoner);
}

struct service *double_add(struct summoner *summoner, const char *name)
{
    size_t count = summoner->count++;
    struct service *service = must(calloc(1, sizeof *service));
    struct config_service *config = &service->config;

    summoner->services =
        must(realloc(summoner->services, summoner->count * sizeof *summoner->services));
    summoner->services[count] = service;
    service->summoner = summoner;
    service->status.config = config;
    config->name = must(strdup(name));
    config->aliases = must(calloc(1, sizeof *config->aliases));
    config->image = (char *)"/usr/lib/jitsu/unikernels/www.elf";
    config->network = &summoner->network;
    config->addresses = must(calloc(1, sizeof *config->addresses));
    config->addresses[0] = (struct address){
        AF_INET, {127, (uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)(count + 1)}};
    config->address_count = 1;
    config->ports = must(calloc(2, sizeof *config->ports));
    config->ports[0] = (struct config_port){80, 80};
    config->ports[1] = (struct config_port){8443, 443};
    config->port_count = 2;
    config->hold = CONFIG_HOLD_PROXY;
    config->memory = 16 << 20;
    return service;
}

struct service_status *double_status(struct service *service)
{
    return &service->status;
}

struct config_service *double_config(struct service *service)
{
    return &service->config;
}

void double_limits(struct summoner *summoner, const struct limits_status *limits)
{
    summoner->limits = *limits;
}

void double_move(struct service *service, enum machine_state to, const struct transition *details)
{
    struct summoner *summoner = service->summoner;
    struct transition transition = details ? *details : (struct transition){.cause = "command"};
    struct subscription *subscription, *next;

    transition.number = ++summoner->transitions;
    transition.time = clock_wall();
    transition.from = service->status.state;
    transition.to = to;
    snprintf(transition.service, sizeof transition.service, "%s", service->config.name);
    service->status.state = to;
    summoner->history[(transition.number - 1) % HISTORY_MAX] = transition;
    for (subscription = LIST_FIRST(&summoner->subscriptions); subscription; subscription = next) {
        next = LIST_NEXT(subscription, entry);
        if (subscription->transition)
            subscription->transition(subscription->argument, &transition);
    }
}

void double_print(struct service *service, const void *bytes, size_t length)
{
    struct subscription *subscription, *next;

    if (service->console_length + length > CONSOLE_MAX)
        service->console_length = 0;
    memcpy(service->console + service->console_length, bytes, length);
    service->console_length += length;
    for (subscription = LIST_FIRST(&service->summoner->subscriptions); subscription;
         subscription = next) {
        next = LIST_NEXT(subscription, entry);
        if (subscription->console && subscription->service == service)
            subscription->console(subscription->argument, service, bytes, length);
    }
}

/* --- a start, played --- */

static void take_step(struct service *service, unsigned milliseconds)
{
    struct timeval delay = clock_timeval(milliseconds * NANOSECONDS_PER_MILLISECOND);
    event_add(service->step, &delay);
}

static void flood(struct service *service)
{
    for (unsigned i = 0; i < DOUBLE_FLOOD; i++)
        double_move(service, MACHINE_RUNNING,
                    &(struct transition){.cause = "first-byte", .query = "flood.example.org A"});
}

static void on_step(int descriptor, short what, void *argument)
{
    struct service *service = argument;
    struct transition details = {
        .cause = "ready",
        .phases = {.spawned = 1200000, .entered = 48123456, .ready = 55000000},
    };
    static const char banner[] = "www: ready \xe2\x9c\x93 caf\xe9\n";

    (void)descriptor, (void)what;
    switch (service->steps++) {
    case 0:
        if (strncmp(service->config.name, "broken", 6) == 0) {
            snprintf(details.cause, sizeof details.cause, "start-failed");
            snprintf(details.reason, sizeof details.reason, "qemu exited with status 1");
            strcpy(service->status.error, details.reason);
            service->status.failures++;
            service->status.retry = clock_wall() + 5;
            double_move(service, MACHINE_FAILED, &details);
            return;
        }
        service->status.pid = 4711;
        service->status.started = clock_wall();
        double_print(service, banner, sizeof banner - 1);
        double_move(service, MACHINE_RUNNING, &details);
        take_step(service, 5);
        break;
    case 1:
        snprintf(details.cause, sizeof details.cause, "first-byte");
        details.phases.first_byte = 58300000;
        service->status.last_use = clock_wall();
        double_move(service, MACHINE_RUNNING, &details);
        break;
    default:
        break;
    }
}

int summoner_start(struct summoner *summoner, struct service *service, struct error *error)
{
    struct transition details = {.cause = "command",
                                 .has_client = true,
                                 .client = {{AF_INET, {127, 0, 0, 1}}, 5353},
                                 .query = "www.example.org A"};

    if (strncmp(service->config.name, "refused", 7) == 0)
        return error_set(error, "%s is not started: 64 machines run, and limits.machines allows 64",
                         service->config.name);
    if (strncmp(service->config.name, "queued", 6) == 0)
        return 0;
    if (strncmp(service->config.name, "flood", 5) == 0) {
        flood(service);
        return 0;
    }
    if (service->status.state == MACHINE_STARTING || service->status.state == MACHINE_RUNNING)
        return 0;
    service->status.starts++;
    service->steps = 0;
    double_move(service, MACHINE_STARTING, &details);
    if (strncmp(service->config.name, "stuck", 5) == 0)
        return 0;
    if (!service->step)
        service->step = must(evtimer_new(summoner->base, on_step, service));
    take_step(service, 10);
    return 0;
}

int summoner_stop(struct summoner *summoner, struct service *service, enum config_stop mode,
                  struct error *error)
{
    (void)summoner;
    if (strncmp(service->config.name, "refused", 7) == 0)
        return error_set(error, "%s is not stopped: keep: always", service->config.name);
    if (service->status.state == MACHINE_OFF)
        return 0;
    service->status.pid = 0;
    service->status.started = 0;
    double_move(service, MACHINE_STOPPING, NULL);
    double_move(service, mode == CONFIG_STOP_SUSPEND ? MACHINE_SUSPENDED : MACHINE_OFF, NULL);
    return 0;
}

/* --- what admin asks --- */

struct service *summoner_find(struct summoner *summoner, const char *name,
                              const struct config_service **wildcard)
{
    if (wildcard)
        *wildcard = NULL;
    for (size_t i = 0; i < summoner->count; i++) {
        const struct config_service *config = &summoner->services[i]->config;
        if (strcmp(config->name, name) == 0)
            return summoner->services[i];
        for (unsigned alias = 0; alias < config->alias_count; alias++)
            if (strcmp(config->aliases[alias], name) == 0)
                return summoner->services[i];
    }
    return NULL;
}

struct service *summoner_find_or_make(struct summoner *summoner, const char *name,
                                      struct error *error)
{
    struct service *service = summoner_find(summoner, name, NULL);
    if (!service)
        error_set(error, "there is no service \"%s\"", name);
    return service;
}

bool service_is_wildcard(const struct service *service)
{
    return service->config.name[0] == '*';
}

size_t summoner_service_count(const struct summoner *summoner)
{
    return summoner->count;
}

struct service *summoner_service(const struct summoner *summoner, size_t index)
{
    return summoner->services[index];
}

const struct config *summoner_config(const struct summoner *summoner)
{
    return &summoner->config;
}

void service_status(const struct service *service, struct service_status *status)
{
    *status = service->status;
}

enum machine_state service_state(const struct service *service)
{
    return service->status.state;
}

void summoner_limits(const struct summoner *summoner, struct limits_status *limits)
{
    *limits = summoner->limits;
}

void summoner_history(struct summoner *summoner, transition_function *function, void *argument)
{
    uint64_t first = summoner->transitions > HISTORY_MAX ? summoner->transitions - HISTORY_MAX : 0;
    for (uint64_t i = first; i < summoner->transitions; i++)
        function(argument, &summoner->history[i % HISTORY_MAX]);
}

static struct subscription *subscribe(struct summoner *summoner, struct subscription template)
{
    struct subscription *subscription = must(malloc(sizeof *subscription));
    *subscription = template;
    LIST_INSERT_HEAD(&summoner->subscriptions, subscription, entry);
    return subscription;
}

struct subscription *summoner_subscribe(struct summoner *summoner, transition_function *function,
                                        void *argument)
{
    return subscribe(summoner, (struct subscription){.transition = function, .argument = argument});
}

struct subscription *summoner_subscribe_console(struct summoner *summoner, struct service *service,
                                                console_function *function, void *argument)
{
    return subscribe(summoner, (struct subscription){
                                   .console = function, .service = service, .argument = argument});
}

void summoner_unsubscribe(struct summoner *summoner, struct subscription *subscription)
{
    (void)summoner;
    LIST_REMOVE(subscription, entry);
    free(subscription);
}

size_t service_console(const struct service *service, const char **bytes)
{
    *bytes = service->console;
    return service->console_length;
}

void summoner_counters(const struct summoner *summoner,
                       const struct summon_counter_visitor *visitor)
{
    for (size_t i = 0; i < summoner->count; i++) {
        const struct service *service = summoner->services[i];
        if (service->status.starts)
            visitor->starts(visitor->argument, service->config.name, "dns", service->status.starts);
        if (service->status.failures)
            visitor->failures(visitor->argument, service->config.name, "boot-timeout",
                              service->status.failures);
        if (service->status.starts)
            visitor->stops(visitor->argument, service->config.name, "idle", service->status.starts);
    }
}

void summoner_proxy_statistics(const struct summoner *summoner, struct proxy_statistics *statistics)
{
    (void)summoner;
    *statistics = double_proxy_statistics;
}

void dns_server_statistics(const struct dns_server *server, struct dns_statistics *statistics)
{
    (void)server;
    *statistics = double_dns_statistics;
}

void summoner_port_statistics(const struct summoner *summoner, struct port_statistics *statistics)
{
    (void)summoner;
    *statistics = double_port_statistics;
}

/* Each service as many as it was started. */
void summoner_handed_over(const struct summoner *summoner, summoner_handed_over_function *function,
                          void *argument)
{
    for (size_t i = 0; i < summoner_service_count(summoner); i++) {
        struct service_status status;
        service_status(summoner_service(summoner, i), &status);
        if (status.starts)
            function(argument, status.config->name, status.starts);
    }
}
