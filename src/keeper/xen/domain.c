/* A Xen domain: what is wanted of it, and one operation after the other until that is so. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/bridges.h"
#include "keeper/process.h"
#include "keeper/xen/xen.h"

/* After a domain could not be destroyed. */
#define DESTROY_AGAIN_AFTER (2 * NANOSECONDS_PER_SECOND)

typedef void work_function(struct xen_job *job, struct xen_tools *tools);

const char *xen_domain_name(const struct xen_domain *domain)
{
    return domain->config.c_info.name ? domain->config.c_info.name : "";
}

void xen_domain_after(struct xen_domain *domain, uint64_t delay, event_callback_fn function)
{
    struct timeval wait = clock_timeval(delay);
    if (domain->timer)
        event_free(domain->timer);
    domain->timer = evtimer_new(domain->xen->keeper->base, function, domain);
    if (!domain->timer || evtimer_add(domain->timer, &wait) != 0)
        log_error("%s: memory is exhausted: a deadline is not watched", domain->service);
}

static void set_why(struct xen_domain *domain, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first reason is the cause of the others. */
static void set_why(struct xen_domain *domain, const char *format, ...)
{
    va_list values;
    if (domain->why[0])
        return;
    va_start(values, format);
    vsnprintf(domain->why, sizeof domain->why, format, values);
    va_end(values);
}

void xen_domain_condemn(struct xen_domain *domain, const char *format, ...)
{
    va_list values;
    char text[sizeof domain->why];
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    set_why(domain, "%s", text);
    domain->end_wanted = true;
    xen_domain_proceed(domain);
}

/* --- its network device --- */

struct xen_device xen_domain_device(const struct xen_domain *domain)
{
    struct xen_device device;
    snprintf(device.name, sizeof device.name, "vif%u.0", domain->domid & UINT16_MAX);
    return device;
}

static const struct config_network *find_network(const struct xen_domain *domain)
{
    const struct config *config = domain->xen->keeper->config;
    for (size_t i = 0; i < config->network_count; i++) {
        const struct config_network *network = &config->networks[i];
        if (network->type == CONFIG_NETWORK_BRIDGE && strcmp(network->bridge, domain->bridge) == 0)
            return network;
    }
    return NULL;
}

/* The backend driver waits until somebody says that the device is where it belongs. */
static int attach_network(struct xen_domain *domain, struct error *error)
{
    char path[128];
    const struct config_network *network = find_network(domain);
    if (!network)
        return error_set(error, "there is no network with bridge %s any more", domain->bridge);
    if (bridges_attach_vif(domain->xen->keeper->bridges, network, domain->service,
                           xen_domain_device(domain).name, error) != 0)
        return -1;
    snprintf(path, sizeof path, "/local/domain/0/backend/vif/%u/0/hotplug-status", domain->domid);
    return xen_store_write(domain->xen->store, path, "connected", error);
}

/* While it is paused nothing is to pile up in there. */
static void switch_network(struct xen_domain *domain, bool on)
{
    struct error error;
    struct bridges *bridges = domain->xen->keeper->bridges;
    struct xen_device device = xen_domain_device(domain);
    int failed = on ? bridges_resume(bridges, device.name, &error)
                    : bridges_pause(bridges, device.name, &error);
    if (failed)
        log_warning("%s: %s", domain->service, error.text);
}

/* --- its end --- */

static const char *describe_shutdown(libxl_shutdown_reason reason)
{
    switch (reason) {
    case LIBXL_SHUTDOWN_REASON_POWEROFF:
        return "the machine powered itself off";
    case LIBXL_SHUTDOWN_REASON_REBOOT:
        return "the machine reset itself";
    case LIBXL_SHUTDOWN_REASON_CRASH:
        return "the machine crashed";
    case LIBXL_SHUTDOWN_REASON_WATCHDOG:
        return "the machine's watchdog ended it";
    default:
        return "the machine shut itself down";
    }
}

static void describe_end(struct xen_domain *domain, libxl_shutdown_reason reason)
{
    xen_console_drain(domain);
    const char *words = console_last_words(&domain->console);
    if (domain->console.fatal[0])
        set_why(domain, "the machine gave up: %s", domain->console.fatal);
    else
        set_why(domain, "%s%s%s", describe_shutdown(reason),
                words[0] ? "; its console said last: " : "", words);
}

static bool has_domain(const struct xen_domain *domain)
{
    return domain->state == XEN_WAITING || domain->state == XEN_RUNNING ||
           domain->state == XEN_PAUSED;
}

/* Notices that it has ended by itself, or by somebody else. */
static void look(struct xen_domain *domain)
{
    libxl_dominfo info;
    if (!has_domain(domain) || domain->end_wanted)
        return;
    libxl_dominfo_init(&info);
    int failed = libxl_domain_info(xen_tools_context(domain->xen->tools), &info, domain->domid);
    if (failed == ERROR_DOMAIN_NOTFOUND || (!failed && info.dying && !info.shutdown)) {
        set_why(domain, "somebody else destroyed its domain");
        domain->end_wanted = true;
    } else if (!failed && (info.shutdown || info.dying)) {
        describe_end(domain, info.shutdown_reason);
        domain->end_wanted = true;
    }
    libxl_dominfo_dispose(&info);
}

void xen_domains_look(void *argument)
{
    struct xen *xen = argument;
    for (struct xen_domain *domain = xen->domains, *next; domain; domain = next) {
        next = domain->next;
        if (!domain->busy)
            xen_domain_proceed(domain);
    }
}

/* --- operations --- */

static void submit(struct xen_domain *domain, work_function *work, void (*done)(struct xen_job *))
{
    domain->busy = true;
    domain->job.work = work;
    domain->job.done = done;
    xen_workers_do(domain->xen->workers, &domain->job);
}

static struct xen_domain *take_back(struct xen_job *job)
{
    struct xen_domain *domain =
        (struct xen_domain *)((char *)job - offsetof(struct xen_domain, job));
    domain->busy = false;
    return domain;
}

static void made(struct xen_job *job)
{
    struct xen_domain *domain = take_back(job);
    domain->make_wanted = false;
    if (job->failed) {
        xen_domain_condemn(domain, "%s", job->error.text);
        return;
    }
    domain->state = XEN_WAITING;
    xen_console_open(domain);
    xen_domain_made(domain);
    xen_domain_proceed(domain);
}

static void restored(struct xen_job *job)
{
    struct xen_domain *domain = take_back(job);
    if (job->failed) {
        xen_domain_condemn(domain, "it cannot be resumed: %s", job->error.text);
        return;
    }
    xen_saved_remove(domain);
    domain->state = XEN_WAITING;
    if (domain->config.num_nics > 0 && domain->config.nics[0].bridge)
        snprintf(domain->bridge, sizeof domain->bridge, "%s", domain->config.nics[0].bridge);
    xen_console_open(domain);
    xen_domain_made(domain);
    xen_domain_proceed(domain);
}

static void unpaused(struct xen_job *job)
{
    struct xen_domain *domain = take_back(job);
    if (job->failed) {
        xen_domain_condemn(domain, "%s", job->error.text);
        return;
    }
    bool was_paused = domain->state == XEN_PAUSED;
    domain->state = XEN_RUNNING;
    domain->run_wanted = false;
    if (!domain->machine)
        domain->end_wanted = true;
    else if (was_paused)
        xen_domain_ready(domain);
    else
        xen_domain_running(domain);
    xen_domain_proceed(domain);
}

/* It is out of reach now. */
static void leave(struct xen_domain *domain)
{
    if (domain->state == XEN_PAUSED) {
        switch_network(domain, false);
        return;
    }
    xen_console_close(domain);
    if (domain->machine)
        keeper_machine_attached(domain->machine, "");
}

static void suspended(struct xen_job *job, enum xen_state state)
{
    struct xen_domain *domain = take_back(job);
    domain->suspend_wanted = false;
    if (job->failed) {
        log_error("%s: cannot be suspended: %s; destroying it", domain->service, job->error.text);
        if (domain->machine)
            domain->machine->stopping = true;
        domain->end_wanted = true;
    } else {
        domain->state = state;
        leave(domain);
        if (domain->machine && domain->machine->suspending)
            keeper_machine_suspended(domain->machine);
    }
    xen_domain_proceed(domain);
}

static void saved(struct xen_job *job)
{
    suspended(job, XEN_SAVED);
}

static void paused(struct xen_job *job)
{
    suspended(job, XEN_PAUSED);
}

static void try_again(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct xen_domain *domain = argument;
    if (!domain->busy)
        xen_domain_proceed(domain);
}

static void destroyed(struct xen_job *job)
{
    struct xen_domain *domain = take_back(job);
    if (job->failed) {
        log_error("%s: %s; trying again", domain->service, job->error.text);
        xen_domain_after(domain, DESTROY_AGAIN_AFTER, try_again);
        return;
    }
    domain->state = XEN_ABSENT;
    xen_domain_proceed(domain);
}

static void begin_run(struct xen_domain *domain)
{
    struct error error;
    if (domain->state == XEN_ABSENT) {
        submit(domain, xen_work_create, made);
    } else if (domain->state == XEN_SAVED) {
        submit(domain, xen_work_restore, restored);
    } else if (domain->state == XEN_WAITING && attach_network(domain, &error) != 0) {
        xen_domain_condemn(domain, "%s", error.text);
    } else {
        if (domain->state == XEN_PAUSED)
            switch_network(domain, true);
        submit(domain, xen_work_unpause, unpaused);
    }
}

static bool is_to_be_saved(const struct xen_domain *domain)
{
    char label[CONFIG_LABEL_MAX + 1];
    const struct config *config = domain->xen->keeper->config;
    const struct config_service *service = config_find_service(config, domain->service);
    if (!service)
        service = config_find_wildcard(config, domain->service, label);
    return service && service->suspend_to == CONFIG_SUSPEND_TO_DISK;
}

/* Why it cannot be saved; NULL: it can. A guest takes part in it, and says that it can. */
static const char *find_obstacle(const struct xen_domain *domain)
{
    char path[128], value[XEN_STORE_VALUE_SIZE];
    snprintf(path, sizeof path, "/local/domain/%u/control/feature-suspend", domain->domid);
    xen_store_read(domain->xen->store, path, value);
    return domain->xen->saved == -1  ? "there is no directory for its file"
           : strcmp(value, "1") != 0 ? "its guest does not say that it can be saved"
                                     : NULL;
}

static void begin_suspend(struct xen_domain *domain)
{
    bool save = is_to_be_saved(domain);
    const char *obstacle = save ? find_obstacle(domain) : NULL;
    if (obstacle)
        log_info("%s: it stays in memory while it is suspended, as %s", domain->service, obstacle);
    if (save && !obstacle)
        submit(domain, xen_work_save, saved);
    else
        submit(domain, xen_work_pause, paused);
}

/* The toolstack would wait for the guest to take notice, for a minute. */
static void begin_shutdown(struct xen_domain *domain)
{
    char path[128];
    struct error error;
    snprintf(path, sizeof path, "/local/domain/%u/control/shutdown", domain->domid);
    domain->shutdown_wanted = false;
    if (xen_store_write(domain->xen->store, path, "poweroff", &error) != 0)
        log_warning("%s: %s; it is destroyed at its deadline", domain->service, error.text);
}

static void begin_end(struct xen_domain *domain)
{
    if (has_domain(domain)) {
        xen_console_drain(domain);
        xen_ready_end(domain);
        submit(domain, xen_work_destroy, destroyed);
        return;
    }
    if (domain->state == XEN_SAVED)
        xen_saved_remove(domain);
    xen_domain_ended(domain);
}

void xen_domain_proceed(struct xen_domain *domain)
{
    if (domain->busy)
        return;
    look(domain);
    if (domain->end_wanted) {
        begin_end(domain);
    } else if (domain->run_wanted && domain->state == XEN_RUNNING) {
        domain->run_wanted = false;
    } else if (domain->run_wanted || (domain->make_wanted && domain->state == XEN_ABSENT)) {
        begin_run(domain);
    } else if (domain->shutdown_wanted && domain->state == XEN_RUNNING) {
        begin_shutdown(domain);
    } else if (domain->suspend_wanted && domain->state == XEN_RUNNING) {
        begin_suspend(domain);
    }
}

/* --- life --- */

static struct xen_domain *allocate(struct xen *xen, const char *service, const char *directory_name)
{
    struct xen_domain *domain = calloc(1, sizeof *domain);
    if (!domain)
        return NULL;
    domain->xen = xen;
    domain->directory = domain->console_terminal = -1;
    snprintf(domain->service, sizeof domain->service, "%s", service);
    snprintf(domain->directory_name, sizeof domain->directory_name, "%s", directory_name);
    libxl_domain_config_init(&domain->config);
    domain->next = xen->domains;
    xen->domains = domain;
    return domain;
}

void xen_domain_free(struct xen_domain *domain)
{
    struct xen_domain **place = &domain->xen->domains;
    while (*place != domain)
        place = &(*place)->next;
    *place = domain->next;
    xen_ready_end(domain);
    xen_console_close(domain);
    if (domain->timer)
        event_free(domain->timer);
    libxl_domain_config_dispose(&domain->config);
    descriptor_close(&domain->directory);
    free(domain->ready_text);
    free(domain);
}

struct xen_domain *xen_domain_new(struct xen *xen, const struct config_service *service,
                                  const char *directory_name, struct error *error)
{
    struct xen_domain *domain = allocate(xen, service->name, directory_name);
    if (!domain) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    if (xen_config_make(domain, service, error) != 0) {
        xen_domain_free(domain);
        return NULL;
    }
    domain->directory = record_create(xen->directory, directory_name, error);
    if (domain->directory == -1) {
        xen_domain_free(domain);
        return NULL;
    }
    console_begin(&domain->console,
                  domain->rule == CONFIG_READY_CONSOLE ? domain->ready_text : NULL);
    xen_domain_remember(domain);
    return domain;
}

struct xen_domain *xen_domain_known(struct xen *xen, const struct record *record,
                                    const char *directory_name, int directory)
{
    struct xen_domain *domain = allocate(xen, record->service, directory_name);
    if (!domain)
        return NULL;
    domain->directory = directory;
    domain->begun = domain->entered = true;
    domain->rule = CONFIG_READY_ANNOUNCE;
    memcpy(domain->token, record->token, sizeof domain->token);
    libxl_uuid_from_string(&domain->uuid, record->domain);
    console_begin(&domain->console, NULL);
    return domain;
}

void xen_domain_remember(struct xen_domain *domain)
{
    const struct machine *machine = domain->machine;
    struct error error;
    struct record record = {0};
    snprintf(record.service, sizeof record.service, "%s", domain->service);
    snprintf(record.domain, sizeof record.domain, LIBXL_UUID_FMT, LIBXL_UUID_BYTES(domain->uuid));
    memcpy(record.token, domain->token, sizeof record.token);
    if (machine) {
        record.serial = machine->serial;
        record.started = machine->started;
        record.shutdown_timeout = machine->shutdown_timeout;
        record.ready = machine->ready;
        record.suspended = machine->suspended;
        record.place = machine->place;
        record.place = machine->place;
    }
    if (record_write(domain->directory, &record, &error) != 0)
        log_error("%s: %s; a restarted jitsud will not know this machine", domain->service,
                  error.text);
}
