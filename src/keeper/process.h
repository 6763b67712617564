/* The keeper's insides, which its parts share. */
#ifndef JITSU_KEEPER_PROCESS_H
#define JITSU_KEEPER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "keeper/keeper.h"
#include "keeper/message.h"

#define MACHINE_BUCKETS 1024

struct bridge_watch;
struct bridges;
struct event;
struct event_base;
struct machine;
struct listening;
struct libvirt;
struct qemu;
struct xen;

struct keeper {
    const struct keeper_options *options;
    struct event_base *base;
    const struct config *config;
    struct config *own_config; /* the same, if a reload has read it; else NULL */
    struct config *candidate;  /* what the front was given to read for a reload; NULL: nothing yet,
                                  or nothing that is right */
    uint64_t candidate_digest; /* message_digest() of its file */

    struct message_link *link; /* to the front; NULL: it is gone */
    bool synchronised;         /* the front has been told of all machines */
    struct event *supervisor_readable, *terminated;
    int supervisor;
    int status; /* what keeper_run() returns */

    struct listening *listening;
    struct bridges *bridges;
    struct bridge_watch *bridge_watch;
    struct machine *machines[MACHINE_BUCKETS]; /* by name */
    unsigned starting;                         /* machines that are not ready yet */
    unsigned adopting;                         /* machines that are still being looked at */

    /* The backends' own; NULL: not opened, or not built in. */
    struct qemu *qemu;
    struct libvirt *libvirt;
    struct xen *xen;
};

/* To the front; dropped if there is none. */
void keeper_send(struct keeper *keeper, const struct message *message, int descriptor);

/* Tells the front of all machines once they are known; does nothing if it has been told. */
void keeper_synchronise(struct keeper *keeper);

#endif
