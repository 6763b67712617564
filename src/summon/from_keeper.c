#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/parts.h"

void summoner_send(struct summoner *summoner, const struct message *message)
{
    if (summoner->link)
        message_link_send(summoner->link, message, -1);
}

/* --- the link --- */

void summoner_keeper_lost(struct summoner *summoner)
{
    summoner->link = NULL;
    summoner->synchronised = false;
}

void summoner_set_keeper(struct summoner *summoner, struct message_link *link)
{
    struct machine_run *run;
    summoner->link = link;
    summoner->synchronised = false;
    TAILQ_FOREACH(run, &summoner->runs, entry)
    {
        run->reported = false;
    }
}

/* --- comparing the keeper's machines with ours --- */

static void stop_stranger(struct summoner *summoner, const struct message *message, const char *why)
{
    log_warning("%s: the keeper has a machine (run %u) %s: destroying it", message->service,
                message->serial, why);
    machine_send_stop(summoner, message->service, message->serial, CONFIG_STOP_DESTROY);
}

static void confirm(struct service *service, const struct message *message)
{
    struct machine_run *run = service->run;
    run->reported = true;
    if (run->leaving || service->state == MACHINE_STOPPING) {
        enum config_stop mode = service->state == MACHINE_STOPPING
                                    ? (enum config_stop)run->stop_mode
                                    : CONFIG_STOP_DESTROY;
        machine_send_stop(service->summoner, message->service, run->serial, mode);
    } else if (message->machine.ready && service->state != MACHINE_RUNNING) {
        machine_ready(service, EVENT_ADOPTED, message);
    } else {
        if (machine_describe(service, message) && message->machine.ready)
            holding_ready(service);
        reaper_begin_anew(service);
    }
}

static bool is_in_place(const struct service *service, const struct message_place *place)
{
    const struct config_service *config = service->config;
    if (!service->of)
        return true;
    if (place->count != config->address_count)
        return false;
    for (unsigned i = 0; i < place->count; i++)
        if (!address_equal(&place->addresses[i], &config->addresses[i]))
            return false;
    return true;
}

/* The service of the machine; an instance of a wildcard becomes known by it, in the place that the
 * machine has the addresses of. */
static struct service *service_of_machine(struct summoner *summoner, const struct message *message)
{
    struct error error;
    char label[CONFIG_LABEL_MAX + 1];
    const struct message_place *place = &message->machine.place;
    struct service *service = summoner_service_of_name(summoner, message->service);
    struct service *wildcard =
        service ? NULL : summoner_wildcard_of(summoner, message->service, label);
    if (!wildcard)
        return service;
    long number = config_find_place(wildcard->config->places, place->addresses, place->count);
    if (number < 0)
        return NULL;
    service = instances_make(wildcard, label, number, &error);
    if (service)
        remember_instance(service);
    else
        log_warning("%s: its machine cannot be adopted: %s", message->service, error.text);
    return service;
}

/* Has it no machine that we know of? */
static bool is_free(const struct service *service)
{
    return (service->state == MACHINE_OFF || service->state == MACHINE_FAILED) &&
           !service->departed && (!service->run || !service->run->serial);
}

/* Somebody else may have succeeded where we failed. */
static void adopt(struct service *service, const struct message *message)
{
    if (service->state == MACHINE_FAILED)
        machine_give_up(service, CAUSE_ADOPTED);
    machine_adopt(service, message);
}

static void machine_reported(struct summoner *summoner, const struct message *message)
{
    struct service *service = service_of_machine(summoner, message);
    if (service && !is_in_place(service, &message->machine.place))
        stop_stranger(summoner, message, "with other addresses than its own");
    else if (!service)
        stop_stranger(summoner, message, "of a service that is not configured");
    else if (service->run && service->run->serial == message->serial)
        confirm(service, message);
    else if (is_free(service))
        adopt(service, message);
    else
        stop_stranger(summoner, message, "that is not the one jitsud started last");
}

static void start_again(struct service *service)
{
    log_info("%s: starting it again: the keeper restarted before the machine was ready",
             service->config->name);
    service->run->reported = true;
    holding_gone(service);
    machine_send_start(service);
    deadline_set(service, clock_now() + service->config->boot_timeout);
}

static void missed(struct machine_run *run)
{
    static const char why[] = "the keeper restarted and did not find it running any more";
    struct service *service = run->service;
    switch ((enum machine_state)service->state) {
    case MACHINE_STARTING:
        start_again(service);
        break;
    case MACHINE_STOPPING:
        machine_gone(service, EVENT_STOPPED, NULL);
        break;
    case MACHINE_RUNNING:
    case MACHINE_SUSPENDED:
        machine_gone(service, EVENT_EXITED, why);
        break;
    default:
        machine_buried(service);
    }
}

/* Each step may free any run, so the list is begun anew after it; none is missed twice. */
static void see_to_missed(struct summoner *summoner)
{
    struct machine_run *run;
again:
    TAILQ_FOREACH(run, &summoner->runs, entry)
    {
        if (run->serial && !run->reported) {
            run->reported = true;
            missed(run);
            goto again;
        }
    }
}

