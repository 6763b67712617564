/* Spares: domains that have been made and paused before their first instruction, so that a start is
 * one call. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "keeper/libvirt/libvirt.h"

/* After a start is through its client's first bytes matter more than the next spare. */
#define REFILL_AFTER     (100 * NANOSECONDS_PER_MILLISECOND)
#define REFILL_AFTER_MAX (60 * NANOSECONDS_PER_SECOND)

static void end_spare(struct libvirt_domain *spare)
{
    struct libvirt *libvirt = spare->connection->libvirt;
    if (libvirt->warming == spare)
        libvirt->warming = NULL;
    spare->spare = false;
    libvirt_domain_want(spare, WANTED_GONE);
}

static bool is_current(const struct libvirt_domain *spare, const struct config_service *service)
{
    struct file_version image, ramdisk;
    struct error error;
    if (!spare->connection->here || !service->image)
        return true;
    if (file_version_read(service->image, &image, &error) != 0 ||
        !file_version_equal(&image, &spare->image.version))
        return false;
    if (!service->ramdisk || !spare->has_ramdisk)
        return !service->ramdisk && !spare->has_ramdisk;
    return file_version_read(service->ramdisk, &ramdisk, &error) == 0 &&
           file_version_equal(&ramdisk, &spare->ramdisk);
}

/* One that is still being made is as good as a new one, and no better. */
struct libvirt_domain *libvirt_spare_take(struct libvirt_connection *connection,
                                          const struct config_service *service)
{
    struct libvirt_domain *spare, *next;
    for (spare = TAILQ_FIRST(&connection->domains); spare; spare = next) {
        next = TAILQ_NEXT(spare, entry);
        if (!spare->spare || spare->actual != ACTUAL_PAUSED ||
            strcmp(spare->service, service->name) != 0)
            continue;
        if (is_current(spare, service)) {
            spare->spare = false;
            return spare;
        }
        log_info("%s: its image has changed: a prewarmed machine is replaced", service->name);
        end_spare(spare);
    }
    return NULL;
}

static unsigned count_spares(const struct libvirt_connection *connection, const char *service)
{
    unsigned count = 0;
    const struct libvirt_domain *domain;
    TAILQ_FOREACH(domain, &connection->domains, entry)
    {
        count += domain->spare && strcmp(domain->service, service) == 0;
    }
    return count;
}

static void make_spare(struct libvirt_connection *connection, const struct config_service *service)
{
    struct error error;
    struct libvirt *libvirt = connection->libvirt;
    struct libvirt_domain *spare = libvirt_launch(connection, service, true, &error);
    if (!spare) {
        log_warning("%s: cannot prewarm a machine: %s", service->name, error.text);
        libvirt->spare_failures++;
        libvirt_spare_refill_soon(libvirt);
        return;
    }
    libvirt->warming = spare;
    libvirt_domain_remember(spare);
    libvirt_domain_step(spare);
}

static void refill(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct error error;
    struct libvirt *libvirt = argument;
    if (libvirt->warming || libvirt->keeper->starting > 0)
        return;
    for (size_t i = 0; i < libvirt->prewarmed_count; i++) {
        const struct config_service *service = libvirt->prewarmed[i];
        struct libvirt_connection *connection =
            libvirt_connection_get(libvirt, service->connect, &error);
        if (connection && connection->connection &&
            count_spares(connection, service->name) < service->prewarm) {
            make_spare(connection, service);
            return;
        }
    }
}

struct event *libvirt_spare_timer(struct libvirt *libvirt)
{
    return evtimer_new(libvirt->keeper->base, refill, libvirt);
}

void libvirt_spare_refill_soon(struct libvirt *libvirt)
{
    unsigned doublings = libvirt->spare_failures < 10 ? libvirt->spare_failures : 10;
    uint64_t delay = REFILL_AFTER << doublings;
    struct timeval wait = clock_timeval(delay < REFILL_AFTER_MAX ? delay : REFILL_AFTER_MAX);
    if (libvirt->prewarmed_count > 0)
        evtimer_add(libvirt->refill, &wait);
}

void libvirt_spare_made(struct libvirt_domain *domain)
{
    struct libvirt *libvirt = domain->connection->libvirt;
    if (libvirt->warming == domain)
        libvirt->warming = NULL;
    libvirt->spare_failures = 0;
    log_debug("%s: a prewarmed machine is waiting (domain %s)", domain->service, domain->name);
    event_active(libvirt->refill, EV_TIMEOUT, 1);
}

void libvirt_spare_ended(struct libvirt_domain *domain, const char *why)
{
    struct libvirt *libvirt = domain->connection->libvirt;
    log_warning("%s: a prewarmed machine has ended: %s; it will be replaced", domain->service, why);
    libvirt->spare_failures++;
    libvirt_domain_free(domain);
    libvirt_spare_refill_soon(libvirt);
}

void libvirt_spare_end_all(struct libvirt *libvirt)
{
    struct libvirt_connection *connection;
    SLIST_FOREACH(connection, &libvirt->connections, entry)
    {
        struct libvirt_domain *domain, *next;
        for (domain = TAILQ_FIRST(&connection->domains); domain; domain = next) {
            next = TAILQ_NEXT(domain, entry);
            if (domain->spare)
                end_spare(domain);
        }
    }
}

static bool wants_spares(const struct config_service *service)
{
    return service->backend == CONFIG_BACKEND_LIBVIRT && service->prewarm > 0;
}

int libvirt_spare_configure(struct libvirt *libvirt, const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->service_count; i++)
        count += wants_spares(&config->services[i]);
    const struct config_service **prewarmed = calloc(count + 1, sizeof *prewarmed);
    if (!prewarmed)
        return -1;
    libvirt->prewarmed_count = 0;
    for (size_t i = 0; i < config->service_count; i++)
        if (wants_spares(&config->services[i]))
            prewarmed[libvirt->prewarmed_count++] = &config->services[i];
    libvirt_spare_end_all(libvirt);
    free(libvirt->prewarmed);
    libvirt->prewarmed = prewarmed;
    libvirt_spare_refill_soon(libvirt);
    return 0;
}
