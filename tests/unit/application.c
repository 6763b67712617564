#include "unit/application.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "jitsu/application.h"
#include "jitsu/clock.h"

int64_t wall_time;

bool clock_wall(int64_t *seconds)
{
    *seconds = wall_time;
    return wall_time != 0;
}

_Noreturn void application_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}
