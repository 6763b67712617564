#include "original_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the configuration says of itself in messages, in the place of a file's name. */
#define FILE_NAME "command line"

#define FAULT_SIZE 2048

struct original_text {
    config_error_function *report;
    void *argument;
    FILE *stream;
    char *lines;
    size_t length;
    const char **origins; /* of each line */
    size_t count, capacity;
    char **reported;
    size_t reported_count;
    bool exhausted;
};

struct original_text *original_text_new(config_error_function *report, void *argument)
{
    struct original_text *text = calloc(1, sizeof *text);
    if (!text)
        return NULL;
    text->report = report;
    text->argument = argument;
    text->stream = open_memstream(&text->lines, &text->length);
    if (text->stream)
        return text;
    free(text);
    return NULL;
}

void original_text_free(struct original_text *text)
{
    if (!text)
        return;
    fclose(text->stream);
    free(text->lines);
    free(text->origins);
    for (size_t i = 0; i < text->reported_count; i++)
        free(text->reported[i]);
    free(text->reported);
    free(text);
}

/* --- writing --- */

static void end_line(struct original_text *text, const char *origin)
{
    if (text->count == text->capacity) {
        size_t capacity = text->capacity ? 2 * text->capacity : 64;
        const char **origins = reallocarray(text->origins, capacity, sizeof *origins);
        if (!origins) {
            text->exhausted = true;
            return;
        }
        text->origins = origins;
        text->capacity = capacity;
    }
    text->origins[text->count++] = origin;
    fputc('\n', text->stream);
}

void original_line(struct original_text *text, const char *origin, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(text->stream, format, arguments);
    va_end(arguments);
    end_line(text, origin);
}

/* In quotes, with what means something between them escaped. */
static void write_quoted(FILE *stream, const char *value)
{
    fputc('"', stream);
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            fprintf(stream, "\\x%02x", (unsigned)*c);
        else if (*c == '"' || *c == '\\')
            fprintf(stream, "\\%c", *c);
        else
            fputc(*c, stream);
    fputc('"', stream);
}

void original_value(struct original_text *text, const char *origin, const char *key,
                    const char *value)
{
    if (!value)
        return;
    fprintf(text->stream, "%s: ", key);
    write_quoted(text->stream, value);
    end_line(text, origin);
}

void original_list(struct original_text *text, const char *origin, const char *key,
                   const char *const *values, size_t count)
{
    if (count == 0)
        return;
    fprintf(text->stream, "%s: [", key);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            fputs(", ", text->stream);
        write_quoted(text->stream, values[i]);
    }
    fputc(']', text->stream);
    end_line(text, origin);
}

const char *original_lines(struct original_text *text)
{
    return fflush(text->stream) == 0 && !text->exhausted ? text->lines : NULL;
}

/* --- what is wrong --- */

bool original_has_faults(const struct original_text *text)
{
    return text->reported_count > 0;
}

/* One option stands for many lines. */
static void report_once(struct original_text *text, const char *fault)
{
    for (size_t i = 0; i < text->reported_count; i++)
        if (strcmp(text->reported[i], fault) == 0)
            return;
    char **reported =
        reallocarray(text->reported, text->reported_count + 1, sizeof *text->reported);
    char *copy = strdup(fault);
    if (reported)
        text->reported = reported;
    if (reported && copy)
        text->reported[text->reported_count++] = copy;
    else
        free(copy);
    text->report(text->argument, fault);
}

void original_fault(struct original_text *text, const char *origin, const char *format, ...)
{
    char fault[FAULT_SIZE];
    int used = snprintf(fault, sizeof fault, "%s: ", origin);
    va_list arguments;
    va_start(arguments, format);
    if (used > 0 && (size_t)used < sizeof fault)
        vsnprintf(fault + used, sizeof fault - (size_t)used, format, arguments);
    va_end(arguments);
    report_once(text, fault);
}

static const char *origin_of(const struct original_text *text, unsigned long line)
{
    return line > 0 && line <= text->count ? text->origins[line - 1] : NULL;
}

/* Of an origin without the key: "dns=www.example.org,..." of "dns=www.example.org,...: ip". */
static int argument_length(const char *origin)
{
    const char *end = NULL;
    for (const char *c = strstr(origin, ": "); c; c = strstr(c + 1, ": "))
        end = c;
    return (int)(end ? (size_t)(end - origin) : strlen(origin));
}

/* Copies a message that may speak of other lines as "in line N". */
static void copy_message(const struct original_text *text, const char *message, char *copy,
                         size_t size)
{
    static const char in_line[] = "in line ";
    size_t used = 0;
    while (*message && used < size - 1) {
        char *end = NULL;
        const char *origin = NULL;
        if (strncmp(message, in_line, sizeof in_line - 1) == 0)
            origin = origin_of(text, strtoul(message + sizeof in_line - 1, &end, 10));
        if (!origin) {
            copy[used++] = *message++;
            continue;
        }
        int written =
            snprintf(copy + used, size - used, "of '%.*s'", argument_length(origin), origin);
        used = written > 0 && (size_t)written < size - used ? used + (size_t)written : size - 1;
        message = end;
    }
    copy[used] = '\0';
}

/* `found` is FILE_NAME:LINE:COLUMN: message. Up to FIRST_VALUE in a line it is about an entry as a
 * whole, which begins there. */
#define FIRST_VALUE 5
static void explain(void *argument, const char *found)
{
    struct original_text *text = argument;
    char message[FAULT_SIZE], origin[FAULT_SIZE];
    unsigned long line, column;
    int length = 0;
    if (sscanf(found, FILE_NAME ":%lu:%lu: %n", &line, &column, &length) < 2 || length == 0) {
        report_once(text, found);
        return;
    }
    const char *whole = origin_of(text, line);
    if (!whole)
        return;
    copy_message(text, found + length, message, sizeof message);
    snprintf(origin, sizeof origin, "%.*s",
             column > FIRST_VALUE ? (int)strlen(whole) : argument_length(whole), whole);
    original_fault(text, origin, "%s", message);
}

struct config *original_read(struct original_text *text)
{
    const char *lines = original_lines(text);
    struct config *config = NULL;
    if (lines)
        config = config_parse(lines, text->length, FILE_NAME, explain, text);
    if (!config && !original_has_faults(text))
        report_once(text, lines ? FILE_NAME ": it makes no configuration" : "memory is exhausted");
    return config;
}
