/* How the machine came to be ready, phase by phase. */
#ifndef JITSU_BOOT_H
#define JITSU_BOOT_H

#include <stddef.h>
#include <stdint.h>

#define BOOT_PHASES_MAX 24

struct boot_phase {
    const char *name;
    uint64_t ended; /* clock_now() */
};

/* The phase `name`, a constant text, has ended now; it began where the one before it ended. The
 * platform and the network have theirs; an application may add its own before it serves
 * (network_serve() ends "application" and "ready", which is the last). Costs next to nothing. Where
 * there are too many, the last one stands for those that there was no room for. */
void boot_phase(const char *name);

/* The phases that have ended, in order. Returns how many. */
size_t boot_phases(const struct boot_phase **phases);

#endif
