/* What the machine has besides processor and memory: a PC's devices, as QEMU emulates them, or what
 * Xen gives in their place. */
#ifndef JITSU_PVH_HOST_H
#define JITSU_PVH_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/pvh/machine.h"

struct network_device;

struct host {
    /* console_write() of jitsu/console.h. */
    void (*console_write)(const char *text, size_t length);

    /* Sets up what wakes the machine. */
    void (*interrupts_start)(void);

    /* How many nanoseconds (<< 32) there are in a count of the time stamp counter; 0 if nobody
     * tells: it is measured then. */
    uint64_t (*clock_rate)(void);

    /* clock_wall() of jitsu/clock.h. */
    bool (*wall_clock)(int64_t *seconds);

    /* platform_wait() and platform_network_device() of platform.h. */
    void (*wait)(uint64_t deadline, bool (*may_sleep)(void *argument), void *argument);
    struct network_device *(*network_device)(void);

    /* Does not return. */
    void (*power_off)(enum power_off reason);
};

/* The machine's: a PC's (pc.c), if nobody finds out otherwise. It is not a constant, so that a
 * machine can end that cannot read its constants. */
extern struct host host;

#endif
