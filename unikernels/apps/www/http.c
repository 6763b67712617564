#include "www/http.h"

#include <string.h>
#include <strings.h>

#include "common/cursor.h"
#include "www/http_date.h"

/* A piece of the request's head. */
struct text {
    const char *at;
    size_t length;
};

static bool is_token_character(uint8_t c)
{
    /* RFC 9110, section 5.6.2: letters, digits and !#$%&'*+-.^_`|~ */
    static const uint32_t token[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
    return token[c >> 5] >> (c & 31) & 1;
}

static bool is_token(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!is_token_character((uint8_t)text.at[i]))
            return false;
    return text.length > 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct text trim(struct text text)
{
    while (text.length > 0 && is_space(text.at[0]))
        text.at++, text.length--;
    while (text.length > 0 && is_space(text.at[text.length - 1]))
        text.length--;
    return text;
}

static bool equals(struct text text, const char *word)
{
    return text.length == strlen(word) && memcmp(text.at, word, text.length) == 0;
}

static bool equals_any_case(struct text text, const char *word)
{
    return text.length == strlen(word) && strncasecmp(text.at, word, text.length) == 0;
}

/* Takes what is before the next `separator`, or all that is left. Returns false at the end. */
static bool next_piece(struct text *rest, char separator, struct text *piece)
{
    if (!rest->at)
        return false;
    const char *end = memchr(rest->at, separator, rest->length);
    *piece = (struct text){rest->at, end ? (size_t)(end - rest->at) : rest->length};
    if (end)
        *rest = (struct text){end + 1, rest->length - piece->length - 1};
    else
        rest->at = NULL;
    return true;
}

/* Is `word` one of the comma-separated members of `list`? */
static bool has_member(struct text list, const char *word)
{
    struct text member;

    while (next_piece(&list, ',', &member))
        if (equals_any_case(trim(member), word))
            return true;
    return false;
}

/* A line without its end, CRLF or LF (RFC 9112, section 2.2). Returns false if there is no whole
 * line. */
static bool next_line(struct reader *reader, struct text *line)
{
    size_t left = reader_left(reader);
    const uint8_t *start = reader->bytes + reader->position;
    const uint8_t *end = memchr(start, '\n', left);

    if (!end || !reader_take(reader, (size_t)(end - start) + 1))
        return false;
    *line = (struct text){(const char *)start, (size_t)(end - start)};
    if (line->length > 0 && line->at[line->length - 1] == '\r')
        line->length--;
    return true;
}

/* Decimal digits and nothing else; false also where the number is too large. */
static bool parse_number(struct text text, uint64_t *number)
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

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes an absolute path into the request. Returns 0 or a negative status. */
static int decode_path(struct text raw, struct http_request *request)
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
        struct text name = {segment, (size_t)(path + at - segment)};
        is_directory = true;
        if (name.length == 0 || equals(name, "."))
            continue;
        if (equals(name, "..")) {
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
static int parse_target(struct text target, struct http_request *request)
{
    if (request->method == HTTP_OTHER && (target.length == 0 || target.at[0] != '/'))
        return 0; /* it may be `*` or an authority: this server does not do what it asks for anyway
                   */
    if (target.length > 7 && strncasecmp(target.at, "http://", 7) == 0) {
        const char *path = memchr(target.at + 7, '/', target.length - 7);
        target = path ? (struct text){path, target.length - (size_t)(path - target.at)}
                      : (struct text){"/", 1};
    }
    const char *query = target.length ? memchr(target.at, '?', target.length) : NULL;
    if (query) {
        request->query = query;
        request->query_length = target.length - (size_t)(query - target.at);
        target.length -= request->query_length;
    }
    int status = decode_path(target, request);
    if (status == 0 && !normalise_path(request))
        status = -400;
    return status;
}

/* Returns 0 or a negative status. */
static int parse_method(struct text word, struct http_request *request)
{
    static const char *const others[] = {"POST",    "PUT",   "DELETE", "CONNECT",
                                         "OPTIONS", "TRACE", "PATCH"};

    request->method = HTTP_OTHER;
    if (equals(word, "GET"))
        request->method = HTTP_GET;
    else if (equals(word, "HEAD"))
        request->method = HTTP_HEAD;
    if (request->method != HTTP_OTHER)
        return 0;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (equals(word, others[i]))
            return 0;
    return is_token(word) ? -501 : -400;
}

/* METHOD SP TARGET SP HTTP/1.x (RFC 9112, section 3). Returns 0 or a negative status. */
static int parse_request_line(struct text line, struct http_request *request)
{
    struct text rest = line, method, target, version;

    if (!next_piece(&rest, ' ', &method) || !next_piece(&rest, ' ', &target) ||
        !next_piece(&rest, ' ', &version) || rest.at)
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

/* RFC 9110, section 14.1.2. What is not understood is as if it were not there. */
static void parse_range(struct text value, struct http_range *range)
{
    struct text unit, first, last;

    *range = (struct http_range){.first = HTTP_NO_OFFSET, .last = HTTP_NO_OFFSET};
    if (!next_piece(&value, '=', &unit) || !equals_any_case(trim(unit), "bytes") || !value.at ||
        memchr(value.at, ',', value.length))
        return;
    if (!next_piece(&value, '-', &first) || !next_piece(&value, '-', &last) || value.at)
        return;
    first = trim(first);
    last = trim(last);
    if ((first.length > 0 && !parse_number(first, &range->first)) ||
        (last.length > 0 && !parse_number(last, &range->last)))
        return;
    range->given =
        first.length == 0 ? last.length > 0 : last.length == 0 || range->first <= range->last;
}

/* Is gzip among the codings, with a weight that is not zero (RFC 9110, section 12.5.3)? */
static bool accepts_gzip(struct text list)
{
    struct text member, coding, weight;

    while (next_piece(&list, ',', &member)) {
        if (!next_piece(&member, ';', &coding) || !equals_any_case(trim(coding), "gzip"))
            continue;
        if (!next_piece(&member, ';', &weight))
            return true;
        weight = trim(weight);
        for (size_t i = 0; i < weight.length; i++)
            if (weight.at[i] >= '1' && weight.at[i] <= '9')
                return true;
        return false;
    }
    return false;
}

/* What is remembered between header fields. */
struct fields {
    unsigned hosts;
    bool has_length;
    uint64_t length;
};

/* Returns 0 or a negative status. */
static int parse_field(struct text line, struct http_request *request, struct fields *fields)
{
    struct text value = line, name;

    if (!next_piece(&value, ':', &name) || !value.at || !is_token(name))
        return -400;
    value = trim(value);
    if (memchr(value.at, '\0', value.length) || memchr(value.at, '\r', value.length))
        return -400;

    if (equals_any_case(name, "Host")) {
        fields->hosts++;
    } else if (equals_any_case(name, "Connection")) {
        if (has_member(value, "close"))
            request->keep_alive = false;
        else if (has_member(value, "keep-alive"))
            request->keep_alive = true;
    } else if (equals_any_case(name, "Content-Length")) {
        uint64_t length;
        if (!parse_number(value, &length) || (fields->has_length && fields->length != length))
            return -400;
        fields->has_length = true;
        fields->length = length;
        request->has_body |= length > 0;
    } else if (equals_any_case(name, "Transfer-Encoding")) {
        request->has_body = true;
    } else if (equals_any_case(name, "If-Modified-Since")) {
        request->if_modified_since = http_date_parse(value.at, value.length);
    } else if (equals_any_case(name, "If-None-Match")) {
        request->if_none_match = true;
    } else if (equals_any_case(name, "If-Range")) {
        int64_t date = http_date_parse(value.at, value.length);
        request->if_range = date < 0 ? -2 : date;
    } else if (equals_any_case(name, "Range")) {
        parse_range(value, &request->range);
    } else if (equals_any_case(name, "Accept-Encoding")) {
        request->accepts_gzip = accepts_gzip(value);
    }
    return 0;
}

int http_parse(const uint8_t *bytes, size_t length, struct http_request *request)
{
    struct reader reader = reader_over(bytes, length < HTTP_HEAD_MAX ? length : HTTP_HEAD_MAX);
    struct fields fields = {0};
    struct text line;
    int incomplete = length < HTTP_HEAD_MAX ? 0 : -431;
    bool is_http11;
    int status;

    request->method = HTTP_OTHER;
    request->keep_alive = request->has_body = request->accepts_gzip = request->if_none_match =
        false;
    request->if_modified_since = request->if_range = -1;
    request->range = (struct http_range){.given = false};
    request->path_length = request->query_length = 0;
    request->query = "";

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

const char *http_reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
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
    case 414:
        return "URI Too Long";
    case 416:
        return "Range Not Satisfiable";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}
