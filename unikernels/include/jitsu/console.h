/* The console: lines of text for whoever runs the machine. */
#ifndef JITSU_CONSOLE_H
#define JITSU_CONSOLE_H

#include <stddef.h>

/* Writes `length` bytes as they are. Waits for the console, but never for long: what it does not
 * take is lost. */
void console_write(const char *text, size_t length);

/* Writes a formatted text of at most 255 bytes; what is beyond is cut. The conversions of
 * snprintf() in libc/include/stdio.h. */
void console_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
