/* Xen's event channels: how the backends and the machine wake each other. Nothing interrupts the
 * machine here: it asks for what has come, and sleeps in Xen until there is something. */
#ifndef JITSU_XEN_EVENTS_H
#define JITSU_XEN_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

/* A new port, which the domain `remote` may bind. Ends the machine if there is none. */
uint32_t events_open(uint16_t remote);
void events_close(uint32_t port);

/* Wakes the other end. */
void events_send(uint32_t port);

/* From here on an event that comes to the port ends events_wait(), also if it comes before that. */
void events_clear(uint32_t port);

/* Sleeps until an event comes to one of the ports, at the latest until clock_now() is `deadline`.
 */
void events_wait(const uint32_t *ports, unsigned count, uint64_t deadline);

#endif
