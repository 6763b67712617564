/* Domains that are suspended to disk. Those that exist without jitsud are libvirt's to keep; a
 * transient one is a file in the state directory, which outlives the host's restart as well as the
 * keeper's, though the domain's record does only the latter. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/libvirt/libvirt.h"

void libvirt_saved_path(const struct libvirt_domain *domain, char *path, size_t size)
{
    const struct config *config = domain->connection->libvirt->keeper->config;
    path[0] = '\0';
    if (!domain->existing)
        snprintf(path, size, "%s/libvirt/%s.save", config->state_directory, domain->directory_name);
}

/* The state directory is the front's, and a file that somebody else has written there could be any
 * domain, with any of the host's disks. */
int libvirt_saved_open(const struct keeper *keeper, struct error *error)
{
    char path[CONFIG_PATH_MAX + 16];
    struct stat status;
    snprintf(path, sizeof path, "%s/libvirt", keeper->config->state_directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set_errno(error, "cannot make %s", path);
    if (lstat(path, &status) != 0)
        return error_set_errno(error, "cannot look at %s", path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return error_set(error, "%s is not jitsud's alone (a directory of its user's, mode 0700)",
                         path);
    return 0;
}
