/* The entry points in vectors.S, and the interrupt vectors they are for. */
#ifndef JITSU_PVH_VECTORS_H
#define JITSU_PVH_VECTORS_H

#include <stdint.h>

#define VECTOR_TIMER    0x20
#define VECTOR_DEVICE   0x30
#define VECTOR_SPURIOUS 0x3f

#define EXCEPTION_VECTOR_SIZE 16

struct registers;

extern uint8_t timer_vector[], device_vector[], spurious_vector[], exception_vectors[];

/* Called by vectors.S, does not return. */
void exception_report(const struct registers *registers);

#endif
