/* The page that the machine shares with Xen: pending events and the time. */
#ifndef JITSU_XEN_SHARED_INFO_H
#define JITSU_XEN_SHARED_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/xen/interface.h"

/* Has Xen put the page where the others find it. */
void shared_info_map(void);

/* Puts Xen's page number `index` of `space` in the place of the machine's own `page`. */
void page_map(uint32_t space, uint64_t index, void *page);

/* The event channels that something has come to, a bit each. */
uint64_t *shared_info_pending(void);

/* Xen's system time, in nanoseconds, and how much of it passes in one count of the time stamp
 * counter
 * (<< 32). */
uint64_t system_time(void);
uint64_t system_time_rate(void);

/* The time of day, in seconds since the epoch. */
int64_t system_time_wall(void);

#endif
