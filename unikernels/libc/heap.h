/* Where malloc() takes from: memory that the platform found. */
#ifndef JITSU_LIBC_HEAP_H
#define JITSU_LIBC_HEAP_H

#include <stddef.h>

/* Adds `size` bytes at `start` to the heap, for good. A piece that is too small is left out. */
void heap_add(void *start, size_t size);

/* Bytes that are free now, in whatever pieces. */
size_t heap_free_bytes(void);

#endif
