#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/bridges.h"
#include "keeper/libvirt/libvirt.h"

/* Before what has not worked and must is tried again. */
#define AGAIN_AFTER (1 * NANOSECONDS_PER_SECOND)

static void step_again(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    libvirt_domain_step(argument);
}

/* Besides the deadline that there may be. */
static void step_later(struct libvirt_domain *domain, uint64_t delay)
{
    struct timeval wait = clock_timeval(delay);
    if (!domain->again)
        domain->again = evtimer_new(domain->connection->libvirt->keeper->base, step_again, domain);
    if (!domain->again || evtimer_add(domain->again, &wait) != 0)
        log_error("%s: memory is exhausted: nothing is tried again", domain->service);
}

/* --- life --- */

struct libvirt_domain *libvirt_domain_new(struct libvirt_connection *connection,
                                          const char *service)
{
    struct libvirt_domain *domain = calloc(1, sizeof *domain);
    if (!domain)
        return NULL;
    domain->connection = connection;
    domain->actual = ACTUAL_ABSENT;
    domain->directory = domain->console_listening = domain->console_socket = domain->probe = -1;
    domain->console_user = (uid_t)-1;
    snprintf(domain->service, sizeof domain->service, "%s", service);
    TAILQ_INSERT_TAIL(&connection->domains, domain, entry);
    return domain;
}

/* Those that waited for its end go on. */
static void make_way(const struct libvirt_domain *domain)
{
    struct libvirt_domain *other;
    TAILQ_FOREACH(other, &domain->connection->domains, entry)
    {
        if (!other->begun && !other->call && strcmp(other->service, domain->service) == 0)
            step_later(other, 0);
    }
}

void libvirt_domain_free(struct libvirt_domain *domain)
{
    if (domain->call)
        domain->call->domain = NULL;
    if (domain->leftover)
        make_way(domain);
    if (domain->connection->libvirt->warming == domain)
        domain->connection->libvirt->warming = NULL;
    libvirt_ready_end(domain);
    libvirt_console_close(domain);
    if (domain->timer)
        event_free(domain->timer);
    if (domain->again)
        event_free(domain->again);
    if (domain->handle)
        virDomainFree(domain->handle);
    descriptor_close(&domain->directory);
    libvirt_connection_forget(domain);
    TAILQ_REMOVE(&domain->connection->domains, domain, entry);
    free(domain->ready_text);
    free(domain->xml);
    free(domain);
}

void libvirt_domain_after(struct libvirt_domain *domain, uint64_t delay, event_callback_fn function)
{
    struct timeval wait = clock_timeval(delay);
    if (domain->timer)
        event_free(domain->timer);
    domain->timer = evtimer_new(domain->connection->libvirt->keeper->base, function, domain);
    if (!domain->timer || evtimer_add(domain->timer, &wait) != 0)
        log_error("%s: memory is exhausted: a deadline is not watched", domain->service);
}

void libvirt_domain_remember(struct libvirt_domain *domain)
{
    const struct machine *machine = domain->machine;
    struct error error;
    struct record record = {.libvirt = {.user = domain->console_user,
                                        .existing = domain->existing,
                                        .saves = domain->saves,
                                        .saved = domain->actual == ACTUAL_SAVED}};
    if (machine) {
        record.serial = machine->serial;
        record.started = machine->started;
        record.place = machine->place;
        record.shutdown_timeout = machine->shutdown_timeout;
        record.ready = machine->ready;
        record.suspended = machine->suspended;
        record.libvirt.pid = machine->pid;
    }
    snprintf(record.service, sizeof record.service, "%s", domain->service);
    snprintf(record.libvirt.connect, sizeof record.libvirt.connect, "%s", domain->connection->uri);
    snprintf(record.libvirt.name, sizeof record.libvirt.name, "%s", domain->name);
    memcpy(record.token, domain->token, sizeof record.token);
    memcpy(record.libvirt.uuid, domain->uuid, sizeof record.libvirt.uuid);
    if (record_write(domain->directory, &record, &error) != 0)
        log_error("%s: %s; a restarted jitsud will not know this machine", domain->service,
                  error.text);
}

/* --- reports --- */

void libvirt_domain_spawned(struct libvirt_domain *domain)
{
    struct machine *machine = domain->machine;
    if (!machine || machine->spawned)
        return;
    keeper_machine_spawned(machine, clock_now());
    libvirt_ready_begin(domain);
}

