/* The platform under Xen: a guest in PVH mode, which has none of a PC's devices. What entry, memory
 * and the report of faults are like is as in platform/pvh. */
#ifndef JITSU_XEN_XEN_H
#define JITSU_XEN_XEN_H

#include <stdbool.h>
#include <stdint.h>

struct network_device;

/* Puts what Xen gives in the place of a PC's devices (platform/pvh/host.h). The console works from
 * here on. */
void xen_start(void);

/* One of the domain's parameters (XEN_PARAM_...), and the page whose number it is. */
uint64_t xen_parameter(uint32_t index);
void *xen_parameter_page(uint32_t index);

/* Has the clock been started, so that there can be waiting? */
bool xen_can_wait(void);

/* control.c: heeds the toolstack's orders to power off, from now on; they go to `finish`. */
void control_start(void (*finish)(void));

/* netfront.c: the first network interface. netfront_begin() tells its backend of it, and returns
 * false if there is none; netfront_finish() waits until the backend is there, too. */
bool netfront_begin(void);
struct network_device *netfront_finish(void);

/* The event channel of the network, or 0: there is none. */
uint32_t netfront_port(void);

#endif
