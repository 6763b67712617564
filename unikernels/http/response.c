#include "http/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/date.h"
#include "jitsu/application.h"
#include "jitsu/clock.h"

#define PAGE                                                                                       \
    "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\">"       \
    "<title>%d %s</title><body style=\"font:16px/1.5 system-ui,sans-serif;margin:12vh auto;"       \
    "max-width:32em;padding:0 1em\"><h1>%s</h1><p>%s\n"

static void add_bytes(struct http_response *response, const char *bytes, size_t length)
{
    if (length > sizeof response->text - response->text_length)
        application_fail("the head of an answer is longer than %d bytes", RESPONSE_TEXT_MAX);
    memcpy(response->text + response->text_length, bytes, length);
    response->text_length += length;
}

#define add_literal(response, literal) add_bytes((response), (literal), sizeof(literal) - 1)

static void add(struct http_response *response, const char *text)
{
    add_bytes(response, text, strlen(text));
}

static void add_number(struct http_response *response, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    add_bytes(response, digits + at, sizeof digits - at);
}

static const char *reason_phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 301:
        return "Moved Permanently";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 412:
        return "Precondition Failed";
    case 414:
        return "URI Too Long";
    case 416:
        return "Range Not Satisfiable";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
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
    case 412:
        return "The page is another version of it than the one that was meant.";
    case 414:
        return "The address is too long.";
    case 416:
        return "The file does not have that part.";
    case 500:
        return "This server has made a mistake.";
    case 503:
        return "This server is short of memory. Please try again.";
    default:
        return "The request was not understood.";
    }
}

void response_start(struct http_response *response, const struct http_request *request, bool close)
{
    response->status = 0;
    response->is_whole = false;
    response->close = close || !request->keep_alive || request->has_body;
    response->without_body = request->method == HTTP_HEAD;
    response->text_length = 0;
    response->body = NULL;
    response->body_length = 0;
    response->content_length = 0;
    response->copy = NULL;
}

void response_end(struct http_response *response)
{
    free(response->copy);
    response->copy = NULL;
}

/* The date, where it is known (RFC 9110, section 6.6.1). It is written once a second. */
static void add_date(struct http_response *response)
{
    static char line[] = "Date: " HTTP_DATE_FORM "\r\n";
    static int64_t written = -1;
    int64_t now;

    if (!clock_wall(&now))
        return;
    if (now != written) {
        char text[HTTP_DATE_SIZE];
        http_date_format(now, text);
        memcpy(line + strlen("Date: "), text, HTTP_DATE_SIZE - 1);
        written = now;
    }
    add_bytes(response, line, sizeof line - 1);
}

void http_begin(struct http_response *response, int status)
{
    response->status = status;
    response->text_length = 0;
    add_literal(response, "HTTP/1.1 ");
    add_number(response, (unsigned)status);
    add_literal(response, " ");
    add(response, reason_phrase(status));
    add_literal(response, "\r\nServer: jitsu\r\n");
    add_date(response);
}

void http_header(struct http_response *response, const char *name, const char *value)
{
    add(response, name);
    add_literal(response, ": ");
    add(response, value);
    add_literal(response, "\r\n");
}

static void end_head(struct http_response *response)
{
    if (response->close)
        add_literal(response, "Connection: close\r\n\r\n");
    else
        add_literal(response, "Connection: keep-alive\r\n\r\n");
    response->is_whole = true;
}

/* Copies a body: behind the head, or, if it is longer than there is room, apart. */
static void copy_body(struct http_response *response, const void *bytes, size_t length)
{
    if (length <= sizeof response->text - response->text_length) {
        add_bytes(response, bytes, length);
        return;
    }
    response->copy = malloc(length);
    if (!response->copy) {
        http_error(response, 503);
        return;
    }
    memcpy(response->copy, bytes, length);
    response->body = response->copy;
    response->body_length = length;
}

void http_body(struct http_response *response, const char *type, const void *bytes, size_t length,
               unsigned how)
{
    if (type)
        http_header(response, "Content-Type", type);
    add_literal(response, "Content-Length: ");
    add_number(response, length);
    add_literal(response, "\r\n");
    end_head(response);
    if (response->without_body || length == 0)
        return;
    response->content_length = length;
    if (how & STREAM_IN_PLACE) {
        response->body = bytes;
        response->body_length = length;
    } else {
        copy_body(response, bytes, length);
    }
}

void http_no_body(struct http_response *response)
{
    end_head(response);
}

void http_reply(struct http_response *response, int status, const char *type, const void *bytes,
                size_t length, unsigned how)
{
    http_begin(response, status);
    http_body(response, type, bytes, length, how);
}

void http_error_page(struct http_response *response)
{
    char page[640];
    const char *reason = reason_phrase(response->status);
    int length = snprintf(page, sizeof page, PAGE, response->status, reason, reason,
                          explanation(response->status));

    http_body(response, "text/html; charset=utf-8", page, (size_t)length, STREAM_COPY);
}

void http_error(struct http_response *response, int status)
{
    http_begin(response, status);
    if (status == 405)
        http_header(response, "Allow", "GET, HEAD");
    http_error_page(response);
}
