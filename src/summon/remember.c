#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "summon/parts.h"

#define REMEMBER_USES_EVERY (5 * NANOSECONDS_PER_SECOND)

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
    remember_while_running(summoner);
}

void remember_while_running(struct summoner *summoner)
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

/* The first time only: what is read later was written from here. Instances are made when the keeper
 * says that it has their machine: until then their rows are kept. */
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
    free(summoner->recalled_rows);
    summoner->recalled_rows = rows;
    summoner->recalled_count = count;
    if (summoner->kept_are_started)
        remember_no_more(summoner);
}

void remember_instance(struct service *instance)
{
    const struct summoner *summoner = instance->summoner;
    for (size_t i = 0; i < summoner->recalled_count; i++)
        if (strcmp(summoner->recalled_rows[i].service, instance->config->name) == 0)
            recall(instance, &summoner->recalled_rows[i]);
}

void remember_no_more(struct summoner *summoner)
{
    char label[CONFIG_LABEL_MAX + 1];
    for (size_t i = 0; i < summoner->recalled_count; i++) {
        struct store_row *row = &summoner->recalled_rows[i];
        struct store_slot slot = {0};
        if (summoner_wildcard_of(summoner, row->service, label) &&
            !summoner_service_of_name(summoner, row->service)) {
            row->forgotten = true;
            store_put(summoner->store, &slot, row);
        }
    }
    free(summoner->recalled_rows);
    summoner->recalled_rows = NULL;
    summoner->recalled_count = 0;
}

void remember_again(void *argument)
{
    struct summoner *summoner = argument;
    recall_rows(summoner);
    for (size_t i = 0; i < summoner_service_count(summoner); i++) {
        struct service *service = summoner_service(summoner, i);
        if (service->starts || service->failures || service_last_use_wall(service) > 0)
            service_remember(service);
    }
}

int summoner_open_store(struct summoner *summoner, const char *path, struct error *error)
{
    struct store_options options = {
        .path = path, .base = summoner->base, .available = remember_again, .argument = summoner};
    summoner->use_timer = evtimer_new(summoner->base, use_timer_fired, summoner);
    if (!summoner->use_timer)
        return error_set(error, "memory is exhausted while opening %s", path);
    summoner->store = store_new(&options, error);
    if (!summoner->store)
        return -1;
    recall_rows(summoner);
    return 0;
}

void remember_end(struct summoner *summoner)
{
    if (summoner->store) {
        remember_uses(summoner);
        store_free(summoner->store);
        summoner->store = NULL;
    }
    free(summoner->recalled_rows);
    summoner->recalled_rows = NULL;
    if (summoner->use_timer)
        event_free(summoner->use_timer);
    summoner->use_timer = NULL;
}
