/* When a QEMU machine is ready. On a user network that a connection is accepted proves nothing,
 * since QEMU accepts it itself; what the machine has said to it is asked of the monitor. On a
 * bridge network what can be seen of it on the wire is seen by the port, and the front tells. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "keeper/qemu/process.h"
#include "keeper/qemu/usernet.h"

/* A fresh probe is a fresh SYN to the machine: soon at first, less often for one that takes long.
 */
#define PROBE_INTERVAL      (25 * NANOSECONDS_PER_MILLISECOND)
#define PROBE_INTERVAL_LATE (100 * NANOSECONDS_PER_MILLISECOND)
#define PROBES_EARLY        80

#define LIST_PORTS                                                                                 \
    "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"info usernet\"}}"

int readiness_choose(struct qemu_process *process, const struct config_service *service,
                     struct error *error)
{
    process->rule = service->ready;
    process->ready_port = service->ready_port;
    process->ready_after = service->ready_after;
    if (process->rule == CONFIG_READY_DEFAULT) {
        bool bridge = service->network && service->network->type == CONFIG_NETWORK_BRIDGE;
        if (!process->image.announces && service->port_count == 0 && !bridge)
            return error_set(
                error, "nothing tells when it is ready: the image does not announce it, and "
                       "there are no ports; expected `ready` or `ports` in its configuration");
        process->rule = process->image.announces   ? CONFIG_READY_ANNOUNCE
                        : service->port_count == 0 ? CONFIG_READY_ARP
                                                   : CONFIG_READY_TCP;
        if (service->port_count > 0)
            process->ready_port = service->ports[0].machine;
    }
    if (process->rule == CONFIG_READY_CONSOLE) {
        process->ready_text = strdup(service->ready_text);
        if (!process->ready_text)
            return error_set(error, "memory is exhausted");
    }
    return 0;
}

static bool ports_are_known(const struct qemu_process *process)
{
    for (unsigned i = 0; i < process->forward_count; i++)
        if (process->forwards[i].host == 0)
            return false;
    return true;
}

static void tell_if_ready(struct qemu_process *process)
{
    if (process->ready_moment && process->machine && ports_are_known(process)) {
        readiness_end(process);
        qemu_process_ready(process);
    }
}

static void fulfil(struct qemu_process *process)
{
    if (process->ready_moment)
        return;
    process->ready_moment = clock_now();
    tell_if_ready(process);
}

static void ports_listed(void *argument, bool failed, const char *text)
{
    if (!failed)
        readiness_ports(argument, text);
}

static void list_ports(struct qemu_process *process)
{
    if (process->qmp)
        qmp_execute(process->qmp, LIST_PORTS, ports_listed, process);
}

static uint16_t host_port(const struct qemu_process *process, uint16_t machine_port)
{
    for (unsigned i = 0; i < process->forward_count; i++)
        if (process->forwards[i].machine == machine_port)
            return process->forwards[i].host;
    return 0;
}

static int open_probe(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe != -1 && connect(probe, (struct sockaddr *)&address, sizeof address) != 0 &&
        errno != EINPROGRESS)
        descriptor_close(&probe);
    return probe;
}

static void probe(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct qemu_process *process = argument;
    uint16_t port = host_port(process, process->ready_port);
    if (port) {
        int *place = &process->probes[process->probe_count++ % QEMU_PROBES];
        descriptor_close(place);
        *place = open_probe(port);
    }
    list_ports(process);
    qemu_process_after(
        process, process->probe_count < PROBES_EARLY ? PROBE_INTERVAL : PROBE_INTERVAL_LATE, probe);
}

static void time_passed(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    fulfil(argument);
}

void readiness_begin(struct qemu_process *process)
{
    if (!ports_are_known(process))
        list_ports(process);
    if (!process->machine)
        return; /* a spare, which waits */
    if (process->rule == CONFIG_READY_TCP && !process->device[0])
        qemu_process_after(process, PROBE_INTERVAL, probe);
    else if (process->rule == CONFIG_READY_AFTER)
        qemu_process_after(process, process->ready_after, time_passed);
}

void readiness_console(struct qemu_process *process, enum console_event event)
{
    if ((event == CONSOLE_READY && process->rule == CONFIG_READY_ANNOUNCE) ||
        (event == CONSOLE_WANTED && process->rule == CONFIG_READY_CONSOLE))
        fulfil(process);
}

void readiness_seen(struct qemu_process *process)
{
    if (process->rule == CONFIG_READY_ANNOUNCE || process->rule == CONFIG_READY_TCP ||
        process->rule == CONFIG_READY_ARP)
        fulfil(process);
}

void readiness_ports(struct qemu_process *process, const char *text)
{
    for (unsigned i = 0; i < process->forward_count; i++)
        if (process->forwards[i].host == 0)
            process->forwards[i].host = usernet_forward(text, process->forwards[i].machine);
    if (process->rule == CONFIG_READY_TCP && !process->ready_moment &&
        usernet_is_established(text, process->ready_port))
        fulfil(process);
    else if (process->ready_moment && !(process->machine && process->machine->ready))
        tell_if_ready(process);
}

void readiness_end(struct qemu_process *process)
{
    for (unsigned i = 0; i < QEMU_PROBES; i++)
        descriptor_close(&process->probes[i]);
    if (process->timer)
        event_del(process->timer);
}
