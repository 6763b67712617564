/* The part of POSIX's <strings.h> that the images use; letters are those of ASCII. */
#ifndef JITSU_LIBC_STRINGS_H
#define JITSU_LIBC_STRINGS_H

#include <stddef.h>

int strcasecmp(const char *a, const char *b);
int strncasecmp(const char *a, const char *b, size_t count);

#endif
