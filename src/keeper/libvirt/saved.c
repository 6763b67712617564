/* Domains that are suspended to disk. Those that exist without jitsud are libvirt's to keep; a
 * transient one is a file in the state directory, which outlives the host's restart as well as the
 * keeper's, though the domain's record does only the latter. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "common/log.h"
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
static bool is_own(const struct stat *status)
{
    return S_ISDIR(status->st_mode) && status->st_uid == geteuid() && (status->st_mode & 077) == 0;
}

int libvirt_saved_open(const struct keeper *keeper, struct error *error)
{
    char path[CONFIG_PATH_MAX + 16];
    struct stat status;
    snprintf(path, sizeof path, "%s/libvirt", keeper->config->state_directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set_errno(error, "cannot make %s", path);
    if (lstat(path, &status) != 0)
        return error_set_errno(error, "cannot look at %s", path);
    if (!is_own(&status))
        return error_set(error, "%s is not jitsud's alone (a directory of its user's, mode 0700)",
                         path);
    return 0;
}

static bool is_known(const struct libvirt *libvirt, const char *name)
{
    const struct libvirt_connection *connection;
    const struct libvirt_domain *domain;
    char path[CONFIG_PATH_MAX + 64];
    SLIST_FOREACH(connection, &libvirt->connections, entry)
    {
        TAILQ_FOREACH(domain, &connection->domains, entry)
        {
            libvirt_saved_path(domain, path, sizeof path);
            const char *slash = strrchr(path, '/');
            if (domain->actual == ACTUAL_SAVED && slash && strcmp(slash + 1, name) == 0)
                return true;
        }
    }
    return false;
}

void libvirt_saved_clean(const struct libvirt *libvirt)
{
    char path[CONFIG_PATH_MAX + 16];
    struct stat status;
    snprintf(path, sizeof path, "%s/libvirt", libvirt->keeper->config->state_directory);
    int file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *directory = file == -1 ? NULL : fdopendir(file);
    if (!directory) {
        descriptor_close(&file);
        return;
    }
    if (fstat(file, &status) != 0 || !is_own(&status))
        goto out;
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && !is_known(libvirt, entry->d_name) &&
            unlinkat(file, entry->d_name, 0) == 0)
            log_info("%s/%s: removed what a machine had been suspended to: nothing is known of it "
                     "any more",
                     path, entry->d_name);
out:
    closedir(directory);
}
