#include "keeper/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "keeper/backends.h"
#include "keeper/process.h"
#include "keeper/traffic.h"

/* What a machine may print at once, and each second: more than boot messages, less than a flood. */
#define CONSOLE_BURST      (256 * 1024)
#define CONSOLE_PER_SECOND (64 * 1024)
/* Console bytes give way to everything else when the front does not keep up. */
#define CONSOLE_QUEUE_MAX 256

/* --- the table --- */

static struct machine **bucket_of(struct keeper *keeper, const char *name)
{
    return &keeper->machines[message_digest(name, strlen(name)) % MACHINE_BUCKETS];
}

static struct machine *find(struct keeper *keeper, const char *name)
{
    struct machine *machine = *bucket_of(keeper, name);
    while (machine && strcmp(machine->name, name) != 0)
        machine = machine->next;
    return machine;
}

static struct machine *add(struct keeper *keeper, const struct backend *backend, const char *name,
                           uint32_t serial)
{
    struct machine *machine = calloc(1, sizeof *machine);
    if (!machine)
        return NULL;
    struct machine **bucket = bucket_of(keeper, name);
    machine->keeper = keeper;
    machine->backend = backend;
    machine->serial = serial;
    machine->console_allowance = CONSOLE_BURST;
    snprintf(machine->name, sizeof machine->name, "%s", name);
    machine->next = *bucket;
    *bucket = machine;
    return machine;
}

static void forget(struct machine *machine)
{
    struct machine **place = bucket_of(machine->keeper, machine->name);
    while (*place != machine)
        place = &(*place)->next;
    *place = machine->next;
    traffic_end(machine->traffic);
    machine->backend->forget(machine);
    free(machine);
}

void keeper_machine_forget_all(struct keeper *keeper)
{
    for (size_t i = 0; i < MACHINE_BUCKETS; i++)
        while (keeper->machines[i])
            forget(keeper->machines[i]);
}

/* --- messages --- */

static struct message about(const struct machine *machine, enum message_type type, uint64_t moment)
{
    struct message message = message_make(type, machine->serial, machine->name);
    message.machine.moment = moment;
    message.machine.pid = machine->pid;
    message.machine.ready = machine->ready && !machine->suspended;
    message.machine.prewarmed = machine->prewarmed;
    message.machine.forward_count = machine->forward_count;
    memcpy(message.machine.forwards, machine->forwards, sizeof machine->forwards);
    memcpy(message.machine.domain, machine->domain, sizeof machine->domain);
    memcpy(message.machine.token, machine->token, sizeof machine->token);
    message.machine.ready_rule = machine->ready_rule;
    message.machine.ready_port = machine->ready_port;
    message.machine.place = machine->place;
    message.machine.started = machine->started;
    return message;
}

static void send_about(const struct machine *machine, enum message_type type, uint64_t moment)
{
    struct message message = about(machine, type, moment);
    keeper_send(machine->keeper, &message, -1);
}

static struct message end_of(enum message_type type, const char *service, uint32_t serial,
                             bool asked_for, const char *why)
{
    struct message message = message_make(type, serial, service);
    message.end.moment = clock_now();
    message.end.asked_for = asked_for;
    snprintf(message.end.text, sizeof message.end.text, "%s", why);
    return message;
}

static void send_end(struct keeper *keeper, enum message_type type, const char *service,
                     uint32_t serial, bool asked_for, const char *why)
{
    struct message message = end_of(type, service, serial, asked_for, why);
    keeper_send(keeper, &message, -1);
}

static void send_suspended(const struct machine *machine)
{
    struct message message = message_make(MESSAGE_SUSPENDED, machine->serial, machine->name);
    message.end.moment = clock_now();
    keeper_send(machine->keeper, &message, -1);
}

void keeper_machine_list(struct keeper *keeper)
{
    for (size_t i = 0; i < MACHINE_BUCKETS; i++)
        for (const struct machine *machine = keeper->machines[i]; machine;
             machine = machine->next) {
            send_about(machine, MESSAGE_MACHINE, clock_now());
            if (machine->suspended)
                send_suspended(machine);
        }
}

/* --- services --- */

struct found_service {
    const struct config_service *service; /* NULL: none */
    struct config_service *instance;      /* the same, to be freed, if it is one; else NULL */
};

