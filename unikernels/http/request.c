#include "http/request.h"

#include <string.h>
#include <strings.h>

#include "common/cursor.h"
#include "http/text.h"

static bool is_token_character(uint8_t c)
{
    /* RFC 9110, section 5.6.2: letters, digits and !#$%&'*+-.^_`|~ */
    static const uint32_t token[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
    return token[c >> 5] >> (c & 31) & 1;
}

static bool is_token(struct http_text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!is_token_character((uint8_t)text.at[i]))
            return false;
    return text.length > 0;
}

/* A line without its end, CRLF or LF (RFC 9112, section 2.2). Returns false if there is no whole
 * line. */
static bool next_line(struct reader *reader, struct http_text *line)
{
    size_t left = reader_left(reader);
    const uint8_t *start = reader->bytes + reader->position;
    const uint8_t *end = memchr(start, '\n', left);

    if (!end || !reader_take(reader, (size_t)(end - start) + 1))
        return false;
    *line = (struct http_text){(const char *)start, (size_t)(end - start)};
    if (line->length > 0 && line->at[line->length - 1] == '\r')
        line->length--;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes an absolute path into the request. Returns 0 or a negative status. */
static int decode_path(struct http_text raw, struct http_request *request)
{
    size_t length = 0;

    if (raw.length == 0 || raw.at[0] != '/')
        return -400;
    for (size_t i = 0; i < raw.length; i++) {
        int c = (uint8_t)raw.at[i];
        if (c <= ' ' || c == 0x7f)
            return -400;
        if (c == '%') {
            int high = raw.length - i > 2 ? hex_digit(raw.at[i + 1]) : -1;
            int low = raw.length - i > 2 ? hex_digit(raw.at[i + 2]) : -1;
            if (high < 0 || low < 0 || (high | low) == 0)
                return -400;
            c = high << 4 | low;
            i += 2;
        }
        if (length == HTTP_PATH_MAX - 1)
            return -414;
        request->path[length++] = (char)c;
    }
    request->path_length = length;
    return 0;
}

/* Takes empty, `.` and `..` segments out of the request's path. Returns false if it leads out of
 * the site. */
static bool normalise_path(struct http_request *request)
{
    char *path = request->path;
    size_t length = 0, at = 0;
    bool is_directory = true;

    while (at < request->path_length) {
        const char *segment = path + ++at;
        while (at < request->path_length && path[at] != '/')
            at++;
        struct http_text name = {segment, (size_t)(path + at - segment)};
        is_directory = true;
        if (name.length == 0 || http_equals(name, "."))
            continue;
        if (http_equals(name, "..")) {
            if (length == 0)
                return false;
            while (path[--length] != '/')
                ;
            continue;
        }
        is_directory = false;
        path[length++] = '/';
        memmove(path + length, name.at, name.length);
        length += name.length;
    }
    if (is_directory)
        path[length++] = '/';
    path[length] = '\0';
    request->path_length = length;
    return true;
}

/* The request's target: a path with a query, or a whole URL (RFC 9112, section 3.2). Returns 0 or a
 * negative status. */
static int parse_target(struct http_text target, struct http_request *request)
{
    if (request->method == HTTP_OTHER && (target.length == 0 || target.at[0] != '/'))
        return 0; /* it may be `*` or an authority: there is no path */
    if (target.length > 7 && strncasecmp(target.at, "http://", 7) == 0) {
        const char *path = memchr(target.at + 7, '/', target.length - 7);
        target = path ? (struct http_text){path, target.length - (size_t)(path - target.at)}
                      : (struct http_text){"/", 1};
    }
    const char *query = target.length ? memchr(target.at, '?', target.length) : NULL;
    if (query) {
        request->query = (struct http_text){query, target.length - (size_t)(query - target.at)};
        target.length -= request->query.length;
    }
    int status = decode_path(target, request);
    if (status == 0 && !normalise_path(request))
        status = -400;
    return status;
}

/* Returns 0 or a negative status. */
static int parse_method(struct http_text word, struct http_request *request)
{
    static const char *const others[] = {"POST",    "PUT",   "DELETE", "CONNECT",
                                         "OPTIONS", "TRACE", "PATCH"};

    request->method = HTTP_OTHER;
    if (http_equals(word, "GET"))
        request->method = HTTP_GET;
    else if (http_equals(word, "HEAD"))
        request->method = HTTP_HEAD;
    if (request->method != HTTP_OTHER)
        return 0;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (http_equals(word, others[i]))
            return 0;
    return is_token(word) ? -501 : -400;
}

/* METHOD SP TARGET SP HTTP/1.x (RFC 9112, section 3). Returns 0 or a negative status. */
static int parse_request_line(struct http_text line, struct http_request *request)
{
    struct http_text rest = line, method, target, version;

    if (!http_next_piece(&rest, ' ', &method) || !http_next_piece(&rest, ' ', &target) ||
        !http_next_piece(&rest, ' ', &version) || rest.at)
        return -400;
    if (version.length != 8 || memcmp(version.at, "HTTP/", 5) != 0 || version.at[6] != '.' ||
        (unsigned)(version.at[5] - '0') > 9 || (unsigned)(version.at[7] - '0') > 9)
        return -400;
    if (version.at[5] != '1')
        return -505;
    request->keep_alive = version.at[7] != '0';
    int status = parse_method(method, request);
    return status ? status : parse_target(target, request);
}

/* What is remembered between header fields. */
struct fields {
    unsigned hosts;
    bool has_length;
    uint64_t length;
    unsigned count[HTTP_FIELDS];
};

/* Keeps the value where an answer may depend on it. */
static void note_field(struct http_text name, struct http_text value, struct http_request *request,
                       struct fields *fields)
{
    static const char *const names[HTTP_FIELDS] = {
        [HTTP_ACCEPT_ENCODING] = "Accept-Encoding",
        [HTTP_IF_MODIFIED_SINCE] = "If-Modified-Since",
        [HTTP_IF_NONE_MATCH] = "If-None-Match",
        [HTTP_IF_RANGE] = "If-Range",
        [HTTP_RANGE] = "Range",
    };

    for (unsigned i = 0; i < HTTP_FIELDS; i++) {
        if (!http_equals_any_case(name, names[i]))
            continue;
        request->fields[i] = ++fields->count[i] == 1 ? value : (struct http_text){NULL, 0};
        return;
    }
}

/* Returns 0 or a negative status. */
static int parse_field(struct http_text line, struct http_request *request, struct fields *fields)
{
    struct http_text value = line, name;

    if (!http_next_piece(&value, ':', &name) || !value.at || !is_token(name))
        return -400;
    value = http_trim(value);
    if (memchr(value.at, '\0', value.length) || memchr(value.at, '\r', value.length))
        return -400;

    if (http_equals_any_case(name, "Host")) {
        fields->hosts++;
    } else if (http_equals_any_case(name, "Connection")) {
        if (http_has_member(value, "close"))
            request->keep_alive = false;
        else if (http_has_member(value, "keep-alive"))
            request->keep_alive = true;
    } else if (http_equals_any_case(name, "Content-Length")) {
        uint64_t length;
        if (!http_number(value, &length) || (fields->has_length && fields->length != length))
            return -400;
        fields->has_length = true;
        fields->length = length;
        request->has_body |= length > 0;
    } else if (http_equals_any_case(name, "Transfer-Encoding")) {
        request->has_body = true;
    } else {
        note_field(name, value, request, fields);
    }
    return 0;
}

int http_parse(const uint8_t *bytes, size_t length, struct http_request *request)
{
    struct reader reader = reader_over(bytes, length < HTTP_HEAD_MAX ? length : HTTP_HEAD_MAX);
    struct fields fields = {0};
    struct http_text line;
    int incomplete = length < HTTP_HEAD_MAX ? 0 : -431;
    bool is_http11;
    int status;

    request->method = HTTP_OTHER;
    request->keep_alive = request->has_body = false;
    request->path_length = 0;
    request->path[0] = '\0';
    request->query = (struct http_text){NULL, 0};
    memset(request->fields, 0, sizeof request->fields);

    do { /* empty lines before a request are skipped (RFC 9112, section 2.2) */
        if (!next_line(&reader, &line))
            return incomplete;
    } while (line.length == 0);
    if ((status = parse_request_line(line, request)) != 0)
        return status;
    is_http11 = request->keep_alive;
    for (;;) {
        if (!next_line(&reader, &line))
            return incomplete;
        if (line.length == 0)
            break;
        if ((status = parse_field(line, request, &fields)) != 0)
            return status;
    }
    if (fields.hosts > 1 || (is_http11 && fields.hosts == 0))
        return -400;
    return (int)reader.position;
}
