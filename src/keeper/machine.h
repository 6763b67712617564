/* The keeper's machines, whatever their backend: what the front asks of them, and what backends
 * report about them. */
#ifndef JITSU_KEEPER_MACHINE_H
#define JITSU_KEEPER_MACHINE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "keeper/backend.h"
#include "keeper/message.h"

struct machine {
    struct machine *next; /* in its bucket of keeper->machines */
    struct keeper *keeper;
    const struct backend *backend;
    void *data; /* the backend's own */

    char name[CONFIG_NAME_TEXT_MAX]; /* its service's */
    uint32_t serial;
    uint32_t next_serial;            /* of a START that came while it is being stopped; 0: none */
    struct message_place next_place; /* likewise */
    bool spawned, ready;
    bool suspending, suspended;
    bool stopping;  /* on the front's behalf; its end has been asked for */
    bool adopting;  /* from an earlier keeper, not yet known to be usable */
    bool prewarmed; /* a spare one was used */
    bool blameless; /* if it cannot be started: it is for want of a hypervisor that answers */
    int32_t pid;
    char domain[64];
    uint8_t token[MESSAGE_TOKEN_SIZE]; /* as in the message, like the two below */
    uint8_t ready_rule;
    uint16_t ready_port;
    double started; /* seconds since the epoch */
    uint8_t forward_count;
    struct message_forward forwards[CONFIG_PORTS_MAX];
    uint64_t shutdown_timeout; /* of its service when it was started */
    struct message_place place;

    /* The network device in the host by which a bridge sends it frames, known when it is spawned or
     * adopted; "": none. */
    char device[IF_NAMESIZE];
    struct traffic *traffic; /* NULL: nobody looks at it */
    bool tells_use;          /* itself, by the conduit: then it is not counted */

    /* Of the console's allowance (keeper_machine_console). */
    uint64_t console_filled; /* clock_now() */
    size_t console_allowance, console_dropped;
};

/* --- what the front asks --- */

/* START. The service, or the wildcard that it is an instance of, must be configured. */
void keeper_machine_start(struct keeper *keeper, const char *service, uint32_t serial,
                          const struct message_place *place);
void keeper_machine_stop(struct keeper *keeper, const char *service, uint32_t serial,
                         enum config_stop mode);

/* The front has seen on a bridge network that the machine takes traffic. */
void keeper_machine_seen_ready(struct keeper *keeper, const char *service, uint32_t serial);

/* Has it been used? Sends USED. */
void keeper_machine_look(struct keeper *keeper, const char *service, uint32_t serial);

/* MACHINE (and SUSPENDED) for each machine. */
void keeper_machine_list(struct keeper *keeper);

/* Forgets all machines; those that run go on. */
void keeper_machine_forget_all(struct keeper *keeper);

/* --- what backends report --- */

/* The machine's process exists. Sends SPAWNED; its pid, forwards, device and so on are set.
 * `moment` is a clock_now(). */
void keeper_machine_spawned(struct machine *machine, uint64_t moment);
void keeper_machine_entered(struct machine *machine, uint64_t moment);

/* A machine that was spawned has another network device from now on; "": none for a while. */
void keeper_machine_attached(struct machine *machine, const char *device);

/* It takes traffic (again). */
void keeper_machine_ready(struct machine *machine, uint64_t moment);
void keeper_machine_suspended(struct machine *machine);

/* It is gone, or never came to be: sends EXITED, or FAILED where it was not spawned. `why` is for a
 * person. Frees the machine, calling backend->forget. */
void keeper_machine_gone(struct machine *machine, const char *why);

/* It printed something. Passed on as long as it is not too much. */
void keeper_machine_console(struct machine *machine, const void *bytes, size_t length);

/* Adds a machine that runs already, with nothing known of it but its name and serial. The front is
 * told of all machines only when each of those has been adopted, or is gone. NULL with a log line
 * if memory is exhausted or there is one of that name already. */
struct machine *keeper_machine_adopt(struct keeper *keeper, const struct backend *backend,
                                     const char *name, uint32_t serial);

/* It can be used: what is known of it has been set. The front is told when it is told of all, or at
 * once where that has been. */
void keeper_machine_adopted(struct machine *machine);

#endif
