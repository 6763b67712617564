#include "admin/start_durations.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/log.h"

#define HASH_SIZE 1024 /* a power of 2 */

#define MS NANOSECONDS_PER_MILLISECOND

const uint64_t start_bucket_bounds[START_BUCKETS] = {
    5 * MS,   10 * MS,  20 * MS,  35 * MS,   50 * MS,   75 * MS,   100 * MS,
    150 * MS, 250 * MS, 500 * MS, 1000 * MS, 2500 * MS, 5000 * MS, 10000 * MS,
};

struct service_durations {
    SLIST_ENTRY(service_durations) entry;
    struct start_histogram histograms[START_PHASES];
    char service[CONFIG_NAME_TEXT_MAX];
};

struct start_durations {
    SLIST_HEAD(, service_durations) services[HASH_SIZE];
    size_t count;
    struct service_durations others;
};

struct start_durations *start_durations_new(void)
{
    struct start_durations *durations = calloc(1, sizeof *durations);
    if (durations)
        strcpy(durations->others.service, START_DURATIONS_OTHERS);
    return durations;
}

void start_durations_free(struct start_durations *durations)
{
    if (!durations)
        return;
    for (size_t i = 0; i < HASH_SIZE; i++) {
        struct service_durations *service;
        while ((service = SLIST_FIRST(&durations->services[i]))) {
            SLIST_REMOVE_HEAD(&durations->services[i], entry);
            free(service);
        }
    }
    free(durations);
}

/* FNV-1a. */
static size_t hash(const char *name)
{
    uint32_t value = 2166136261u;
    for (; *name; name++)
        value = (value ^ (unsigned char)*name) * 16777619u;
    return value % HASH_SIZE;
}

static struct service_durations *find(struct start_durations *durations, const char *name)
{
    size_t slot = hash(name);
    struct service_durations *service;

    SLIST_FOREACH(service, &durations->services[slot], entry)
    if (strcmp(service->service, name) == 0)
        return service;
    if (durations->count == START_DURATIONS_SERVICES)
        return &durations->others;
    service = calloc(1, sizeof *service);
    if (!service) {
        log_error("metrics: memory exhausted: %s is counted among the others", name);
        return &durations->others;
    }
    memcpy(service->service, name, strnlen(name, sizeof service->service - 1));
    SLIST_INSERT_HEAD(&durations->services[slot], service, entry);
    durations->count++;
    return service;
}

static void observe(struct service_durations *service, enum start_phase phase, uint64_t duration)
{
    struct start_histogram *histogram = &service->histograms[phase];
    size_t bucket = 0;

    if (duration == 0) /* not reached, or not known */
        return;
    while (bucket < START_BUCKETS && duration > start_bucket_bounds[bucket])
        bucket++;
    histogram->buckets[bucket]++;
    histogram->sum += duration;
}

void start_durations_record(struct start_durations *durations, const struct transition *transition)
{
    const struct start_phases *phases = &transition->phases;

    if (transition->from == MACHINE_STARTING && transition->to == MACHINE_RUNNING) {
        struct service_durations *service = find(durations, transition->service);
        observe(service, PHASE_SPAWNED, phases->spawned);
        observe(service, PHASE_ENTERED, phases->entered);
        observe(service, PHASE_READY, phases->ready);
    } else if (transition->from == MACHINE_RUNNING && transition->to == MACHINE_RUNNING) {
        observe(find(durations, transition->service), PHASE_FIRST_BYTE, phases->first_byte);
    }
}

const char *start_phase_name(enum start_phase phase)
{
    static const char *const names[START_PHASES] = {"spawned", "entered", "ready", "first_byte"};
    return names[phase];
}

static bool counts_anything(const struct start_histogram *histogram)
{
    for (size_t i = 0; i <= START_BUCKETS; i++)
        if (histogram->buckets[i])
            return true;
    return false;
}

static void visit(const struct service_durations *service, start_histogram_function *function,
                  void *argument)
{
    for (unsigned phase = 0; phase < START_PHASES; phase++)
        if (counts_anything(&service->histograms[phase]))
            function(argument, service->service, phase, &service->histograms[phase]);
}

void start_durations_visit(const struct start_durations *durations,
                           start_histogram_function *function, void *argument)
{
    const struct service_durations *service;

    for (size_t i = 0; i < HASH_SIZE; i++)
        SLIST_FOREACH(service, &durations->services[i], entry)
    visit(service, function, argument);
    visit(&durations->others, function, argument);
}
