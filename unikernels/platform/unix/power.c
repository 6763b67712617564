/* The ends of the process: with status 0, or with status 1 and a reason on standard error. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "jitsu/application.h"
#include "platform/platform.h"
#include "platform/unix/process.h"

static _Noreturn void fatal(const char *format, va_list arguments)
{
    char text[512];

    console_flush();
    vsnprintf(text, sizeof text, format, arguments);
    fprintf(stderr, "jitsu: fatal: %s\n", text);
    exit(EXIT_FAILURE);
}

_Noreturn void application_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fatal(format, arguments);
}

_Noreturn void platform_fatal(const char *reason)
{
    application_fail("%s", reason);
}

_Noreturn void application_power_off(void)
{
    console_flush();
    exit(EXIT_SUCCESS);
}
