#include "common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 2048

static const struct {
    const char *name;
    int priority; /* of syslog(3), which sd-daemon(3) puts in angle brackets */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

static _Atomic int least_important = LOG_LEVEL_INFO;
static const char *process_name;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least_important, (int)level, memory_order_relaxed);
}

void log_set_process(const char *process)
{
    process_name = process;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&least_important, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

int log_level_parse(const char *word, enum log_level *level)
{
    for (unsigned i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (strcmp(word, levels[i].name) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    return -1;
}

static size_t write_prefix(char *line, size_t size, enum log_level level)
{
    const char *process = process_name ? process_name : "";
    const char *colon = process_name ? ": " : "";
    int written;

    if (getenv("JOURNAL_STREAM")) {
        written = snprintf(line, size, "<%d>%s%s", levels[level].priority, process, colon);
    } else {
        struct timespec now;
        struct tm local;
        char date[32];
        clock_gettime(CLOCK_REALTIME, &now);
        localtime_r(&now.tv_sec, &local);
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &local);
        written = snprintf(line, size, "%s.%03ld %s: %s%s", date, now.tv_nsec / 1000000,
                           levels[level].name, process, colon);
    }
    return written > 0 ? (size_t)written : 0;
}

static void write_line(enum log_level level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void write_line(enum log_level level, const char *format, va_list arguments)
{
    char text[LINE_SIZE];
    char line[LINE_SIZE];
    static const char hex[] = "0123456789abcdef";

    vsnprintf(text, sizeof text, format, arguments);
    size_t length = write_prefix(line, sizeof line, level);
    for (const char *c = text; *c && length + 6 < sizeof line; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte >= 0x20 && byte != 0x7f) {
            line[length++] = *c;
        } else {
            line[length++] = '\\';
            line[length++] = 'x';
            line[length++] = hex[byte >> 4];
            line[length++] = hex[byte & 15];
        }
    }
    line[length++] = '\n';
    /* There is nobody to tell when the log itself cannot be written. */
    if (write(STDERR_FILENO, line, length) < 0)
        return;
}

#define DEFINE_LOG(name, level)                                                                    \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        if (!log_enabled(level))                                                                   \
            return;                                                                                \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        write_line(level, format, arguments);                                                      \
        va_end(arguments);                                                                         \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
