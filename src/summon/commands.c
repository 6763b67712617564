#include <stdlib.h>

#include "common/clock.h"
#include "summon/parts.h"

int summoner_start(struct summoner *summoner, struct service *service, struct error *error)
{
    if (service->state == MACHINE_STARTING || service->state == MACHINE_RUNNING || service->queued)
        return 0;
    if (service->wildcard)
        return error_set(error, "a wildcard has no machine itself: name one of its instances");
    if (summoner->stopping_all)
        return error_set(error, "jitsud is stopping all machines");
    instance_hold(service);
    if (!start_queue_has_room(service)) {
        service_publish(service);
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
    if (service->wildcard)
        return error_set(error, "a wildcard has no machine itself: name one of its instances");
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
