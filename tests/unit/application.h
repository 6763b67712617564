/* The machine of parts of the unikernels that run in tests on the host. */
#ifndef JITSU_UNIT_APPLICATION_H
#define JITSU_UNIT_APPLICATION_H

#include <stdint.h>

/* What clock_wall() tells; 0: nobody has told it. */
extern int64_t wall_time;

#endif
