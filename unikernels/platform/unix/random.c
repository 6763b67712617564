/* The host's random numbers. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "jitsu/application.h"
#include "platform/platform.h"

size_t platform_entropy(void *buffer, size_t size)
{
    uint8_t *at = buffer;
    size_t left = size;

    while (left > 0) {
        ssize_t got = getrandom(at, left, 0);
        if (got < 0 && errno != EINTR)
            application_fail("no random numbers: %s", strerror(errno));
        if (got > 0) {
            at += got;
            left -= (size_t)got;
        }
    }
    return size;
}

uint64_t platform_random(void)
{
    uint64_t number;

    platform_entropy(&number, sizeof number);
    return number;
}
