#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/parts.h"

/* Of open connections, and of packets that only the kernel counts, nobody tells when the last was:
 * the reaper looks that many times in an idle time, and a machine may go on unused for so much
 * longer. */
#define LOOKS            8
#define LOOK_PAUSE_LEAST (10 * NANOSECONDS_PER_MILLISECOND)

static bool connections_keep_it(const struct service *service)
{
    return service->config->idle_connections == CONFIG_CONNECTIONS_KEEP &&
           holding_knows_whose(service) && service_connections(service) > 0;
}

/* A machine that has just become ready has not been used yet, nor has one just adopted. */
static uint64_t idle_from(const struct service *service)
{
    uint64_t last = service_last_use(service);
    return (last > service->run->ready ? last : service->run->ready) + service->config->idle;
}

static uint64_t next_look(const struct service *service)
{
    uint64_t pause = service->config->idle / LOOKS;
    return clock_now() + (pause > LOOK_PAUSE_LEAST ? pause : LOOK_PAUSE_LEAST);
}

void reaper_watch(struct service *service)
{
    uint64_t look = next_look(service), idle = idle_from(service);
    if (service->config->keep == CONFIG_KEEP_ALWAYS)
        deadline_clear(service);
    else if (connections_keep_it(service) || (holding_is_counted(service) && look < idle))
        deadline_set(service, look);
    else
        deadline_set(service, idle);
}

/* Asks the keeper whether packets have come, which answers by reaper_learn(). While it is away
 * nothing is decided. */
static void ask_keeper(struct service *service)
{
    const struct summoner *summoner = service->summoner;
    struct message message =
        message_make(MESSAGE_LOOK, service->run->serial, service->config->name);
    if (summoner->synchronised)
        summoner_send(service->summoner, &message);
    else
        deadline_set(service, next_look(service));
}

static void reap_if_idle(struct service *service)
{
    uint64_t now = clock_now();

    service_expect_wants(service);
    if (connections_keep_it(service))
        service->run->was_in_use = now;
    if (connections_keep_it(service) || idle_from(service) > now)
        reaper_watch(service);
    else
        machine_stop(service, (enum config_stop)service->config->stop, CAUSE_IDLE);
}

void reaper_learn(struct service *service, bool used)
{
    if (service->state != MACHINE_RUNNING || service->config->keep == CONFIG_KEEP_ALWAYS)
        return;
    if (used)
        service->run->was_in_use = clock_now();
    reap_if_idle(service);
}

void reaper_begin_anew(struct service *service)
{
    if (service->state != MACHINE_RUNNING)
        return;
    service->run->was_in_use = clock_now();
    reaper_watch(service);
}

static void time_out(struct service *service)
{
    char reason[REASON_TEXT_MAX];
    snprintf(reason, sizeof reason, "not ready within boot-timeout, %.4g s",
             (double)service->config->boot_timeout / (double)NANOSECONDS_PER_SECOND);
    machine_gone(service, EVENT_BOOT_TIMEOUT, reason);
}

static void stop_waiting(struct service *service)
{
    log_info("%s: it has not finished within shutdown-timeout: destroying it",
             service->config->name);
    machine_destroy(service);
}

static void end_back_off(struct service *service)
{
    service->backing_off = false;
    service_expect_wants(service);
    service_publish(service);
    service_keep(service);
}

void service_due(struct service *service)
{
    switch ((enum machine_state)service->state) {
    case MACHINE_STARTING:
        time_out(service);
        break;
    case MACHINE_RUNNING:
        if (holding_is_counted(service))
            ask_keeper(service);
        else
            reap_if_idle(service);
        break;
    case MACHINE_STOPPING:
        stop_waiting(service);
        break;
    case MACHINE_FAILED:
        if (service->backing_off)
            end_back_off(service);
        else if (service->of)
            instance_due(service);
        break;
    case MACHINE_OFF:
        if (service->of)
            instance_due(service);
        break;
    default:
        break;
    }
}
