#include "keeper/xen/xl_keys.h"

#include <stdbool.h>
#include <string.h>

#include "common/cursor.h"

struct scanner {
    struct reader reader;
    unsigned line;
};

/* The next byte, which stays the next one; '\0' at the end. */
static char peek(const struct scanner *scanner)
{
    const struct reader *reader = &scanner->reader;
    return reader_left(reader) > 0 ? (char)reader->bytes[reader->position] : '\0';
}

static bool at_end(const struct scanner *scanner)
{
    return reader_left(&scanner->reader) == 0;
}

static void step(struct scanner *scanner)
{
    scanner->line += reader_u8(&scanner->reader) == '\n';
}

static void skip_comment(struct scanner *scanner)
{
    while (!at_end(scanner) && peek(scanner) != '\n')
        step(scanner);
}

/* A string ends in its line, or it is none. */
static void skip_string(struct scanner *scanner)
{
    char quote = peek(scanner);
    step(scanner);
    while (!at_end(scanner) && peek(scanner) != quote && peek(scanner) != '\n') {
        if (peek(scanner) == '\\')
            step(scanner);
        step(scanner);
    }
    if (peek(scanner) == quote)
        step(scanner);
}

/* To the end of the statement. Lists go over lines. */
static void skip_value(struct scanner *scanner)
{
    unsigned depth = 0;
    while (!at_end(scanner)) {
        char c = peek(scanner);
        if (depth == 0 && (c == '\n' || c == ';'))
            return;
        if (c == '#') {
            skip_comment(scanner);
        } else if (c == '"' || c == '\'') {
            skip_string(scanner);
        } else {
            if (c == '[')
                depth++;
            if (c == ']' && depth > 0)
                depth--;
            step(scanner);
        }
    }
}

static bool begins_name(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_of_name(char c)
{
    return begins_name(c) || (c >= '0' && c <= '9') || c == '.' || c == '_';
}

static struct xl_key scan_name(struct scanner *scanner)
{
    struct xl_key key = {.name = (const char *)scanner->reader.bytes + scanner->reader.position,
                         .line = scanner->line};
    for (; !at_end(scanner) && is_of_name(peek(scanner)); key.length++)
        step(scanner);
    return key;
}

void xl_keys_list(const char *bytes, size_t length, xl_key_function *function, void *argument)
{
    struct scanner scanner = {reader_over(bytes, length), 1};
    while (!at_end(&scanner)) {
        char c = peek(&scanner);
        if (begins_name(c)) {
            struct xl_key key = scan_name(&scanner);
            function(argument, &key);
            skip_value(&scanner);
        } else if (strchr(" \t\n;", c)) {
            step(&scanner);
        } else {
            skip_value(&scanner);
        }
    }
}
