/* Domains that run without having been asked for by this keeper: those that an earlier one left,
 * and those of services' that somebody else has started. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "keeper/bridges.h"
#include "keeper/libvirt/libvirt.h"

/* The front waits no longer to learn what is there: a machine whose hypervisor has not answered
 * until then is taken to run on. */
#define ADOPTION_LIMIT (3 * NANOSECONDS_PER_SECOND)

/* --- what an earlier keeper left --- */

void libvirt_adopted(struct libvirt_domain *domain)
{
    struct machine *machine = domain->machine;
    if (!machine || !machine->adopting)
        return;
    libvirt_ready_end(domain); /* the deadline */
    if (domain->actual == ACTUAL_UNKNOWN) {
        log_warning("%s: libvirt %s cannot be asked about its domain; taking it to run on",
                    domain->service, domain->connection->uri);
    } else {
        machine->suspended = domain->actual != ACTUAL_RUNNING;
        domain->wanted = machine->suspended ? WANTED_PAUSED : WANTED_RUNNING;
        log_info("%s: adopted the domain that runs already (%s)", domain->service, domain->name);
    }
    keeper_machine_adopted(machine);
    libvirt_domain_remember(domain);
}

static void overdue(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    libvirt_adopted(argument);
}

static struct libvirt_domain *domain_of(struct libvirt_connection *connection, const char *name,
                                        int directory, const struct record *record)
{
    struct error error;
    char path[CONFIG_PATH_MAX + 64];
    struct libvirt_domain *domain = libvirt_domain_new(connection, record->service);
    if (!domain)
        return NULL;
    domain->directory = directory;
    domain->begun = domain->entered = true;
    domain->actual = ACTUAL_UNKNOWN;
    domain->existing = record->libvirt.existing;
    domain->saves = record->libvirt.saves;
    if (record->libvirt.saved)
        domain->actual = ACTUAL_SAVED;
    domain->console_user = record->libvirt.user;
    domain->rule = CONFIG_READY_ANNOUNCE;
    console_begin(&domain->console, NULL);
    snprintf(domain->directory_name, sizeof domain->directory_name, "%.*s",
             (int)sizeof domain->directory_name - 1, name);
    snprintf(domain->name, sizeof domain->name, "%s", record->libvirt.name);
    memcpy(domain->token, record->token, sizeof domain->token);
    libvirt_connection_know(domain, record->libvirt.uuid);
    bridges_find_machine(connection->libvirt->keeper->bridges, name, domain->device);
    if (!domain->existing && domain->device[0] &&
        libvirt_console_listen(domain, path, sizeof path, &error) != 0)
        log_warning("%s: %s; its console is not read any more", record->service, error.text);
    return domain;
}

static void attach(struct libvirt_domain *domain, struct machine *machine,
                   const struct record *record)
{
    domain->machine = machine;
    machine->data = domain;
    machine->started = record->started;
    machine->place = record->place;
    machine->shutdown_timeout = record->shutdown_timeout;
    machine->suspended = record->suspended;
    machine->pid = record->libvirt.pid;
    domain->wanted = record->suspended ? WANTED_PAUSED : WANTED_RUNNING;
    memcpy(machine->token, domain->token, sizeof machine->token);
    memcpy(machine->device, domain->device, sizeof machine->device);
    snprintf(machine->domain, sizeof machine->domain, "%.*s", (int)sizeof machine->domain - 1,
             domain->name);
}

static int take_over(struct libvirt *libvirt, const char *name, int directory, struct error *error)
{
    struct record record;
    if (record_read(directory, &record, error) != 0)
        return -1;
    if (!record.libvirt.connect[0])
        return error_set(error, "its record does not tell of a libvirt connection");
    struct libvirt_connection *connection =
        libvirt_connection_get(libvirt, record.libvirt.connect, error);
    if (!connection)
        return -1;
    struct libvirt_domain *domain = domain_of(connection, name, directory, &record);
    if (!domain)
        return error_set(error, "memory is exhausted");
    struct machine *machine = NULL;
    if (record.ready)
        machine =
            keeper_machine_adopt(libvirt->keeper, &libvirt_backend, record.service, record.serial);
    if (machine) {
        attach(domain, machine, &record);
        if (domain->actual == ACTUAL_SAVED)
            libvirt_adopted(domain);
        else
            libvirt_domain_after(domain, ADOPTION_LIMIT, overdue);
    } else {
        log_info("%s: domain %s of an earlier jitsud had not begun to serve: ending it",
                 record.service, record.libvirt.name);
        domain->leftover = true;
        domain->wanted = WANTED_GONE;
    }
    return 0;
}

