/* Random numbers: the processor's where it has some (RDRAND), else the time stamp counter and the
 * command line's token, mixed. */
#include "jitsu/options.h"
#include "platform/platform.h"
#include "platform/pvh/processor.h"

#define FEATURE_RDRAND (1u << 30)
#define RDRAND_TRIES   10

static bool processor_random(uint64_t *value)
{
    static enum { UNKNOWN, PRESENT, ABSENT } rdrand;

    if (rdrand == UNKNOWN)
        rdrand = cpuid(1).c & FEATURE_RDRAND ? PRESENT : ABSENT;
    if (rdrand == ABSENT)
        return false;
    for (int i = 0; i < RDRAND_TRIES; i++) {
        bool good;
        __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(good));
        if (good)
            return true;
    }
    return false;
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
