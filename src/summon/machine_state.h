/* A machine's states and the one table that says which event moves which state where (DESIGN: "A
 * machine's states"). Pure: no clock, no I/O; the summoner acts on what the table says. */
#ifndef JITSU_SUMMON_MACHINE_STATE_H
#define JITSU_SUMMON_MACHINE_STATE_H

#include <stdbool.h>

enum machine_state {
    MACHINE_OFF,
    MACHINE_STARTING,
    MACHINE_RUNNING,
    MACHINE_STOPPING,
    MACHINE_SUSPENDED,
    MACHINE_FAILED,
    MACHINE_STATES,
};

enum machine_event {
    EVENT_START,        /* somebody wants it and limits and back-off allow it */
    EVENT_READY,        /* the keeper says it takes traffic */
    EVENT_ADOPTED,      /* the keeper has it running already */
    EVENT_START_FAILED, /* the keeper could not start it */
    EVENT_BOOT_TIMEOUT, /* not ready within boot-timeout */
    EVENT_EXITED,       /* gone, unasked */
    EVENT_STOP,         /* idle, by command, or no longer configured */
    EVENT_STOPPED,      /* gone, as asked */
    EVENT_SUSPENDED,    /* suspended, as asked */
    MACHINE_EVENTS,
};

/* The state that follows, or -1 if `state` does not expect `event` (to be logged, then ignored). */
int machine_state_next(enum machine_state state, enum machine_event event);

/* "off", "starting", ... as in status and events; and back (-1: no such word). */
const char *machine_state_name(enum machine_state state);
int machine_state_parse(const char *word, enum machine_state *state);
const char *machine_event_name(enum machine_event event);

#endif
