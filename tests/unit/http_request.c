/* HTTP requests as the unikernels read them, and dates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/date.h"
#include "http/request.h"

#define HOST "Host: www.example.org\r\n"

static struct http_request request;

/* Parses a copy that ends where the text does, so that a read past it is noticed. */
static int parse(const char *text)
{
    size_t length = strlen(text);
    uint8_t *bytes = malloc(length ? length : 1);
    static char query[HTTP_HEAD_MAX];

    assert_non_null(bytes);
    memcpy(bytes, text, length);
    int result = http_parse(bytes, length, &request);
    if (result > 0) {
        if (request.query.at)
            memcpy(query, request.query.at, request.query.length);
        request.query.at = query;
    }
    free(bytes);
    return result;
}

static int parse_target(const char *target)
{
    char text[HTTP_HEAD_MAX + 100];

    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", target);
    return parse(text);
}

static int parse_with(const char *fields)
{
    char text[HTTP_HEAD_MAX + 100];

    snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "%s\r\n", fields);
    return parse(text);
}

static void takes_a_plain_request(void **state)
{
    const char *text = "GET /a/b.html?x=1&y HTTP/1.1\r\n" HOST "\r\n";

    (void)state;
    assert_int_equal(parse(text), strlen(text));
    assert_int_equal(request.method, HTTP_GET);
    assert_true(request.keep_alive);
    assert_false(request.has_body);
    assert_string_equal(request.path, "/a/b.html");
    assert_int_equal(request.path_length, 9);
    assert_int_equal(request.query.length, 6);
    assert_memory_equal(request.query.at, "?x=1&y", 6);
    for (unsigned i = 0; i < HTTP_FIELDS; i++)
        assert_null(request.fields[i].at);
}

static void waits_for_the_rest_of_a_head(void **state)
{
    const char *text = "HEAD /index.html HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n";
    char part[100];

    (void)state;
    for (size_t length = 0; length < strlen(text); length++) {
        memcpy(part, text, length);
        part[length] = '\0';
        assert_int_equal(parse(part), 0);
    }
    assert_int_equal(parse(text), strlen(text));
    assert_int_equal(request.method, HTTP_HEAD);
}

static void ends_a_head_where_the_next_request_begins(void **state)
{
    const char *first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    char both[200];

    (void)state;
    snprintf(both, sizeof both, "%sGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", first);
    assert_int_equal(parse(both), strlen(first));
    assert_string_equal(request.path, "/1");
}

