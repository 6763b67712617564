/* What a machine prints, cut into lines, and the lines that mean something. Pure: no I/O. */
#ifndef JITSU_KEEPER_CONSOLE_H
#define JITSU_KEEPER_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

#define CONSOLE_LINE_MAX 400 /* a longer line is cut, its rest is dropped */

enum console_event {
    CONSOLE_LINE,    /* any other line that is not empty */
    CONSOLE_ENTERED, /* "jitsu: entered" */
    CONSOLE_READY,   /* "jitsu: ready" */
    CONSOLE_FATAL,   /* "jitsu: fatal: TEXT"; `line` is TEXT */
    CONSOLE_WANTED,  /* the text that was waited for has been printed, perhaps within a line */
};

typedef void console_event_function(void *argument, enum console_event event, const char *line);

struct console {
    const char *wanted; /* text that is waited for (once), or NULL */
    size_t length;      /* of `line`, which is not ended yet */
    char line[CONSOLE_LINE_MAX + 1];
    char last[CONSOLE_LINE_MAX + 1];  /* last line that was not empty; "" */
    char fatal[CONSOLE_LINE_MAX + 1]; /* TEXT of "jitsu: fatal: TEXT"; "" */
};

/* Begins with an empty screen. `wanted` must live as long as `console`. */
void console_begin(struct console *console, const char *wanted);

/* Takes the bytes and reports what they complete. `report` must not call console_feed(). */
void console_feed(struct console *console, const void *bytes, size_t length,
                  console_event_function *report, void *argument);

/* What the machine said last: the reason it gave, else its last line, ended or not; "" if it said
 * nothing. */
const char *console_last_words(struct console *console);

#endif
