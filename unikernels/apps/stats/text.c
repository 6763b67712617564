#include "stats/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_add(struct text *text, const char *format, ...)
{
    size_t room = text->size - text->length;
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text->at + text->length, room, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < room)
        text->length += (size_t)length;
    else
        text->overrun = true;
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

void text_add_html(struct text *text, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!is_printable(bytes[i]))
            text_add(text, "?");
        else if (strchr("<>&\"'", bytes[i]))
            text_add(text, "&#%d;", bytes[i]);
        else
            text_add(text, "%c", bytes[i]);
    }
}

void text_add_json(struct text *text, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!is_printable(bytes[i]))
            text_add(text, "?");
        else if (bytes[i] == '"' || bytes[i] == '\\')
            text_add(text, "\\%c", bytes[i]);
        else
            text_add(text, "%c", bytes[i]);
    }
}

void text_add_brief_milliseconds(struct text *text, uint64_t nanoseconds)
{
    uint64_t microseconds = (nanoseconds + 500) / 1000;

    if (microseconds < 1000)
        text_add(text, "%lu.%03lu", microseconds / 1000, microseconds % 1000);
    else if (microseconds < 10000)
        text_add(text, "%lu.%02lu", microseconds / 1000, microseconds / 10 % 100);
    else if (microseconds < 100000)
        text_add(text, "%lu.%lu", microseconds / 1000, microseconds / 100 % 10);
    else
        text_add(text, "%lu", microseconds / 1000);
}

void text_add_milliseconds(struct text *text, int64_t nanoseconds)
{
    uint64_t microseconds = (uint64_t)(nanoseconds < 0 ? -nanoseconds : nanoseconds) / 1000;

    text_add(text, "%s%lu.%03lu", nanoseconds < 0 && microseconds > 0 ? "-" : "",
             microseconds / 1000, microseconds % 1000);
}
