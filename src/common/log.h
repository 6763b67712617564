/* The one place that writes log lines. Thread-safe; a line is one write(2) to standard error.
 *
 * A line is for an operator at three in the morning: what happened, to which service, why, and what
 * jitsud will do next. On a terminal or in a file a line starts with the local time; under systemd
 * (JOURNAL_STREAM set) it starts with the priority in angle brackets instead, see sd-daemon(3). */
#ifndef JITSU_COMMON_LOG_H
#define JITSU_COMMON_LOG_H

#include <stdbool.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/* Sets the least important level that is still written; LOG_LEVEL_INFO until then. */
void log_set_level(enum log_level level);

/* Sets the name of this process as it stands in each line ("front", "keeper"); NULL for none.
 * `process` must stay valid. */
void log_set_process(const char *process);

/* Whether a line of `level` would be written: asks before preparing an expensive one. */
bool log_enabled(enum log_level level);

/* Writes one line. Line breaks and control characters inside it are written as \xNN, so that no
 * guest or client can forge a line. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "error", "warning", "info", "debug" <-> level; the first returns -1 for another word. */
int log_level_parse(const char *word, enum log_level *level);
const char *log_level_name(enum log_level level);

#endif
