/* The qemu backend as its own files see it. */
#ifndef JITSU_KEEPER_QEMU_QEMU_H
#define JITSU_KEEPER_QEMU_QEMU_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "keeper/accelerator.h"
#include "keeper/process.h"
#include "keeper/qemu/process.h"

struct qemu {
    struct keeper *keeper;
    int directory;     /* run-directory/machines */
    char program[256]; /* QEMU; "": not installed */
    struct accelerator *accelerator;
    struct qemu_process *spares;
    const struct config_service **prewarmed; /* those of the configuration that want spares */
    size_t prewarmed_count;
    struct qemu_process *ending;  /* spares that have been killed and are not gone yet */
    struct qemu_process *warming; /* the spare that is being launched; one at a time */
    struct event *refill;
    unsigned spare_number;   /* of the next one */
    unsigned spare_failures; /* in a row */
};

/* A spare of that service, taken out of the list, that continues when it is told; NULL: none.
 * Those that have become out of date are ended. */
struct qemu_process *spare_take(struct qemu *qemu, const struct config_service *service);

/* The timer of the next look at what is missing; NULL if memory is exhausted. */
struct event *spare_timer(struct qemu *qemu);

/* Looks soon whether spares are missing. */
void spare_refill_soon(struct qemu *qemu);

/* A spare's monitor answers, or it has ended (then it is still to be freed). */
void spare_greeted(struct qemu_process *process);
void spare_ended(struct qemu_process *process, const char *why);

/* Finds out who of `config` wants spares, and ends those there are. -1: memory is exhausted. */
int spare_configure(struct qemu *qemu, const struct config *config);
void spare_end_all(struct qemu *qemu);

/* Ends all and forgets them: the keeper ends. */
void spare_close(struct qemu *qemu);

#endif
