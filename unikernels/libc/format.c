/* Text from values: snprintf() and atoi(). */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct output {
    char *text;
    size_t size;
    size_t length; /* of the whole text, as if `size` had no end */
};

struct conversion {
    size_t width;
    size_t precision;
    bool has_precision;
    bool zeroes; /* fill the width with 0 */
    int longs;   /* 0: int, 1: long or size_t, 2: long long */
};

static void put(struct output *output, char character)
{
    if (output->length + 1 < output->size)
        output->text[output->length] = character;
    output->length++;
}

static void put_padded(struct output *output, const char *text, size_t length,
                       const struct conversion *conversion)
{
    for (size_t i = length; i < conversion->width; i++)
        put(output, conversion->zeroes ? '0' : ' ');
    for (size_t i = 0; i < length; i++)
        put(output, text[i]);
}

static void put_number(struct output *output, uint64_t value, bool negative, unsigned base,
                       const struct conversion *conversion)
{
    char digits[24];
    size_t at = sizeof digits;

    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative)
        digits[--at] = '-';
    put_padded(output, digits + at, sizeof digits - at, conversion);
}

static void put_string(struct output *output, const char *text, const struct conversion *conversion)
{
    size_t length = conversion->has_precision ? strnlen(text, conversion->precision) : strlen(text);
    put_padded(output, text, length, conversion);
}

/* A number in the format, or `*` for one of the arguments. */
static size_t parse_count(const char **format, int star)
{
    size_t count = 0;

    if (**format == '*') {
        (*format)++;
        return star < 0 ? 0 : (size_t)star;
    }
    for (; isdigit((uint8_t) * *format); (*format)++)
        count = count * 10 + (size_t)(**format - '0');
    return count;
}

int vsnprintf(char *text, size_t size, const char *format, va_list arguments)
{
    struct output output = {.text = text, .size = size};

    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(&output, *format);
            continue;
        }
        struct conversion conversion = {0};
        format++;
        if (*format == '0') {
            conversion.zeroes = true;
            format++;
        }
        conversion.width = parse_count(&format, *format == '*' ? va_arg(arguments, int) : 0);
        if (*format == '.') {
            format++;
            conversion.has_precision = true;
            conversion.precision =
                parse_count(&format, *format == '*' ? va_arg(arguments, int) : 0);
        }
        for (; *format == 'l' || *format == 'z'; format++)
            conversion.longs++;

        switch (*format) {
        case 'd':
        case 'i': {
            int64_t value = conversion.longs ? va_arg(arguments, int64_t) : va_arg(arguments, int);
            uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
            put_number(&output, magnitude, value < 0, 10, &conversion);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t value =
                conversion.longs ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
            put_number(&output, value, false, *format == 'u' ? 10 : 16, &conversion);
            break;
        }
        case 'p':
            put_number(&output, (uintptr_t)va_arg(arguments, void *), false, 16, &conversion);
            break;
        case 's':
            put_string(&output, va_arg(arguments, const char *), &conversion);
            break;
        case 'c':
            put(&output, (char)va_arg(arguments, int));
            break;
        case '\0':
            format--; /* a lone % ends the text */
            break;
        default:
            put(&output, *format);
        }
    }
    if (size > 0)
        text[output.length < size ? output.length : size - 1] = '\0';
    return (int)output.length;
}

int snprintf(char *text, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, size, format, arguments);
    va_end(arguments);
    return length;
}

int atoi(const char *text)
{
    int value = 0;

    while (isdigit((uint8_t)*text))
        value = value * 10 + (*text++ - '0');
    return value;
}
