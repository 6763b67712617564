/* The front process: DNS workers, and on the main loop the summoner, the holder, the reaper,
 * control and metrics. It parses everything that comes from the network, so it has no privileges:
 * what needs any is asked of the keeper. */
#ifndef JITSU_FRONT_FRONT_H
#define JITSU_FRONT_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "privileges.h"

struct front_options {
    struct config *config; /* owned by the front from then on */
    int link;              /* to the keeper, see keeper/message.h */
    int supervisor; /* to the supervisor: notes go out; new links to restarted keepers come in */
    int control;    /* the listening control socket */
    const struct identity *identity;
    bool stop_machines; /* at SIGTERM stop the machines too */
};

/* What the front tells its supervisor: one packet each. */
enum front_note_kind {
    FRONT_READY,         /* everything is listened on and answered */
    FRONT_RELOADING,     /* a reload has begun */
    FRONT_RELOADED,      /* the file with `digest` is the configuration now */
    FRONT_RELOAD_FAILED, /* the old configuration stays */
};
struct front_note {
    uint32_t kind;
    uint64_t digest; /* message_digest() of the configuration file's bytes */
};

/* Runs until SIGTERM, or until the supervisor is gone. Returns the exit status of the process: 0,
 * or 1 when it could not start, which has been logged then. */
int front_run(const struct front_options *options);

#endif
