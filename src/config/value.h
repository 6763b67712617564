/* Single values: their text in the file, checked and converted. */
#ifndef JITSU_CONFIG_VALUE_H
#define JITSU_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* Words that a key takes, in the order of their enumeration; NULL after the last. */
extern const char *const config_network_type_words[];
extern const char *const config_backend_words[];
extern const char *const config_hold_words[];
extern const char *const config_accel_words[];
extern const char *const config_answer_words[];
extern const char *const config_idle_connections_words[];
extern const char *const config_stop_words[];
extern const char *const config_suspend_to_words[];
extern const char *const config_keep_words[];
extern const char *const config_log_words[];
extern const char *const config_no_yes_words[];

/* The number of the word, or -1. */
int config_word_parse(const char *const *words, const char *text);

/* A decimal number without sign. Returns 0, or -1. */
int config_number_parse(const char *text, uint64_t *number);

/* "2m", "16M": the largest unit in which the value is whole. */
#define CONFIG_UNIT_TEXT_SIZE 24
const char *config_duration_format(uint64_t nanoseconds, char text[CONFIG_UNIT_TEXT_SIZE]);
const char *config_size_format(uint64_t bytes, char text[CONFIG_UNIT_TEXT_SIZE]);

/* 80 or 8080:80. Returns 0, or -1. */
int config_port_parse(const char *text, struct config_port *port);

/* A domain name in lower case without its last dot. Returns NULL and writes `name`, or returns what
 * is wrong with it ("it has an empty label"). */
const char *config_name_parse(const char *text, char name[CONFIG_NAME_TEXT_MAX]);

/* Is it one of the characters of labels: a letter in lower case, digit, hyphen or underscore? */
bool config_is_label_character(char c);

/* The length of the placeholder that a path may have where `at` points, or 0. */
size_t config_path_placeholder(const char *at);

/* The offset of the first placeholder in a command line that is not one of those there are, or -1.
 */
long config_placeholder_fault(const char *cmdline);
#define CONFIG_PLACEHOLDERS "%{name}, %{label}, %{address}, %{prefixlen}, %{gateway} or %{mac}"

#endif
