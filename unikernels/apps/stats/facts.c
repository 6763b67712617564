#include "stats/facts.h"

#include <string.h>

#include "jitsu/clock.h"
#include "jitsu/machine.h"
#include "jitsu/memory.h"

struct facts facts_now(void)
{
    struct facts facts = {
        .name = option_get("name"),
        .platform = machine_platform(),
        .hypervisor = machine_hypervisor(),
        .now = clock_now(),
        .memory_total = memory_total(),
        .memory_free = memory_free(),
        .connections_open = stream_count(),
        .connections_limit = stream_capacity(),
        .arrivals = stream_arrivals(),
    };

    facts.phase_count = boot_phases(&facts.phases);
    if (facts.phase_count > 0)
        facts.ready = facts.phases[facts.phase_count - 1].ended;
    return facts;
}

uint64_t facts_phase_time(const struct facts *facts, size_t i)
{
    return facts->phases[i].ended - (i > 0 ? facts->phases[i - 1].ended : 0);
}

const char *facts_phase_meaning(const char *name)
{
    static const struct {
        const char *name, *meaning;
    } known[] = {
        {"processor", "64-bit mode, memory mapped"},
        {"console", "serial port, reports of exceptions"},
        {"memory", "found, protected, ready to be given out"},
        {"interrupts", "controllers set up"},
        {"clock", "its rate looked up"},
        {"process", "arguments read"},
        {"module", "the boot module read"},
        {"network device", "found, its queues filled"},
        {"addresses", "set, and announced"},
        {"application", "set up, listening"},
        {"ready", "said so on the console"},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].meaning;
    return "";
}
