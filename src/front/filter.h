/* The front's system call filter. */
#ifndef JITSU_FRONT_FILTER_H
#define JITSU_FRONT_FILTER_H

#include "common/error.h"

/* From now on all threads of the process can make only the system calls that a running front needs:
 * others fail with EPERM. Programs built with sanitizers, which need more, are left as they are.
 * Returns -1 with the reason where the kernel refuses. */
int filter_enter(struct error *error);

#endif
