#include "http/request.h"

#include <string.h>
#include <strings.h>

#include "common/cursor.h"
#include "http/text.h"

/* Sets of characters, a bit each. */
static bool is_in(const uint32_t set[8], uint8_t c)
{
    return set[c >> 5] >> (c & 31) & 1;
}

/* How many of the first characters may be in a token (RFC 9110, section 5.6.2): letters, digits and
 * !#$%&'*+-.^_`|~ */
static size_t token_length(struct http_text text)
{
    static const uint32_t allowed[8] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};
    size_t length = 0;

    while (length < text.length && is_in(allowed, (uint8_t)text.at[length]))
        length++;
    return length;
}

/* May it be in a line? Control characters may not, but for the tab (RFC 9110, section 5.5). */
static bool is_line_character(uint8_t c)
{
    return (uint8_t)(c - ' ') < 0x7f - ' ' || c > 0x7f || c == '\t';
}

/* Is there no control character among these eight? Each byte less than a space, or 0x7f, borrows
 * from its highest bit. */
static bool are_plain(const uint8_t *bytes)
{
    const uint64_t ones = 0x0101010101010101, highest = 0x80 * ones;
    uint64_t eight;

    __builtin_memcpy(&eight, bytes, sizeof eight);
    uint64_t deletes = eight ^ 0x7f * ones;
    uint64_t marks = ((eight - ' ' * ones) & ~eight) | ((deletes - ones) & ~deletes);
    return (marks & highest) == 0;
}

/* How many of the bytes may be in a line, from the first on. */
static size_t line_length(const uint8_t *bytes, size_t count)
{
    size_t length = 0;

    while (length < count) {
        if (count - length >= 8 && are_plain(bytes + length))
            length += 8;
        else if (is_line_character(bytes[length]))
            length++;
        else
            break;
    }
    return length;
}

enum line_result { LINE, LINE_UNFINISHED, LINE_BROKEN };

/* A line without its end, CRLF and nothing else; or as much of one as there is. */
static enum line_result next_line(struct reader *reader, struct http_text *line)
{
    const uint8_t *start = reader->bytes + reader->position;
    size_t left = reader_left(reader), length = line_length(start, left);

    *line = (struct http_text){(const char *)start, length};
    if (length == left || (start[length] == '\r' && length + 1 == left))
        return LINE_UNFINISHED;
    if (start[length] != '\r' || start[length + 1] != '\n')
        return LINE_BROKEN;
    reader_skip(reader, length + 2);
    return LINE;
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