/* It does not exist, or not any more. Frees it. */
static void report_end(struct libvirt_domain *domain, const char *why)
{
    const struct libvirt *libvirt = domain->connection->libvirt;
    char text[MESSAGE_TEXT_MAX];
    const char *words = console_last_words(&domain->console);
    int length = snprintf(text, sizeof text, "%s", domain->verdict[0] ? domain->verdict : why);
    if (domain->console.fatal[0])
        snprintf(text, sizeof text, "the machine gave up: %s", words);
    else if (words[0] && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, "; its console said last: %s", words);
    if (domain->directory_name[0])
        record_remove(libvirt->directory, domain->directory_name);
    if (domain->machine)
        keeper_machine_gone(domain->machine, text); /* frees it by libvirt_forget() */
    else if (domain->spare)
        libvirt_spare_ended(domain, text);
    else
        libvirt_domain_free(domain);
}

static void switch_network(struct libvirt_domain *domain, bool on)
{
    struct error error;
    struct bridges *bridges = domain->connection->libvirt->keeper->bridges;
    if (domain->device[0] && (on ? bridges_resume(bridges, domain->device, &error)
                                 : bridges_pause(bridges, domain->device, &error)) != 0)
        log_warning("%s: %s; %s", domain->service, error.text,
                    on ? "it cannot be reached" : "frames for it pile up while it is suspended");
}

static void report_paused(struct libvirt_domain *domain)
{
    if (domain->machine && domain->machine->suspending) {
        if (domain->actual == ACTUAL_PAUSED)
            switch_network(domain, false);
        keeper_machine_suspended(domain->machine);
    }
}

static void report_running(struct libvirt_domain *domain)
{
    if (domain->machine && domain->resuming) {
        domain->resuming = false;
        keeper_machine_ready(domain->machine, clock_now());
    }
}

/* --- what is wanted --- */

static void resume(struct libvirt_domain *domain)
{
    switch_network(domain, true);
    libvirt_call_begin(domain, CALL_RESUME);
}

static void restore(struct libvirt_domain *domain)
{
    struct error error;
    if (domain->existing || libvirt_saved_open(domain->connection->libvirt->keeper, &error) == 0) {
        libvirt_call_begin(domain, CALL_RESTORE);
        return;
    }
    log_warning("%s: %s; it is lost", domain->service, error.text);
    report_end(domain, error.text);
}

static void step_to_running(struct libvirt_domain *domain)
{
    if (domain->actual == ACTUAL_SAVED)
        restore(domain);
    else if (domain->actual == ACTUAL_PAUSED)
        resume(domain);
    else
        report_running(domain);
}

static void step_to_paused(struct libvirt_domain *domain)
{
    if (domain->actual == ACTUAL_RUNNING)
        libvirt_call_begin(domain, domain->saves ? CALL_SAVE : CALL_SUSPEND);
    else
        report_paused(domain);
}

static void step_to_shut_down(struct libvirt_domain *domain)
{
    if (domain->actual == ACTUAL_SAVED) {
        restore(domain); /* it must run to hear of it */
    } else if (domain->actual == ACTUAL_PAUSED) {
        resume(domain);
    } else if (!domain->asked_to_shut_down) {
        domain->asked_to_shut_down = true;
        libvirt_call_begin(domain, CALL_SHUT_DOWN);
    }
}

/* Two machines with the same address must not run, be it for a moment. */
static bool has_predecessor(const struct libvirt_domain *domain)
{
    const struct libvirt_domain *other;
    TAILQ_FOREACH(other, &domain->connection->domains, entry)
    {
        if (other->leftover && strcmp(other->service, domain->service) == 0)
            return true;
    }
    return false;
}

static void step_of_nothing(struct libvirt_domain *domain)
{
    if (domain->wanted == WANTED_GONE || domain->wanted == WANTED_SHUT_DOWN)
        report_end(domain, "");
    else if (!has_predecessor(domain))
        libvirt_call_begin(domain, domain->existing ? CALL_START : CALL_MAKE);
}

