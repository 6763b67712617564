/* What jitsuctl prints for people: times, sizes, colours, and text from outside made harmless. */
#ifndef JITSU_ADMIN_CLIENT_OUTPUT_H
#define JITSU_ADMIN_CLIENT_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "admin/text.h"

/* "jitsuctl: ..." on standard error. Several lines are several such lines. */
void print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints text that may come from a guest or a client: control characters appear as \xNN, so that
 * they cannot reach the terminal. print_padded() fills it up to `width` columns with spaces;
 * columns_of() says how many it takes. */
void print_text(FILE *stream, const char *text);
void print_padded(FILE *stream, const char *text, size_t width);
size_t columns_of(const char *text);

/* "2026-01-31 12:00:00", local; with milliseconds if asked. */
const char *format_time(double time, bool milliseconds, char text[TEXT_SIZE]);

enum colour {
    COLOUR_NONE,
    COLOUR_BOLD,
    COLOUR_DIM,
    COLOUR_RED,
    COLOUR_GREEN,
    COLOUR_YELLOW,
    COLOUR_BLUE
};

/* Starts a colour on standard output, or ends it (COLOUR_NONE): only on a terminal, and not if
 * NO_COLOR is set. */
void set_colour(enum colour colour);
enum colour colour_of_state(const char *state);

/* Members of an object: a text ("" if it is none), a number (0 if it is none). */
const char *text_of(const json_t *object, const char *key);
double number_of(const json_t *object, const char *key);
json_int_t count_of(const json_t *object, const char *key);
uint64_t size_of(const json_t *object, const char *key); /* never negative */

/* Writes out what standard output still holds. Returns `status`, or EXIT_REFUSED, having said so,
 * if something could not be written. */
int finish_output(int status);

#endif
