#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/parts.h"

/* How much of its idle time a machine with open connections may go on unused after the last of
 * them has ended unseen: the reaper looks that many times in an idle time. */
#define LOOKS_AT_CONNECTIONS 8

static bool connections_keep_it(const struct service *service)
{
    return service->config->idle_connections == CONFIG_CONNECTIONS_KEEP &&
           service_connections(service) > 0;
}

/* A machine that has just become ready has not been used yet, nor has one just adopted. */
static uint64_t idle_from(const struct service *service)
{
    uint64_t last = service_last_use(service);
    return (last > service->run->ready ? last : service->run->ready) + service->config->idle;
}

void reaper_watch(struct service *service)
{
    const struct config_service *config = service->config;
    if (config->keep == CONFIG_KEEP_ALWAYS)
        deadline_clear(service);
    else if (connections_keep_it(service))
        deadline_set(service, clock_now() + config->idle / LOOKS_AT_CONNECTIONS);
    else
        deadline_set(service, idle_from(service));
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
        reap_if_idle(service);
        break;
    case MACHINE_STOPPING:
        stop_waiting(service);
        break;
    case MACHINE_FAILED:
        end_back_off(service);
        break;
    default:
        break;
    }
}
