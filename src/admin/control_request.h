/* One line of the control protocol as checked values. Pure: no I/O. */
#ifndef JITSU_ADMIN_CONTROL_REQUEST_H
#define JITSU_ADMIN_CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "config/config.h"
#include "summon/machine_state.h"

/* Longest request line in bytes, without its line break. */
#define CONTROL_REQUEST_MAX 65536

enum control_command {
    CONTROL_STATUS,
    CONTROL_START,
    CONTROL_STOP,
    CONTROL_WAIT,
    CONTROL_EVENTS,
    CONTROL_CONSOLE,
    CONTROL_RELOAD,
    CONTROL_STATS,
    CONTROL_VERSION,
    CONTROL_COMMANDS,
};

struct control_request {
    enum control_command command;
    char name[CONFIG_NAME_TEXT_MAX]; /* lower case, no last dot; "" if not given */
    bool has_mode;
    enum config_stop mode;    /* stop */
    enum machine_state state; /* wait; running if not given */
    bool has_timeout;
    uint64_t timeout; /* wait; nanoseconds */
    bool follow;      /* events */
    bool has_last;
    uint64_t last; /* events: at most this many of the past */
};

/* Parses one line, `length` bytes without the line break: a JSON object with the member "command"
 * and the members that this command takes. Anything else is refused with a message that names it.
 * Returns 0 or -1. */
int control_request_parse(const char *line, size_t length, struct control_request *request,
                          struct error *error);

#endif
