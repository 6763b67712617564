#include "platform/xen/xen.h"

#include <stdlib.h>

#include "jitsu/clock.h"
#include "net/device.h"
#include "platform/pvh/host.h"
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"
#include "platform/xen/console.h"
#include "platform/xen/control.h"
#include "platform/xen/events.h"
#include "platform/xen/grants.h"
#include "platform/xen/hypercall.h"
#include "platform/xen/netfront.h"
#include "platform/xen/shared_info.h"
#include "platform/xen/store.h"

bool hypercall_is_vmmcall;
static bool clock_runs;
static struct network_device *network;

uint64_t xen_parameter(uint32_t index)
{
    struct xen_parameter parameter = {.domain = XEN_SELF, .index = index};

    return hypercall(XEN_HVM, XEN_HVM_GET_PARAMETER, &parameter) == 0 ? parameter.value : 0;
}

void *xen_parameter_page(uint32_t index)
{
    uintptr_t page = (uintptr_t)xen_parameter(index) * XEN_PAGE;

    if (page)
        paging_cache(page);
    return (void *)page;
}

bool xen_can_wait(void)
{
    return clock_runs;
}

static uint64_t start_clock(void)
{
    clock_runs = true;
    return system_time_rate();
}

static uint8_t *take_pages(size_t count)
{
    uint8_t *memory = malloc((count + 1) * XEN_PAGE);

    if (!memory)
        machine_fatal("no memory for the network");
    return (uint8_t *)(((uintptr_t)memory + XEN_PAGE - 1) & ~(uintptr_t)(XEN_PAGE - 1));
}

static void save(void);

static void finish(void)
{
    if (network && network->events)
        network->events->finish();
}

static const struct control_orders orders = {.finish = finish, .save = save};

static struct network_device *start_network(void)
{
    store_start();
    grants_map();
    if (!netfront_begin(take_pages(NETFRONT_PAGES)))
        return NULL;
    control_start(&orders);
    network = netfront_finish();
    return network;
}

/* Comes back in another domain, with other pages of Xen's and other backends; or in the same, if
 * something went wrong. */
static void save(void)
{
    struct xen_shutdown shutdown = {.reason = XEN_SHUTDOWN_SAVE};

    if (hypercall(XEN_SCHED, XEN_SCHED_SHUTDOWN, &shutdown) != 0)
        return;
    shared_info_map();
    xen_console_start();
    store_start();
    grants_map();
    bool has_network = netfront_begin_again();
    control_start(&orders);
    if (!has_network)
        return;
    netfront_finish();
    if (network)
        network->events->connected();
}

static void wait(uint64_t deadline, bool (*may_sleep)(void *argument), void *argument)
{
    const uint32_t ports[] = {netfront_port(), store_port()};
    unsigned first = ports[0] ? 0 : 1, end = store_port() ? 2 : 0;

    for (unsigned i = first; i < end; i++)
        events_clear(ports[i]);
    if (store_has_come() || (may_sleep && !may_sleep(argument)))
        return;
    events_wait(ports + first, end - first, deadline);
}

static bool wall_clock(int64_t *seconds)
{
    *seconds = system_time_wall();
    return *seconds > 0;
}

_Noreturn static void shut_down(enum power_off reason)
{
    struct xen_shutdown shutdown = {
        .reason = reason == POWER_OFF_FATAL ? XEN_SHUTDOWN_CRASH : XEN_SHUTDOWN_OFF,
    };

    xen_console_drain();
    for (;;)
        hypercall(XEN_SCHED, XEN_SCHED_SHUTDOWN, &shutdown);
}

void xen_start(void)
{
    host = (struct host){
        .console_write = xen_console_write,
        .interrupts_start = shared_info_map,
        .clock_rate = start_clock,
        .wall_clock = wall_clock,
        .wait = wait,
        .network_device = start_network,
        .power_off = shut_down,
    };
    struct cpuid vendor = cpuid(0);

    /* "AuthenticAMD" or "HygonGenuine" */
    hypercall_is_vmmcall = vendor.b == 0x68747541 || vendor.b == 0x6f677948;
    xen_console_start();
}
