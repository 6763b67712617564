/* The keeper: the process that keeps the privileges of the start. It opens sockets, starts and
 * stops machines as the front asks, and adopts those that an earlier keeper left running. It does
 * not trust the front: only what the configuration names is opened or started. */
#ifndef JITSU_KEEPER_KEEPER_H
#define JITSU_KEEPER_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"

struct keeper_options {
    const struct config *config; /* what jitsud was started with; must outlive the keeper */
    int link;                    /* to the front; becomes the keeper's */
    int supervisor;   /* to the supervisor, which passes a new link over it when the front has been
                         started again, and whose end means that it is gone; becomes the keeper's */
    bool change_user; /* machines run as the user below (the keeper is root) */
    uid_t user;
    gid_t group;
    int passed_first, passed_count; /* listening sockets that systemd opened, by their numbers */
    const char *probe_image;        /* what proves an accelerator; NULL: the installed one */
};

enum keeper_status {
    KEEPER_ENDED = 0,    /* by SIGTERM */
    KEEPER_FAILED = 1,   /* could not begin; the reason has been logged */
    KEEPER_ORPHANED = 3, /* the supervisor is gone; machines run on, the link is closed */
};

/* Runs until it ends; machines go on running. Logs. */
int keeper_run(const struct keeper_options *options);

#endif
