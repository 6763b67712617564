/* Random numbers that nobody can guess: for keys. */
#ifndef JITSU_RANDOM_H
#define JITSU_RANDOM_H

#include <stddef.h>

/* Fills `buffer`. The numbers come from the processor or the host, from the option token= (32
 * hexadecimal digits or more, new for each boot), and from a file `seed` (32 bytes or more) in the
 * boot module: from all of these that there are. If there is none, the machine ends and says so. */
void random_bytes(void *buffer, size_t length);

#endif
