/* The machine's memory, from which malloc() takes. */
#ifndef JITSU_MEMORY_H
#define JITSU_MEMORY_H

#include <stddef.h>

/* Bytes that are free now. */
size_t memory_free(void);

#endif
