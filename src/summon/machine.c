#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/parts.h"

#define BACK_OFF_FIRST (1 * NANOSECONDS_PER_SECOND)
#define BACK_OFF_MOST  (300 * NANOSECONDS_PER_SECOND)
/* A machine that finishes has until shutdown-timeout by its own clock, and then has to tell. */
#define FINISHING_GRACE (1 * NANOSECONDS_PER_SECOND)
#define GOOD_RUN        (60 * NANOSECONDS_PER_SECOND) /* forgives earlier failures */

/* --- runs --- */

static void add_share(struct share *share, const struct machine_run *run)
{
    share->memory += run->memory;
    share->machines++;
}

static void remove_share(struct share *share, const struct machine_run *run)
{
    share->memory -= run->memory;
    share->machines--;
}

struct machine_run *machine_run_new(struct service *service)
{
    struct summoner *summoner = service->summoner;
    struct machine_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->service = service;
    run->memory = service->config->memory;
    TAILQ_INSERT_TAIL(&summoner->runs, run, entry);
    add_share(&summoner->used, run);
    add_share(&summoner->waiting, run);
    remember_while_running(summoner);
    return run;
}

static void set_serial(struct machine_run *run, uint32_t serial)
{
    if (!run->serial)
        remove_share(&run->service->summoner->waiting, run);
    run->serial = serial;
}

static void set_leaving(struct machine_run *run, bool leaving)
{
    struct share *share = &run->service->summoner->leaving;
    if (leaving && !run->leaving)
        add_share(share, run);
    else if (!leaving && run->leaving)
        remove_share(share, run);
    run->leaving = leaving;
}

void machine_run_free(struct machine_run *run)
{
    struct summoner *summoner = run->service->summoner;
    if (!run->serial)
        remove_share(&summoner->waiting, run);
    set_leaving(run, false);
    remove_share(&summoner->used, run);
    TAILQ_REMOVE(&summoner->runs, run, entry);
    run->service->run = NULL;
    free(run->want);
    free(run);
}

static uint32_t next_serial(struct summoner *summoner)
{
    if (++summoner->last_serial == 0)
        ++summoner->last_serial;
    return summoner->last_serial;
}

/* --- the table's moves --- */

/* A suspended machine that waits for its turn to be resumed goes, or goes on, by itself: it is
 * still wanted. */
static void leave_queue(struct service *service)
{
    struct want *want = service->run->want;
    service->run->want = NULL;
    start_queue_remove(service); /* which frees a run that nothing was started of */
    service->pending = want;
}

static bool move(struct service *service, enum machine_event event)
{
    enum machine_state from = (enum machine_state)service->state;
    int next = machine_state_next(from, event);
    if (next < 0) {
        log_warning("%s: '%s' is not expected while the machine is %s: ignored",
                    service->config->name, machine_event_name(event), machine_state_name(from));
        return false;
    }
    if (service->queued)
        leave_queue(service);
    if (from == MACHINE_STARTING)
        service->summoner->starting--;
    if (next == MACHINE_STARTING)
        service->summoner->starting++;
    service->state = (uint8_t)next;
    return true;
}

static void drop_pending(struct service *service)
{
    free(service->pending);
    service->pending = NULL;
}

/* --- to and from the keeper --- */

void machine_send_stop(struct summoner *summoner, const char *service, uint32_t serial,
                       enum config_stop mode)
{
    struct message message = message_make(MESSAGE_STOP, serial, service);
    message.stop.mode = (uint8_t)mode;
    summoner_send(summoner, &message);
}

void machine_send_start(struct service *service)
{
    const struct config_service *config = service->config;
    struct message message = message_make(MESSAGE_START, service->run->serial, config->name);
    if (service->of) {
        message.start.place.count = config->address_count;
        memcpy(message.start.place.addresses, config->addresses,
               config->address_count * sizeof *config->addresses);
    }
    summoner_send(service->summoner, &message);
}