/* The front names an instance of a wildcard and its addresses, and no more: what machine it has,
 * and whether there may be one, says the keeper's own configuration. */
static struct config_service *find_instance(const struct keeper *keeper, const char *name,
                                            const struct message_place *place, struct error *error)
{
    char label[CONFIG_LABEL_MAX + 1];
    const struct config_service *wildcard = config_find_wildcard(keeper->config, name, label);
    if (!wildcard || strcmp(name + strlen(label), wildcard->name + 1) != 0) {
        error_set(error, "the keeper's configuration has no such service");
        return NULL;
    }
    long number = config_find_place(wildcard->places, place->addresses, place->count);
    if (number < 0) {
        error_set(error, "the keeper's configuration has no such addresses for it");
        return NULL;
    }
    return config_instance_new(wildcard, label, (uint32_t)number, error);
}

/* As the configuration has it now; `place` says whether it is an instance. */
static struct found_service find_service(const struct keeper *keeper, const char *name,
                                         const struct message_place *place, struct error *error)
{
    struct found_service found = {0};
    if (place->count > 0) {
        found.service = found.instance = find_instance(keeper, name, place, error);
        return found;
    }
    const struct config_service *service = config_find_service(keeper->config, name);
    if (service && strcmp(service->name, name) == 0 && !config_is_wildcard(service))
        found.service = service;
    else
        error_set(error, "the keeper's configuration has no such service");
    return found;
}

/* --- use --- */

static void forget_traffic(struct machine *machine)
{
    traffic_end(machine->traffic);
    machine->traffic = NULL;
}

static void answered(void *argument, uint64_t moment)
{
    struct machine *machine = argument;
    struct message message = message_make(MESSAGE_FIRST_BYTE, machine->serial, machine->name);
    message.first_byte.moment = moment;
    if (moment)
        keeper_send(machine->keeper, &message, -1);
    if (machine->tells_use)
        forget_traffic(machine);
}

static void watch_traffic(struct machine *machine, const struct config_service *service)
{
    struct error error;
    uint8_t mac[MAC_SIZE];
    device_service_mac(service, mac);
    machine->traffic = traffic_begin(machine->keeper->base, service, machine->device, mac, answered,
                                     machine, &error);
    if (!machine->traffic)
        log_warning("%s: %s; packets keep it running only until it is ready, then only queries and "
                    "what it tells itself",
                    machine->name, error.text);
}

static void begin_traffic_of(struct machine *machine, const struct config_service *service,
                             bool await_answer)
{
    static const uint8_t no_token[MESSAGE_TOKEN_SIZE];
    /* It does not tell whose use it is. */
    machine->tells_use = service->summon_from_count == 0 &&
                         memcmp(machine->token, no_token, sizeof machine->token) != 0;
    if (!machine->traffic && (await_answer || !machine->tells_use))
        watch_traffic(machine, service);
    if (machine->traffic && await_answer)
        traffic_await_answer(machine->traffic);
}

/* It is about to run: what it is used for, and when it first answers. */
static void begin_traffic(struct machine *machine, bool await_answer)
{
    struct error error;
    if (!machine->device[0])
        return;
    struct found_service found =
        find_service(machine->keeper, machine->name, &machine->place, &error);
    if (found.service && found.service->network)
        begin_traffic_of(machine, found.service, await_answer);
    free(found.instance);
}

void keeper_machine_look(struct keeper *keeper, const char *name, uint32_t serial)
{
    const struct machine *machine = find(keeper, name);
    struct message message = message_make(MESSAGE_USED, serial, name);
    message.use.used = machine && machine->serial == serial && machine->traffic &&
                       traffic_was_used(machine->traffic);
    keeper_send(keeper, &message, -1);
}

/* --- starting --- */

static void settle(struct machine *machine)
{
    struct keeper *keeper = machine->keeper;
    if (--keeper->starting == 0)
        backends_settled(keeper);
}

