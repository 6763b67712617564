#include "http/access_log.h"

#include <stdio.h>
#include <string.h>

#include "common/cursor.h"
#include "http/text.h"

#define REQUEST_MAX (ACCESS_LOG_LINE_MAX - STREAM_ADDRESS_TEXT_SIZE - 64)

static void write_text(struct writer *writer, const char *text)
{
    writer_bytes(writer, text, strlen(text));
}

static void write_escaped(struct writer *writer, struct http_text text)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = (uint8_t)text.at[i];
        if (writer->position >= REQUEST_MAX) {
            write_text(writer, "...");
            return;
        }
        if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
            writer_u8(writer, c);
        } else {
            write_text(writer, "\\x");
            writer_u8(writer, (uint8_t)digits[c >> 4]);
            writer_u8(writer, (uint8_t)digits[c & 15]);
        }
    }
}

size_t access_log_line(const struct stream_address *client, const struct http_request *request,
                       const struct http_response *response, char line[ACCESS_LOG_LINE_MAX])
{
    struct writer writer = writer_over(line, ACCESS_LOG_LINE_MAX);
    char address[STREAM_ADDRESS_TEXT_SIZE], numbers[40];

    write_text(&writer, stream_address_text(client, address));
    write_text(&writer, " \"");
    write_escaped(&writer, request->line.length ? request->line : (struct http_text)HTTP_TEXT("-"));
    snprintf(numbers, sizeof numbers, "\" %d %zu\n", response->status, response->content_length);
    write_text(&writer, numbers);
    return writer.position;
}
