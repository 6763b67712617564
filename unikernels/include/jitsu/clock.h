/* The clock. */
#ifndef JITSU_CLOCK_H
#define JITSU_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_SECOND      UINT64_C(1000000000)
#define CLOCK_MILLISECOND UINT64_C(1000000)

/* Nanoseconds since the kernel was entered. Never goes back; right within 1 %. */
uint64_t clock_now(void);

/* The time of day, in seconds since the epoch: the host's, or as the option time= (seconds since
 * the epoch, at the start) told it. Returns false if nobody has told. */
bool clock_wall(int64_t *seconds);

/* Returns when clock_now() is `time`; the processor halts meanwhile. Nothing else happens then, so
 * it is not for an application that serves the network. */
void clock_sleep_until(uint64_t time);

#endif
