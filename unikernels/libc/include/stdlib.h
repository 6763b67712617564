/* The part of C's <stdlib.h> that the images use. malloc() takes from the machine's memory that the
 * platform gave to heap_add(); see libc/heap.h. */
#ifndef JITSU_LIBC_STDLIB_H
#define JITSU_LIBC_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void free(void *block);

int atoi(const char *text);

_Noreturn void abort(void);

#endif
