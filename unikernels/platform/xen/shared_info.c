#include "platform/xen/shared_info.h"

#include "jitsu/clock.h"
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"
#include "platform/xen/hypercall.h"

static union {
    struct xen_shared_info info;
    uint8_t bytes[XEN_PAGE];
} shared __attribute__((aligned(XEN_PAGE)));

void page_map(uint32_t space, uint64_t index, void *page)
{
    struct xen_map map = {
        .domain = XEN_SELF,
        .space = space,
        .index = index,
        .frame = (uintptr_t)page / XEN_PAGE,
    };

    if (hypercall(XEN_MEMORY, XEN_MEMORY_MAP, &map) != 0)
        machine_fatal("Xen does not map page %lu of kind %u", index, space);
}

void shared_info_map(void)
{
    /* Nothing is to interrupt the machine; but it is by this that Xen learns that it is in 64-bit
     * mode, and lays the page out accordingly. */
    struct xen_parameter no_callback = {.domain = XEN_SELF, .index = XEN_PARAM_CALLBACK};

    if (hypercall(XEN_HVM, XEN_HVM_SET_PARAMETER, &no_callback) != 0)
        machine_fatal("Xen does not take a 64-bit machine");
    page_map(XEN_SPACE_SHARED_INFO, 0, &shared);
}

uint64_t *shared_info_pending(void)
{
    return shared.info.pending;
}

/* What Xen changes while it is read is read again: its version is odd then, or another afterwards.
 */
static bool is_steady(const uint32_t *version, uint32_t before)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return !(before & 1) && __atomic_load_n(version, __ATOMIC_RELAXED) == before;
}

static struct xen_time time_now(void)
{
    const struct xen_time *time = &shared.info.processors[0].time;
    struct xen_time copy;
    uint32_t version;

    do {
        version = __atomic_load_n(&time->version, __ATOMIC_ACQUIRE);
        copy = *(const volatile struct xen_time *)time;
    } while (!is_steady(&time->version, version));
    return copy;
}

static uint64_t shifted(uint64_t value, int shift)
{
    return shift < 0 ? value >> -shift : value << shift;
}

uint64_t system_time(void)
{
    struct xen_time time = time_now();
    uint64_t counts = shifted(time_stamp() - time.stamp, time.shift);

    return time.system + (uint64_t)((unsigned __int128)counts * time.multiplier >> 32);
}

uint64_t system_time_rate(void)
{
    struct xen_time time = time_now();

    return shifted(time.multiplier, time.shift);
}

int64_t system_time_wall(void)
{
    const struct xen_shared_info *info = &shared.info;
    uint64_t seconds, nanoseconds;
    uint32_t version;

    do {
        version = __atomic_load_n(&info->wall_version, __ATOMIC_ACQUIRE);
        seconds = *(const volatile uint32_t *)&info->wall_seconds;
        seconds |= (uint64_t) * (const volatile uint32_t *)&info->wall_seconds_high << 32;
        nanoseconds = *(const volatile uint32_t *)&info->wall_nanoseconds;
    } while (!is_steady(&info->wall_version, version));
    return (int64_t)(seconds + (nanoseconds + system_time()) / CLOCK_SECOND);
}
