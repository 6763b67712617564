/* What an earlier keeper left: machines to adopt, and domains that had not begun to serve, which
 * are destroyed. */
#include <dirent.h>
#include <fcntl.h>
#include <libxl_utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/xen/xen.h"

/* The domains that there are. */
struct listing {
    libxl_dominfo *list;
    int count;
};

/* Never dom0, whose UUID is that of none: zeroes. */
static const libxl_dominfo *find_domain(const struct listing *listing, const libxl_uuid *uuid)
{
    for (int i = 0; i < listing->count; i++)
        if (listing->list[i].domid != 0 && libxl_uuid_compare(&listing->list[i].uuid, uuid) == 0)
            return &listing->list[i];
    return NULL;
}

static enum xen_state state_of(const struct xen_domain *domain, const libxl_dominfo *info)
{
    if (!info)
        return xen_saved_exists(domain) ? XEN_SAVED : XEN_ABSENT;
    return info->paused ? XEN_PAUSED : XEN_RUNNING;
}

static void find_console(struct xen_domain *domain)
{
    char *path = NULL;
    char *name = libxl_domid_to_name(xen_tools_context(domain->xen->tools), domain->domid);
    free(domain->config.c_info.name);
    domain->config.c_info.name = name;
    if (libxl_console_get_tty(xen_tools_context(domain->xen->tools), domain->domid, 0,
                              LIBXL_CONSOLE_TYPE_PV, &path) == 0)
        snprintf(domain->terminal, sizeof domain->terminal, "%s", path);
    free(path);
    xen_console_open(domain);
}

/* Ends what is left of it, without a machine that it belongs to. */
static void end(struct xen_domain *domain, const char *why)
{
    log_info("%s: its domain %s: destroying it", domain->service, why);
    domain->end_wanted = true;
    xen_domain_proceed(domain);
}

static void adopt(struct xen_domain *domain, const struct record *record)
{
    struct machine *machine =
        keeper_machine_adopt(domain->xen->keeper, &xen_backend, record->service, record->serial);
    if (!machine) {
        end(domain, "belongs to a machine that there is already");
        return;
    }
    domain->machine = machine;
    machine->data = domain;
    machine->started = record->started;
    machine->place = record->place;
    machine->shutdown_timeout = record->shutdown_timeout;
    machine->place = record->place;
    machine->suspended = domain->state != XEN_RUNNING;
    machine->ready_rule = (uint8_t)domain->rule;
    if (domain->state != XEN_SAVED)
        memcpy(machine->device, xen_domain_device(domain).name, sizeof machine->device);
    memcpy(machine->token, domain->token, sizeof machine->token);
    snprintf(machine->domain, sizeof machine->domain, "%s", xen_domain_name(domain));
    log_info("%s: adopted the machine that %s already", domain->service,
             machine->suspended ? "is suspended" : "runs");
    keeper_machine_adopted(machine);
}

static void take_over(struct xen *xen, const struct listing *listing, const char *name)
{
    struct record record;
    struct error error;
    int directory = record_open(xen->directory, name);
    if (directory == -1)
        return;
    if (record_read(directory, &record, &error) != 0 || !record.domain[0]) {
        close(directory);
        record_remove(xen->directory, name);
        return;
    }
    struct xen_domain *domain = xen_domain_known(xen, &record, name, directory);
    if (!domain) {
        log_error("%s: cannot adopt its machine: memory is exhausted", record.service);
        close(directory);
        return;
    }
    const libxl_dominfo *info = find_domain(listing, &domain->uuid);
    domain->state = state_of(domain, info);
    if (info) {
        domain->domid = info->domid;
        find_console(domain);
    }
    if (domain->state == XEN_ABSENT)
        xen_domain_ended(domain);
    else if (!record.ready)
        end(domain, "had not begun to serve");
    else if (info && (info->shutdown || info->dying))
        end(domain, "has ended");
    else
        adopt(domain, &record);
}

static DIR *open_records(const struct xen *xen)
{
    int copy = fcntl(xen->directory, F_DUPFD_CLOEXEC, 0);
    DIR *directory = copy == -1 ? NULL : fdopendir(copy);
    if (directory)
        rewinddir(directory); /* the copy's position is the original's */
    else
        descriptor_close(&copy);
    return directory;
}

static bool has_records(const struct xen *xen)
{
    bool found = false;
    DIR *directory = open_records(xen);
    for (const struct dirent *entry; directory && !found && (entry = readdir(directory));)
        found = entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    return found;
}

int xen_take_over(struct xen *xen, struct error *error)
{
    struct listing listing = {NULL, 0};
    if (!has_records(xen))
        return 0;
    if (xen_connect(xen, error) != 0) {
        log_error("Xen machines of an earlier jitsud cannot be adopted: %s", error->text);
        return 0;
    }
    listing.list = libxl_list_domain(xen_tools_context(xen->tools), &listing.count);
    if (!listing.list)
        return xen_tools_explain(xen->tools, error, "cannot list the domains of Xen");
    DIR *directory = open_records(xen);
    int failed = directory ? 0 : error_set_errno(error, "cannot read the directory of domains");
    for (const struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && entry->d_type == DT_DIR)
            take_over(xen, &listing, entry->d_name);
    if (directory)
        closedir(directory);
    libxl_dominfo_list_free(listing.list, listing.count);
    return failed;
}
