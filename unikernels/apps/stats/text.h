/* A text that is put together in memory of a fixed size. */
#ifndef JITSU_STATS_TEXT_H
#define JITSU_STATS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *at;
    size_t size;
    size_t length;
    bool overrun; /* there was no room for all of it */
};

/* Adds what snprintf() makes of the format. */
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds bytes so that they mean themselves: within an element of HTML, and within a string of JSON.
 * What is not printable ASCII becomes a question mark. */
void text_add_html(struct text *text, const char *bytes, size_t length);
void text_add_json(struct text *text, const char *bytes, size_t length);

/* Adds a time in milliseconds: with three digits that matter, and with all down to microseconds. */
void text_add_brief_milliseconds(struct text *text, uint64_t nanoseconds);
void text_add_milliseconds(struct text *text, int64_t nanoseconds);

#endif
