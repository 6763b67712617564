/* The commands of jitsuctl. Each returns the program's exit status, after having printed what there
 * is to say. */
#ifndef JITSU_ADMIN_CLIENT_COMMANDS_H
#define JITSU_ADMIN_CLIENT_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* refused or failed */
    EXIT_USAGE = 2,
};

/* The command line, checked. */
struct arguments {
    const char *socket;                /* path of the control socket */
    const char *operand;               /* NAME or DIR; NULL if not given */
    const char *mode, *state, *output; /* --mode, --for, --output; NULL if not given */
    double timeout;                    /* --timeout, seconds; negative: none */
    int64_t lines;                     /* --lines; negative: all */
    bool json, follow, no_compress;
};

typedef int command_function(const struct arguments *arguments);

command_function command_status;
command_function command_start, command_stop, command_wait;
command_function command_events;
command_function command_console;
command_function command_reload, command_stats, command_version;
command_function command_pack;

#endif
