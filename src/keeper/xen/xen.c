/* The xen backend: machines as domains of the Xen that this host, as its dom0, runs under. */
#include "keeper/xen/xen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/process.h"

int xen_connect(struct xen *xen, struct error *error)
{
    struct event_base *base = xen->keeper->base;
    if (!xen->tools)
        xen->tools = xen_tools_open(error);
    if (!xen->tools)
        return -1;
    if (!xen->store)
        xen->store = xen_store_open(base, error);
    if (!xen->store)
        return -1;
    if (!xen->released)
        xen->released = xen_store_watch(xen->store, "@releaseDomain", xen_domains_look, xen, error);
    if (!xen->released)
        return -1;
    if (!xen->workers)
        xen->workers = xen_workers_new(base);
    return xen->workers ? 0 : error_set(error, "memory is exhausted");
}

/* --- starting --- */

static void name_domain(const struct xen_domain *domain, struct machine *machine)
{
    const char *name = xen_domain_name(domain);
    if (strlen(name) < sizeof machine->domain)
        strcpy(machine->domain, name);
    else
        snprintf(machine->domain, sizeof machine->domain, "%u", domain->domid);
}

static void attach(struct xen_domain *domain, struct machine *machine)
{
    domain->machine = machine;
    machine->data = domain;
    machine->ready_rule = (uint8_t)domain->rule;
    machine->ready_port = domain->ready_port;
    memcpy(machine->token, domain->token, sizeof machine->token);
    name_domain(domain, machine);
}

static void report_spawned(const struct xen_domain *domain)
{
    struct machine *machine = domain->machine;
    memcpy(machine->device, xen_domain_device(domain).name, sizeof machine->device);
    keeper_machine_spawned(machine, clock_now());
}

static int xen_start(struct machine *machine, const struct config_service *service,
                     struct error *error)
{
    struct xen *xen = machine->keeper->xen;
    if (xen_connect(xen, error) != 0)
        return -1;
    struct xen_domain *domain = xen_spare_take(xen, service);
    if (domain) {
        machine->prewarmed = domain->state == XEN_WAITING;
        xen_spare_refill_soon(xen);
    } else {
        domain = xen_domain_new(xen, service, service->name, error);
    }
    if (!domain)
        return -1;
    attach(domain, machine);
    domain->run_wanted = true;
    if (domain->state == XEN_WAITING)
        report_spawned(domain);
    xen_domain_remember(domain);
    xen_domain_proceed(domain);
    return 0;
}

void xen_domain_made(struct xen_domain *domain)
{
    struct machine *machine = domain->machine;
    if (!machine) {
        xen_spare_made(domain);
        return;
    }
    name_domain(domain, machine);
    if (machine->spawned)
        keeper_machine_attached(machine, xen_domain_device(domain).name);
    else
        report_spawned(domain);
}

void xen_domain_running(struct xen_domain *domain)
{
    bool again = domain->begun;
    domain->begun = true;
    if (again)
        xen_ready_begin_again(domain);
    else
        xen_ready_begin(domain);
}

void xen_domain_ready(struct xen_domain *domain)
{
    if (domain->machine && !domain->machine->stopping)
        keeper_machine_ready(domain->machine, clock_now());
}

static void xen_seen_ready(struct machine *machine)
{
    xen_ready_seen(machine->data);
}

static void xen_resume(struct machine *machine)
{
    struct xen_domain *domain = machine->data;
    domain->suspend_wanted = false;
    domain->run_wanted = true;
    if (!domain->busy && domain->state == XEN_RUNNING)
        xen_domain_ready(domain);
    xen_domain_proceed(domain);
}

/* --- stopping --- */

static void shutdown_overdue(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct xen_domain *domain = argument;
    log_info("%s: it has not shut down in time: destroying it", domain->service);
    domain->end_wanted = true;
    xen_domain_proceed(domain);
}

