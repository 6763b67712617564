/* The supervisor: the parent of the two processes, the keeper and the front. It parses nothing and
 * serves nobody; it starts them, connects them, starts again the one that ends, passes signals on,
 * and tells systemd. An unprivileged front could not start a privileged keeper again: that is why
 * there is a parent. */
#ifndef JITSU_SUPERVISOR_H
#define JITSU_SUPERVISOR_H

#include <stdbool.h>

#include "config/config.h"
#include "privileges.h"

struct supervisor_options {
    struct config *config; /* owned by the supervisor from then on */
    struct identity identity;
    int control;        /* the listening control socket */
    bool stop_machines; /* at the end stop the machines too */
    int ready; /* a byte is written and it is closed when everything serves; -1: nobody waits */
    int argument_count; /* of main: the children's titles are written over them */
    char **arguments;
};

/* Runs until SIGTERM or SIGINT. Returns the exit status: 0, or 1 where the first start failed (it
 * has been logged). */
int supervise(const struct supervisor_options *options);

#endif
