#include "summon/machine_state.h"

#include <stdint.h>
#include <string.h>

/* Above MACHINE_OFF, which would be 0: an empty field of the table is an event not expected. */
#define TO(state) ((uint8_t)((state) + 1))

static const uint8_t table[MACHINE_STATES][MACHINE_EVENTS] = {
    [MACHINE_OFF] =
        {
            [EVENT_START] = TO(MACHINE_STARTING),
            [EVENT_ADOPTED] = TO(MACHINE_RUNNING),
            [EVENT_SUSPENDED] = TO(MACHINE_SUSPENDED), /* adopted so */
        },
    [MACHINE_STARTING] =
        {
            [EVENT_READY] = TO(MACHINE_RUNNING),
            [EVENT_ADOPTED] = TO(MACHINE_RUNNING), /* got ready while the keeper was away */
            [EVENT_START_FAILED] = TO(MACHINE_FAILED),
            [EVENT_BOOT_TIMEOUT] = TO(MACHINE_FAILED),
            [EVENT_EXITED] = TO(MACHINE_FAILED),
            [EVENT_STOP] = TO(MACHINE_STOPPING),
            [EVENT_STOPPED] = TO(MACHINE_OFF), /* an earlier front had asked for it */
            [EVENT_SUSPENDED] = TO(MACHINE_SUSPENDED),
        },
    [MACHINE_RUNNING] =
        {
            [EVENT_EXITED] = TO(MACHINE_FAILED),
            [EVENT_STOP] = TO(MACHINE_STOPPING),
            [EVENT_STOPPED] = TO(MACHINE_OFF), /* an earlier front had asked for it */
            [EVENT_SUSPENDED] = TO(MACHINE_SUSPENDED),
        },
    [MACHINE_STOPPING] =
        {
            [EVENT_START_FAILED] = TO(MACHINE_OFF),
            [EVENT_EXITED] = TO(MACHINE_OFF), /* by itself, before it was stopped */
            [EVENT_STOPPED] = TO(MACHINE_OFF),
            [EVENT_SUSPENDED] = TO(MACHINE_SUSPENDED),
        },
    [MACHINE_SUSPENDED] =
        {
            [EVENT_START] = TO(MACHINE_STARTING),
            [EVENT_ADOPTED] = TO(MACHINE_RUNNING), /* somebody else resumed it */
            [EVENT_EXITED] = TO(MACHINE_OFF), /* nobody used it: the next start is a cold one */
            [EVENT_STOP] = TO(MACHINE_STOPPING),
            [EVENT_STOPPED] = TO(MACHINE_OFF),
        },
    [MACHINE_FAILED] =
        {
            [EVENT_START] = TO(MACHINE_STARTING),
            [EVENT_STOP] = TO(MACHINE_OFF), /* given up: nothing is left to stop */
        },
};

static const char *const state_names[MACHINE_STATES] = {
    [MACHINE_OFF] = "off",
    [MACHINE_STARTING] = "starting",
    [MACHINE_RUNNING] = "running",
    [MACHINE_STOPPING] = "stopping",
    [MACHINE_SUSPENDED] = "suspended",
    [MACHINE_FAILED] = "failed",
};

static const char *const event_names[MACHINE_EVENTS] = {
    [EVENT_START] = "start",
    [EVENT_READY] = "ready",
    [EVENT_ADOPTED] = "adopted",
    [EVENT_START_FAILED] = "start-failed",
    [EVENT_BOOT_TIMEOUT] = "boot-timeout",
    [EVENT_EXITED] = "exited",
    [EVENT_STOP] = "stop",
    [EVENT_STOPPED] = "stopped",
    [EVENT_SUSPENDED] = "suspended",
};

int machine_state_next(enum machine_state state, enum machine_event event)
{
    return (int)table[state][event] - 1;
}

const char *machine_state_name(enum machine_state state)
{
    return state_names[state];
}

int machine_state_parse(const char *word, enum machine_state *state)
{
    for (unsigned i = 0; i < MACHINE_STATES; i++)
        if (strcmp(word, state_names[i]) == 0) {
            *state = (enum machine_state)i;
            return 0;
        }
    return -1;
}

const char *machine_event_name(enum machine_event event)
{
    return event_names[event];
}
