/* Who jitsud is: the unprivileged user that the front and the machines run as, and how to become
 * it. */
#ifndef JITSU_PRIVILEGES_H
#define JITSU_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"

struct identity {
    bool change; /* started as root: the front and the machines become the user below */
    uid_t user;
    gid_t group;
    char name[64];
};

/* Finds the user to run as. `configured` is the configuration's `user` (NULL: not given, then
 * "jitsu", else "nobody" with a warning). Where jitsud was not started as root nothing changes, and
 * a configured other user is an error. Returns -1 with the reason if there is no such user. */
int identity_find(const char *configured, struct identity *identity, struct error *error);

/* Acts as that user from now on, but may still look into any directory and read any file: for
 * opening what belongs to the user, or is named by root's configuration, without ever writing where
 * the user may not. */
int identity_assume(const struct identity *identity, struct error *error);

/* Becomes that user for good: groups, group, user, no capabilities, no way to gain new privileges.
 * Does nothing but the last if identity->change is false. */
int identity_become(const struct identity *identity, struct error *error);

/* Creates `path` with its parents where it is missing. The directory itself gets `mode` and, where
 * jitsud was started as root and `owner` is not NULL, that owner. An existing directory of somebody
 * else's is left alone. */
int directory_prepare(const char *path, mode_t mode, const struct identity *owner,
                      struct error *error);

#endif
