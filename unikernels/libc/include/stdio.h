/* The part of C's <stdio.h> that the images use. Conversions: c d i u x s p %, with l, ll, z, a
 * width and 0 in front of it, and a precision for s. */
#ifndef JITSU_LIBC_STDIO_H
#define JITSU_LIBC_STDIO_H

#include <stdarg.h>
#include <stddef.h>

int snprintf(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int vsnprintf(char *text, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
