/* The platform under Xen: a guest in PVH mode, which has none of a PC's devices. What entry, memory
 * and the report of faults are like is as in platform/pvh. */
#ifndef JITSU_XEN_XEN_H
#define JITSU_XEN_XEN_H

#include <stdbool.h>
#include <stdint.h>

/* Puts what Xen gives in the place of a PC's devices (platform/pvh/host.h). The console works from
 * here on. */
void xen_start(void);

/* One of the domain's parameters (XEN_PARAM_...), and the page whose number it is. */
uint64_t xen_parameter(uint32_t index);
void *xen_parameter_page(uint32_t index);

/* Has the clock been started, so that there can be waiting? */
bool xen_can_wait(void);

#endif
