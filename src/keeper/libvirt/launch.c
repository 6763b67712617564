/* Making a domain: everything that it needs, up to its description; libvirt does the rest. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/accelerator.h"
#include "keeper/device_name.h"
#include "keeper/libvirt/libvirt.h"
#include "keeper/libvirt/xml.h"
#include "keeper/qemu/command.h"
#include "keeper/qemu/qemu.h"

#define TEMPLATE_MAX (1024 * 1024)

/* --- names --- */

static bool is_taken(const struct libvirt_connection *connection, const char *name)
{
    const struct libvirt_domain *domain;
    TAILQ_FOREACH(domain, &connection->domains, entry)
    {
        if (strcmp(domain->name, name) == 0)
            return true;
    }
    return false;
}

/* The same at each start, as libvirt keeps a log file for each name, except that a spare and a
 * domain that is still being ended have a name to themselves. Files are called so: 255 bytes. */
static void choose_name(struct libvirt_domain *domain)
{
    char name[LIBVIRT_NAME_MAX];
    for (unsigned number = 1;; number++) {
        if (number == 1)
            snprintf(name, sizeof name, "jitsu-%.180s", domain->service);
        else
            snprintf(name, sizeof name, "jitsu-%.180s-%u", domain->service, number);
        if (!is_taken(domain->connection, name))
            break;
    }
    memcpy(domain->name, name, sizeof domain->name);
}

/* Made of random bytes: version 4 of RFC 9562. */
static int choose_uuid(unsigned char uuid[VIR_UUID_BUFLEN], struct error *error)
{
    if (getrandom(uuid, VIR_UUID_BUFLEN, 0) != VIR_UUID_BUFLEN)
        return error_set_errno(error, "no randomness");
    uuid[6] = (unsigned char)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (unsigned char)((uuid[8] & 0x3f) | 0x80);
    return 0;
}

/* --- the record --- */

static int open_directory(struct libvirt *libvirt, struct error *error)
{
    char path[CONFIG_PATH_MAX + 16];
    if (libvirt->directory != -1)
        return 0;
    snprintf(path, sizeof path, "%s/libvirt", libvirt->keeper->config->run_directory);
    /* The users that machines run as pass through it to their consoles' sockets. */
    if ((mkdir(path, 0711) != 0 && errno != EEXIST) || chmod(path, 0711) != 0)
        return error_set_errno(error, "cannot make %s", path);
    libvirt->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return libvirt->directory == -1 ? error_set_errno(error, "cannot open %s", path) : 0;
}

static int make_record(struct libvirt_domain *domain, struct error *error)
{
    struct libvirt *libvirt = domain->connection->libvirt;
    unsigned char random[6];
    if (open_directory(libvirt, error) != 0)
        return -1;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return error_set_errno(error, "no randomness");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(domain->directory_name + 2 * i, 3, "%02x", random[i]);
    domain->directory = record_create(libvirt->directory, domain->directory_name, error);
    if (domain->directory == -1)
        return -1;
    if (fchmod(domain->directory, 0711) != 0)
        return error_set_errno(error, "cannot open the directory of machine %s", domain->service);
    return 0;
}

/* --- the description --- */

static int examine(struct libvirt_domain *domain, const struct config_service *service,
                   struct error *error)
{
    /* The files of another host are for its hypervisor to look at. */
    if (!domain->connection->here)
        return 0;
    if (service->image && image_examine(service->image, &domain->image, error) != 0)
        return -1;
    if (domain->image.memory_end > service->memory)
        return error_set(error, "its image needs more than the %llu KiB of memory that are given",
                         (unsigned long long)(service->memory / 1024));
    if (service->ramdisk && file_version_read(service->ramdisk, &domain->ramdisk, error) != 0)
        return -1;
    domain->has_ramdisk = service->ramdisk != NULL;
    return 0;
}

static int examine_disks(const struct libvirt_connection *connection,
                         const struct config_service *service, bool is_block[CONFIG_DISKS_MAX],
                         struct error *error)
{
    struct stat status;
    for (size_t i = 0; i < service->disk_count; i++) {
        const char *path = service->disks[i].path;
        is_block[i] = strncmp(path, "/dev/", strlen("/dev/")) == 0;
        if (!connection->here)
            continue;
        if (stat(path, &status) != 0)
            return error_set_errno(error, "disk %s", path);
        is_block[i] = S_ISBLK(status.st_mode);
    }
    return 0;
}

static bool uses_kvm(const struct libvirt_connection *connection,
                     const struct config_service *service)
{
    const struct qemu *qemu = connection->libvirt->keeper->qemu;
    return service->accel == CONFIG_ACCEL_KVM ||
           (service->accel == CONFIG_ACCEL_AUTO && connection->here && qemu &&
            accelerator_is_proven(qemu->accelerator));
}

