/* libvirt's event loop on the keeper's: libvirt, from whatever thread, asks for descriptors and
 * timers to be watched, and its callbacks are made on the keeper's loop. libvirt takes one event
 * loop for the life of a process. */
#ifndef JITSU_KEEPER_LIBVIRT_LOOP_H
#define JITSU_KEEPER_LIBVIRT_LOOP_H

#include "common/error.h"

struct event_base;

/* Before the first connection is opened. Returns 0, or -1 with the reason. */
int libvirt_loop_open(struct event_base *base, struct error *error);

/* Watches nothing any more, and calls nobody; what libvirt asks for from now on waits for the next
 * libvirt_loop_open(). */
void libvirt_loop_close(void);

#endif