void libvirt_domain_step(struct libvirt_domain *domain)
{
    const struct libvirt_connection *connection = domain->connection;
    if (domain->call || !connection->connection)
        return;
    if (!domain->begun) {
        step_of_nothing(domain);
        return;
    }
    if (domain->actual == ACTUAL_UNKNOWN) {
        if (!connection->listing)
            libvirt_call_begin(domain, CALL_LOOK);
        return;
    }
    switch ((enum libvirt_wanted)domain->wanted) {
    case WANTED_RUNNING:
        step_to_running(domain);
        break;
    case WANTED_PAUSED:
        step_to_paused(domain);
        break;
    case WANTED_SHUT_DOWN:
        step_to_shut_down(domain);
        break;
    case WANTED_GONE:
        libvirt_call_begin(domain, domain->actual == ACTUAL_SAVED ? CALL_DISCARD : CALL_DESTROY);
        break;
    }
}

void libvirt_domain_want(struct libvirt_domain *domain, enum libvirt_wanted wanted)
{
    domain->wanted = (uint8_t)wanted;
    libvirt_domain_step(domain);
}

void libvirt_domain_condemn(struct libvirt_domain *domain, const char *why)
{
    snprintf(domain->verdict, sizeof domain->verdict, "%s", why);
    libvirt_domain_want(domain, WANTED_GONE);
}

/* --- what happens --- */

/* While a call is under way its result says more than events, which may be older, except that a
 * domain that is gone does not come back. */
static void seen_during_call(struct libvirt_domain *domain, enum libvirt_actual actual,
                             const char *why)
{
    enum libvirt_call_kind kind = domain->call->kind;
    bool making = kind == CALL_MAKE || kind == CALL_START;
    if (kind == CALL_SAVE || kind == CALL_RESTORE || kind == CALL_DISCARD)
        return;
    if (actual == ACTUAL_ABSENT && kind == CALL_MAKE) {
        domain->ended = true;
        snprintf(domain->verdict, sizeof domain->verdict, "%s", why);
    } else if (actual == ACTUAL_ABSENT && (!domain->existing || kind == CALL_DESTROY)) {
        report_end(domain, why);
    } else if (actual == ACTUAL_RUNNING && making) {
        libvirt_domain_spawned(domain);
    }
}

void libvirt_domain_seen(struct libvirt_domain *domain, enum libvirt_actual actual, const char *why)
{
    if (domain->call) {
        seen_during_call(domain, actual, why);
    } else if (domain->actual == ACTUAL_SAVED && (actual != ACTUAL_RUNNING || !domain->existing)) {
        return; /* an event of before */
    } else if (domain->actual == ACTUAL_UNKNOWN && actual != ACTUAL_ABSENT) {
        domain->actual = (uint8_t)actual;
        libvirt_adopted(domain);
    } else if (actual == ACTUAL_ABSENT && (!domain->existing || domain->actual == ACTUAL_UNKNOWN)) {
        report_end(domain, why);
    } else if (actual != domain->actual) {
        /* The event may be older than what we know. */
        snprintf(domain->verdict, sizeof domain->verdict, "%s", why);
        libvirt_call_begin(domain, CALL_LOOK);
    }
}

/* Somebody else has done something to it. */
static void found(struct libvirt_domain *domain, enum libvirt_actual actual)
{
    struct machine *machine = domain->machine;
    bool unasked = domain->actual != ACTUAL_UNKNOWN && domain->actual != actual && machine;
    domain->verdict[0] = '\0'; /* of an end that is none */
    domain->actual = (uint8_t)actual;
    libvirt_adopted(domain);
    if (unasked && domain->wanted == WANTED_RUNNING && actual == ACTUAL_PAUSED && machine->ready) {
        log_info("%s: somebody else has suspended its domain", domain->service);
        domain->wanted = WANTED_PAUSED;
        machine->suspending = true;
    } else if (unasked && machine->suspended && domain->wanted == WANTED_PAUSED &&
               actual == ACTUAL_RUNNING) {
        log_info("%s: somebody else has resumed its domain", domain->service);
        domain->wanted = WANTED_RUNNING;
        machine->suspended = false;
        switch_network(domain, true);
        keeper_machine_adopted(machine);
    }
}

static void made(struct libvirt_domain *domain, enum libvirt_actual actual)
{
    domain->begun = true;
    domain->actual = (uint8_t)actual;
    if (domain->ended) {
        report_end(domain, "");
        return;
    }
    if (domain->spare) {
        switch_network(domain, false);
        libvirt_spare_made(domain);
    } else {
        libvirt_domain_spawned(domain);
    }
    libvirt_domain_step(domain);
}

