#include "keeper/console.h"

#include <stdint.h>
#include <string.h>

static const char fatal_prefix[] = "jitsu: fatal: ";

void console_begin(struct console *console, const char *wanted)
{
    console->wanted = wanted;
    console->length = 0;
    console->line[0] = console->last[0] = console->fatal[0] = '\0';
}

/* Ends the line and remembers it. */
static const char *end_line(struct console *console)
{
    while (console->length > 0 && console->line[console->length - 1] == '\r')
        console->length--;
    console->line[console->length] = '\0';
    if (console->length > 0)
        memcpy(console->last, console->line, console->length + 1);
    return console->line;
}

static void report_line(struct console *console, console_event_function *report, void *argument)
{
    const char *line = end_line(console);
    if (strcmp(line, "jitsu: entered") == 0) {
        report(argument, CONSOLE_ENTERED, line);
    } else if (strcmp(line, "jitsu: ready") == 0) {
        report(argument, CONSOLE_READY, line);
    } else if (strncmp(line, fatal_prefix, sizeof fatal_prefix - 1) == 0) {
        strcpy(console->fatal, line + sizeof fatal_prefix - 1);
        report(argument, CONSOLE_FATAL, console->fatal);
    } else if (line[0]) {
        report(argument, CONSOLE_LINE, line);
    }
}

/* A prompt ends without a line break, so the text is looked for in the unfinished line too. */
static void look_for_wanted(struct console *console, console_event_function *report, void *argument)
{
    if (!console->wanted)
        return;
    console->line[console->length] = '\0';
    if (strstr(console->line, console->wanted)) {
        console->wanted = NULL;
        report(argument, CONSOLE_WANTED, console->line);
    }
}

static void add(struct console *console, char byte)
{
    /* A NUL would hide the rest of the line. */
    if (byte != '\0' && console->length < CONSOLE_LINE_MAX)
        console->line[console->length++] = byte;
}

void console_feed(struct console *console, const void *bytes, size_t length,
                  console_event_function *report, void *argument)
{
    const char *byte = bytes;
    for (size_t i = 0; i < length; i++) {
        if (byte[i] != '\n') {
            add(console, byte[i]);
            continue;
        }
        look_for_wanted(console, report, argument);
        report_line(console, report, argument);
        console->length = 0;
    }
    look_for_wanted(console, report, argument);
}

const char *console_last_words(struct console *console)
{
    if (console->fatal[0])
        return console->fatal;
    if (console->length > 0)
        end_line(console);
    return console->last;
}
