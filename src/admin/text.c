#include "admin/text.h"

#include <stdio.h>

const char *text_duration(double seconds, char text[TEXT_SIZE])
{
    long whole = seconds > 0 ? (long)seconds : 0;

    if (seconds < 1)
        snprintf(text, TEXT_SIZE, "%.0f ms", seconds > 0 ? seconds * 1000 : 0);
    else if (whole < 60)
        snprintf(text, TEXT_SIZE, "%ld s", whole);
    else if (whole < 3600)
        snprintf(text, TEXT_SIZE, "%ld m %02ld s", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(text, TEXT_SIZE, "%ld h %02ld m", whole / 3600, whole % 3600 / 60);
    else
        snprintf(text, TEXT_SIZE, "%ld d %ld h", whole / 86400, whole % 86400 / 3600);
    return text;
}

const char *text_size(uint64_t bytes, char text[TEXT_SIZE])
{
    static const char units[] = " KMGTPE";
    double value = (double)bytes;
    unsigned unit = 0;

    for (; value >= 1024 && units[unit + 1]; unit++)
        value /= 1024;
    snprintf(text, TEXT_SIZE, value == (double)(uint64_t)value ? "%.0f%.*s" : "%.1f%.*s", value,
             unit > 0, units + unit);
    return text;
}
