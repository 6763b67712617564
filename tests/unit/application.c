/* The end of the machine, for parts of the unikernels that run in tests on the host. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "jitsu/application.h"

_Noreturn void application_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}
