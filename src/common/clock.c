#include "common/clock.h"

#include <time.h>

static uint64_t nanoseconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t clock_now(void)
{
    return nanoseconds_of(CLOCK_MONOTONIC);
}

uint64_t clock_now_coarse(void)
{
    return nanoseconds_of(CLOCK_MONOTONIC_COARSE);
}

double clock_wall(void)
{
    return (double)nanoseconds_of(CLOCK_REALTIME) / (double)NANOSECONDS_PER_SECOND;
}

double clock_to_wall(uint64_t moment)
{
    if (moment == 0)
        return 0;
    double ago = ((double)clock_now() - (double)moment) / (double)NANOSECONDS_PER_SECOND;
    return clock_wall() - ago;
}

struct timeval clock_timeval(uint64_t nanoseconds)
{
    return (struct timeval){
        .tv_sec = (time_t)(nanoseconds / NANOSECONDS_PER_SECOND),
        .tv_usec = (suseconds_t)(nanoseconds % NANOSECONDS_PER_SECOND / 1000),
    };
}
