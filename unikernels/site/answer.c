#include "site/answer.h"

#include <stdio.h>
#include <string.h>

#include "common/cursor.h"
#include "common/media_type.h"
#include "http/date.h"
#include "jitsu/clock.h"
#include "site/coding.h"
#include "site/conditions.h"

#define LOCATION_MAX 1280
#define RANGE_MAX    80
#define ETAG_MAX     48

/* What is sent for a file: itself, or a compressed one that stands beside it. */
struct representation {
    const struct site_file *file;
    enum coding coding;
    const struct site_file *sent;
    char etag[ETAG_MAX];
    struct validators validators;
};

static char *write_hexadecimal(char *at, uint64_t number)
{
    unsigned shift = 60;

    while (shift > 0 && number >> shift == 0)
        shift -= 4;
    for (;; shift -= 4) {
        *at++ = "0123456789abcdef"[number >> shift & 15];
        if (shift == 0)
            return at;
    }
}

static char *write_text(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

/* What the representation's bytes are known by: the digest of them or of what they are made from,
 * if there is an index, else their number and their time, if it is known. The coding is named too,
 * so that no two representations of a file have the same. */
static void write_etag(struct representation *representation)
{
    const struct site_file *sent = representation->sent;
    const char *tag = sent->tag ? sent->tag : representation->file->tag;
    char *at = representation->etag;

    *at = '\0';
    if (!tag && sent->modified <= 0)
        return;
    *at++ = '"';
    if (tag) {
        at = write_text(at, tag, SITE_TAG_LENGTH);
    } else {
        at = write_hexadecimal(at, sent->size);
        *at++ = '-';
        at = write_hexadecimal(at, (uint64_t)sent->modified);
    }
    if (representation->coding < CODINGS) {
        const char *name = coding_names[representation->coding];
        *at++ = '-';
        at = write_text(at, name, strlen(name));
    }
    *at++ = '"';
    *at = '\0';
}

/* Which coding the client gets. */
static void choose_coding(const struct http_request *request, const struct site_file *file,
                          struct representation *representation)
{
    unsigned available = 0;

    for (enum coding coding = 0; coding < CODINGS; coding++)
        available |= (file->coded[coding] ? 1u : 0u) << coding;
    representation->file = representation->sent = file;
    representation->coding = coding_choose(request, available);
    if (representation->coding < CODINGS)
        representation->sent = file->coded[representation->coding];
}

static void add_vary(struct http_response *response, const struct site_file *file)
{
    for (enum coding coding = 0; coding < CODINGS; coding++) {
        if (file->coded[coding]) {
            http_header(response, "Vary", "Accept-Encoding");
            return;
        }
    }
}

static void add_coding(struct http_response *response, enum coding coding)
{
    if (coding < CODINGS)
        http_header(response, "Content-Encoding", coding_names[coding]);
}

static void add_modified(struct http_response *response, int64_t modified)
{
    char text[HTTP_DATE_SIZE];
    int64_t now;

    /* Nothing may claim to be from the future (RFC 9110, section 8.8.2.1). */
    if (modified <= 0 || (clock_wall(&now) && modified > now))
        return;
    http_date_format(modified, text);
    http_header(response, "Last-Modified", text);
}

static void add_etag(struct http_response *response, const struct validators *validators)
{
    if (validators->etag[0])
        http_header(response, "ETag", validators->etag);
}

struct part {
    size_t first, count;
};

/* Which bytes are asked for. Returns the status: 200 (all), 206 or 416. */
static int select_part(const struct http_request *request,
                       const struct representation *representation, struct part *part)
{
    size_t size = representation->sent->size;
    struct byte_range range;

    *part = (struct part){.first = 0, .count = size};
    if (request->method != HTTP_GET ||
        !condition_range(request, &representation->validators, &range))
        return 200;
    if (range.first == NO_OFFSET) { /* the last so many */
        if (range.last == 0 || size == 0)
            return 416;
        part->count = range.last < size ? range.last : size;
        part->first = size - part->count;
        return 206;
    }
    if (range.first >= size)
        return 416;
    part->first = range.first;
    part->count = size - part->first;
    if (range.last != NO_OFFSET && range.last - range.first < part->count)
        part->count = range.last - range.first + 1;
    return 206;
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

/* Ends an answer with a part of what is sent for a file. */
static void send_part(struct http_response *response, const struct representation *representation,
                      const struct part *part)
{
    const struct site_file *file = representation->file;
    char type[SITE_TYPE_MAX + 1];

    add_coding(response, representation->coding);
    if (file->type.at) {
        memcpy(type, file->type.at, file->type.length);
        type[file->type.length] = '\0';
    }
    http_body(response, file->type.at ? type : media_type(file->name, file->name_length),
              representation->sent->bytes + part->first, part->count, STREAM_IN_PLACE);
}

static void answer_file(struct http_response *response, const struct http_request *request,
                        const struct site_file *file)
{
    struct representation representation;
    struct part part;

    choose_coding(request, file, &representation);
    write_etag(&representation);
    representation.validators =
        (struct validators){.etag = representation.etag, .modified = file->modified};
    int status = condition_check(request, &representation.validators);
    if (status == 0)
        status = select_part(request, &representation, &part);

    http_begin(response, status);
    add_vary(response, file);
    switch (status) {
    case 304:
        add_etag(response, &representation.validators);
        add_modified(response, file->modified);
        http_no_body(response);
        break;
    case 412:
        http_error_page(response);
        break;
    case 416:
        add_content_range(response, status, &part, representation.sent->size);
        http_error_page(response);
        break;
    default:
        http_header(response, "Accept-Ranges", "bytes");
        if (status == 206)
            add_content_range(response, status, &part, representation.sent->size);
        add_etag(response, &representation.validators);
        add_modified(response, file->modified);
        send_part(response, &representation, &part);
    }
}

static void answer_missing(struct http_response *response, const struct http_request *request,
                           const struct site_file *page)
{
    struct representation representation;

    choose_coding(request, page, &representation);
    http_begin(response, 404);
    add_vary(response, page);
    send_part(response, &representation, &(struct part){0, representation.sent->size});
}

/* Adds a piece of a URL: letters, digits and what is in `plain` as they are. */
static void encode(const char *text, size_t length, const char *plain, struct writer *writer)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < length; i++) {
        uint8_t c = (uint8_t)text[i];
        uint8_t letter = c | 0x20;
        if ((letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') ||
            memchr(plain, c, strlen(plain))) {
            writer_u8(writer, c);
        } else {
            writer_u8(writer, '%');
            writer_u8(writer, (uint8_t)digits[c >> 4]);
            writer_u8(writer, (uint8_t)digits[c & 15]);
        }
    }
}

/* A directory is asked for without its slash. */
static void answer_redirect(struct http_response *response, const struct http_request *request)
{
    static const char in_path[] = "/-._~!$&'()*+,;=:@", in_query[] = "/-._~!$&'()*+,;=:@?%[]";
    char location[LOCATION_MAX];
    struct writer writer = writer_over(location, sizeof location);

    encode(request->path, request->path_length, in_path, &writer);
    writer_u8(&writer, '/');
    if (request->query.length > 0)
        encode(request->query.at, request->query.length, in_query, &writer);
    writer_u8(&writer, '\0');
    if (writer.failed) {
        http_error(response, 414);
        return;
    }
    http_begin(response, 301);
    http_header(response, "Location", location);
    http_error_page(response);
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
    if (file)
        answer_file(response, request, file);
    else if (!is_directory && site_find(site, path, length, "/index.html"))
        answer_redirect(response, request);
    else if ((file = site_find(site, "/404.html", 9, "")))
        answer_missing(response, request, file);
    else
        http_error(response, 404);
}