static char *kernel_line(struct libvirt_domain *domain, const struct config_service *service,
                         struct error *error)
{
    if (domain->image.announces &&
        getrandom(domain->token, sizeof domain->token, 0) != (ssize_t)sizeof domain->token) {
        error_set_errno(error, "no randomness");
        return NULL;
    }
    struct qemu_command command = {.service = service,
                                   .image = &domain->image,
                                   .token = domain->token,
                                   .time = (int64_t)time(NULL)};
    char *line = qemu_command_kernel_line(&command);
    if (!line)
        error_set(error, "memory is exhausted");
    return line;
}

static char *read_template(const char *path, struct error *error)
{
    size_t length;
    char *text = config_read(path, &length, error);
    if (text && (length > TEMPLATE_MAX || memchr(text, '\0', length))) {
        error_set(error, "%s is not a domain's description", path);
        free(text);
        text = NULL;
    }
    return text;
}

static int describe(struct libvirt_domain *domain, const struct config_service *service,
                    const char *console, struct error *error)
{
    bool is_block[CONFIG_DISKS_MAX];
    const struct libvirt_connection *connection = domain->connection;
    if (examine_disks(connection, service, is_block, error) != 0)
        return -1;
    char *line = kernel_line(domain, service, error);
    if (!line)
        return -1;
    struct libvirt_xml wanted = {.uri = connection->uri,
                                 .name = domain->name,
                                 .uuid = domain->uuid,
                                 .service = service,
                                 .image = service->image ? &domain->image : NULL,
                                 .kernel_line = line,
                                 .kvm = uses_kvm(connection, service),
                                 .console = console,
                                 .device = domain->device[0] ? domain->device : NULL,
                                 .disk_is_block = is_block};
    if (service->domain_xml) {
        char *template = read_template(service->domain_xml, error);
        domain->xml = template ? libvirt_xml_fill(&wanted, template, error) : NULL;
        free(template);
    } else {
        domain->xml = libvirt_xml_make(&wanted, error);
    }
    free(line);
    return domain->xml ? 0 : -1;
}

/* --- */

/* A hypervisor elsewhere cannot reach our sockets and devices, and that for tests has none. */
static bool has_host_parts(const struct libvirt_connection *connection)
{
    return connection->here && strncmp(connection->uri, "qemu:", strlen("qemu:")) == 0;
}

static int launch(struct libvirt_domain *domain, const struct config_service *service,
                  struct error *error)
{
    char console[CONFIG_PATH_MAX + 64];
    unsigned char uuid[VIR_UUID_BUFLEN];
    const struct libvirt_connection *connection = domain->connection;
    bool here = has_host_parts(connection);
    if (examine(domain, service, error) != 0 || libvirt_ready_choose(domain, service, error) != 0 ||
        choose_uuid(uuid, error) != 0 || make_record(domain, error) != 0 ||
        (domain->saves && libvirt_saved_open(connection->libvirt->keeper, error) != 0))
        return -1;
    libvirt_connection_know(domain, uuid);
    choose_name(domain);
    if (here && service->network)
        device_machine_name(connection->libvirt->keeper->config->run_directory,
                            domain->directory_name, domain->device);
    if (here && libvirt_console_listen(domain, console, sizeof console, error) != 0)
        return -1;
    return describe(domain, service, here ? console : NULL, error);
}

static struct libvirt_domain *abandon(struct libvirt_domain *domain)
{
    if (domain->directory_name[0] && domain->directory != -1)
        record_remove(domain->connection->libvirt->directory, domain->directory_name);
    libvirt_domain_free(domain);
    return NULL;
}

struct libvirt_domain *libvirt_launch(struct libvirt_connection *connection,
                                      const struct config_service *service, bool spare,
                                      struct error *error)
{
    struct libvirt_domain *domain = libvirt_domain_new(connection, service->name);
    if (!domain) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    domain->spare = spare;
    domain->saves = service->suspend_to == CONFIG_SUSPEND_TO_DISK;
    domain->wanted = spare ? WANTED_PAUSED : WANTED_RUNNING;
    if (launch(domain, service, error) != 0)
        return abandon(domain);
    console_begin(&domain->console, domain->ready_text);
    return domain;
}

struct libvirt_domain *libvirt_launch_existing(struct libvirt_connection *connection,
                                               const struct config_service *service,
                                               struct error *error)
{
    struct libvirt_domain *domain = libvirt_domain_new(connection, service->name);
    if (!domain) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    domain->existing = true;
    domain->saves = service->suspend_to == CONFIG_SUSPEND_TO_DISK;
    snprintf(domain->name, sizeof domain->name, "%s", service->domain);
    if (connection->here)
        memcpy(domain->mac, service->mac, sizeof domain->mac);
    console_begin(&domain->console, NULL);
    if (libvirt_ready_choose(domain, service, error) != 0 || make_record(domain, error) != 0)
        return abandon(domain);
    return domain;
}
