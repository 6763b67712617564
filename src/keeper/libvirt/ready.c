/* When a domain is ready. On a bridge network what can be seen of it on the wire is seen by the
 * port, and the front tells; a domain on no network of jitsud's is tried from here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/libvirt/libvirt.h"

#define PROBE_INTERVAL (100 * NANOSECONDS_PER_MILLISECOND)

static bool is_on_bridge(const struct config_service *service)
{
    return service->network && service->network->type == CONFIG_NETWORK_BRIDGE;
}

static enum config_ready default_rule(const struct libvirt_domain *domain,
                                      const struct config_service *service)
{
    if (domain->image.announces)
        return CONFIG_READY_ANNOUNCE;
    if (service->port_count > 0)
        return CONFIG_READY_TCP;
    return is_on_bridge(service) ? CONFIG_READY_ARP : CONFIG_READY_AFTER;
}

int libvirt_ready_choose(struct libvirt_domain *domain, const struct config_service *service,
                         struct error *error)
{
    domain->rule = (enum config_ready)service->ready;
    domain->ready_port = service->ready_port;
    domain->ready_after = service->ready_after;
    if (domain->rule == CONFIG_READY_DEFAULT) {
        domain->rule = default_rule(domain, service);
        if (service->port_count > 0)
            domain->ready_port = service->ports[0].machine;
    }
    if (!is_on_bridge(service))
        domain->probed = (struct endpoint){service->addresses[0], domain->ready_port};
    if (domain->rule == CONFIG_READY_CONSOLE) {
        domain->ready_text = strdup(service->ready_text);
        if (!domain->ready_text)
            return error_set(error, "memory is exhausted");
    }
    return 0;
}

static void fulfil(struct libvirt_domain *domain)
{
    struct machine *machine = domain->machine;
    /* While it is being stopped the timer is that of its shutdown. */
    if (!machine || machine->ready || machine->stopping)
        return;
    libvirt_ready_end(domain);
    keeper_machine_ready(machine, clock_now());
}

/* --- trying its port --- */

static void end_probe(struct libvirt_domain *domain)
{
    if (domain->probe_writable)
        event_free(domain->probe_writable);
    domain->probe_writable = NULL;
    descriptor_close(&domain->probe);
}

static void on_probe(evutil_socket_t probe, short events, void *argument)
{
    (void)events;
    struct libvirt_domain *domain = argument;
    int failure = 0;
    socklen_t length = sizeof failure;
    bool connected =
        getsockopt(probe, SOL_SOCKET, SO_ERROR, &failure, &length) == 0 && failure == 0;
    end_probe(domain);
    if (connected)
        fulfil(domain);
}

/* A fresh one each time is a fresh SYN, soon after the machine can answer it. */
static void probe(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct libvirt_domain *domain = argument;
    struct sockaddr_storage address;
    socklen_t length = endpoint_to_sockaddr(&domain->probed, &address);
    end_probe(domain);
    libvirt_domain_after(domain, PROBE_INTERVAL, probe);
    domain->probe = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (domain->probe == -1)
        return;
    if (connect(domain->probe, (struct sockaddr *)&address, length) != 0 && errno != EINPROGRESS) {
        descriptor_close(&domain->probe);
        return;
    }
    domain->probe_writable = event_new(domain->connection->libvirt->keeper->base, domain->probe,
                                       EV_WRITE, on_probe, domain);
    if (!domain->probe_writable || event_add(domain->probe_writable, NULL) != 0)
        end_probe(domain);
}

/* --- */

static void time_passed(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    fulfil(argument);
}

void libvirt_ready_begin(struct libvirt_domain *domain)
{
    if (domain->rule == CONFIG_READY_AFTER)
        libvirt_domain_after(domain, domain->ready_after, time_passed);
    else if (domain->rule == CONFIG_READY_TCP && domain->probed.port)
        libvirt_domain_after(domain, 0, probe);
}

void libvirt_ready_console(struct libvirt_domain *domain, enum console_event event)
{
    if ((event == CONSOLE_READY && domain->rule == CONFIG_READY_ANNOUNCE) ||
        (event == CONSOLE_WANTED && domain->rule == CONFIG_READY_CONSOLE))
        fulfil(domain);
}

void libvirt_ready_seen(struct libvirt_domain *domain)
{
    if (domain->rule == CONFIG_READY_ANNOUNCE || domain->rule == CONFIG_READY_TCP ||
        domain->rule == CONFIG_READY_ARP)
        fulfil(domain);
}

void libvirt_ready_end(struct libvirt_domain *domain)
{
    end_probe(domain);
    if (domain->timer)
        event_del(domain->timer);
}
