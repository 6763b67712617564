/* The machine's start in C, its parts in order, and what they give to the rest of the image. */
#include <string.h>

#include "jitsu/application.h"
#include "jitsu/boot.h"
#include "jitsu/clock.h"
#include "jitsu/console.h"
#include "jitsu/memory.h"
#include "jitsu/module.h"
#include "libc/heap.h"
#include "platform/options.h"
#include "platform/platform.h"
#include "platform/pvh/host.h"
#include "platform/pvh/hypervisor.h"
#include "platform/pvh/machine.h"
#include "platform/xen/xen.h"

#define ENTERED "jitsu: entered\n"
static struct boot_module module;
static size_t memory;

/* Called by entry.S. */
_Noreturn void machine_start(uint32_t start_info_address);

_Noreturn void machine_start(uint32_t start_info_address)
{
    struct start_info info;

    boot_phase("processor");
    if (hypervisor()->kind == HYPERVISOR_XEN)
        xen_start();
    else
        serial_start();
    interrupts_start();
    console_write(ENTERED, strlen(ENTERED));
    boot_phase("console");
    start_info_read(start_info_address, &info);
    paging_protect(info.memory_end);
    memory = info.memory;
    heap_add((void *)info.free.start, info.free.end - info.free.start);
    boot_phase("memory");
    options_start(info.command_line);
    stack_guard_start();
    if (info.module_size > 0)
        module = (struct boot_module){(const uint8_t *)info.module_start, info.module_size};
    host.interrupts_start();
    boot_phase("interrupts");
    clock_start();
    boot_phase("clock");

    application_main();
    application_power_off();
}

struct boot_module boot_module(void)
{
    return module;
}

size_t memory_total(void)
{
    return memory;
}

size_t memory_free(void)
{
    return heap_free_bytes();
}

void console_write(const char *text, size_t length)
{
    host.console_write(text, length);
}

void platform_wait(uint64_t deadline, bool (*may_sleep)(void *argument), void *argument)
{
    host.wait(deadline, may_sleep, argument);
}

struct network_device *platform_network_device(void)
{
    return host.network_device();
}

_Noreturn void power_off(enum power_off reason)
{
    host.power_off(reason);
    __builtin_unreachable();
}

_Noreturn void application_power_off(void)
{
    power_off(POWER_OFF_DONE);
}

void clock_sleep_until(uint64_t time)
{
    while (clock_now() < time)
        platform_wait(time, NULL, NULL);
}
