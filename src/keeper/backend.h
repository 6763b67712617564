/* What starts and stops machines, as a table of functions: one table for each backend. All calls
 * are made on the keeper's event loop and return at once; what comes of them is reported through
 * keeper_machine_*() of keeper/machine.h, now or later, from that loop too. */
#ifndef JITSU_KEEPER_BACKEND_H
#define JITSU_KEEPER_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "config/config.h"

struct keeper;
struct machine;

struct backend {
    const char *name; /* as in the configuration */

    /* Called once, when the keeper begins: prepares what is shared by all machines, and adopts
     * those that still run (keeper_machine_adopt). Whether the backend works on this host at all
     * shows at a start: not every configuration needs it. */
    int (*open)(struct keeper *keeper, struct error *error);

    /* Begins to start `machine` for `service`, which is valid during the call only. Reports
     * spawned, (entered,) ready; or failed. Returns -1 with the reason where it fails at once: then
     * nothing has been or is reported. */
    int (*start)(struct machine *machine, const struct config_service *service,
                 struct error *error);

    /* The front has seen that it takes traffic: reports ready, unless that is to show otherwise. */
    void (*seen_ready)(struct machine *machine);

    /* Makes a suspended machine, or one that is being suspended, run again. Reports ready. */
    void (*resume)(struct machine *machine);

    /* Begins to stop it: reports exited, or suspended. A later call may ask for something harsher.
     */
    void (*stop)(struct machine *machine, enum config_stop mode);

    /* What the machine is known by has changed: remember it for the next keeper. */
    void (*remember)(struct machine *machine);

    /* Frees the backend's data of `machine`, which goes on running if it runs. */
    void (*forget)(struct machine *machine);

    /* The configuration is about to be replaced by `config`. */
    void (*reload)(struct keeper *keeper, const struct config *config);

    /* No machine is being started any more: a good moment for work that can wait. */
    void (*settled)(struct keeper *keeper);

    /* The keeper ends: ends what must not outlive it, which machines do. Called also after open has
     * failed. */
    void (*close)(struct keeper *keeper);
};

/* Those that are built in; found by keeper/backends.h. */
extern const struct backend qemu_backend, libvirt_backend, xen_backend;

#endif
