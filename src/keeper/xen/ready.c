/* When a Xen machine is ready. What can be seen of it on the wire is seen by the port, and the
 * front tells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/xen/xen.h"

/* A backend's XenbusState: the frontend has connected, and packets flow. */
#define CONNECTED "4"

int xen_ready_choose(struct xen_domain *domain, const struct config_service *service,
                     bool announces, struct error *error)
{
    domain->rule = service->ready;
    domain->ready_port = service->ready_port;
    domain->ready_after = service->ready_after;
    if (domain->rule == CONFIG_READY_DEFAULT) {
        domain->rule = announces                  ? CONFIG_READY_ANNOUNCE
                       : service->port_count == 0 ? CONFIG_READY_ARP
                                                  : CONFIG_READY_TCP;
        if (service->port_count > 0)
            domain->ready_port = service->ports[0].machine;
    }
    if (!service->ready_text)
        return 0;
    domain->ready_text = strdup(service->ready_text);
    return domain->ready_text ? 0 : error_set(error, "memory is exhausted");
}

static void fulfil(struct xen_domain *domain)
{
    if (!domain->machine || domain->machine->ready || domain->machine->stopping)
        return;
    xen_ready_end(domain);
    xen_domain_ready(domain);
}

static void time_passed(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    fulfil(argument);
}

static void make_path(const struct xen_domain *domain, char *path, size_t size)
{
    snprintf(path, size, "/local/domain/%u/%s", domain->domid, domain->ready_text);
}

static void key_changed(void *argument)
{
    struct xen_domain *domain = argument;
    char path[CONFIG_PATH_MAX], value[XEN_STORE_VALUE_SIZE];
    make_path(domain, path, sizeof path);
    xen_store_read(domain->xen->store, path, value);
    if (value[0])
        fulfil(domain);
}

static void end_watch(struct xen_domain *domain)
{
    xen_store_unwatch(domain->ready_watch);
    domain->ready_watch = NULL;
}

static void watch(struct xen_domain *domain, const char *path, xen_store_function *changed)
{
    struct error error;
    end_watch(domain);
    domain->ready_watch = xen_store_watch(domain->xen->store, path, changed, domain, &error);
    if (!domain->ready_watch)
        xen_domain_condemn(domain, "when it is ready cannot be seen: %s", error.text);
}

void xen_ready_begin(struct xen_domain *domain)
{
    char path[CONFIG_PATH_MAX];
    if (domain->rule == CONFIG_READY_AFTER) {
        xen_domain_after(domain, domain->ready_after, time_passed);
    } else if (domain->rule == CONFIG_READY_XENSTORE) {
        make_path(domain, path, sizeof path);
        watch(domain, path, key_changed);
    }
}

static void make_vif_path(const struct xen_domain *domain, char *path, size_t size)
{
    snprintf(path, size, "/local/domain/0/backend/vif/%u/0/state", domain->domid);
}

static void vif_changed(void *argument)
{
    struct xen_domain *domain = argument;
    char path[128], value[XEN_STORE_VALUE_SIZE];
    make_vif_path(domain, path, sizeof path);
    xen_store_read(domain->xen->store, path, value);
    if (strcmp(value, CONNECTED) != 0)
        return;
    end_watch(domain); /* the timer may be that of its shutdown */
    xen_domain_ready(domain);
}

void xen_ready_begin_again(struct xen_domain *domain)
{
    char path[128];
    make_vif_path(domain, path, sizeof path);
    watch(domain, path, vif_changed);
}

void xen_ready_console(struct xen_domain *domain, enum console_event event)
{
    if ((event == CONSOLE_READY && domain->rule == CONFIG_READY_ANNOUNCE) ||
        (event == CONSOLE_WANTED && domain->rule == CONFIG_READY_CONSOLE))
        fulfil(domain);
}

void xen_ready_seen(struct xen_domain *domain)
{
    if (domain->rule == CONFIG_READY_ANNOUNCE || domain->rule == CONFIG_READY_TCP ||
        domain->rule == CONFIG_READY_ARP)
        fulfil(domain);
}

void xen_ready_end(struct xen_domain *domain)
{
    end_watch(domain);
    if (domain->timer && domain->rule == CONFIG_READY_AFTER)
        event_del(domain->timer);
}
