#include <inttypes.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/parts.h"

/* --- limits --- */

static bool fits(const struct config *config, uint64_t memory_used, unsigned machines_used,
                 uint64_t memory)
{
    return machines_used < config->machine_limit && memory_used <= config->memory_limit &&
           memory <= config->memory_limit - memory_used;
}

/* Will there be room for it, once those that are about to end have ended? What waits to be started
 * has its share already. */
static bool is_admissible(const struct summoner *summoner, uint64_t memory)
{
    return fits(summoner->config, summoner->used.memory - summoner->leaving.memory,
                summoner->used.machines - summoner->leaving.machines, memory);
}

/* Is there room for it now, beside the machines that exist? */
static bool fits_now(const struct summoner *summoner, const struct machine_run *run)
{
    return run->serial || fits(summoner->config, summoner->used.memory - summoner->waiting.memory,
                               summoner->used.machines - summoner->waiting.machines, run->memory);
}

void start_queue_explain(const struct service *service, struct error *error)
{
    const struct summoner *summoner = service->summoner;
    const struct config *config = summoner->config;
    if (summoner->used.machines >= config->machine_limit)
        error_set(error, "limits: machines: %u of %u are in use", summoner->used.machines,
                  config->machine_limit);
    else
        error_set(
            error, "limits: memory: %" PRIu64 "M of %" PRIu64 "M are in use, it needs %" PRIu64 "M",
            summoner->used.memory >> 20, config->memory_limit >> 20, service->config->memory >> 20);
}

/* --- starts that wait for their turn --- */

static void leave_queue(struct service *service)
{
    TAILQ_REMOVE(&service->summoner->queue, service, waiting);
    service->summoner->queue_length--;
    service->queued = false;
}

/* Anybody can make up instances of a wildcard: services that have names of their own come first. */
static void enter_queue(struct service *service)
{
    struct service_list *queue = &service->summoner->queue;
    struct service *before = TAILQ_LAST(queue, service_list);
    while (before && before->of && !service->of)
        before = TAILQ_PREV(before, service_list, waiting);
    if (before)
        TAILQ_INSERT_AFTER(queue, before, service, waiting);
    else
        TAILQ_INSERT_HEAD(queue, service, waiting);
    service->summoner->queue_length++;
    service->queued = true;
}

/* First come, first served, except that a start whose room is still being vacated lets those pass
 * that have theirs. All in the queue were admitted together, so none waits for another. */
static void start_what_may(struct summoner *summoner)
{
    struct service *next;
    if (!summoner->synchronised)
        return;
    for (struct service *service = TAILQ_FIRST(&summoner->queue);
         service && summoner->starting < summoner->config->start_limit; service = next) {
        next = TAILQ_NEXT(service, waiting);
        if (!fits_now(summoner, service->run))
            continue;
        leave_queue(service);
        machine_start(service);
    }
}

bool start_queue_has_room(struct service *service)
{
    struct summoner *summoner = service->summoner;
    if (service->run || is_admissible(summoner, service->config->memory))
        return true;
    deadlines_run(summoner); /* which reaps what is idle by now */
    return is_admissible(summoner, service->config->memory);
}

void start_queue_add(struct service *service, struct want *want)
{
    struct summoner *summoner = service->summoner;

    if (!service->run) {
        service->run = machine_run_new(service);
        if (!service->run) {
            log_error("%s: memory is exhausted: not started; the next query or connection tries "
                      "again",
                      service->config->name);
            free(want);
            service_expect_wants(service);
            service_publish(service);
            service_turn_away(service);
            return;
        }
    }
    free(service->run->want);
    service->run->want = want;
    enter_queue(service);
    start_what_may(summoner);
    if (service->queued)
        service_publish(service);
}

void start_queue_remove(struct service *service)
{
    leave_queue(service);
    if (!service->run->serial)
        machine_run_free(service->run);
}

/* --- services refused --- */

void start_queue_refuse(struct service *service, struct want *want)
{
    struct summoner *summoner = service->summoner;

    if (TAILQ_EMPTY(&summoner->refused)) {
        struct error error;
        start_queue_explain(service, &error);
        log_warning("%s: not started: %s; its queries get SERVFAIL and its connections are reset "
                    "until there is room (and so for other services, without a line for each)",
                    service->config->name, error.text);
        summoner->refused_count = 0;
        summoner->refused_least = UINT64_MAX;
    }
    free(service->pending);
    service->pending = want;
    service->refused = true;
    TAILQ_INSERT_TAIL(&summoner->refused, service, waiting);
    summoner->refused_count++;
    if (service->config->memory < summoner->refused_least)
        summoner->refused_least = service->config->memory;
    service_publish(service);
    service_turn_away(service);
}

void start_queue_unrefuse(struct service *service)
{
    TAILQ_REMOVE(&service->summoner->refused, service, waiting);
    service->refused = false;
    free(service->pending);
    service->pending = NULL;
}

/* A want lasts as long as a use keeps a machine up. */
static bool is_still_wanted(const struct service *service)
{
    if (service->config->keep == CONFIG_KEEP_ALWAYS && !service->stopped_by_command)
        return true;
    uint64_t last = service_last_use(service);
    if (service->pending && service->pending->moment > last)
        last = service->pending->moment;
    return last + service->config->idle > clock_now();
}

static void reconsider(struct service *service)
{
    struct want *want = service->pending;
    bool wanted = is_still_wanted(service);

    service->pending = NULL;
    start_queue_unrefuse(service);
    if (wanted) {
        service_want(service, want);
    } else {
        free(want);
        service_expect_wants(service);
        service_publish(service);
    }
}

/* Stops where no refused service can fit, so that its work is that of the starts it makes. */
static void reconsider_refused(struct summoner *summoner)
{
    struct service *next;
    uint64_t least = UINT64_MAX;

    if (TAILQ_EMPTY(&summoner->refused))
        return;
    for (struct service *service = TAILQ_FIRST(&summoner->refused); service; service = next) {
        next = TAILQ_NEXT(service, waiting);
        if (!is_admissible(summoner, summoner->refused_least))
            return;
        if (is_admissible(summoner, service->config->memory) || !is_still_wanted(service))
            reconsider(service);
        else if (service->config->memory < least)
            least = service->config->memory;
    }
    summoner->refused_least = least;
    if (TAILQ_EMPTY(&summoner->refused))
        log_info("there is room for machines again; services refused meanwhile: %" PRIu64,
                 summoner->refused_count);
}

void start_queue_run(struct summoner *summoner)
{
    start_what_may(summoner);
    reconsider_refused(summoner);
    instances_reopen(summoner);
}
