/* Spares: machines that have been launched but not begun, so that a start is one monitor command.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "keeper/qemu/qemu.h"

/* After a start is through its client's first bytes matter more than the next spare. */
#define REFILL_AFTER     (100 * NANOSECONDS_PER_MILLISECOND)
#define REFILL_AFTER_MAX (60 * NANOSECONDS_PER_SECOND)

static void end_spare(struct qemu_process *spare)
{
    struct qemu *qemu = spare->qemu;
    if (qemu->warming == spare)
        qemu->warming = NULL;
    qemu_process_kill(spare);
    spare->next_spare = qemu->ending;
    qemu->ending = spare;
}

static void bury(struct qemu_process *spare)
{
    record_remove(spare->qemu->directory, spare->directory_name);
    qemu_process_free(spare);
}

/* Takes it out of the list; false: it is not in there. */
static bool take_out(struct qemu_process **list, const struct qemu_process *spare)
{
    while (*list && *list != spare)
        list = &(*list)->next_spare;
    if (!*list)
        return false;
    *list = spare->next_spare;
    return true;
}

static bool is_current(const struct qemu_process *spare, const struct config_service *service)
{
    struct file_version image, ramdisk;
    struct error error;
    if (file_version_read(service->image, &image, &error) != 0 ||
        !file_version_equal(&image, &spare->image.version))
        return false;
    if (!service->ramdisk || !spare->has_ramdisk)
        return !service->ramdisk && !spare->has_ramdisk;
    return file_version_read(service->ramdisk, &ramdisk, &error) == 0 &&
           file_version_equal(&ramdisk, &spare->ramdisk);
}

static struct qemu_process *take(struct qemu *qemu, const struct config_service *service,
                                 bool greeted)
{
    struct qemu_process **place = &qemu->spares;
    while (*place) {
        struct qemu_process *spare = *place;
        if (strcmp(spare->service, service->name) != 0 || spare->greeted != greeted) {
            place = &spare->next_spare;
            continue;
        }
        *place = spare->next_spare;
        spare->next_spare = NULL;
        if (is_current(spare, service))
            return spare;
        log_info("%s: its image has changed: a prewarmed machine is replaced", service->name);
        end_spare(spare);
    }
    return NULL;
}

/* One that is still being launched is nearer to its first instruction than a new one. */
struct qemu_process *spare_take(struct qemu *qemu, const struct config_service *service)
{
    struct qemu_process *spare = take(qemu, service, true);
    if (!spare)
        spare = take(qemu, service, false);
    if (spare && spare == qemu->warming)
        qemu->warming = NULL;
    return spare;
}

static unsigned count_spares(const struct qemu *qemu, const char *service)
{
    unsigned count = 0;
    for (const struct qemu_process *spare = qemu->spares; spare; spare = spare->next_spare)
        count += strcmp(spare->service, service) == 0;
    return count;
}

static void launch_spare(struct qemu *qemu, const struct config_service *service)
{
    char directory[32];
    struct error error;
    /* An adopted machine may have been a spare, and its directory be called so. */
    do
        snprintf(directory, sizeof directory, "+spare-%u", qemu->spare_number++);
    while (faccessat(qemu->directory, directory, F_OK, 0) == 0);
    struct qemu_process *spare = qemu_process_launch(qemu, service, directory, true, &error);
    if (!spare) {
        log_warning("%s: cannot prewarm a machine: %s", service->name, error.text);
        qemu->spare_failures++;
        spare_refill_soon(qemu);
        return;
    }
    spare->next_spare = qemu->spares;
    qemu->spares = spare;
    qemu->warming = spare;
}

static void refill(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct qemu *qemu = argument;
    if (qemu->warming || qemu->keeper->starting > 0)
        return;
    for (size_t i = 0; i < qemu->prewarmed_count; i++) {
        const struct config_service *service = qemu->prewarmed[i];
        if (count_spares(qemu, service->name) < service->prewarm) {
            launch_spare(qemu, service);
            return;
        }
    }
}

struct event *spare_timer(struct qemu *qemu)
{
    return evtimer_new(qemu->keeper->base, refill, qemu);
}

void spare_refill_soon(struct qemu *qemu)
{
    unsigned doublings = qemu->spare_failures < 10 ? qemu->spare_failures : 10;
    uint64_t delay = REFILL_AFTER << doublings;
    struct timeval wait = clock_timeval(delay < REFILL_AFTER_MAX ? delay : REFILL_AFTER_MAX);
    if (qemu->prewarmed_count > 0)
        evtimer_add(qemu->refill, &wait);
}

void spare_greeted(struct qemu_process *process)
{
    struct qemu *qemu = process->qemu;
    if (qemu->warming == process)
        qemu->warming = NULL;
    qemu->spare_failures = 0;
    log_debug("%s: a prewarmed machine is waiting (process %d)", process->service,
              (int)process->pid);
    readiness_begin(process);
    event_active(qemu->refill, EV_TIMEOUT, 1);
}

void spare_ended(struct qemu_process *process, const char *why)
{
    struct qemu *qemu = process->qemu;
    if (take_out(&qemu->ending, process)) {
        bury(process);
        return;
    }
    take_out(&qemu->spares, process);
    log_warning("%s: a prewarmed machine has ended: %s; it will be replaced", process->service,
                why);
    qemu->spare_failures++;
    if (qemu->warming == process)
        qemu->warming = NULL;
    qemu_process_kill(process);
    bury(process);
    spare_refill_soon(qemu);
}

void spare_end_all(struct qemu *qemu)
{
    while (qemu->spares) {
        struct qemu_process *spare = qemu->spares;
        qemu->spares = spare->next_spare;
        end_spare(spare);
    }
}

void spare_close(struct qemu *qemu)
{
    spare_end_all(qemu);
    while (qemu->ending) {
        struct qemu_process *spare = qemu->ending;
        qemu->ending = spare->next_spare;
        bury(spare);
    }
}

static bool wants_spares(const struct config_service *service)
{
    return service->backend == CONFIG_BACKEND_QEMU && service->prewarm > 0;
}

int spare_configure(struct qemu *qemu, const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->service_count; i++)
        count += wants_spares(&config->services[i]);
    const struct config_service **prewarmed = calloc(count + 1, sizeof *prewarmed);
    if (!prewarmed)
        return -1;
    size_t next = 0;
    for (size_t i = 0; i < config->service_count; i++)
        if (wants_spares(&config->services[i]))
            prewarmed[next++] = &config->services[i];
    spare_end_all(qemu);
    free(qemu->prewarmed);
    qemu->prewarmed = prewarmed;
    qemu->prewarmed_count = count;
    spare_refill_soon(qemu);
    return 0;
}
