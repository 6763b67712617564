/* The phases of the boot. While it lasts only the counter is read: what its counts mean in
 * nanoseconds may have to be measured, and is asked for when somebody looks. */
#include "jitsu/boot.h"

#include "platform/platform.h"

static struct {
    const char *name;
    uint64_t stamp;
} marks[BOOT_PHASES_MAX];
static size_t count;

void boot_phase(const char *name)
{
    if (count == BOOT_PHASES_MAX)
        return;
    marks[count].name = name;
    marks[count].stamp = platform_stamp();
    count++;
}

size_t boot_phases(const struct boot_phase **phases)
{
    static struct boot_phase table[BOOT_PHASES_MAX];

    for (size_t i = 0; i < count; i++)
        table[i] = (struct boot_phase){marks[i].name, platform_stamp_time(marks[i].stamp)};
    *phases = table;
    return count;
}
