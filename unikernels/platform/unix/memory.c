/* The application's memory is the host's, up to the size that the option memory= names, as a
 * machine has no more either. The boot module and what the kernel holds for sockets come on top. */
#include "jitsu/memory.h"

#include <malloc.h>
#include <sys/resource.h>

#include "jitsu/application.h"
#include "jitsu/options.h"
#include "platform/unix/process.h"

#define MEGABYTE     (UINT64_C(1) << 20)
#define MEMORY_LEAST (2 * MEGABYTE)
#define MEMORY_MOST  (UINT64_C(1) << 40)
#define OVERHEAD     MEGABYTE /* the C library's own */

static uint64_t memory = 64 * MEGABYTE;

/* A number of bytes, or with K, M or G behind it of so many times 1024. */
static uint64_t parse_size(struct option option)
{
    uint64_t size = 0;
    size_t at = 0;

    for (; at < option.length && option.value[at] >= '0' && option.value[at] <= '9'; at++)
        if (size <= MEMORY_MOST)
            size = size * 10 + (uint64_t)(option.value[at] - '0');
    unsigned shift = 0;
    if (at > 0 && at + 1 == option.length) {
        char unit = option.value[at++];
        shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 64;
    }
    if (at != option.length || shift == 64 || size > MEMORY_MOST >> shift ||
        size << shift < MEMORY_LEAST)
        application_fail("option memory=%.*s: a size from 2M to 1024G is expected",
                         (int)option.length, option.value);
    return size << shift;
}

/* What sanitizers need for themselves would not fit. */
#ifndef SANITIZERS
static void limit_memory(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_DATA, &limit) != 0 || limit.rlim_cur <= memory + OVERHEAD)
        return;
    limit.rlim_cur = memory + OVERHEAD;
    setrlimit(RLIMIT_DATA, &limit);
}
#else
static void limit_memory(void)
{
}
#endif

void memory_start(void)
{
    struct option option = option_get("memory");

    if (option.value)
        memory = parse_size(option);
    limit_memory();
}

size_t memory_total(void)
{
    return memory;
}

size_t memory_free(void)
{
    struct mallinfo2 in_use = mallinfo2();
    size_t used = in_use.uordblks + in_use.hblkhd;

    return used < memory ? memory - used : 0;
}