static void failed(struct libvirt_domain *domain, const struct libvirt_call *call)
{
    switch (call->kind) {
    case CALL_MAKE:
    case CALL_START:
        domain->verdict[0] = '\0';
        report_end(domain, call->error.text);
        break;
    case CALL_SUSPEND:
    case CALL_SAVE:
    case CALL_RESUME:
        log_warning("%s: %s; destroying it", domain->service, call->error.text);
        if (domain->machine && call->kind != CALL_RESUME)
            domain->machine->stopping = true;
        libvirt_domain_condemn(domain, call->error.text);
        break;
    case CALL_RESTORE:
    case CALL_DISCARD:
        log_warning("%s: %s; it is lost", domain->service, call->error.text);
        report_end(domain, call->error.text);
        break;
    case CALL_SHUT_DOWN:
        log_info("%s: %s; it is destroyed after shutdown-timeout", domain->service,
                 call->error.text);
        break;
    case CALL_DESTROY:
        log_error("%s: %s; trying again", domain->service, call->error.text);
        step_later(domain, AGAIN_AFTER);
        break;
    case CALL_LOOK:
        log_error("%s: %s; trying again", domain->service, call->error.text);
        step_later(domain, AGAIN_AFTER);
        break;
    }
}

/* The connection was lost during the call: it may have worked. */
static void called_in_vain(struct libvirt_domain *domain)
{
    domain->begun = true;
    domain->actual = ACTUAL_UNKNOWN;
    domain->asked_to_shut_down = false;
    libvirt_connection_check(domain->connection);
    libvirt_domain_step(domain);
}

static void keep_handle(struct libvirt_domain *domain, const struct libvirt_call *call)
{
    unsigned char uuid[VIR_UUID_BUFLEN];
    if (!call->handle || domain->handle ||
        virDomainGetConnect(call->handle) != domain->connection->connection)
        return;
    domain->handle = call->handle;
    virDomainRef(domain->handle);
    if (!domain->has_uuid && virDomainGetUUID(domain->handle, uuid) == 0)
        libvirt_connection_know(domain, uuid);
}

static void keep_device(struct libvirt_domain *domain, const struct libvirt_call *call)
{
    if (!call->device[0])
        return;
    memcpy(domain->device, call->device, sizeof domain->device);
    if (domain->machine)
        memcpy(domain->machine->device, call->device, sizeof call->device);
}

/* There is none while it is only on disk; the next one has another pid and, where libvirt names it,
 * another network device. */
static void forget_process(struct libvirt_domain *domain)
{
    if (domain->existing)
        domain->device[0] = '\0';
    if (domain->machine) {
        domain->machine->pid = 0;
        keeper_machine_attached(domain->machine, "");
    }
}

void libvirt_domain_called(struct libvirt_domain *domain, const struct libvirt_call *call)
{
    if (call->lost) {
        called_in_vain(domain);
        return;
    }
    keep_handle(domain, call);
    keep_device(domain, call);
    if (call->failed) {
        failed(domain, call);
        return;
    }
    if (call->kind == CALL_MAKE || call->kind == CALL_START) {
        made(domain, call->actual);
        return;
    }
    if (call->actual == ACTUAL_ABSENT) {
        report_end(domain, call->kind == CALL_DESTROY ? "it was destroyed" : "it has ended");
        return;
    }
    if (call->kind == CALL_LOOK)
        found(domain, call->actual);
    else
        domain->actual = (uint8_t)call->actual;
    if (call->kind == CALL_SAVE)
        forget_process(domain);
    if (call->kind == CALL_RESTORE && domain->machine)
        keeper_machine_attached(domain->machine, domain->device);
    libvirt_domain_step(domain);
}

void libvirt_domain_lost(struct libvirt_domain *domain)
{
    if (domain->handle)
        virDomainFree(domain->handle);
    domain->handle = NULL;
    domain->asked_to_shut_down = false;
    if (domain->begun && domain->actual != ACTUAL_SAVED)
        domain->actual = ACTUAL_UNKNOWN;
    if (domain->begun && domain->machine && domain->machine->adopting) {
        libvirt_adopted(domain);
    } else if (!domain->begun && !domain->call) {
        char why[ERROR_TEXT_SIZE];
        snprintf(why, sizeof why, "%s", domain->connection->why);
        if (domain->machine)
            domain->machine->blameless = true;
        report_end(domain, why);
    }
}
