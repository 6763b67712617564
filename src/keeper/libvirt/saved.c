/* Domains that are suspended to disk. Those that exist without jitsud are libvirt's to keep; a
 * transient one is a file in the state directory, which outlives the host's restart as well as the
 * keeper's, though the domain's record does only the latter. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "keeper/libvirt/libvirt.h"

void libvirt_saved_path(const struct libvirt_domain *domain, char *path, size_t size)
{
    const struct config *config = domain->connection->libvirt->keeper->config;
    path[0] = '\0';
    if (!domain->existing)
        snprintf(path, size, "%s/libvirt/%s.save", config->state_directory, domain->directory_name);
}

int libvirt_saved_open(const struct keeper *keeper, struct error *error)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/libvirt", keeper->config->state_directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set_errno(error, "cannot make %s", path);
    return 0;
}
