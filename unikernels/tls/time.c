/* What Mbed TLS asks the machine for. */
#include <time.h>

#include "jitsu/clock.h"
#include "mbedtls/platform_util.h"

time_t tls_time(time_t *seconds)
{
    int64_t now;

    if (!clock_wall(&now))
        now = 0;
    if (seconds)
        *seconds = now;
    return now;
}

struct tm *mbedtls_platform_gmtime_r(const mbedtls_time_t *seconds, struct tm *fields)
{
    return gmtime_r(seconds, fields);
}