static void note_ended_unseen(const struct service *service)
{
    if (service->earlier_serial && service->state == MACHINE_OFF && !service->queued)
        log_info("%s: its machine, which ran when jitsud was last here, is gone; it is started "
                 "again when it is wanted",
                 service->config->name);
}

static void see_to_all_once(struct summoner *summoner)
{
    summoner->kept_are_started = true;
    for (size_t i = 0; i < summoner_service_count(summoner); i++) {
        note_ended_unseen(summoner_service(summoner, i));
        summoner_service(summoner, i)->earlier_serial = 0;
    }
    remember_no_more(summoner);
    for (size_t i = 0; i < summoner->service_count; i++)
        service_keep(summoner->services[i]);
}

static void synchronised(struct summoner *summoner)
{
    see_to_missed(summoner);
    summoner->synchronised = true;
    if (!summoner->kept_are_started)
        see_to_all_once(summoner);
    start_queue_run(summoner);
    labels_run(summoner);
}

/* --- what happens to machines --- */

static void spawned(struct service *service, const struct message *message)
{
    struct machine_run *run = service->run;
    machine_describe(service, message);
    if (run->want && message->machine.moment > run->want->moment)
        run->phases.spawned = message->machine.moment - run->want->moment;
    const char *spare = message->machine.prewarmed ? ", a spare one" : "";
    if (run->pid)
        log_debug("%s: process %d%s", message->service, run->pid, spare);
    else
        log_debug("%s: domain %s%s", message->service, run->domain, spare);
    service_remember(service);
    if (!run->is_resuming)
        holding_spawned(service);
}

static void entered(struct service *service, const struct message *message)
{
    struct machine_run *run = service->run;
    if (run->want && message->machine.moment > run->want->moment)
        run->phases.entered = message->machine.moment - run->want->moment;
}

static bool is_dying(const struct service *service)
{
    return service->run->leaving && service->state != MACHINE_STOPPING;
}

/* What is no fault of the machine's does not make its retries rarer and rarer. */
static void machine_not_started(struct service *service, const struct message *message)
{
    if (message->end.blameless)
        service->failures_in_row = 0;
    machine_gone(service, EVENT_START_FAILED, message->end.text);
}

static void ended(struct service *service, const struct message *message)
{
    if (is_dying(service))
        machine_buried(service);
    else if (message->type == MESSAGE_FAILED)
        machine_not_started(service, message);
    else if (message->end.asked_for)
        machine_gone(service, EVENT_STOPPED, message->end.text);
    else
        machine_gone(service, EVENT_EXITED, message->end.text);
}

static void of_current_run(struct service *service, const struct message *message)
{
    bool starting = service->state == MACHINE_STARTING;
    switch (message->type) {
    case MESSAGE_SPAWNED:
        if (starting)
            spawned(service, message);
        break;
    case MESSAGE_ENTERED:
        if (starting)
            entered(service, message);
        break;
    case MESSAGE_READY:
        if (starting)
            machine_ready(service, EVENT_READY, message);
        else
            log_debug("%s: ready, but %s by now", message->service,
                      machine_state_name((enum machine_state)service->state));
        break;
    case MESSAGE_FAILED:
    case MESSAGE_EXITED:
        ended(service, message);
        break;
    case MESSAGE_SUSPENDED: /* or MACHINE has told already: it comes after that, too */
        if (!is_dying(service) && service->state != MACHINE_SUSPENDED)
            machine_suspended(service);
        break;
    case MESSAGE_USED:
        reaper_learn(service, message->use.used);
        break;
    case MESSAGE_FIRST_BYTE:
        machine_first_byte(service, message->first_byte.moment, 0);
        break;
    default:
        log_warning("%s: the keeper sent a message of type %u, which it should not: ignored",
                    message->service, message->type);
    }
}

/* One that has departed may be called like one that is configured now. */
static struct service *service_of_run(struct summoner *summoner, const struct message *message)
{
    struct service *departed;
    struct service *service = summoner_service_of_name(summoner, message->service);
    if (service && service->run && service->run->serial == message->serial)
        return service;
    TAILQ_FOREACH(departed, &summoner->departed, waiting)
    {
        if (departed->run && departed->run->serial == message->serial &&
            strcmp(departed->config->name, message->service) == 0)
            return departed;
    }
    return service;
}

void summoner_keeper_message(struct summoner *summoner, const struct message *message)
{
    if (message->type == MESSAGE_SYNCHRONISED) {
        synchronised(summoner);
        return;
    }
    if (message->type == MESSAGE_MACHINE) {
        machine_reported(summoner, message);
        return;
    }
    struct service *service = service_of_run(summoner, message);
    if (service && message->type == MESSAGE_CONSOLE)
        console_add(service, message->console.bytes, message->console.length);
    else if (service && service->run && service->run->serial == message->serial && message->serial)
        of_current_run(service, message);
    else
        log_debug("%s: a late message of type %u about run %u: ignored", message->service,
                  message->type, message->serial);
}