static void xen_stop(struct machine *machine, enum config_stop mode)
{
    struct xen_domain *domain = machine->data;
    switch (mode) {
    case CONFIG_STOP_SUSPEND:
        domain->suspend_wanted = true;
        break;
    case CONFIG_STOP_SHUTDOWN:
        /* A suspended machine must run to hear of it. */
        domain->run_wanted = domain->state != XEN_RUNNING;
        domain->suspend_wanted = false;
        domain->shutdown_wanted = true;
        xen_domain_after(domain, machine->shutdown_timeout, shutdown_overdue);
        break;
    case CONFIG_STOP_DESTROY:
        domain->end_wanted = true;
        break;
    }
    xen_domain_proceed(domain);
}

void xen_domain_ended(struct xen_domain *domain)
{
    char why[sizeof domain->why];
    struct xen *xen = domain->xen;
    struct machine *machine = domain->machine;
    record_remove(xen->directory, domain->directory_name);
    if (!machine) {
        xen_spare_ended(domain);
        xen_domain_free(domain);
        return;
    }
    memcpy(why, domain->why, sizeof why);
    keeper_machine_gone(machine, why); /* frees it by xen_forget() */
}

static void xen_remember(struct machine *machine)
{
    xen_domain_remember(machine->data);
}

static void xen_forget(struct machine *machine)
{
    struct xen_domain *domain = machine->data;
    if (!domain)
        return; /* it has not got that far */
    machine->data = NULL;
    domain->machine = NULL;
    if (!domain->busy)
        xen_domain_free(domain);
}

/* --- life --- */

static int open_directory(struct xen *xen, struct error *error)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/xen", xen->keeper->config->run_directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set_errno(error, "cannot make %s", path);
    xen->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return xen->directory == -1 ? error_set_errno(error, "cannot open %s", path) : 0;
}

static bool is_configured(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].backend == CONFIG_BACKEND_XEN)
            return true;
    return false;
}

static void open_saved(struct xen *xen, const struct config *config)
{
    struct error error;
    if (xen->saved != -1 || !is_configured(config))
        return;
    xen->saved = xen_saved_open(config->state_directory, &error);
    if (xen->saved == -1)
        log_warning("%s: Xen machines that are suspended stay in memory", error.text);
}

static int xen_open(struct keeper *keeper, struct error *error)
{
    struct xen *xen = calloc(1, sizeof *xen);
    error_set(error, "memory is exhausted");
    if (!xen)
        return -1;
    keeper->xen = xen;
    xen->keeper = keeper;
    xen->directory = xen->saved = -1;
    xen->refill = xen_spare_timer(xen);
    if (!xen->refill || open_directory(xen, error) != 0)
        return -1;
    open_saved(xen, keeper->config);
    if (xen_take_over(xen, error) != 0)
        return -1;
    if (xen->saved != -1)
        xen_saved_clean(xen);
    if (xen_spare_configure(xen, keeper->config) != 0)
        return error_set(error, "memory is exhausted");
    return 0;
}

static void xen_reload(struct keeper *keeper, const struct config *config)
{
    open_saved(keeper->xen, config);
    keeper->xen->prewarmed_count = 0; /* of the old configuration, which is about to go */
    if (xen_spare_configure(keeper->xen, config) != 0)
        log_error("memory is exhausted: no Xen machines are prewarmed until a reload works");
}

static void xen_settled(struct keeper *keeper)
{
    xen_spare_refill_soon(keeper->xen);
}

static void xen_close(struct keeper *keeper)
{
    struct xen *xen = keeper->xen;
    if (!xen)
        return;
    keeper->xen = NULL;
    if (!xen_workers_free(xen->workers)) {
        log_warning("Xen is still at work for a machine; the next jitsud ends what comes of it");
        return;
    }
    while (xen->domains)
        xen_domain_free(xen->domains);
    xen_store_unwatch(xen->released);
    xen_store_close(xen->store);
    xen_tools_close(xen->tools);
    if (xen->refill)
        event_free(xen->refill);
    descriptor_close(&xen->directory);
    descriptor_close(&xen->saved);
    free(xen->prewarmed);
    free(xen);
}

const struct backend xen_backend = {
    .name = "xen",
    .open = xen_open,
    .start = xen_start,
    .seen_ready = xen_seen_ready,
    .resume = xen_resume,
    .stop = xen_stop,
    .remember = xen_remember,
    .forget = xen_forget,
    .reload = xen_reload,
    .settled = xen_settled,
    .close = xen_close,
};
