/* Time. Durations and moments inside a process are nanoseconds of CLOCK_MONOTONIC; what people and
 * files see is seconds since the epoch. Both processes of one daemon share the monotonic clock. */
#ifndef JITSU_COMMON_CLOCK_H
#define JITSU_COMMON_CLOCK_H

#include <stdint.h>
#include <sys/time.h>

#define NANOSECONDS_PER_SECOND      UINT64_C(1000000000)
#define NANOSECONDS_PER_MILLISECOND UINT64_C(1000000)

/* Nanoseconds of CLOCK_MONOTONIC; never 0. */
uint64_t clock_now(void);

/* The same from CLOCK_MONOTONIC_COARSE: cheaper, up to 10 ms late; for the hot path. */
uint64_t clock_now_coarse(void);

/* Seconds since the epoch, with fraction. */
double clock_wall(void);

/* A moment of clock_now() as seconds since the epoch; 0 (never) stays 0. */
double clock_to_wall(uint64_t moment);

/* A duration in nanoseconds as struct timeval, for libevent. */
struct timeval clock_timeval(uint64_t nanoseconds);

#endif
