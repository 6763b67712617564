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
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"

#define ENTERED            "jitsu: entered\n"
#define NANOSECONDS_A_TICK (CLOCK_SECOND / APIC_TIMER_HERTZ)
#define TICKS_MAX          (APIC_TIMER_HERTZ * 60u)

static struct boot_module module;
static size_t memory;

/* Called by entry.S. */
_Noreturn void machine_start(uint32_t start_info_address);

_Noreturn void machine_start(uint32_t start_info_address)
{
    struct start_info info;

    boot_phase("processor");
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
    apic_start();
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

void platform_wait(uint64_t deadline, bool (*may_sleep)(void *argument), void *argument)
{
    static uint64_t timer_deadline;
    static uint32_t interrupts_then;
    uint64_t now = clock_now();

    if (deadline <= now || (may_sleep && !may_sleep(argument)))
        return;
    /* A timer that is due earlier only wakes us once for nothing: it is setting it that costs. */
    bool running = interrupts_then == timer_interrupts && timer_deadline > now;
    if (!running || timer_deadline > deadline) {
        uint64_t ticks = (deadline - now) / NANOSECONDS_A_TICK + 1;
        ticks = ticks < TICKS_MAX ? ticks : TICKS_MAX;
        timer_deadline = now + ticks * NANOSECONDS_A_TICK;
        interrupts_then = timer_interrupts;
        apic_timer_set((uint32_t)ticks);
    }
    interrupts_on_and_halt();
}

void clock_sleep_until(uint64_t time)
{
    while (clock_now() < time)
        platform_wait(time, NULL, NULL);
}
