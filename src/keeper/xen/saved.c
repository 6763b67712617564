/* The files of suspended machines: state-directory/xen, one file for each, called by its
 * UUID. The state directory is the front's; what is in ours nobody else can have written. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/xen/xen.h"

#define ENDING_NEW ".new"

struct file_name {
    char text[64];
};

static struct file_name name_of(const struct xen_domain *domain, const char *ending)
{
    struct file_name name;
    snprintf(name.text, sizeof name.text, LIBXL_UUID_FMT "%s", LIBXL_UUID_BYTES(domain->uuid),
             ending);
    return name;
}

int xen_saved_open(const char *state_directory, struct error *error)
{
    struct stat status;
    int parent = open(state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent == -1)
        return error_set_errno(error, "cannot open %s", state_directory);
    int made = mkdirat(parent, "xen", 0700);
    int directory = made == 0 || errno == EEXIST
                        ? openat(parent, "xen", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
                        : -1;
    close(parent);
    if (directory == -1)
        return error_set_errno(error, "cannot make %s/xen", state_directory);
    if (fstat(directory, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 077) == 0)
        return directory;
    close(directory);
    return error_set(error, "%s/xen is not jitsud's alone (owner root, mode 0700)",
                     state_directory);
}

int xen_saved_create(const struct xen_domain *domain)
{
    struct file_name name = name_of(domain, ENDING_NEW);
    return openat(domain->xen->saved, name.text,
                  O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int xen_saved_read(const struct xen_domain *domain)
{
    struct file_name name = name_of(domain, "");
    return openat(domain->xen->saved, name.text, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* It need not survive the host, which machines do not either: only what is written late may fail
 * late. */
int xen_saved_keep(const struct xen_domain *domain, int file)
{
    struct file_name from = name_of(domain, ENDING_NEW), to = name_of(domain, "");
    if (fdatasync(file) != 0)
        return -1;
    return renameat(domain->xen->saved, from.text, domain->xen->saved, to.text);
}

bool xen_saved_exists(const struct xen_domain *domain)
{
    struct file_name name = name_of(domain, "");
    return domain->xen->saved != -1 && faccessat(domain->xen->saved, name.text, R_OK, 0) == 0;
}

void xen_saved_remove(const struct xen_domain *domain)
{
    struct file_name file = name_of(domain, ""), unfinished = name_of(domain, ENDING_NEW);
    if (domain->xen->saved == -1)
        return;
    unlinkat(domain->xen->saved, file.text, 0);
    unlinkat(domain->xen->saved, unfinished.text, 0);
}

static bool is_known(const struct xen *xen, const char *name)
{
    for (const struct xen_domain *domain = xen->domains; domain; domain = domain->next)
        if (domain->state == XEN_SAVED && strcmp(name_of(domain, "").text, name) == 0)
            return true;
    return false;
}

void xen_saved_clean(const struct xen *xen)
{
    int copy = fcntl(xen->saved, F_DUPFD_CLOEXEC, 0);
    DIR *directory = copy == -1 ? NULL : fdopendir(copy);
    if (!directory)
        return;
    rewinddir(directory); /* the copy's position is the original's */
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !is_known(xen, entry->d_name) && unlinkat(xen->saved, entry->d_name, 0) == 0)
            log_info("%s: removed what a machine had been suspended to: nothing is known of it any "
                     "more",
                     entry->d_name);
    closedir(directory);
}