static void start_new(struct keeper *keeper, const struct config_service *service, uint32_t serial,
                      const struct message_place *place)
{
    struct error error;
    const struct backend *backend = backend_of(service->backend);
    struct machine *machine = backend ? add(keeper, backend, service->name, serial) : NULL;
    if (!machine) {
        send_end(keeper, MESSAGE_FAILED, service->name, serial, false,
                 backend ? "memory is exhausted" : "this jitsud was built without its backend");
        return;
    }
    machine->place = *place;
    machine->shutdown_timeout = service->shutdown_timeout;
    machine->started = clock_wall();
    keeper->starting++;
    if (backend->start(machine, service, &error) != 0)
        keeper_machine_gone(machine, error.text);
}

/* The front asks for a machine that exists: it is never started twice. */
static void start_known(struct machine *machine, uint32_t serial, const struct message_place *place)
{
    if (machine->stopping || machine->adopting) {
        machine->next_serial = serial;
        machine->next_place = *place;
        return;
    }
    machine->serial = serial;
    if (machine->spawned)
        send_about(machine, MESSAGE_SPAWNED, clock_now());
    if (machine->suspended || machine->suspending) {
        machine->suspending = false;
        begin_traffic(machine, true);
        machine->backend->resume(machine);
    } else if (machine->ready) {
        send_about(machine, MESSAGE_READY, clock_now());
        machine->backend->remember(machine);
    }
}

void keeper_machine_start(struct keeper *keeper, const char *name, uint32_t serial,
                          const struct message_place *place)
{
    struct error error;
    struct machine *machine = find(keeper, name);
    if (machine) {
        start_known(machine, serial, place);
        return;
    }
    struct found_service found = find_service(keeper, name, place, &error);
    if (found.service)
        start_new(keeper, found.service, serial, place);
    else
        send_end(keeper, MESSAGE_FAILED, name, serial, false, error.text);
    free(found.instance);
}

void keeper_machine_seen_ready(struct keeper *keeper, const char *name, uint32_t serial)
{
    struct machine *machine = find(keeper, name);
    if (machine && machine->serial == serial && machine->spawned && !machine->ready)
        machine->backend->seen_ready(machine);
}

/* --- stopping --- */

static void stop_known(struct machine *machine, enum config_stop mode)
{
    if (mode == CONFIG_STOP_SUSPEND && !machine->stopping) {
        if (machine->suspended) {
            send_suspended(machine);
            return;
        }
        if (machine->ready) {
            machine->suspending = true;
            machine->backend->stop(machine, mode);
            return;
        }
        log_info("%s: it is not ready yet, so it is destroyed instead of suspended", machine->name);
    }
    machine->stopping = true;
    machine->backend->stop(machine, mode == CONFIG_STOP_SHUTDOWN ? mode : CONFIG_STOP_DESTROY);
}

void keeper_machine_stop(struct keeper *keeper, const char *name, uint32_t serial,
                         enum config_stop mode)
{
    struct machine *machine = find(keeper, name);
    if (machine && machine->next_serial == serial && serial) {
        /* It has not been started yet, as its predecessor is still there. */
        machine->next_serial = 0;
        send_end(keeper, MESSAGE_EXITED, name, serial, true, "");
    } else if (machine && machine->serial == serial) {
        stop_known(machine, mode);
    } else {
        send_end(keeper, MESSAGE_EXITED, name, serial, true, "");
    }
}

/* --- reports --- */

void keeper_machine_attached(struct machine *machine, const char *device)
{
    forget_traffic(machine);
    snprintf(machine->device, sizeof machine->device, "%s", device);
    begin_traffic(machine, true);
}

void keeper_machine_spawned(struct machine *machine, uint64_t moment)
{
    machine->spawned = true;
    begin_traffic(machine, true);
    send_about(machine, MESSAGE_SPAWNED, moment);
}

void keeper_machine_entered(struct machine *machine, uint64_t moment)
{
    send_about(machine, MESSAGE_ENTERED, moment);
}

void keeper_machine_ready(struct machine *machine, uint64_t moment)
{
    bool first = !machine->ready;
    machine->ready = true;
    machine->suspended = false;
    send_about(machine, MESSAGE_READY, moment);
    machine->backend->remember(machine);
    if (first)
        settle(machine);
}

void keeper_machine_suspended(struct machine *machine)
{
    machine->suspending = false;
    machine->suspended = true;
    send_suspended(machine);
    machine->backend->remember(machine);
}

