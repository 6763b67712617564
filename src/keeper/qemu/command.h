/* QEMU's command line for a machine. Pure: no I/O. */
#ifndef JITSU_KEEPER_QEMU_COMMAND_H
#define JITSU_KEEPER_QEMU_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "config/config.h"
#include "keeper/image.h"
#include "keeper/message.h"

/* The descriptors that QEMU finds open besides 0, 1 and 2. */
enum qemu_descriptor { QEMU_FD_QMP = 3, QEMU_FD_CONSOLE, QEMU_FD_PID, QEMU_FD_COUNT };

struct qemu_command {
    const char *program;                  /* QEMU */
    const char *title;                    /* what ps(1) shows it to be */
    const struct config_service *service; /* its name, files, arguments, memory, processors */
    const struct image *image;            /* what its image was found to be */
    bool kvm;                             /* else TCG */
    bool paused;                          /* wait for QMP's `cont` */
    const uint8_t *token;                 /* 16 bytes that the machine is known by */
    int64_t time;                         /* now, in seconds since the epoch */
    uint64_t tsc_khz; /* rate of the time stamp counter; 0: not known for sure */
    int tap;          /* the descriptor of its TAP device there; not used on a user network */
    const struct message_forward *forwards; /* ports of the user network */
    unsigned forward_count;
};

/* The arguments, ended by NULL, in one allocation that the caller frees; or NULL with the reason.
 */
char **qemu_command_make(const struct qemu_command *command, struct error *error);

/* The kernel's command line of that machine, allocated: for images that announce themselves their
 * addresses, name, token and so on, then the configured text; for others that alone. In both
 * %{name}, %{address}, %{prefixlen}, %{gateway} and %{mac} are replaced; a service with several
 * addresses has the first one there. NULL: memory is exhausted. */
char *qemu_command_kernel_line(const struct qemu_command *command);

/* `text` with those replaced, allocated. NULL: memory is exhausted. */
char *qemu_command_replace(const struct config_service *service, const char *text);

#endif
