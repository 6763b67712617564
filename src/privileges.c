#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "config/config.h"

#define DEFAULT_USER  "jitsu"
#define FALLBACK_USER "nobody"

static void identity_take(struct identity *identity, const struct passwd *entry)
{
    identity->user = entry->pw_uid;
    identity->group = entry->pw_gid;
    snprintf(identity->name, sizeof identity->name, "%s", entry->pw_name);
}

static int find_unprivileged(const char *configured, struct identity *identity, struct error *error)
{
    const struct passwd *self = getpwuid(geteuid());
    if (configured && !(self && strcmp(self->pw_name, configured) == 0))
        return error_set(error,
                         "user: %s needs jitsud to be started as root; started as %s, leave it out",
                         configured, self ? self->pw_name : "another user");
    identity->user = geteuid();
    identity->group = getegid();
    snprintf(identity->name, sizeof identity->name, "%s", self ? self->pw_name : "this user");
    return 0;
}

int identity_find(const char *configured, struct identity *identity, struct error *error)
{
    memset(identity, 0, sizeof *identity);
    if (geteuid() != 0)
        return find_unprivileged(configured, identity, error);

    const struct passwd *entry = getpwnam(configured ? configured : DEFAULT_USER);
    if (!entry && configured)
        return error_set(error, "user: there is no user '%s' on this machine", configured);
    if (!entry) {
        entry = getpwnam(FALLBACK_USER);
        if (!entry)
            return error_set(error, "there is neither a user '%s' nor '%s' on this machine",
                             DEFAULT_USER, FALLBACK_USER);
        log_warning("there is no user '%s' on this machine: running as '%s' instead; create it "
                    "with: useradd --system --no-create-home %s",
                    DEFAULT_USER, FALLBACK_USER, DEFAULT_USER);
    }
    identity_take(identity, entry);
    identity->change = identity->user != 0;
    return 0;
}

/* The one capability that lets a path be followed through directories that are closed to the user.
 */
static int keep_reading(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0)
        return -1;
    data[0].effective = data[0].permitted & (1u << CAP_DAC_READ_SEARCH);
    data[1].effective = 0;
    return (int)syscall(SYS_capset, &header, data);
}

int identity_assume(const struct identity *identity, struct error *error)
{
    if (identity->change && (setgroups(0, NULL) != 0 || setegid(identity->group) != 0 ||
                             seteuid(identity->user) != 0 || keep_reading() != 0))
        return error_set_errno(error, "cannot act as user '%s'", identity->name);
    return 0;
}

int identity_become(const struct identity *identity, struct error *error)
{
    if (identity->change) {
        gid_t group = identity->group;
        uid_t user = identity->user;
        /* The C library does so for all threads; without a root identity left no capability stays.
         */
        if (setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0)
            return error_set_errno(error, "cannot become user '%s'", identity->name);
        if (setuid(0) == 0)
            return error_set(error, "root can be regained after becoming user '%s'",
                             identity->name);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_set_errno(error, "cannot give up gaining privileges");
    return 0;
}

static int make_parents(const char *path, struct error *error)
{
    char parent[CONFIG_PATH_MAX];
    if ((size_t)snprintf(parent, sizeof parent, "%s", path) >= sizeof parent)
        return error_set(error, "path is too long: %s", path);
    for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(parent, 0755) != 0 && errno != EEXIST)
            return error_set_errno(error, "cannot create directory %s", parent);
        *slash = '/';
    }
    return 0;
}

int directory_prepare(const char *path, mode_t mode, const struct identity *owner,
                      struct error *error)
{
    if (make_parents(path, error) != 0)
        return -1;
    if (mkdir(path, mode) != 0 && errno != EEXIST)
        return error_set_errno(error, "cannot create directory %s", path);

    struct stat status;
    if (stat(path, &status) != 0)
        return error_set_errno(error, "cannot look at directory %s", path);
    if (!S_ISDIR(status.st_mode))
        return error_set(error, "%s is not a directory", path);
    if (owner && owner->change && status.st_uid == 0 && chown(path, owner->user, owner->group) != 0)
        return error_set_errno(error, "cannot give directory %s to user '%s'", path, owner->name);
    if (access(path, W_OK | X_OK) != 0)
        return error_set_errno(error, "cannot write in directory %s", path);
    return 0;
}
