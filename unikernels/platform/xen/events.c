#include "platform/xen/events.h"

#include "jitsu/clock.h"
#include "platform/pvh/machine.h"
#include "platform/xen/hypercall.h"
#include "platform/xen/shared_info.h"

uint32_t events_open(uint16_t remote)
{
    struct xen_unbound_port port = {.domain = XEN_SELF, .remote = remote};

    if (hypercall(XEN_EVENT, XEN_EVENT_ALLOC_UNBOUND, &port) != 0 || port.port >= XEN_PORT_MAX)
        machine_fatal("Xen gives no event channel to domain %u", remote);
    return port.port;
}

void events_close(uint32_t port)
{
    struct xen_port argument = {.port = port};

    hypercall(XEN_EVENT, XEN_EVENT_CLOSE, &argument);
}

void events_send(uint32_t port)
{
    struct xen_port argument = {.port = port};

    hypercall(XEN_EVENT, XEN_EVENT_SEND, &argument);
}

void events_clear(uint32_t port)
{
    uint64_t *word = &shared_info_pending()[port / 64];
    uint64_t bit = UINT64_C(1) << port % 64;

    if (__atomic_load_n(word, __ATOMIC_RELAXED) & bit)
        __atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST);
}

void events_wait(const uint32_t *ports, unsigned count, uint64_t deadline)
{
    uint64_t now = clock_now();

    if (deadline <= now)
        return;
    uint64_t rest = deadline - now;
    struct xen_poll poll = {.ports = ports, .port_count = count};
    if (rest < UINT64_MAX / 2)
        poll.timeout = system_time() + rest;
    hypercall(XEN_SCHED, XEN_SCHED_POLL, &poll);
}
