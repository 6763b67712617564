#include "www/response.h"

#include <stdio.h>
#include <string.h>

#include "www/http_date.h"
#include "www/media_type.h"

#define ERROR_PAGE                                                                                 \
    "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\">"       \
    "<title>%d %s</title><body style=\"font:16px/1.5 system-ui,sans-serif;margin:12vh auto;"       \
    "max-width:32em;padding:0 1em\"><h1>%s</h1><p>%s\n"

/* Appends to the response's text. What does not fit is cut: the callers leave room. */
static void add_bytes(struct response *response, const char *bytes, size_t length)
{
    size_t room = sizeof response->text - response->text_length;

    if (length > room)
        length = room;
    memcpy(response->text + response->text_length, bytes, length);
    response->text_length += length;
}

static void add(struct response *response, const char *text)
{
    add_bytes(response, text, strlen(text));
}

static void add_number(struct response *response, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    add_bytes(response, digits + at, sizeof digits - at);
}

static void begin(struct response *response, const struct http_request *request, int status)
{
    response->status = status;
    response->text_length = 0;
    response->body = NULL;
    response->body_length = 0;
    response->close = !request->keep_alive || request->has_body;
    add(response, "HTTP/1.1 ");
    add_number(response, (unsigned)status);
    add(response, " ");
    add(response, http_reason(status));
    add(response, "\r\nServer: jitsu\r\n");
}

static void add_type_and_length(struct response *response, const char *type, size_t length)
{
    add(response, "Content-Type: ");
    add(response, type);
    add(response, "\r\nContent-Length: ");
    add_number(response, length);
    add(response, "\r\n");
}

