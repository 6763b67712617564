/* The clock is the processor's time stamp counter. Its rate is told by the host, or else is
 * measured against the timer of the local APIC, over the time that the machine took to set up
 * anyway. */
#include "jitsu/clock.h"

#include <stdbool.h>

#include "jitsu/options.h"
#include "platform/platform.h"
#include "platform/pvh/host.h"
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"

#define NANOSECONDS_A_TICK (CLOCK_SECOND / APIC_TIMER_HERTZ)
#define TICKS_MAX          UINT32_MAX
#define PRECISION          200 /* the measure may be wrong by one part of this many */
#define PATIENCE           (APIC_TIMER_HERTZ / 50) /* but does not take longer than 20 ms */

#define YEAR_10000 UINT64_C(253402300800) /* when it begins, in seconds since the epoch */

/* Timer and counter, read at nearly the same moment: so many counts apart at most. */
struct moment {
    uint64_t stamp;
    uint64_t apart;
    uint32_t ticks_left;
};

static uint64_t rate; /* nanoseconds << 32 a count; 0: not measured yet */
static struct moment first;

/* The host may take the processor away between the two readings: the closest of a few tries. */
static struct moment moment_now(void)
{
    struct moment best = {.apart = UINT64_MAX};

    for (int i = 0; i < 4; i++) {
        uint64_t before = time_stamp();
        uint32_t left = apic_timer_left();
        uint64_t apart = time_stamp() - before;
        if (apart < best.apart)
            best = (struct moment){.stamp = before, .apart = apart, .ticks_left = left};
    }
    return best;
}

static void measure(void)
{
    struct moment last;
    uint64_t counts, ticks;

    do {
        last = moment_now();
        counts = last.stamp - first.stamp;
        ticks = first.ticks_left - last.ticks_left;
    } while (counts < (first.apart + last.apart) * PRECISION && ticks < PATIENCE);
    rate = (ticks * NANOSECONDS_A_TICK << 32) / counts;
}

void clock_start(void)
{
    rate = host.clock_rate();
    if (rate)
        return;
    apic_timer_set(TICKS_MAX);
    first = moment_now();
}

uint64_t platform_stamp(void)
{
    return time_stamp();
}

static uint64_t since_entry(uint64_t stamp)
{
    return (uint64_t)(((unsigned __int128)(stamp - entry_stamp) * rate) >> 32);
}

uint64_t platform_stamp_time(uint64_t stamp)
{
    if (rate == 0)
        measure();
    return since_entry(stamp);
}

uint64_t clock_now(void)
{
    if (rate == 0)
        measure();
    return since_entry(time_stamp());
}

bool clock_wall(int64_t *seconds)
{
    uint64_t at_start = option_number("time", 0, 1, YEAR_10000 - 1);

    if (host.wall_clock(seconds))
        return true;
    *seconds = (int64_t)(at_start + clock_now() / CLOCK_SECOND);
    return at_start > 0;
}
