/* The machine as a PC: serial port, local APIC, virtio, clock chip. */
#include "jitsu/clock.h"
#include "jitsu/options.h"
#include "platform/pvh/host.h"
#include "platform/pvh/hypervisor.h"
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"
#include "platform/pvh/rtc.h"
#include "platform/pvh/virtio_net.h"

#define NANOSECONDS_A_TICK (CLOCK_SECOND / APIC_TIMER_HERTZ)
#define TICKS_MAX          (APIC_TIMER_HERTZ * 60u)

#define LEAF_TIME_STAMP 0x15
#define LEAF_FREQUENCY  0x40000010 /* of a hypervisor */

/* The time stamp counter's rate in kHz as somebody tells it, or 0. */
static uint64_t told_khz(void)
{
    uint64_t khz = option_number("tsc_khz", 0, 1000, 100000000);
    if (khz)
        return khz;

    struct cpuid basic = cpuid(0);
    if (basic.a >= LEAF_TIME_STAMP) {
        struct cpuid ratio = cpuid(LEAF_TIME_STAMP);
        if (ratio.a && ratio.b && ratio.c)
            return (uint64_t)ratio.c * ratio.b / ratio.a / 1000;
    }
    if (hypervisor()->last_leaf >= LEAF_FREQUENCY)
        return cpuid(LEAF_FREQUENCY).a;
    return 0;
}

static uint64_t clock_rate(void)
{
    uint64_t khz = told_khz();

    return khz ? (UINT64_C(1000000) << 32) / khz : 0;
}

static void wait(uint64_t deadline, bool (*may_sleep)(void *argument), void *argument)
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

struct host host = {
    .console_write = serial_write,
    .interrupts_start = apic_start,
    .clock_rate = clock_rate,
    .wall_clock = rtc_now,
    .wait = wait,
    .network_device = virtio_network_device,
    .power_off = pc_power_off,
};
