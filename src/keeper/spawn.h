/* Starting a program fast from a process that may be large: nothing of its memory is copied. */
#ifndef JITSU_KEEPER_SPAWN_H
#define JITSU_KEEPER_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

#define SPAWN_DESCRIPTORS_MAX 10

struct spawn {
    const char *program; /* its path */
    char *const *arguments;
    char *const *environment;
    int descriptors[SPAWN_DESCRIPTORS_MAX]; /* become 0, 1, 2, ... there; no other one is left open
                                             */
    unsigned descriptor_count;
    int pid_file; /* the child writes its pid and a line break into it, before the program runs */
    bool change_user; /* needs privileges */
    uid_t user;
    gid_t group;
    const gid_t *more_group; /* one supplementary group, where the user is changed; NULL: none */
};

/* Starts the program in a session of its own, in /, with default signals and no way to gain
 * privileges. Returns its pid when the program has been entered, with `*pidfd` (close-on-exec, the
 * caller's); or -1 with the reason, when there is no process. Blocks for the tens of microseconds
 * between the two only. One thread at a time. */
pid_t spawn(const struct spawn *spawn, int *pidfd, struct error *error);

#endif
