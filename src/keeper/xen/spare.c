/* Spares: domains that have been made and wait before their first instruction, so that a start is
 * one call of the hypervisor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "keeper/process.h"
#include "keeper/xen/xen.h"

/* After a start is through its client's first bytes matter more than the next spare. */
#define REFILL_AFTER     (100 * NANOSECONDS_PER_MILLISECOND)
#define REFILL_AFTER_MAX (60 * NANOSECONDS_PER_SECOND)

static bool is_spare(const struct xen_domain *domain)
{
    return !domain->machine && !domain->end_wanted && (domain->make_wanted || !domain->begun);
}

static bool is_current(const struct xen_domain *spare, const struct config_service *service)
{
    struct file_version image, ramdisk;
    struct error error;
    if (file_version_read(service->image, &image, &error) != 0 ||
        !file_version_equal(&image, &spare->image))
        return false;
    if (!service->ramdisk || !spare->has_ramdisk)
        return !service->ramdisk && !spare->has_ramdisk;
    return file_version_read(service->ramdisk, &ramdisk, &error) == 0 &&
           file_version_equal(&ramdisk, &spare->ramdisk);
}

static void end_spare(struct xen_domain *spare)
{
    spare->end_wanted = true;
    xen_domain_proceed(spare);
}

/* One that waits, or else one that is still being made: it is nearer to its first instruction than
 * a new one. */
struct xen_domain *xen_spare_take(struct xen *xen, const struct config_service *service)
{
    struct xen_domain *found = NULL;
    for (struct xen_domain *domain = xen->domains, *next; domain; domain = next) {
        next = domain->next;
        if (!is_spare(domain) || strcmp(domain->service, service->name) != 0)
            continue;
        if (!is_current(domain, service)) {
            log_info("%s: its image has changed: a prewarmed machine is replaced", service->name);
            end_spare(domain);
        } else if (!found || found->state != XEN_WAITING) {
            found = domain;
        }
    }
    return found;
}

static unsigned count_spares(const struct xen *xen, const char *service)
{
    unsigned count = 0;
    for (const struct xen_domain *domain = xen->domains; domain; domain = domain->next)
        count += is_spare(domain) && strcmp(domain->service, service) == 0;
    return count;
}

/* An adopted machine may have been a spare, and its directory be called so. */
static void name_directory(struct xen *xen, const char *service, char *name, size_t size)
{
    do
        snprintf(name, size, "%s+%u", service, xen->spare_number++);
    while (faccessat(xen->directory, name, F_OK, 0) == 0);
}

static void make_spare(struct xen *xen, const struct config_service *service)
{
    char directory[CONFIG_NAME_TEXT_MAX + 16];
    struct error error;
    name_directory(xen, service->name, directory, sizeof directory);
    struct xen_domain *spare = NULL;
    if (xen_connect(xen, &error) == 0)
        spare = xen_domain_new(xen, service, directory, &error);
    if (!spare) {
        log_warning("%s: cannot prewarm a machine: %s", service->name, error.text);
        xen->spare_failures++;
        xen_spare_refill_soon(xen);
        return;
    }
    spare->make_wanted = true;
    xen_domain_proceed(spare);
}

static bool is_making(const struct xen *xen)
{
    for (const struct xen_domain *domain = xen->domains; domain; domain = domain->next)
        if (is_spare(domain) && domain->make_wanted)
            return true;
    return false;
}

static void refill(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct xen *xen = argument;
    if (xen->keeper->starting > 0 || is_making(xen))
        return;
    for (size_t i = 0; i < xen->prewarmed_count; i++)
        if (count_spares(xen, xen->prewarmed[i]->name) < xen->prewarmed[i]->prewarm) {
            make_spare(xen, xen->prewarmed[i]);
            return;
        }
}

struct event *xen_spare_timer(struct xen *xen)
{
    return evtimer_new(xen->keeper->base, refill, xen);
}

void xen_spare_refill_soon(struct xen *xen)
{
    unsigned doublings = xen->spare_failures < 10 ? xen->spare_failures : 10;
    uint64_t delay = REFILL_AFTER << doublings;
    struct timeval wait = clock_timeval(delay < REFILL_AFTER_MAX ? delay : REFILL_AFTER_MAX);
    if (xen->prewarmed_count > 0)
        evtimer_add(xen->refill, &wait);
}

void xen_spare_made(struct xen_domain *domain)
{
    domain->xen->spare_failures = 0;
    if (!domain->end_wanted)
        log_debug("%s: a prewarmed machine is waiting (domain %u)", domain->service, domain->domid);
    event_active(domain->xen->refill, EV_TIMEOUT, 1);
}

void xen_spare_ended(struct xen_domain *domain)
{
    if (domain->why[0]) {
        log_warning("%s: a prewarmed machine has ended: %s; it will be replaced", domain->service,
                    domain->why);
        domain->xen->spare_failures++;
    }
    xen_spare_refill_soon(domain->xen);
}

static void end_all(struct xen *xen)
{
    for (struct xen_domain *domain = xen->domains, *next; domain; domain = next) {
        next = domain->next;
        if (is_spare(domain))
            end_spare(domain);
    }
}

int xen_spare_configure(struct xen *xen, const struct config *config)
{
    size_t count = 0;
    const struct config_service **prewarmed = calloc(config->service_count + 1, sizeof *prewarmed);
    if (!prewarmed)
        return -1;
    for (size_t i = 0; i < config->service_count; i++)
        if (config->services[i].backend == CONFIG_BACKEND_XEN && config->services[i].prewarm > 0)
            prewarmed[count++] = &config->services[i];
    end_all(xen);
    free(xen->prewarmed);
    xen->prewarmed = prewarmed;
    xen->prewarmed_count = count;
    xen_spare_refill_soon(xen);
    return 0;
}