    for (size_t i = 0; i < raw.length; i++) {
        int c = (uint8_t)raw.at[i];
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

/* HOST or HOST:PORT, by its characters (RFC 3986, section 3.2.2): letters, digits and
 * .-:[]_~%!$&'()*+,;= */
static bool is_authority(struct http_text text)
{
    static const uint32_t allowed[8] = {0, 0x2fff7ff2, 0xaffffffe, 0x47fffffe};

    for (size_t i = 0; i < text.length; i++)
        if (!is_in(allowed, (uint8_t)text.at[i]))
            return false;
    return true;
}

/* Takes "http://HOST" from a target that is a whole URL. Returns false if the URL is none. */
static bool skip_authority(struct http_text *target)
{
    struct http_text authority = {target->at + 7, 0};
    size_t left = target->length - 7;

    while (authority.length < left && !memchr("/?", authority.at[authority.length], 2))
        authority.length++;
    *target = (struct http_text){authority.at + authority.length, left - authority.length};
    return authority.length > 0 && is_authority(authority);
}

/* The request's target: a path with a query, or a whole URL (RFC 9112, section 3.2). Returns 0 or a
 * negative status. */
static int parse_target(struct http_text target, struct http_request *request)
{
    for (size_t i = 0; i < target.length; i++)
        if (target.at[i] == '\t' || target.at[i] == '#')
            return -400;
    if (target.length == 0)
        return -400;
    if (target.length > 7 && strncasecmp(target.at, "http://", 7) == 0) {
        if (!skip_authority(&target))
            return -400;
    } else if (target.at[0] != '/') { /* `*` or an authority: there is no path */
        return request->method == HTTP_OTHER ? 0 : -400;
    }
    const char *query = target.length ? memchr(target.at, '?', target.length) : NULL;
    if (query) {
        request->query = (struct http_text){query, target.length - (size_t)(query - target.at)};
        target.length -= request->query.length;
    }
    if (target.length == 0)
        target = (struct http_text)HTTP_TEXT("/");
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
    return word.length > 0 && token_length(word) == word.length ? -501 : -400;
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
    request->line.length = method.length + 1 + target.length;
    if (version.at[5] != '1')
        return -505;
    request->keep_alive = version.at[7] != '0';
    int status = parse_method(method, request);
    return status ? status : parse_target(target, request);
}

/* Fields that are understood here, besides those of enum http_field. */
enum {
    CONNECTION = HTTP_FIELDS,
    CONTENT_LENGTH,
    HOST,
    TRANSFER_ENCODING,
    KNOWN_FIELDS,
};

static unsigned known_field(struct http_text name)
{
    static const struct http_text names[KNOWN_FIELDS] = {
        [HTTP_ACCEPT_ENCODING] = HTTP_TEXT("Accept-Encoding"),
        [HTTP_IF_MATCH] = HTTP_TEXT("If-Match"),
        [HTTP_IF_MODIFIED_SINCE] = HTTP_TEXT("If-Modified-Since"),
        [HTTP_IF_NONE_MATCH] = HTTP_TEXT("If-None-Match"),
        [HTTP_IF_RANGE] = HTTP_TEXT("If-Range"),
        [HTTP_IF_UNMODIFIED_SINCE] = HTTP_TEXT("If-Unmodified-Since"),
        [HTTP_RANGE] = HTTP_TEXT("Range"),
        [CONNECTION] = HTTP_TEXT("Connection"),
        [CONTENT_LENGTH] = HTTP_TEXT("Content-Length"),
        [HOST] = HTTP_TEXT("Host"),
        [TRANSFER_ENCODING] = HTTP_TEXT("Transfer-Encoding"),
    };
    unsigned field = 0;

    while (field < KNOWN_FIELDS && (names[field].length != name.length ||
                                    strncasecmp(names[field].at, name.at, name.length) != 0))
        field++;
    return field;
}

static bool is_list(unsigned field)
{
    return field == HTTP_ACCEPT_ENCODING || field == HTTP_IF_MATCH || field == HTTP_IF_NONE_MATCH;
}

/* What is remembered between header fields. */
struct fields {
    unsigned count[KNOWN_FIELDS];
    uint64_t length;
    bool closes, keeps; /* what the fields Connection say */
};

/* Puts a list and what has come of it before into one. Returns 0 or a negative status. */
static int join_lists(struct http_text value, struct http_text *list, struct http_request *request)
{
    struct writer writer = {(uint8_t *)request->lists, HTTP_LIST_MAX, request->lists_length, false};
    size_t start = writer.position;

    writer_bytes(&writer, list->at, list->length);
    writer_bytes(&writer, ", ", 2);
    writer_bytes(&writer, value.at, value.length);
    if (writer.failed)
        return -431;
    *list = (struct http_text){request->lists + start, writer.position - start};
    request->lists_length = writer.position;
    return 0;
}

/* Keeps a value where an answer may depend on it. Returns 0 or a negative status. */
static int keep_field(unsigned field, unsigned count, struct http_text value,
                      struct http_request *request)
{
    if (count > 1 && is_list(field))
        return join_lists(value, &request->fields[field], request);
    request->fields[field] = count == 1 ? value : (struct http_text){NULL, 0};
    return 0;
}

/* Returns 0 or a negative status. */
static int parse_field(struct http_text line, struct http_request *request, struct fields *fields)
{
    struct http_text name = {line.at, token_length(line)}, value;
    uint64_t length;

    if (name.length == 0 || name.length == line.length || line.at[name.length] != ':')
        return -400;
    value.at = line.at + name.length + 1;
    value.length = line.length - name.length - 1;
    value = http_trim(value);
    unsigned field = known_field(name);
    if (field == KNOWN_FIELDS)
        return 0;
    unsigned count = ++fields->count[field];
    switch (field) {
    case CONNECTION:
        fields->closes |= http_has_member(value, "close");
        fields->keeps |= http_has_member(value, "keep-alive");
        return 0;
    case CONTENT_LENGTH:
        if (!http_number(value, &length) || (count > 1 && length != fields->length))
            return -400;
        fields->length = length;
        return 0;
    case HOST:
        return is_authority(value) ? 0 : -400;
    case TRANSFER_ENCODING:
        return http_equals_any_case(value, "chunked") ? 0 : -501;
    default:
        return keep_field(field, count, value, request);
    }
}

/* After the last field: are they in order, and what do they say together? Returns 0 or a negative
 * status. */
static int conclude(const struct fields *fields, struct http_request *request)
{
    bool is_http11 = request->keep_alive;

    if (fields->count[HOST] > 1 || (is_http11 && fields->count[HOST] == 0))
        return -400;
    /* A body whose end others may see elsewhere (RFC 9112, sections 6.1 and 6.3). */
    if (fields->count[TRANSFER_ENCODING] > 0 &&
        (fields->count[TRANSFER_ENCODING] > 1 || fields->count[CONTENT_LENGTH] > 0 || !is_http11))
        return -400;
    request->has_body = fields->count[TRANSFER_ENCODING] > 0 || fields->length > 0;
    request->keep_alive = !fields->closes && (is_http11 || fields->keeps);
    return 0;
}

/* Before anything is known. Where lists are put together needs no clearing. */
static void clear(struct http_request *request)
{
    request->method = HTTP_OTHER;
    request->keep_alive = request->has_body = false;
    request->path[0] = '\0';
    request->path_length = 0;
    request->query = request->line = (struct http_text){NULL, 0};
    memset(request->fields, 0, sizeof request->fields);
    request->lists_length = 0;
}

int http_parse(const uint8_t *bytes, size_t length, struct http_request *request)
{
    struct reader reader = reader_over(bytes, length < HTTP_HEAD_MAX ? length : HTTP_HEAD_MAX);
    struct fields fields = {0};
    struct http_text line;
    enum line_result result;
    bool is_full = length >= HTTP_HEAD_MAX;
    int status = 0;

    clear(request);
    do { /* empty lines before a request are skipped (RFC 9112, section 2.2) */
        result = next_line(&reader, &line);
        request->line = line;
        if (result != LINE)
            return result == LINE_BROKEN ? -400 : is_full ? -414 : 0;
    } while (line.length == 0);
    status = parse_request_line(line, request);
    while (status == 0) {
        if ((result = next_line(&reader, &line)) != LINE)
            return result == LINE_BROKEN ? -400 : is_full ? -431 : 0;
        if (line.length == 0)
            break;
        status = parse_field(line, request, &fields);
    }
    if (status == 0)
        status = conclude(&fields, request);
    return status ? status : (int)reader.position;
}