bool machine_describe(struct service *service, const struct message *message)
{
    struct machine_run *run = service->run;
    size_t size = message->machine.forward_count * sizeof run->forwards[0];
    bool differ = run->forward_count != message->machine.forward_count ||
                  memcmp(run->forwards, message->machine.forwards, size) != 0;

    memcpy(run->forwards, message->machine.forwards, size);
    run->forward_count = message->machine.forward_count;
    run->pid = message->machine.pid;
    memcpy(run->domain, message->machine.domain, sizeof run->domain);
    memcpy(run->token, message->machine.token, sizeof run->token);
    run->ready_rule = message->machine.ready_rule;
    run->ready_port = message->machine.ready_port;
    return differ;
}

/* --- start --- */

void machine_start(struct service *service)
{
    struct machine_run *run = service->run;
    struct summoner *summoner = service->summoner;
    enum machine_state from = (enum machine_state)service->state;

    if (!move(service, EVENT_START))
        return;
    set_serial(run, next_serial(summoner));
    machine_send_start(service);

    run->reported = true;
    run->started = clock_wall();
    run->ready = run->shown_ready = run->first_byte = 0;
    run->phases = (struct start_phases){0};
    run->is_resuming = from == MACHINE_SUSPENDED;
    if (run->is_resuming)
        holding_resumes(service);
    service->starts++;
    service->stopped_by_command = false;
    deadline_set(service, clock_now() + service->config->boot_timeout);
    service_publish(service);
    counters_start(service, run->want->cause);
    history_add(service, from, MACHINE_STARTING, run->want->cause, run->want, NULL);
    service_remember(service);
}

static void release_queries(struct service *service)
{
    struct dns_server *dns = service->summoner->dns;
    if (!dns)
        return;
    dns_server_release(dns, service->host, true);
    if (service->next_host)
        dns_server_release(dns, service->next_host, true);
}

void machine_ready(struct service *service, enum machine_event event, const struct message *message)
{
    struct machine_run *run = service->run;
    enum machine_state from = (enum machine_state)service->state;

    if (!move(service, event))
        return;
    drop_pending(service);
    machine_describe(service, message);
    holding_ready(service);
    service_publish(service);
    release_queries(service);

    run->ready = clock_now();
    uint64_t moment = run->shown_ready ? run->shown_ready : message->machine.moment;
    if (run->want && moment > run->want->moment)
        run->phases.ready = moment - run->want->moment;
    /* The console, which tells of it, may be read later than the network. */
    if (run->phases.ready && run->phases.entered > run->phases.ready)
        run->phases.entered = run->phases.ready;
    free(service->error);
    service->error = NULL;
    reaper_watch(service);
    history_add(service, from, MACHINE_RUNNING, event == EVENT_READY ? CAUSE_READY : CAUSE_ADOPTED,
                run->want, NULL);
    if (run->first_byte)
        machine_first_byte(service, run->first_byte, 0);
    service_remember(service);
    start_queue_run(service->summoner);
}

void machine_first_byte(void *owner, uint64_t moment, uint64_t accepted)
{
    struct service *service = owner;
    struct machine_run *run = service->run;
    (void)accepted;
    if (service->state == MACHINE_STARTING)
        run->first_byte = moment;
    if (service->state != MACHINE_RUNNING || !run->want || moment <= run->want->moment ||
        run->phases.first_byte)
        return;
    run->phases.first_byte = moment - run->want->moment;
    history_add(service, MACHINE_RUNNING, MACHINE_RUNNING, CAUSE_FIRST_BYTE, run->want, NULL);
}

/* On a bridge, where the hold sees it before the keeper does. */
void machine_shows_ready(void *owner, uint64_t moment)
{
    struct service *service = owner;
    if (service->state != MACHINE_STARTING)
        return;
    service->run->shown_ready = moment;
    struct message message =
        message_make(MESSAGE_SEEN_READY, service->run->serial, service->config->name);
    summoner_send(service->summoner, &message);
}

/* The keeper does not say that a machine is suspended; but we may remember it. */
static bool was_suspended(const struct service *service, const struct message *message)
{
    return service->was_suspended && message->serial == service->earlier_serial &&
           !message->machine.ready;
}

