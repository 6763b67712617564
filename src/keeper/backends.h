/* All backends that are built in. */
#ifndef JITSU_KEEPER_BACKENDS_H
#define JITSU_KEEPER_BACKENDS_H

#include "common/error.h"
#include "config/config.h"
#include "keeper/backend.h"

/* The backend, or NULL if this jitsud was built without it. */
const struct backend *backend_of(enum config_backend number);

/* The functions of struct backend that are about no machine in particular, of each of them in turn.
 * The first that cannot open ends the opening. */
int backends_open(struct keeper *keeper, struct error *error);
void backends_reload(struct keeper *keeper, const struct config *config);
void backends_settled(struct keeper *keeper);
void backends_close(struct keeper *keeper);

#endif
