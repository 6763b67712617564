/* What starts and stops machines, as a table of functions: one table for each backend. All calls
 * are made on the keeper's event loop and return at once; what comes of them is reported through
 * machine_report_*(). */
#ifndef JITSU_KEEPER_BACKEND_H
#define JITSU_KEEPER_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "config/config.h"

struct keeper;
struct machine; /* one machine of the keeper: its service's configuration, serial, and the backend's
                   own data */

struct backend {
    const char *name; /* as in the configuration */

    /* Can this backend work on this host at all? Called once, when a service first needs it. */
    int (*probe)(struct keeper *keeper, struct error *error);

    /* Begins to start `machine`. Reports spawned, (entered,) ready; or failed. */
    int (*start)(struct machine *machine, struct error *error);

    /* Begins to stop it. Reports exited, also if it was gone already. */
    void (*stop)(struct machine *machine, enum config_stop mode);

    /* Looks whether `machine`, known only from its record, still runs; if it does, takes it over
     * and reports it like a started one. Returns false if there is nothing to take over. */
    bool (*adopt)(struct machine *machine);

    /* Frees the backend's data of `machine`, which stays running if it runs. */
    void (*close)(struct machine *machine);
};

extern const struct backend qemu_backend;

#endif
