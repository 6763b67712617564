/* The phases of the boot. While it lasts only the counter is read: what its counts mean in
 * nanoseconds may have to be measured, and is asked for when somebody looks. */
#include "platform/boot.h"

#include "jitsu/boot.h"
#include "jitsu/console.h"
#include "jitsu/options.h"
#include "platform/platform.h"

static struct {
    const char *name;
    uint64_t stamp;
} marks[BOOT_PHASES_MAX];
static size_t count;

void boot_phase(const char *name)
{
    if (count < BOOT_PHASES_MAX)
        count++;
    marks[count - 1].name = name;
    marks[count - 1].stamp = platform_stamp();
}

size_t boot_phases(const struct boot_phase **phases)
{
    static struct boot_phase table[BOOT_PHASES_MAX];

    for (size_t i = 0; i < count; i++)
        table[i] = (struct boot_phase){marks[i].name, platform_stamp_time(marks[i].stamp)};
    *phases = table;
    return count;
}

void boot_report(void)
{
    const struct boot_phase *phases;

    if (!option_get("phases").value)
        return;
    size_t phase_count = boot_phases(&phases);
    for (size_t i = 0; i < phase_count; i++)
        console_print("jitsu: phase %lu ns %s\n", phases[i].ended, phases[i].name);
}
