/* What the machine knows about itself at a moment. */
#ifndef JITSU_STATS_FACTS_H
#define JITSU_STATS_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "jitsu/boot.h"
#include "jitsu/options.h"
#include "jitsu/stream.h"

struct facts {
    struct option name; /* of the service; `value` is NULL if nobody told it */
    const char *platform, *hypervisor;
    const struct boot_phase *phases;
    size_t phase_count;
    uint64_t ready; /* nanoseconds from entry to ready */
    uint64_t now;   /* since the entry */
    size_t memory_total, memory_free;
    size_t connections_open, connections_limit;
    struct stream_arrivals arrivals;
};

struct facts facts_now(void);

/* How long phase `i` took, in nanoseconds. */
uint64_t facts_phase_time(const struct facts *facts, size_t i);

/* What is done in the phase of that name, for people; "" for one that only its application knows.
 */
const char *facts_phase_meaning(const char *name);

#endif
