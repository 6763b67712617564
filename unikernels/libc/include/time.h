/* The part of C's <time.h> that Mbed TLS uses. The time of day is jitsu/clock.h's. */
#ifndef JITSU_LIBC_TIME_H
#define JITSU_LIBC_TIME_H

#include <stdint.h>

typedef int64_t time_t; /* seconds since the epoch */

struct tm {
    int tm_sec, tm_min, tm_hour;
    int tm_mday;
    int tm_mon;  /* from 0 on */
    int tm_year; /* since 1900 */
    int tm_wday; /* Sunday: 0 */
    int tm_yday; /* from 0 on */
    int tm_isdst;
};

/* Universal time. */
struct tm *gmtime_r(const time_t *seconds, struct tm *fields);

#endif
