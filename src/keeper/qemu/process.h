/* One QEMU process: its launch, what it says on console, monitor and standard error, and its end. A
 * machine has one, and so has each spare. */
#ifndef JITSU_KEEPER_QEMU_PROCESS_H
#define JITSU_KEEPER_QEMU_PROCESS_H

#include <event2/event.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "keeper/console.h"
#include "keeper/image.h"
#include "keeper/machine.h"
#include "keeper/qemu/qmp.h"
#include "keeper/record.h"

#define QEMU_PROBES 4 /* probe connections open at a time */

struct qemu;

struct qemu_process {
    struct qemu *qemu;
    struct machine *machine; /* whose it is; NULL: a spare, or one that is being ended */
    struct qemu_process *next_spare;
    char service[CONFIG_NAME_TEXT_MAX];
    char device[IF_NAMESIZE]; /* its TAP device; "" on a user network */
    uint8_t token[MESSAGE_TOKEN_SIZE];
    char directory_name[CONFIG_NAME_TEXT_MAX + 16];
    int directory; /* of its record */
    pid_t pid;
    int pidfd;
    int console_socket, complaints_pipe;
    struct event *ended, *console_readable, *complaints_readable, *timer;
    struct qmp *qmp;
    struct console console;
    char complaint[256];           /* the last line on its standard error */
    char verdict[ERROR_TEXT_SIZE]; /* why the keeper ends it; "": it does not, or nobody asks */
    char saying[256];              /* what has come of the next one */
    size_t saying_length;
    struct image image;
    struct file_version ramdisk;
    bool has_ramdisk;
    bool greeted; /* its monitor answers */
    bool entered;
    bool adopted;    /* not our child */
    bool was_paused; /* adopted: its monitor said so */

    /* Readiness. */
    enum config_ready rule; /* never CONFIG_READY_DEFAULT */
    char *ready_text;
    uint16_t ready_port;
    uint64_t ready_after;
    uint64_t ready_moment;   /* the rule is fulfilled since; 0: not yet */
    int probes[QEMU_PROBES]; /* tcp: connections under way; -1: none */
    unsigned probe_count;    /* made so far */

    struct message_forward forwards[CONFIG_PORTS_MAX + 1]; /* host 0: not known yet */
    uint8_t forward_count, service_forwards;               /* the first of them are the service's */
};

/* Launches QEMU for `service`, in record directory `directory_name`; stopped before the first
 * instruction if `paused`. NULL with the reason. */
struct qemu_process *qemu_process_launch(struct qemu *qemu, const struct config_service *service,
                                         const char *directory_name, bool paused,
                                         struct error *error);

/* Takes over the process that the record in `directory_name` tells of. NULL with the reason if it
 * cannot be. */
struct qemu_process *qemu_process_adopt(struct qemu *qemu, const char *directory_name,
                                        int directory, pid_t pid, const struct record *record,
                                        struct error *error);

/* Kills it. Its end is reported through qemu_process_ended() as always. */
void qemu_process_kill(struct qemu_process *process);

/* The same for a reason that is to be told. */
void qemu_process_condemn(struct qemu_process *process, const struct error *why);

/* Frees what is known of it; the process itself and its record stay. */
void qemu_process_free(struct qemu_process *process);

/* Takes note of what its console has said by now. */
void qemu_process_listen(struct qemu_process *process);

/* Writes its record, from its machine. */
void qemu_process_remember(struct qemu_process *process);

/* Sends a monitor command without arguments. */
int qemu_process_execute(struct qemu_process *process, const char *command,
                         qmp_answer_function *answered);

/* Calls `function` once after `delay` nanoseconds, instead of what was set before. */
void qemu_process_after(struct qemu_process *process, uint64_t delay, event_callback_fn function);

/* --- readiness (readiness.c) --- */

/* Chooses the rule. -1 with the reason if there is none that fits. */
int readiness_choose(struct qemu_process *process, const struct config_service *service,
                     struct error *error);

/* The machine runs since now: begins to watch for what needs watching. */
void readiness_begin(struct qemu_process *process);
void readiness_console(struct qemu_process *process, enum console_event event);

/* The front has seen on the bridge that the machine takes traffic. */
void readiness_seen(struct qemu_process *process);

/* The monitor's list of ports has come. */
void readiness_ports(struct qemu_process *process, const char *text);
void readiness_end(struct qemu_process *process);

/* --- what qemu.c is told --- */

/* The rule is fulfilled and all ports are known. */
void qemu_process_ready(struct qemu_process *process);

/* The monitor answers. */
void qemu_process_greeted(struct qemu_process *process);

/* It has ended, for the reason `why`. To be freed by the callee, which also removes the record. */
void qemu_process_ended(struct qemu_process *process, const char *why);

#endif
