/* The text that the original's command line is translated into, line by line, with where each comes
 * from. */
#ifndef JITSU_ORIGINAL_TEXT_H
#define JITSU_ORIGINAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

struct original_text;

/* Everything that is wrong goes to `report`, each text once. NULL if memory is exhausted. */
struct original_text *original_text_new(config_error_function *report, void *argument);
void original_text_free(struct original_text *text); /* NULL is allowed */

/* Adds a line. `origin` ("-c", "dns=www.example.org,...: ip") must stay; faults of lines whose
 * origin is NULL are not reported: they are of another line, too. */
void original_line(struct original_text *text, const char *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds the line `key: "value"`, or `key: ["value", ...]`, or nothing for no values. `key` begins
 * with its indentation. */
void original_value(struct original_text *text, const char *origin, const char *key,
                    const char *value);
void original_list(struct original_text *text, const char *origin, const char *key,
                   const char *const *values, size_t count);

/* Reports something that is wrong with `origin`. */
void original_fault(struct original_text *text, const char *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

bool original_has_faults(const struct original_text *text);

/* All lines. NULL if memory was exhausted. */
const char *original_lines(struct original_text *text);

/* Reads the lines as a configuration file. NULL having reported what is wrong. */
struct config *original_read(struct original_text *text);

#endif
