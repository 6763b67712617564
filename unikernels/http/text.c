#include "http/text.h"

#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

struct http_text http_trim(struct http_text text)
{
    while (text.length > 0 && is_space(text.at[0]))
        text.at++, text.length--;
    while (text.length > 0 && is_space(text.at[text.length - 1]))
        text.length--;
    return text;
}

bool http_equals(struct http_text text, const char *word)
{
    return text.length == strlen(word) && memcmp(text.at, word, text.length) == 0;
}

bool http_equals_any_case(struct http_text text, const char *word)
{
    return text.length == strlen(word) && strncasecmp(text.at, word, text.length) == 0;
}

bool http_next_piece(struct http_text *rest, char separator, struct http_text *piece)
{
    if (!rest->at)
        return false;
    const char *end = memchr(rest->at, separator, rest->length);
    *piece = (struct http_text){rest->at, end ? (size_t)(end - rest->at) : rest->length};
    if (end)
        *rest = (struct http_text){end + 1, rest->length - piece->length - 1};
    else
        rest->at = NULL;
    return true;
}

bool http_has_member(struct http_text list, const char *word)
{
    struct http_text member;

    while (http_next_piece(&list, ',', &member))
        if (http_equals_any_case(http_trim(member), word))
            return true;
    return false;
}

bool http_number(struct http_text text, uint64_t *number)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.length; i++) {
        unsigned digit = (unsigned)(uint8_t)text.at[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return text.length > 0;
}