static void end_adoption(struct machine *machine)
{
    struct keeper *keeper = machine->keeper;
    if (!machine->adopting)
        return;
    machine->adopting = false;
    keeper->adopting--;
}

static void send_gone(const struct machine *machine, const char *why)
{
    struct message message =
        end_of(machine->spawned ? MESSAGE_EXITED : MESSAGE_FAILED, machine->name, machine->serial,
               machine->stopping, machine->stopping ? "" : why);
    message.end.blameless = machine->blameless;
    keeper_send(machine->keeper, &message, -1);
}

void keeper_machine_gone(struct machine *machine, const char *why)
{
    struct keeper *keeper = machine->keeper;
    char name[CONFIG_NAME_TEXT_MAX];
    uint32_t next_serial = machine->next_serial;
    struct message_place next_place = machine->next_place;

    memcpy(name, machine->name, sizeof name);
    if (!machine->adopting) {
        send_gone(machine, why);
        if (!machine->ready)
            settle(machine);
    }
    end_adoption(machine);
    forget(machine);
    keeper_synchronise(keeper);
    if (next_serial)
        keeper_machine_start(keeper, name, next_serial, &next_place);
}

struct machine *keeper_machine_adopt(struct keeper *keeper, const struct backend *backend,
                                     const char *name, uint32_t serial)
{
    struct machine *machine = find(keeper, name) ? NULL : add(keeper, backend, name, serial);
    if (!machine) {
        log_error("%s: cannot adopt its machine: there is another one, or no memory", name);
        return NULL;
    }
    machine->adopting = true;
    keeper->adopting++;
    return machine;
}

void keeper_machine_adopted(struct machine *machine)
{
    uint32_t next_serial = machine->next_serial;
    machine->spawned = machine->ready = true;
    machine->next_serial = 0;
    begin_traffic(machine, false);
    end_adoption(machine);
    if (machine->keeper->synchronised)
        send_about(machine, MESSAGE_MACHINE, clock_now());
    keeper_synchronise(machine->keeper);
    if (next_serial)
        start_known(machine, next_serial, &machine->next_place);
}

/* --- the console --- */

static void refill(struct machine *machine)
{
    uint64_t now = clock_now_coarse();
    uint64_t passed = now - machine->console_filled;
    if (machine->console_filled == 0 || passed >= 60 * NANOSECONDS_PER_SECOND)
        machine->console_allowance = CONSOLE_BURST;
    else
        machine->console_allowance +=
            (size_t)(passed * CONSOLE_PER_SECOND / NANOSECONDS_PER_SECOND);
    if (machine->console_allowance > CONSOLE_BURST)
        machine->console_allowance = CONSOLE_BURST;
    machine->console_filled = now;
}

static void send_console(const struct machine *machine, const void *bytes, size_t length)
{
    struct message message = message_make(MESSAGE_CONSOLE, machine->serial, machine->name);
    message.console.length = (uint16_t)length;
    memcpy(message.console.bytes, bytes, length);
    keeper_send(machine->keeper, &message, -1);
}

static void tell_of_dropped(struct machine *machine)
{
    char text[80];
    int length = snprintf(text, sizeof text, "\n[jitsud: %zu bytes of the console dropped]\n",
                          machine->console_dropped);
    log_warning("%s: %zu bytes of its console were dropped: it prints too much", machine->name,
                machine->console_dropped);
    machine->console_dropped = 0;
    send_console(machine, text, (size_t)length);
}

void keeper_machine_console(struct machine *machine, const void *bytes, size_t length)
{
    const struct message_link *link = machine->keeper->link;
    const char *at = bytes;

    if (length > machine->console_allowance || machine->console_dropped)
        refill(machine);
    if (length > machine->console_allowance ||
        (link && message_link_queued(link) > CONSOLE_QUEUE_MAX)) {
        machine->console_dropped += length;
        return;
    }
    machine->console_allowance -= length;
    if (machine->console_dropped)
        tell_of_dropped(machine);
    while (length > 0) {
        size_t part = length < MESSAGE_CONSOLE_MAX ? length : MESSAGE_CONSOLE_MAX;
        send_console(machine, at, part);
        at += part;
        length -= part;
    }
}
