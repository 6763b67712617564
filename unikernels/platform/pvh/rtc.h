/* The machine's clock chip. */
#ifndef JITSU_PVH_RTC_H
#define JITSU_PVH_RTC_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds since the epoch. Returns false if the machine has no such chip. */
bool rtc_now(int64_t *seconds);

#endif
