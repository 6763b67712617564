#include <config.h>

#include "config/faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fault {
    struct config_mark mark;
    size_t number; /* keeps faults at one place in the order they were found */
    char *text;
};

struct config_faults {
    struct fault *list;
    size_t count, capacity;
    bool no_memory;
};

struct config_faults *config_faults_new(void)
{
    return calloc(1, sizeof(struct config_faults));
}

void config_faults_free(struct config_faults *faults)
{
    if (!faults)
        return;
    for (size_t i = 0; i < faults->count; i++)
        free(faults->list[i].text);
    free(faults->list);
    free(faults);
}

/* A copy of `text` in which control characters are \xNN, or NULL. */
static char *make_printable(const char *text)
{
    static const char hex[] = "0123456789abcdef";
    char *copy = malloc(strlen(text) * 4 + 1);
    if (!copy)
        return NULL;
    char *out = copy;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte != 0x7f) {
            *out++ = *text;
            continue;
        }
        *out++ = '\\';
        *out++ = 'x';
        *out++ = hex[byte >> 4];
        *out++ = hex[byte & 15];
    }
    *out = '\0';
    return copy;
}

static bool make_room(struct config_faults *faults)
{
    if (faults->count < faults->capacity)
        return true;
    size_t capacity = faults->capacity ? faults->capacity * 2 : 16;
    struct fault *list = reallocarray(faults->list, capacity, sizeof *list);
    if (!list)
        return false;
    faults->list = list;
    faults->capacity = capacity;
    return true;
}

void config_fault(struct config_faults *faults, struct config_mark mark, const char *format, ...)
{
    char *message;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (length < 0) {
        faults->no_memory = true;
        return;
    }
    char *text = make_printable(message);
    free(message);
    if (!text || !make_room(faults)) {
        free(text);
        faults->no_memory = true;
        return;
    }
    faults->list[faults->count] = (struct fault){mark, faults->count, text};
    faults->count++;
}

bool config_faults_any(const struct config_faults *faults)
{
    return faults->count > 0 || faults->no_memory;
}

static int compare(const void *a, const void *b)
{
    const struct fault *x = a, *y = b;
    if (x->mark.line != y->mark.line)
        return x->mark.line < y->mark.line ? -1 : 1;
    if (x->mark.column != y->mark.column)
        return x->mark.column < y->mark.column ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static void report_one(const char *file, struct config_mark mark, const char *text,
                       config_error_function *report, void *argument)
{
    char *line;
    if (asprintf(&line, "%s:%u:%u: %s", file, mark.line, mark.column, text) < 0) {
        report(argument, text);
        return;
    }
    report(argument, line);
    free(line);
}

void config_faults_report(struct config_faults *faults, const char *file,
                          config_error_function *report, void *argument)
{
    static const struct config_mark start = {1, 1};
    if (faults->count > 0)
        qsort(faults->list, faults->count, sizeof *faults->list, compare);
    for (size_t i = 0; i < faults->count; i++)
        report_one(file, faults->list[i].mark, faults->list[i].text, report, argument);
    if (faults->no_memory) {
        struct config_mark last = faults->count ? faults->list[faults->count - 1].mark : start;
        report_one(file, last, "memory is exhausted; expected enough to hold the configuration",
                   report, argument);
    }
}

struct config_quote config_quote(const char *text)
{
    struct config_quote quote;
    size_t length = strnlen(text, CONFIG_QUOTE_MAX + 1);
    if (length <= CONFIG_QUOTE_MAX) {
        memcpy(quote.text, text, length + 1);
        return quote;
    }
    length = CONFIG_QUOTE_MAX;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    memcpy(quote.text, text, length);
    strcpy(quote.text + length, "...");
    return quote;
}
