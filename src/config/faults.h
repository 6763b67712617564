/* What is wrong with the file, collected while it is read and reported in the order of the file. */
#ifndef JITSU_CONFIG_FAULTS_H
#define JITSU_CONFIG_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* A place in the file; both count from 1. Line 0: no place. */
struct config_mark {
    uint32_t line;
    uint32_t column; /* in characters */
};

struct config_faults;

struct config_faults *config_faults_new(void);
void config_faults_free(struct config_faults *faults);

/* Adds one. Control characters in the message are written as \xNN. If memory is exhausted, that
 * becomes the last fault reported. */
void config_fault(struct config_faults *faults, struct config_mark mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

bool config_faults_any(const struct config_faults *faults);

/* Reports them all, sorted by place. */
void config_faults_report(struct config_faults *faults, const char *file,
                          config_error_function *report, void *argument);

/* Text of the file, short enough to be repeated in a message: cut after CONFIG_QUOTE_MAX bytes, at
 * the end of a character. */
#define CONFIG_QUOTE_MAX 72
struct config_quote {
    char text[CONFIG_QUOTE_MAX + sizeof "..."];
};
struct config_quote config_quote(const char *text);

#endif
