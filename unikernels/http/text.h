/* Pieces of header fields, for those who parse them. */
#ifndef JITSU_HTTP_TEXT_H
#define JITSU_HTTP_TEXT_H

#include <stdbool.h>

#include "jitsu/http.h"

#define HTTP_TEXT(literal)                                                                         \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* Without spaces and tabs around it. */
struct http_text http_trim(struct http_text text);

bool http_equals(struct http_text text, const char *word);
bool http_equals_any_case(struct http_text text, const char *word);

/* Takes what is before the next `separator`, or all that is left. Returns false at the end. */
bool http_next_piece(struct http_text *rest, char separator, struct http_text *piece);

/* Is `word` one of the comma-separated members of `list`, whatever the case? */
bool http_has_member(struct http_text list, const char *word);

/* Decimal digits and nothing else; false also where the number is too large. */
bool http_number(struct http_text text, uint64_t *number);

#endif