int libvirt_adopt_all(struct libvirt *libvirt, struct error *error)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/libvirt", libvirt->keeper->config->run_directory);
    DIR *directory = opendir(path);
    if (!directory)
        return errno == ENOENT ? 0 : error_set_errno(error, "cannot read %s", path);
    libvirt->directory = fcntl(dirfd(directory), F_DUPFD_CLOEXEC, 0);
    for (const struct dirent *entry; (entry = readdir(directory));) {
        struct error why;
        int record = entry->d_name[0] == '.' ? -1 : record_open(libvirt->directory, entry->d_name);
        if (record == -1)
            continue;
        if (take_over(libvirt, entry->d_name, record, &why) != 0) {
            log_error("%s/%s: %s; what it was about is not adopted", path, entry->d_name, why.text);
            close(record);
            record_remove(libvirt->directory, entry->d_name);
        }
    }
    closedir(directory);
    return 0;
}

/* --- what somebody else started --- */

static int compare_existing(const void *a, const void *b)
{
    const struct libvirt_existing *x = a, *y = b;
    return strcmp(x->domain, y->domain);
}

static const struct config_service *find_existing(const struct libvirt_connection *connection,
                                                  const char *domain)
{
    struct libvirt_existing key = {.domain = domain};
    const struct libvirt_existing *found =
        connection->existing_count ? bsearch(&key, connection->existing, connection->existing_count,
                                             sizeof key, compare_existing)
                                   : NULL;
    return found ? found->service : NULL;
}

static uint32_t random_serial(void)
{
    uint32_t serial = 0;
    while (serial == 0)
        if (getrandom(&serial, sizeof serial, 0) < 0)
            serial = (uint32_t)clock_now();
    return serial;
}

/* One of the service that waits for the connection, or that was not there when it was looked for.
 */
static struct libvirt_domain *find_waiting(const struct libvirt_connection *connection,
                                           const struct config_service *service)
{
    struct libvirt_domain *domain;
    TAILQ_FOREACH(domain, &connection->domains, entry)
    {
        if (domain->existing && !domain->has_uuid && strcmp(domain->service, service->name) == 0)
            return domain;
    }
    return NULL;
}

void libvirt_adopt_stranger(struct libvirt_connection *connection, virDomainPtr handle)
{
    char text[VIR_UUID_STRING_BUFLEN];
    unsigned char uuid[VIR_UUID_BUFLEN];
    struct error error;
    if (connection->existing_count == 0 || virDomainGetUUIDString(handle, text) != 0 ||
        virDomainGetUUID(handle, uuid) != 0)
        return;
    const struct config_service *service = find_existing(connection, virDomainGetName(handle));
    if (!service)
        service = find_existing(connection, text);
    if (!service || find_waiting(connection, service))
        return;
    struct libvirt_domain *domain = libvirt_launch_existing(connection, service, &error);
    struct machine *machine =
        domain ? keeper_machine_adopt(connection->libvirt->keeper, &libvirt_backend, service->name,
                                      random_serial())
               : NULL;
    if (!machine) {
        log_error("%s: its domain runs, and cannot be adopted", service->name);
        if (domain) {
            record_remove(connection->libvirt->directory, domain->directory_name);
            libvirt_domain_free(domain);
        }
        return;
    }
    libvirt_connection_know(domain, uuid);
    domain->begun = true;
    domain->actual = ACTUAL_UNKNOWN;
    struct record record = {
        .started = clock_wall(), .shutdown_timeout = service->shutdown_timeout, .ready = true};
    attach(domain, machine, &record);
    log_info("%s: somebody else has started its domain (%s)", service->name, domain->name);
    /* What it does by now, and what it is attached by: then it is adopted. */
    libvirt_call_begin(domain, CALL_LOOK);
}

static void keep_existing(struct libvirt_connection *connection, const struct config *config)
{
    connection->existing_count = 0;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        if (service->domain && strcmp(service->connect, connection->uri) == 0)
            connection->existing[connection->existing_count++] =
                (struct libvirt_existing){service->domain, service};
    }
    if (connection->existing_count > 0)
        qsort(connection->existing, connection->existing_count, sizeof *connection->existing,
              compare_existing);
}

int libvirt_existing_configure(struct libvirt *libvirt, const struct config *config)
{
    struct libvirt_connection *connection;
    size_t count = 0;
    for (size_t i = 0; i < config->service_count; i++)
        count += config->services[i].domain != NULL;
    SLIST_FOREACH(connection, &libvirt->connections, entry)
    {
        struct libvirt_existing *existing = calloc(count + 1, sizeof *existing);
        if (!existing)
            return -1;
        free(connection->existing);
        connection->existing = existing;
        keep_existing(connection, config);
    }
    return 0;
}