void machine_adopt(struct service *service, const struct message *message)
{
    struct want *want = NULL;
    if (service->queued) {
        want = service->run->want;
        service->run->want = NULL;
        start_queue_remove(service);
    }
    if (service->refused)
        start_queue_unrefuse(service);
    struct machine_run *run = service->run = machine_run_new(service);
    if (!run) {
        log_error("%s: memory is exhausted: stopping its machine instead of adopting it",
                  service->config->name);
        machine_send_stop(service->summoner, service->config->name, message->serial,
                          CONFIG_STOP_DESTROY);
        free(want);
        return;
    }
    set_serial(run, message->serial);
    run->reported = true;
    run->started = message->machine.started;
    service->pending = want; /* if it turns out to be suspended, it is resumed */
    if (was_suspended(service, message)) {
        machine_describe(service, message);
        machine_suspended(service);
    } else if (message->machine.ready) {
        machine_ready(service, EVENT_ADOPTED, message);
    } else if (move(service, EVENT_START)) {
        machine_describe(service, message);
        deadline_set(service, clock_now() + service->config->boot_timeout);
        service_publish(service);
        history_add(service, MACHINE_OFF, MACHINE_STARTING, CAUSE_ADOPTED, NULL, NULL);
        service_remember(service);
        holding_spawned(service);
    }
}

/* --- stop --- */

void machine_stop(struct service *service, enum config_stop mode, enum cause cause)
{
    struct machine_run *run = service->run;
    enum machine_state from = (enum machine_state)service->state;

    if (!move(service, EVENT_STOP))
        return;
    run->stop_mode = (uint8_t)mode;
    run->is_finishing = mode == CONFIG_STOP_SHUTDOWN && holding_shut_down(service);
    if (run->is_finishing) {
        deadline_set(service, clock_now() + service->config->shutdown_timeout + FINISHING_GRACE);
    } else {
        deadline_clear(service);
        holding_leaves(service);
        machine_send_stop(service->summoner, service->config->name, run->serial, mode);
    }

    drop_pending(service);
    set_leaving(run, mode != CONFIG_STOP_SUSPEND);
    service_publish(service);
    if (from == MACHINE_STARTING)
        service_turn_away(service);
    counters_stop(service, cause);
    history_add(service, from, MACHINE_STOPPING, cause, NULL, NULL);
    service_remember(service);
    start_queue_run(service->summoner);
}

/* It has no connections any more, and powers off. */
void machine_finished(void *owner, uint32_t cut, uint64_t moment)
{
    struct service *service = owner;
    (void)moment;
    if (cut > 0)
        log_info("%s: %u connections were still open after shutdown-timeout and have been reset",
                 service->config->name, cut);
    if (service->state == MACHINE_STOPPING && service->run->is_finishing)
        machine_destroy(service);
}

void machine_destroy(struct service *service)
{
    struct machine_run *run = service->run;
    if (run->stop_mode == CONFIG_STOP_DESTROY)
        return;
    run->stop_mode = CONFIG_STOP_DESTROY;
    deadline_clear(service);
    if (run->is_finishing)
        holding_leaves(service);
    machine_send_stop(service->summoner, service->config->name, run->serial, CONFIG_STOP_DESTROY);
    set_leaving(run, true);
}

void machine_suspended(struct service *service)
{
    struct summoner *summoner = service->summoner;
    enum machine_state from = (enum machine_state)service->state;

    if (!move(service, EVENT_SUSPENDED))
        return;
    if (from == MACHINE_STOPPING)
        wants_look_for_missed(service);
    else
        service_expect_wants(service);
    holding_suspended(service);
    set_leaving(service->run, false);
    deadline_clear(service);
    history_add(service, from, MACHINE_SUSPENDED, CAUSE_SUSPENDED, NULL, NULL);
    service_remember(service);
    if (service->departed)
        machine_stop(service, CONFIG_STOP_DESTROY, CAUSE_RELOAD);
    else
        service_rest(service);
    start_queue_run(summoner);
    summoner_machine_ended(summoner);
}