static void normalises_paths(void **state)
{
    static const char *const pairs[][2] = {
        {"/", "/"},
        {"/a/", "/a/"},
        {"//a///b", "/a/b"},
        {"/./a/./b/.", "/a/b/"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/%2e%2E/c", "/c"},
        {"/a%2fb", "/a/b"},
        {"/%41%c3%a9%20", "/A\xc3\xa9 "},
        {"/a..b/...", "/a..b/..."},
        {"http://example.org/x?y", "/x"},
        {"http://example.org?a/b", "/"},
        {"http://[::1]:80/x", "/x"},
        {"/a%01b%7f", "/a\x01"
                      "b\x7f"},
        {"/\xc3\xa9|^", "/\xc3\xa9|^"},
        {"http://example.org", "/"},
        {"HTTP://example.org:80/a/", "/a/"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_true(parse_target(pairs[i][0]) > 0);
        assert_string_equal(request.path, pairs[i][1]);
        assert_int_equal(request.path_length, strlen(pairs[i][1]));
    }
}

static void refuses_paths_that_lead_out_of_the_site(void **state)
{
    static const char *const targets[] = {
        "/..",        "/../etc/passwd",
        "/a/../../b", "/%2e%2e/b",
        "/..%2fb",    "/%00",
        "/a%",        "/a%4",
        "/a%4g",      "a",
        "*",          "https://example.org/",
        "/a\x01",     "",
        "/a#b",       "/a?b#c",
        "/a?b\x01",   "/a?b\tc",
        "/a\x7f",     "http:///x",
        "http://",    "http://a@b/",
        "http://?x",  "http://a\\b/",
    };

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        assert_int_equal(parse_target(targets[i]), -400);
}

static void refuses_long_paths_and_heads(void **state)
{
    char target[HTTP_HEAD_MAX + 1];

    (void)state;
    memset(target, 'a', sizeof target);
    target[0] = '/';
    target[HTTP_PATH_MAX - 1] = '\0';
    assert_true(parse_target(target) > 0);
    target[HTTP_PATH_MAX - 1] = 'a';
    target[HTTP_PATH_MAX] = '\0';
    assert_int_equal(parse_target(target), -414);
    target[HTTP_PATH_MAX] = 'a';
    target[HTTP_HEAD_MAX] = '\0';
    assert_int_equal(parse_target(target), -414);
    target[0] = 'X';
    target[1] = ':';
    target[HTTP_HEAD_MAX - 50] = '\0';
    assert_int_equal(parse_with(target), 0);
    strcpy(target + HTTP_HEAD_MAX - 50, "-and-this-is-too-much-for-the-head");
    assert_int_equal(parse_with(target), -431);
}

static void knows_methods(void **state)
{
    (void)state;
    assert_true(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n") > 0);
    assert_int_equal(request.method, HTTP_OTHER);
    assert_true(request.has_body);
    assert_true(parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
    assert_true(parse("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
    assert_int_equal(parse("get / HTTP/1.1\r\nHost: a\r\n\r\n"), -501);
    assert_int_equal(parse("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), -501);
    assert_int_equal(parse("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"), -400);
}

static void knows_versions(void **state)
{
    (void)state;
    assert_true(parse("GET / HTTP/1.0\r\n\r\n") > 0);
    assert_false(request.keep_alive);
    assert_true(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") > 0);
    assert_true(request.keep_alive);
    assert_true(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n") > 0);
    assert_false(request.keep_alive);
    assert_true(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                      "Connection: keep-alive\r\n\r\n") > 0);
    assert_false(request.keep_alive);
    assert_true(parse("GET / HTTP/1.2\r\nHost: a\r\n\r\n") > 0);
    assert_true(request.keep_alive);
    assert_int_equal(parse("GET / HTTP/2.0\r\n\r\n"), -505);
    assert_int_equal(parse("GET / HTTQ/1.1\r\n\r\n"), -400);
    assert_int_equal(parse("GET /\r\n\r\n"), -400);
    assert_int_equal(parse("GET  / HTTP/1.1\r\n\r\n"), -400);
    assert_int_equal(parse("GET / HTTP/1.1 x\r\n\r\n"), -400);
}

static void demands_one_host(void **state)
{
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1\r\n\r\n"), -400);
    assert_int_equal(parse_with("Host: b\r\n"), -400);
    assert_int_equal(parse("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), -400);
    assert_true(parse("GET / HTTP/1.1\r\nHost:\r\n\r\n") > 0);
    assert_true(parse("GET / HTTP/1.1\r\nHost: [fd00::1]:8080\r\n\r\n") > 0);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), -400);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), -400);
    assert_int_equal(parse("GET / HTTP/1.1\r\nHost: a, b@c\r\n\r\n"), -400);
}

static void refuses_broken_fields(void **state)
{
    (void)state;
    assert_int_equal(parse_with("NoColon\r\n"), -400);
    assert_int_equal(parse_with("Space : x\r\n"), -400);
    assert_int_equal(parse_with(": x\r\n"), -400);
    assert_int_equal(parse_with("A: b\r\n folded\r\n"), -400);
    assert_int_equal(parse_with("Content-Length: 1\r\nContent-Length: 2\r\n"), -400);
    assert_int_equal(parse_with("Content-Length: +1\r\n"), -400);
    assert_int_equal(parse_with("Content-Length: 99999999999999999999\r\n"), -400);
    assert_int_equal(parse_with("A: b\rc\r\n"), -400);
    assert_int_equal(parse_with("A: b\r\r\n"), -400);
    assert_int_equal(parse_with("A: b\x01"
                                "c\r\n"),
                     -400);
    assert_int_equal(parse_with("A: b\x7f\r\n"), -400);
    assert_int_equal(parse_with("A\tB: c\r\n"), -400);
    assert_int_equal(parse_with("\tA: c\r\n"), -400);
    assert_true(parse_with("A: b\tc \xff\r\n") > 0);
    assert_true(parse_with("Content-Length: 2\r\nContent-Length: 2\r\n") > 0);
    assert_int_equal(parse_with("Content-Length: 2, 2\r\n"), -400);
    assert_int_equal(parse_with("Content-Length:\r\n"), -400);
}

/* Else a server before this one may see other requests than this one does. */
static void demands_crlf_at_the_end_of_lines(void **state)
{
    (void)state;
    assert_int_equal(parse("GET / HTTP/1.1\nHost: a\r\n\r\n"), -400);
    assert_int_equal(parse_with("A: b\n"), -400);
    assert_int_equal(parse_with("\n"), -400);
    assert_int_equal(parse("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), -400);
    assert_true(parse("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
    assert_int_equal(parse("GET / HTTP/1.1\r"), 0);
}

static void sees_bodies(void **state)
{
    (void)state;
    assert_true(parse_with("Content-Length: 0\r\n") > 0);
    assert_false(request.has_body);
    assert_true(parse_with("Transfer-Encoding: chunked\r\n") > 0);
    assert_true(request.has_body);
    assert_true(parse_with("Content-Length: 1\r\n") > 0);
    assert_true(request.has_body);
}

static void refuses_bodies_that_others_may_see_end_elsewhere(void **state)
{
    (void)state;
    assert_int_equal(parse_with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), -400);
    assert_int_equal(parse_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), -400);
    assert_int_equal(parse_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                     -400);
    assert_int_equal(parse_with("Transfer-Encoding: gzip, chunked\r\n"), -501);
    assert_int_equal(parse_with("Transfer-Encoding: xchunked\r\n"), -501);
    assert_int_equal(parse_with("Transfer-Encoding: chunked, identity\r\n"), -501);
    assert_int_equal(parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), -400);
}

static void assert_field(enum http_field field, const char *value)
{
    assert_int_equal(request.fields[field].length, strlen(value));
}

static void keeps_what_an_answer_depends_on(void **state)
{
    (void)state;
    assert_true(parse_with("Range:  bytes=1-2 \r\nIF-NONE-MATCH:\"x\"\r\nX: y\r\nIf-Range:\r\n") >
                0);
    assert_field(HTTP_RANGE, "bytes=1-2");
    assert_field(HTTP_IF_NONE_MATCH, "\"x\"");
    assert_field(HTTP_IF_RANGE, "");
    assert_non_null(request.fields[HTTP_IF_RANGE].at);
    assert_null(request.fields[HTTP_ACCEPT_ENCODING].at);
    assert_null(request.fields[HTTP_IF_MODIFIED_SINCE].at);
}

static void puts_lists_together(void **state)
{
    char fields[HTTP_HEAD_MAX];
    size_t length = 0;

    (void)state;
    assert_true(parse_with("Accept-Encoding: br\r\nIf-None-Match: \"a\"\r\n"
                           "Accept-Encoding: gzip;q=0.5\r\nIf-None-Match: \"b\"\r\n"
                           "Accept-Encoding: *\r\n") > 0);
    assert_field(HTTP_ACCEPT_ENCODING, "br, gzip;q=0.5, *");
    assert_memory_equal(request.fields[HTTP_ACCEPT_ENCODING].at, "br, gzip;q=0.5, *", 17);
    assert_memory_equal(request.fields[HTTP_IF_NONE_MATCH].at, "\"a\", \"b\"", 8);
    for (int i = 0; i < 20; i++)
        length += (size_t)snprintf(fields + length, sizeof fields - length,
                                   "If-Match: \"0123456789abcdef%02d\"\r\n", i);
    assert_int_equal(parse_with(fields), -431);
}

static void keeps_the_line_as_it_came(void **state)
{
    static const char text[] = "GET /a%20b?c HTTP/1.1\r\nHost: a\r\n\r\n", bad[] = "GET /a b c\r\n";

    (void)state;
    assert_true(http_parse((const uint8_t *)text, strlen(text), &request) > 0);
    assert_int_equal(request.line.length, strlen("GET /a%20b?c"));
    assert_ptr_equal(request.line.at, text);
    assert_int_equal(http_parse((const uint8_t *)bad, strlen(bad), &request), -400);
    assert_int_equal(request.line.length, strlen("GET /a b c"));
    assert_int_equal(http_parse((const uint8_t *)"GET /a\n", 7, &request), -400);
    assert_int_equal(request.line.length, strlen("GET /a"));
}

static void leaves_out_fields_that_come_more_than_once(void **state)
{
    (void)state;
    assert_true(parse_with("Range: bytes=1-2\r\nRange: bytes=3-4\r\n") > 0);
    assert_null(request.fields[HTTP_RANGE].at);
    assert_true(parse_with("Range: a\r\nRange: b\r\nRange: c\r\n") > 0);
    assert_null(request.fields[HTTP_RANGE].at);
}

static int64_t date(const char *text)
{
    return http_date_parse(text, strlen(text));
}

static void reads_dates(void **state)
{
    (void)state;
    assert_int_equal(date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    assert_int_equal(date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    assert_int_equal(date("Sun Nov  6 08:49:37 1994"), 784111777);
    assert_int_equal(date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    assert_int_equal(date("Tue, 29 Feb 2000 12:00:00 GMT"), 951825600);
    assert_int_equal(date("Sun, 06 Nov 1994 08:49:37 CET"), -1);
    assert_int_equal(date("Sun, 06 Nov 1994 08:49:37"), -1);
    assert_int_equal(date("Sun, 06 Foo 1994 08:49:37 GMT"), -1);
    assert_int_equal(date("Sun, 06 Nov 1994 24:49:37 GMT"), -1);
    assert_int_equal(date("Wed, 31 Dec 1969 23:59:59 GMT"), -1);
    assert_int_equal(date(""), -1);
    assert_int_equal(date(","), -1);
}

static void writes_dates_that_it_reads(void **state)
{
    char text[HTTP_DATE_SIZE];

    (void)state;
    http_date_format(784111777, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    http_date_format(0, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    for (int64_t seconds = 0; seconds < INT64_C(253402300800); seconds += 86400 * 17 + 12345) {
        http_date_format(seconds, text);
        assert_int_equal(date(text), seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_plain_request),
        cmocka_unit_test(waits_for_the_rest_of_a_head),
        cmocka_unit_test(ends_a_head_where_the_next_request_begins),
        cmocka_unit_test(normalises_paths),
        cmocka_unit_test(refuses_paths_that_lead_out_of_the_site),
        cmocka_unit_test(refuses_long_paths_and_heads),
        cmocka_unit_test(knows_methods),
        cmocka_unit_test(knows_versions),
        cmocka_unit_test(demands_one_host),
        cmocka_unit_test(refuses_broken_fields),
        cmocka_unit_test(demands_crlf_at_the_end_of_lines),
        cmocka_unit_test(sees_bodies),
        cmocka_unit_test(refuses_bodies_that_others_may_see_end_elsewhere),
        cmocka_unit_test(keeps_what_an_answer_depends_on),
        cmocka_unit_test(puts_lists_together),
        cmocka_unit_test(keeps_the_line_as_it_came),
        cmocka_unit_test(leaves_out_fields_that_come_more_than_once),
        cmocka_unit_test(reads_dates),
        cmocka_unit_test(writes_dates_that_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
