/* Random numbers: the processor's where it has some (RDRAND), else the time stamp counter and the
 * command line's token, mixed. */
#include <string.h>

#include "jitsu/options.h"
#include "platform/platform.h"
#include "platform/pvh/processor.h"

#define FEATURE_RDRAND (1u << 30)
#define RDRAND_TRIES   10

static bool draw(uint64_t *value)
{
    for (int i = 0; i < RDRAND_TRIES; i++) {
        bool good;
        __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(good));
        if (good)
            return true;
    }
    return false;
}

/* A number from the processor. Some processors have handed out one and the same for ever: one that
 * comes twice in a row counts as none. */
static bool processor_random(uint64_t *value)
{
    static enum { UNKNOWN, PRESENT, ABSENT } rdrand;
    static uint64_t last;

    if (rdrand == UNKNOWN)
        rdrand = cpuid(1).c & FEATURE_RDRAND && draw(&last) ? PRESENT : ABSENT;
    if (rdrand == ABSENT || !draw(value) || *value == last)
        return false;
    last = *value;
    return true;
}

size_t platform_entropy(void *buffer, size_t size)
{
    uint8_t *at = buffer;
    size_t left = size;

    while (left > 0) {
        uint64_t value;
        size_t count = left < sizeof value ? left : sizeof value;
        if (!processor_random(&value))
            return 0;
        memcpy(at, &value, count);
        at += count;
        left -= count;
    }
    return size;
}

/* A word that differs in about half its bits for neighbouring values (the finaliser of MurmurHash3,
 * a bijection). */
static uint64_t scatter(uint64_t value)
{
    value = (value ^ value >> 33) * 0xff51afd7ed558ccd;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53;
    return value ^ value >> 33;
}

uint64_t platform_random(void)
{
    static uint64_t pool;
    uint64_t value;

    if (processor_random(&value))
        return value;
    if (pool == 0) {
        struct option token = option_get("token");
        for (size_t i = 0; i < token.length; i++)
            pool = scatter(pool + (uint8_t)token.value[i] + 1);
    }
    pool = scatter(pool + time_stamp() + 0x9e3779b97f4a7c15);
    return scatter(pool ^ 0x9e3779b97f4a7c15);
}
