/* The command line, for every platform that is given one as a text. */
#include "platform/options.h"

#include <string.h>

#include "jitsu/application.h"
#include "jitsu/options.h"

static const char *line = "";

void options_start(const char *command_line)
{
    line = command_line;
}

struct option option_next(const char *name, size_t *position)
{
    size_t name_length = strlen(name);
    const char *at = line + *position;

    for (;;) {
        while (*at == ' ')
            at++;
        if (*at == '\0')
            break;
        const char *word = at;
        while (*at != '\0' && *at != ' ')
            at++;
        size_t length = (size_t)(at - word);
        if (length < name_length || memcmp(word, name, name_length) != 0)
            continue;
        if (length > name_length && word[name_length] != '=')
            continue;
        *position = (size_t)(at - line);
        if (length == name_length)
            return (struct option){.value = "", .length = 0};
        return (struct option){.value = word + name_length + 1, .length = length - name_length - 1};
    }
    *position = (size_t)(at - line);
    return (struct option){0};
}

struct option option_get(const char *name)
{
    struct option found = {0}, next;
    size_t position = 0;

    while ((next = option_next(name, &position)).value)
        found = next;
    return found;
}

uint64_t option_number(const char *name, uint64_t missing, uint64_t least, uint64_t most)
{
    struct option option = option_get(name);
    uint64_t value = 0;
    size_t i;

    if (!option.value)
        return missing;
    for (i = 0; i < option.length && i < 19; i++) {
        unsigned digit = (unsigned)(uint8_t)option.value[i] - '0';
        if (digit > 9)
            break;
        value = value * 10 + digit;
    }
    if (option.length == 0 || i < option.length || value < least || value > most)
        application_fail("option %s=%.*s: a number from %lu to %lu is expected", name,
                         (int)option.length, option.value, least, most);
    return value;
}
