/* Is KVM of use here? A /dev/kvm that opens proves nothing: some stall on ordinary instructions. So
 * a tiny machine that does what real ones do is booted under it, once for each boot of the host. */
#ifndef JITSU_KEEPER_ACCELERATOR_H
#define JITSU_KEEPER_ACCELERATOR_H

#include <stdbool.h>

#include "keeper/keeper.h"

struct event_base;
struct accelerator;

/* Recalls the verdict, or begins to find it out in the background with the machine `probe_image`.
 * `directory` keeps the verdict. `program` is QEMU. NULL if memory is exhausted. */
struct accelerator *accelerator_new(struct event_base *base, const struct keeper_options *options,
                                    int directory, const char *program);

/* Has KVM been proven? Until then, and where it does not work, it is false. */
bool accelerator_is_proven(const struct accelerator *accelerator);

/* The group that may use /dev/kvm, for machines that run as another user; -1: there is none. */
gid_t accelerator_group(void);

void accelerator_free(struct accelerator *accelerator);

#endif
