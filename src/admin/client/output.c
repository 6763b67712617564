#include "config.h"

#include "admin/client/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin/client/commands.h"

/* Bytes of the control character (C0, DEL, or C1 in UTF-8) at `text`, or 0 if it is none. */
static size_t control_character(const unsigned char *text)
{
    if (text[0] < 0x20 || text[0] == 0x7f)
        return 1;
    return text[0] == 0xc2 && text[1] >= 0x80 && text[1] <= 0x9f ? 2 : 0;
}

void print_text(FILE *stream, const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;

    while (*byte) {
        size_t count = control_character(byte);
        if (count == 0)
            putc(*byte++, stream);
        for (; count > 0; count--)
            fprintf(stream, "\\x%02x", *byte++);
    }
}

size_t columns_of(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    size_t columns = 0;

    while (*byte) {
        size_t count = control_character(byte);
        if (count > 0)
            columns += 4 * count;
        else if ((*byte & 0xc0) != 0x80) /* not a byte inside a UTF-8 sequence */
            columns++;
        byte += count > 0 ? count : 1;
    }
    return columns;
}

void print_padded(FILE *stream, const char *text, size_t width)
{
    size_t columns = columns_of(text);

    print_text(stream, text);
    fprintf(stream, "%*s", columns < width ? (int)(width - columns) : 0, "");
}

static void print_error_line(const char *line)
{
    fputs("jitsuctl: ", stderr);
    print_text(stderr, line);
    putc('\n', stderr);
}

void print_error(const char *format, ...)
{
    char *text, *rest;
    const char *line;
    va_list arguments;

    fflush(stdout);
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    for (rest = text; (line = strsep(&rest, "\n"));)
        if (*line)
            print_error_line(line);
    free(text);
}

const char *format_time(double time, bool milliseconds, char text[TEXT_SIZE])
{
    time_t seconds = (time_t)time;
    struct tm local;

    localtime_r(&seconds, &local);
    size_t length = strftime(text, TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &local);
    if (milliseconds)
        snprintf(text + length, TEXT_SIZE - length, ".%03d",
                 (int)((time - (double)seconds) * 1000));
    return text;
}

static bool colours_wanted(void)
{
    static int wanted = -1;

    if (wanted == -1) {
        const char *never = getenv("NO_COLOR"), *terminal = getenv("TERM");
        wanted = isatty(STDOUT_FILENO) && !(never && *never) && terminal &&
                 strcmp(terminal, "dumb") != 0;
    }
    return wanted;
}

void set_colour(enum colour colour)
{
    static const char *const codes[] = {
        [COLOUR_NONE] = "0",   [COLOUR_BOLD] = "1",    [COLOUR_DIM] = "2",   [COLOUR_RED] = "31",
        [COLOUR_GREEN] = "32", [COLOUR_YELLOW] = "33", [COLOUR_BLUE] = "34",
    };
    if (colours_wanted())
        printf("\033[%sm", codes[colour]);
}

enum colour colour_of_state(const char *state)
{
    static const struct {
        const char *state;
        enum colour colour;
    } colours[] = {
        {"off", COLOUR_DIM},         {"starting", COLOUR_YELLOW}, {"running", COLOUR_GREEN},
        {"stopping", COLOUR_YELLOW}, {"suspended", COLOUR_BLUE},  {"failed", COLOUR_RED},
    };
    for (size_t i = 0; i < sizeof colours / sizeof colours[0]; i++)
        if (strcmp(state, colours[i].state) == 0)
            return colours[i].colour;
    return COLOUR_NONE;
}

const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

json_int_t count_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

uint64_t size_of(const json_t *object, const char *key)
{
    json_int_t size = count_of(object, key);
    return size > 0 ? (uint64_t)size : 0;
}

int finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE)
        print_error("cannot write: %s", strerror(errno));
    return EXIT_REFUSED;
}
