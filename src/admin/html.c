#include "admin/html.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "admin/utf8.h"
#include "common/log.h"

static const char *entity(char character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

static void escape(struct evbuffer *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        const char *replacement = entity(text[i]);
        if (replacement)
            evbuffer_add(out, replacement, strlen(replacement));
        else if (byte < 0x20 || byte == 0x7f)
            evbuffer_add_printf(out, "&#x%x;", byte == 0x7f ? 0x2421u : 0x2400u + byte);
        else
            evbuffer_add(out, &text[i], 1);
    }
}

void html_text(struct evbuffer *out, const char *text)
{
    size_t length = strlen(text);
    char *repaired = malloc(UTF8_ROOM(length) + 1);

    if (!repaired) {
        log_error("status page: memory exhausted: a text is left out");
        return;
    }
    escape(out, repaired, utf8_replace_invalid(text, length, repaired, NULL));
    free(repaired);
}
