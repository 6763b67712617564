#include <stdlib.h>

#include "common/log.h"
#include "summon/parts.h"

static const enum cause start_causes[] = {CAUSE_DNS, CAUSE_CONNECTION, CAUSE_KEEP, CAUSE_COMMAND};
static const enum cause failure_causes[] = {CAUSE_START_FAILED, CAUSE_BOOT_TIMEOUT, CAUSE_EXITED};
static const enum cause stop_causes[] = {CAUSE_IDLE, CAUSE_COMMAND, CAUSE_RELOAD, CAUSE_SHUTDOWN};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct service_counters {
    struct service_counters *next, **link; /* in summoner.counters */
    const struct service *service;
    uint64_t starts[LENGTH(start_causes)];
    uint64_t failures[LENGTH(failure_causes)];
    uint64_t stops[LENGTH(stop_causes)];
};

/* NULL if memory is exhausted: then the event is not counted. */
static struct service_counters *counters_of(struct service *service)
{
    if (service->of)
        service = service->of;
    struct summoner *summoner = service->summoner;
    if (service->counters)
        return service->counters;
    struct service_counters *counters = calloc(1, sizeof *counters);
    if (!counters) {
        log_error("%s: memory is exhausted: an event is missing in the metrics",
                  service->config->name);
        return NULL;
    }
    counters->service = service;
    counters->next = summoner->counters;
    counters->link = &summoner->counters;
    if (counters->next)
        counters->next->link = &counters->next;
    summoner->counters = counters;
    service->counters = counters;
    return counters;
}

void counters_free(struct service *service)
{
    struct service_counters *counters = service->counters;
    if (!counters)
        return;
    *counters->link = counters->next;
    if (counters->next)
        counters->next->link = counters->link;
    free(counters);
}

static void count(uint64_t *counts, const enum cause *causes, size_t length, enum cause cause)
{
    for (size_t i = 0; i < length; i++)
        if (causes[i] == cause)
            counts[i]++;
}

void counters_start(struct service *service, enum cause cause)
{
    struct service_counters *counters = counters_of(service);
    if (counters)
        count(counters->starts, start_causes, LENGTH(start_causes), cause);
}

void counters_failure(struct service *service, enum cause cause)
{
    struct service_counters *counters = counters_of(service);
    if (counters)
        count(counters->failures, failure_causes, LENGTH(failure_causes), cause);
}

void counters_stop(struct service *service, enum cause cause)
{
    struct service_counters *counters = counters_of(service);
    if (counters)
        count(counters->stops, stop_causes, LENGTH(stop_causes), cause);
}

static void visit(void (*function)(void *argument, const char *service, const char *cause,
                                   uint64_t count),
                  void *argument, const struct service_counters *counters, const uint64_t *counts,
                  const enum cause *causes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (counts[i])
            function(argument, counters->service->config->name, cause_name(causes[i]), counts[i]);
}

void summoner_counters(const struct summoner *summoner,
                       const struct summon_counter_visitor *visitor)
{
    for (const struct service_counters *c = summoner->counters; c; c = c->next) {
        visit(visitor->starts, visitor->argument, c, c->starts, start_causes, LENGTH(start_causes));
        visit(visitor->failures, visitor->argument, c, c->failures, failure_causes,
              LENGTH(failure_causes));
        visit(visitor->stops, visitor->argument, c, c->stops, stop_causes, LENGTH(stop_causes));
    }
}
