#include "site/answer.h"

#include <stdio.h>
#include <string.h>

#include "common/media_type.h"
#include "http/date.h"
#include "site/conditions.h"

#define LOCATION_MAX 1024
#define RANGE_MAX    80

/* A path as it is written in a URL. Returns its length, or 0 if it does not fit. */
static size_t encode_path(const char *path, size_t length, char *text, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = 0;

    for (size_t i = 0; i < length; i++) {
        uint8_t c = (uint8_t)path[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     memchr("-._~/!$&'()*+,;=:@", c, 18) != NULL;
        if (at + 3 >= size)
            return 0;
        if (plain) {
            text[at++] = (char)c;
        } else {
            text[at++] = '%';
            text[at++] = digits[c >> 4];
            text[at++] = digits[c & 15];
        }
    }
    return at;
}

/* A directory is asked for without its slash. */
static void answer_redirect(struct http_response *response, const struct http_request *request)
{
    char location[LOCATION_MAX];
    size_t length = encode_path(request->path, request->path_length, location, sizeof location - 1);

    if (length == 0 || length + request->query.length + 2 > sizeof location) {
        http_error(response, 414);
        return;
    }
    location[length++] = '/';
    if (request->query.length > 0)
        memcpy(location + length, request->query.at, request->query.length);
    location[length + request->query.length] = '\0';
    http_begin(response, 301);
    http_header(response, "Location", location);
    http_error_page(response);
}

struct part {
    size_t first, count;
};

/* Which bytes of a file are asked for. Returns the status: 200 (all), 206 or 416. */
static int select_part(const struct http_request *request, const struct site_file *file,
                       struct part *part)
{
    struct byte_range range;

    *part = (struct part){.first = 0, .count = file->size};
    if (request->method != HTTP_GET || !condition_range(request, &range) ||
        condition_range_is_stale(request, file->modified))
        return 200;
    if (range.first == NO_OFFSET) { /* the last so many */
        if (range.last == 0 || file->size == 0)
            return 416;
        part->count = range.last < file->size ? range.last : file->size;
        part->first = file->size - part->count;
        return 206;
    }
    if (range.first >= file->size)
        return 416;
    part->first = range.first;
    part->count = file->size - part->first;
    if (range.last != NO_OFFSET && range.last - range.first < part->count)
        part->count = range.last - range.first + 1;
    return 206;
}

static void add_modified(struct http_response *response, const struct site_file *file)
{
    char text[HTTP_DATE_SIZE];

    if (file->modified <= 0)
        return;
    http_date_format(file->modified, text);
    http_header(response, "Last-Modified", text);
}

static void add_content_range(struct http_response *response, int status, const struct part *part,
                              size_t size)
{
    char text[RANGE_MAX];

    if (status == 206)
        snprintf(text, sizeof text, "bytes %zu-%zu/%zu", part->first, part->first + part->count - 1,
                 size);
    else
        snprintf(text, sizeof text, "bytes */%zu", size);
    http_header(response, "Content-Range", text);
}

/* Sends a part of `sent`, which is `file` or stands for it. */
static void send_part(struct http_response *response, int status, const struct site_file *file,
                      const struct site_file *sent, const struct part *part)
{
    http_header(response, "Accept-Ranges", "bytes");
    if (status == 206)
        add_content_range(response, status, part, sent->size);
    if (sent != file)
        http_header(response, "Content-Encoding", "gzip");
    add_modified(response, file);
    http_body(response, media_type(file->name, file->name_length), sent->bytes + part->first,
              part->count, STREAM_IN_PLACE);
}

static void answer_file(struct http_response *response, const struct http_request *request,
                        const struct site_file *file, const struct site_file *zipped)
{
    const struct site_file *sent = zipped && condition_accepts_gzip(request) ? zipped : file;
    bool is_known = condition_not_modified(request, file->modified);
    struct part part;
    int status = is_known ? 304 : select_part(request, sent, &part);

    http_begin(response, status);
    if (zipped)
        http_header(response, "Vary", "Accept-Encoding");
    if (status == 304) {
        add_modified(response, file);
        http_no_body(response);
    } else if (status == 416) {
        add_content_range(response, status, &part, sent->size);
        http_error_page(response);
    } else {
        send_part(response, status, file, sent, &part);
    }
}

static void answer_missing(struct http_response *response, const struct site_file *page)
{
    const struct part all = {.first = 0, .count = page->size};

    http_begin(response, 404);
    send_part(response, 404, page, page, &all);
}

void site_answer(const struct site *site, const struct http_request *request,
                 struct http_response *response)
{
    const char *path = request->path;
    size_t length = request->path_length;

    if (request->method == HTTP_OTHER) {
        http_error(response, 405);
        return;
    }
    bool is_directory = path[length - 1] == '/';
    const struct site_file *file = site_find(site, path, length, is_directory ? "index.html" : "");
    if (file) {
        answer_file(response, request, file,
                    site_find(site, path, length, is_directory ? "index.html.gz" : ".gz"));
    } else if (!is_directory && site_find(site, path, length, "/index.html")) {
        answer_redirect(response, request);
    } else if ((file = site_find(site, "/404.html", 9, ""))) {
        answer_missing(response, file);
    } else {
        http_error(response, 404);
    }
}
