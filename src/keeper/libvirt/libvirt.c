/* The libvirt backend: machines as domains of libvirt connections. */
#include "keeper/libvirt/libvirt.h"

#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/libvirt/loop.h"

/* --- starting --- */

static void attach(struct libvirt_domain *domain, struct machine *machine)
{
    domain->machine = machine;
    machine->data = domain;
    machine->ready_rule = (uint8_t)domain->rule;
    machine->ready_port = domain->ready_port;
    memcpy(machine->token, domain->token, sizeof machine->token);
    memcpy(machine->device, domain->device, sizeof machine->device);
    snprintf(machine->domain, sizeof machine->domain, "%.*s", (int)sizeof machine->domain - 1,
             domain->name);
}

static int libvirt_start(struct machine *machine, const struct config_service *service,
                         struct error *error)
{
    struct libvirt *libvirt = machine->keeper->libvirt;
    struct libvirt_connection *connection =
        libvirt_connection_get(libvirt, service->connect, error);
    if (!connection)
        return -1;
    if (libvirt_connection_is_down(connection)) {
        machine->blameless = true;
        return error_set(error, "libvirt %s: %s", connection->uri, connection->why);
    }
    struct libvirt_domain *domain =
        service->domain ? NULL : libvirt_spare_take(connection, service);
    machine->prewarmed = domain != NULL;
    if (!domain)
        domain = service->domain ? libvirt_launch_existing(connection, service, error)
                                 : libvirt_launch(connection, service, false, error);
    if (!domain)
        return -1;
    attach(domain, machine);
    libvirt_domain_remember(
        domain); /* before there is anything to remember, lest it be forgotten */
    libvirt_domain_want(domain, WANTED_RUNNING);
    if (machine->prewarmed) {
        libvirt_domain_spawned(domain);
        libvirt_spare_refill_soon(libvirt);
    }
    return 0;
}

static void libvirt_seen_ready(struct machine *machine)
{
    libvirt_ready_seen(machine->data);
}

/* --- stopping --- */

static void shutdown_overdue(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct libvirt_domain *domain = argument;
    log_info("%s: it has not shut down in time: destroying it", domain->service);
    libvirt_domain_want(domain, WANTED_GONE);
}

static void libvirt_stop(struct machine *machine, enum config_stop mode)
{
    struct libvirt_domain *domain = machine->data;
    domain->resuming = false;
    switch (mode) {
    case CONFIG_STOP_SUSPEND:
        libvirt_domain_want(domain, WANTED_PAUSED);
        break;
    case CONFIG_STOP_SHUTDOWN:
        libvirt_domain_after(domain, machine->shutdown_timeout, shutdown_overdue);
        libvirt_domain_want(domain, WANTED_SHUT_DOWN);
        break;
    case CONFIG_STOP_DESTROY:
        libvirt_domain_want(domain, WANTED_GONE);
        break;
    }
}

static void libvirt_resume(struct machine *machine)
{
    struct libvirt_domain *domain = machine->data;
    domain->resuming = true;
    libvirt_domain_want(domain, WANTED_RUNNING);
}

static void libvirt_remember(struct machine *machine)
{
    libvirt_domain_remember(machine->data);
}

static void libvirt_forget(struct machine *machine)
{
    if (machine->data)
        libvirt_domain_free(machine->data);
    machine->data = NULL;
}

/* --- life --- */

/* They are told with what failed. */
static void print_no_errors(void *argument, virErrorPtr error)
{
    (void)argument, (void)error;
}

static bool is_used(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].backend == CONFIG_BACKEND_LIBVIRT)
            return true;
    return false;
}

/* Opens the connections that the configuration names. */
static int configure(struct libvirt *libvirt, const struct config *config, struct error *error)
{
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].backend == CONFIG_BACKEND_LIBVIRT &&
            !libvirt_connection_get(libvirt, config->services[i].connect, error))
            return -1;
    if (libvirt_existing_configure(libvirt, config) != 0 ||
        libvirt_spare_configure(libvirt, config) != 0)
        return error_set(error, "memory is exhausted");
    return 0;
}

static int libvirt_open(struct keeper *keeper, struct error *error)
{
    struct libvirt *libvirt = calloc(1, sizeof *libvirt);
    if (!libvirt)
        return error_set(error, "memory is exhausted");
    keeper->libvirt = libvirt;
    libvirt->keeper = keeper;
    libvirt->directory = -1;
    SLIST_INIT(&libvirt->connections);
    libvirt->refill = libvirt_spare_timer(libvirt);
    if (!libvirt->refill)
        return error_set(error, "memory is exhausted");
    virSetErrorFunc(NULL, print_no_errors);
    if (libvirt_adopt_all(libvirt, error) != 0)
        return -1;
    libvirt_saved_clean(libvirt);
    return is_used(keeper->config) ? configure(libvirt, keeper->config, error) : 0;
}

/* The old configuration is about to go: nothing of it may be kept. */
static void forget_configuration(struct libvirt *libvirt)
{
    struct libvirt_connection *connection;
    libvirt->prewarmed_count = 0;
    SLIST_FOREACH(connection, &libvirt->connections, entry)
    {
        connection->existing_count = 0;
    }
}

static void libvirt_reload(struct keeper *keeper, const struct config *config)
{
    struct error error;
    forget_configuration(keeper->libvirt);
    if (configure(keeper->libvirt, config, &error) != 0)
        log_error("libvirt: %s; nothing is prewarmed, and domains that somebody else starts are "
                  "not noticed, until a reload works",
                  error.text);
}

static void libvirt_settled(struct keeper *keeper)
{
    libvirt_spare_refill_soon(keeper->libvirt);
}

static void libvirt_close(struct keeper *keeper)
{
    struct libvirt *libvirt = keeper->libvirt;
    struct libvirt_connection *connection;
    if (!libvirt)
        return;
    libvirt_spare_end_all(libvirt);
    libvirt_connections_finish(libvirt);
    if (libvirt->has_loop)
        libvirt_loop_close();
    while ((connection = SLIST_FIRST(&libvirt->connections))) {
        SLIST_REMOVE_HEAD(&libvirt->connections, entry);
        libvirt_connection_free(connection);
    }
    if (libvirt->refill)
        event_free(libvirt->refill);
    descriptor_close(&libvirt->directory);
    free(libvirt->prewarmed);
    free(libvirt);
    keeper->libvirt = NULL;
}

const struct backend libvirt_backend = {
    .name = "libvirt",
    .open = libvirt_open,
    .start = libvirt_start,
    .seen_ready = libvirt_seen_ready,
    .resume = libvirt_resume,
    .stop = libvirt_stop,
    .remember = libvirt_remember,
    .forget = libvirt_forget,
    .reload = libvirt_reload,
    .settled = libvirt_settled,
    .close = libvirt_close,
};
