/* Formatted text for the console, whose bytes each platform writes in its way. */
#include "jitsu/console.h"

#include <stdarg.h>
#include <stdio.h>

void console_print(const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length > 0)
        console_write(text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}