/* --- end --- */

static enum cause cause_of_end(enum machine_event event)
{
    switch (event) {
    case EVENT_START_FAILED:
        return CAUSE_START_FAILED;
    case EVENT_BOOT_TIMEOUT:
        return CAUSE_BOOT_TIMEOUT;
    case EVENT_STOPPED:
        return CAUSE_STOPPED;
    default:
        return CAUSE_EXITED;
    }
}

static void forgive_after_good_run(struct service *service)
{
    const struct machine_run *run = service->run;
    if (run->ready && clock_now() - run->ready > GOOD_RUN)
        service->failures_in_row = 0;
}

static void back_off(struct service *service)
{
    uint64_t delay = BACK_OFF_FIRST << service->failures_in_row;
    if (delay >= BACK_OFF_MOST)
        delay = BACK_OFF_MOST;
    else
        service->failures_in_row++;
    service->backing_off = true;
    deadline_set(service, clock_now() + delay);
}

static void fail(struct service *service, enum machine_state from, enum machine_event event,
                 const char *reason)
{
    struct machine_run *run = service->run;
    struct summoner *summoner = service->summoner;
    enum cause cause = cause_of_end(event);

    drop_pending(service);
    forgive_after_good_run(service);
    back_off(service);
    service->failures++;
    free(service->error);
    service->error = strdup(reason);
    bool is_there = event == EVENT_BOOT_TIMEOUT || run->is_useless;
    if (is_there) {
        machine_send_stop(summoner, service->config->name, run->serial, CONFIG_STOP_DESTROY);
        set_leaving(run, true);
    }
    holding_gone(service);
    service_publish(service);
    service_turn_away(service);
    counters_failure(service, cause);
    history_add(service, from, MACHINE_FAILED, cause, run->want, reason);
    if (!is_there) {
        machine_run_free(run);
        holding_rest(service);
    }
    service_remember(service);
    start_queue_run(summoner);
    summoner_machine_ended(summoner);
}

static void end(struct service *service, enum machine_state from, enum machine_event event,
                const char *reason)
{
    struct summoner *summoner = service->summoner;

    forgive_after_good_run(service);
    if (from == MACHINE_STOPPING)
        wants_look_for_missed(service);
    else
        service_expect_wants(service);
    deadline_clear(service);
    holding_gone(service);
    history_add(service, from, MACHINE_OFF, cause_of_end(event), NULL, reason);
    machine_run_free(service->run);
    service_remember(service);
    if (service->departed)
        summoner_bury(service);
    else
        service_rest(service);
    start_queue_run(summoner);
    summoner_machine_ended(summoner);
}

void machine_gone(struct service *service, enum machine_event event, const char *reason)
{
    enum machine_state from = (enum machine_state)service->state;
    if (!reason || !reason[0])
        reason = event == EVENT_STOPPED ? "" : "no reason given";
    if (!move(service, event))
        return;
    if (service->state == MACHINE_FAILED)
        fail(service, from, event, reason);
    else
        end(service, from, event, reason);
}

void machine_condemn(struct service *service, const char *reason)
{
    service->run->is_useless = true;
    machine_gone(service, EVENT_START_FAILED, reason);
}

void machine_give_up(struct service *service, enum cause cause)
{
    if (!move(service, EVENT_STOP))
        return;
    deadline_clear(service);
    service->backing_off = false;
    service->failures_in_row = 0;
    drop_pending(service);
    service_expect_wants(service);
    service_publish(service);
    history_add(service, MACHINE_FAILED, MACHINE_OFF, cause, NULL, NULL);
    service_remember(service);
}

void machine_buried(struct service *service)
{
    struct summoner *summoner = service->summoner;
    machine_run_free(service->run);
    service_remember(service);
    holding_gone(service);
    holding_rest(service);
    if (service->departed)
        summoner_bury(service);
    else if (!service->backing_off)
        service_rest(service);
    start_queue_run(summoner);
    summoner_machine_ended(summoner);
}