static void end_head(struct response *response)
{
    add(response, response->close ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n");
}

/* What the page says of a status to a person. */
static const char *explanation(int status)
{
    switch (status) {
    case 301:
        return "The page is at another address.";
    case 404:
        return "There is no such page here.";
    case 405:
        return "This page can only be read.";
    case 416:
        return "The file does not have that part.";
    default:
        return "The request was not understood.";
    }
}

/* Ends the head, which `begin` and others have written, with a small page about the status. */
static void add_page(struct response *response, const struct http_request *request)
{
    char page[640];
    int status = response->status;
    const char *reason = http_reason(status);
    int length =
        snprintf(page, sizeof page, ERROR_PAGE, status, reason, reason, explanation(status));

    add_type_and_length(response, "text/html; charset=utf-8", (size_t)length);
    end_head(response);
    if (request->method != HTTP_HEAD)
        add_bytes(response, page, (size_t)length);
}

static void answer_status(struct response *response, const struct http_request *request, int status)
{
    begin(response, request, status);
    if (status == 405)
        add(response, "Allow: GET, HEAD\r\n");
    add_page(response, request);
}

void response_to_error(const struct http_request *request, int status, struct response *response)
{
    /* It closes because nobody knows where the next request would begin. */
    const struct http_request closing = {.method = request->method, .keep_alive = false};

    answer_status(response, &closing, status);
}

/* A path as it is written in a URL. Returns its length, or 0 if it does not fit. */
static size_t encode_path(const char *path, size_t length, char *text, size_t size)
{
    size_t at = 0;

    for (size_t i = 0; i < length; i++) {
        uint8_t c = (uint8_t)path[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     memchr("-._~/!$&'()*+,;=:@", c, 18) != NULL;
        if (at + 3 >= size)
            return 0;
        if (plain)
            text[at++] = (char)c;
        else
            at += (size_t)snprintf(text + at, size - at, "%%%x%x", c >> 4, c & 15);
    }
    return at;
}

/* A directory is asked for without its slash. */
static void answer_redirect(struct response *response, const struct http_request *request)
{
    char location[1024];
    size_t length = encode_path(request->path, request->path_length, location, sizeof location - 1);

    if (length == 0 || length + request->query_length + 1 > sizeof location) {
        answer_status(response, request, 414);
        return;
    }
    begin(response, request, 301);
    add(response, "Location: ");
    add_bytes(response, location, length);
    add(response, "/");
    add_bytes(response, request->query, request->query_length);
    add(response, "\r\n");
    add_page(response, request);
}

/* Which bytes of a file are asked for. Returns the status: 200 (all), 206 or 416. */
static int select_range(const struct http_request *request, const struct site_file *file,
                        size_t *first, size_t *count)
{
    const struct http_range *range = &request->range;

    *first = 0;
    *count = file->size;
    if (!range->given || request->method != HTTP_GET)
        return 200;
    if (request->if_range != -1 && (file->modified == 0 || request->if_range != file->modified))
        return 200;
    if (range->first == HTTP_NO_OFFSET) { /* the last so many */
        if (range->last == 0 || file->size == 0)
            return 416;
        *count = range->last < file->size ? range->last : file->size;
        *first = file->size - *count;
        return 206;
    }
    if (range->first >= file->size)
        return 416;
    *first = range->first;
    *count = file->size - *first;
    if (range->last != HTTP_NO_OFFSET && range->last - range->first < *count)
        *count = range->last - range->first + 1;
    return 206;
}

static void add_range(struct response *response, size_t first, size_t count, size_t size)
{
    add(response, "Content-Range: bytes ");
    add_number(response, first);
    add(response, "-");
    add_number(response, first + count - 1);
    add(response, "/");
    add_number(response, size);
    add(response, "\r\n");
}

static void add_modified(struct response *response, const struct site_file *file)
{
    char date[HTTP_DATE_SIZE];

    if (file->modified <= 0)
        return;
    http_date_format(file->modified, date);
    add(response, "Last-Modified: ");
    add(response, date);
    add(response, "\r\n");
}

static void answer_file(struct response *response, const struct http_request *request, int status,
                        const struct site_file *file, const struct site_file *zipped)
{
    const struct site_file *sent = zipped && request->accepts_gzip ? zipped : file;
    size_t first = 0, count = sent->size;

    if (status == 200 && request->if_modified_since >= 0 && !request->if_none_match &&
        file->modified > 0 && file->modified <= request->if_modified_since) {
        begin(response, request, 304);
        add_modified(response, file);
        if (zipped)
            add(response, "Vary: Accept-Encoding\r\n");
        end_head(response);
        return;
    }
    if (status == 200)
        status = select_range(request, sent, &first, &count);
    begin(response, request, status);
    if (status == 416) {
        add(response, "Content-Range: bytes */");
        add_number(response, sent->size);
        add(response, "\r\n");
        add_page(response, request);
        return;
    }
    add_type_and_length(response, media_type(file->name, file->name_length), count);
    add(response, "Accept-Ranges: bytes\r\n");
    if (status == 206)
        add_range(response, first, count, sent->size);
    if (sent != file)
        add(response, "Content-Encoding: gzip\r\n");
    if (zipped)
        add(response, "Vary: Accept-Encoding\r\n");
    add_modified(response, file);
    end_head(response);
    if (request->method == HTTP_GET) {
        response->body = sent->bytes + first;
        response->body_length = count;
    }
}

void response_to(const struct site *site, const struct http_request *request,
                 struct response *response)
{
    const char *path = request->path;
    size_t length = request->path_length;

    if (request->method == HTTP_OTHER) {
        answer_status(response, request, 405);
        return;
    }
    bool is_directory = path[length - 1] == '/';
    const struct site_file *file = site_find(site, path, length, is_directory ? "index.html" : "");
    if (file) {
        answer_file(response, request, 200, file,
                    site_find(site, path, length, is_directory ? "index.html.gz" : ".gz"));
    } else if (!is_directory && site_find(site, path, length, "/index.html")) {
        answer_redirect(response, request);
    } else if ((file = site_find(site, "/404.html", 9, ""))) {
        answer_file(response, request, 404, file, NULL);
    } else {
        answer_status(response, request, 404);
    }
}
