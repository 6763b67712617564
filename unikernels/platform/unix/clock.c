/* The clock counts from the start of the process. */
#include <errno.h>
#include <time.h>

#include "jitsu/clock.h"
#include "jitsu/options.h"
#include "platform/platform.h"
#include "platform/unix/process.h"

#define YEAR_10000 UINT64_C(253402300800) /* when it begins, in seconds since the epoch */

static uint64_t started;

static uint64_t monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_SECOND + (uint64_t)now.tv_nsec;
}

void clock_start(void)
{
    started = monotonic();
}

uint64_t clock_now(void)
{
    return monotonic() - started;
}

bool clock_wall(int64_t *seconds)
{
    struct timespec now;

    uint64_t at_start = option_number("time", 0, 1, YEAR_10000 - 1);

    clock_gettime(CLOCK_REALTIME, &now);
    *seconds = at_start > 0 ? (int64_t)(at_start + clock_now() / CLOCK_SECOND) : now.tv_sec;
    return true;
}

uint64_t platform_stamp(void)
{
    return clock_now();
}

uint64_t platform_stamp_time(uint64_t stamp)
{
    return stamp;
}

void clock_sleep_until(uint64_t time)
{
    uint64_t at = started + time;
    const struct timespec until = {
        .tv_sec = (time_t)(at / CLOCK_SECOND),
        .tv_nsec = (long)(at % CLOCK_SECOND),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}
