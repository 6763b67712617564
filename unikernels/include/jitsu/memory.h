/* The machine's memory, from which malloc() takes. */
#ifndef JITSU_MEMORY_H
#define JITSU_MEMORY_H

#include <stddef.h>

/* Bytes that the machine has: those of the image and of the boot module are among them (a process
 * on unix has them besides). */
size_t memory_total(void);

/* Bytes that are free now. */
size_t memory_free(void);

#endif
