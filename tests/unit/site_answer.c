/* What is answered from a site. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "http/request.h"
#include "http/response.h"
#include "site/answer.h"
#include "unit/application.h"
#include "unit/site_fixture.h"

static struct http_response response;

static void ask(const struct site *site, const char *text)
{
    static struct http_request request;
    int head = http_parse((const uint8_t *)text, strlen(text), &request);

    if (head > 0) {
        response_start(&response, &request, false);
        site_answer(site, &request, &response);
    } else {
        response_start(&response, &request, true);
        http_error(&response, -head);
    }
    assert_true(response.text_length < sizeof response.text);
    response.text[response.text_length] = '\0';
}

static void get(const struct site *site, const char *path, const char *fields)
{
    char text[2048];

    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, fields);
    ask(site, text);
}

static void says(const char *line)
{
    if (!strstr(response.text, line))
        fail_msg("no '%s' in:\n%s", line, response.text);
}

static void says_not(const char *line)
{
    if (strstr(response.text, line))
        fail_msg("'%s' in:\n%s", line, response.text);
}

static void sends(const char *contents)
{
    assert_int_equal(response.body_length, strlen(contents));
    assert_memory_equal(response.body, contents, strlen(contents));
}

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define CSS  "h1 { color: red; background: yellow }"
#define INDEX                                                                                      \
    "packed.css\ttext/x-css\t0123456789abcdef\n"                                                   \
    "packed.css.br\tapplication/octet-stream\t1111111111111111\n"                                  \
    "packed.css.gz\tapplication/gzip\t2222222222222222\n"

static struct site *answering_site(void)
{
    begin_archive(NULL);
    add_cpio(".jitsu/index", INDEX);
    add_cpio("index.html", "0123456789");
    add_cpio("dir/index.html", "a directory");
    add_cpio("dir/index.html.gz", "dir zip");
    add_cpio("a b/index.html", "space");
    add_cpio("z.css", CSS);
    add_cpio("z.css.gz", "zip");
    add_cpio("z.css.br", "br");
    add_cpio("packed.css", CSS);
    add_cpio("packed.css.gz", "zip");
    add_cpio("packed.css.br", "br");
    add_cpio("small", "small");
    add_cpio("small.gz", "not small");
    add_cpio("empty", "");
    end_cpio();
    return must_open();
}

static void answers_files(void **state)
{
    struct site *site = answering_site();

    (void)state;
    get(site, "/", "");
    says("HTTP/1.1 200 OK\r\n");
    says("Content-Type: text/html; charset=utf-8\r\n");
    says("Content-Length: 10\r\n");
    says("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    says("ETag: \"a-2ebc98a1\"\r\n");
    says("Accept-Ranges: bytes\r\n");
    says_not("Vary");
    says_not("Cache-Control");
    says_not("Date");
    sends("0123456789");
    assert_false(response.close);
    get(site, "/", "Connection: close\r\n");
    says("Connection: close\r\n");
    assert_true(response.close);
    ask(site, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    says("Content-Length: 10\r\n");
    assert_int_equal(response.body_length, 0);
    site_free(site);
}

static void redirects_to_directories(void **state)
{
    struct site *site = answering_site();
    char path[1400];

    (void)state;
    get(site, "/dir", "");
    says("HTTP/1.1 301 Moved Permanently\r\n");
    says("Location: /dir/\r\n");
    get(site, "/a%20b?q=1&r=%20/?", "");
    says("Location: /a%20b/?q=1&r=%20/?\r\n");
    get(site, "/x/..//dir?\"<\xc3\xa9>", "");
    says("Location: /dir/?%22%3C%C3%A9%3E\r\n");
    get(site, "/dir/", "");
    sends("a directory");
    memset(path, 'q', sizeof path);
    memcpy(path, "/dir?", 5);
    path[1200] = '\0';
    get(site, path, "");
    says("HTTP/1.1 301");
    path[1200] = 'q';
    path[sizeof path - 1] = '\0';
    get(site, path, "");
    says("HTTP/1.1 414 URI Too Long\r\n");
    site_free(site);
}

static void answers_errors(void **state)
{
    struct site *site = answering_site();

    (void)state;
    get(site, "/nothing", "");
    says("HTTP/1.1 404 Not Found\r\n");
    says("<h1>Not Found</h1>");
    assert_false(response.close);
    get(site, "/.jitsu/index", "");
    says("HTTP/1.1 404 Not Found\r\n");
    get(site, "/../x", "");
    says("HTTP/1.1 400 Bad Request\r\n");
    says("Connection: close\r\n");
    assert_true(response.close);
    ask(site, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    says("HTTP/1.1 405 Method Not Allowed\r\n");
    says("Allow: GET, HEAD\r\n");
    assert_true(response.close);
    ask(site, "HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    says("HTTP/1.1 404 Not Found\r\n");
    says_not("<h1>");
    site_free(site);
}

static void shows_the_sites_own_404(void **state)
{
    (void)state;
    add_cpio("404.html", "lost, and far from home");
    add_cpio("404.html.gz", "zipped");
    end_cpio();
    struct site *site = must_open();
    get(site, "/nothing", "Range: bytes=0-1\r\nIf-None-Match: *\r\n");
    says("HTTP/1.1 404 Not Found\r\n");
    says("Content-Length: 23\r\n");
    says("Vary: Accept-Encoding\r\n");
    says_not("ETag");
    says_not("Last-Modified");
    says_not("Accept-Ranges");
    sends("lost, and far from home");
    get(site, "/nothing/", "Accept-Encoding: gzip\r\n");
    says("HTTP/1.1 404 Not Found\r\n");
    says("Content-Encoding: gzip\r\n");
    says("Content-Type: text/html; charset=utf-8\r\n");
    sends("zipped");
    site_free(site);
}

static void answers_ranges(void **state)
{
    struct site *site = answering_site();

    (void)state;
    get(site, "/", "Range: bytes=2-4\r\n");
    says("HTTP/1.1 206 Partial Content\r\n");
    says("Content-Range: bytes 2-4/10\r\n");
    says("Content-Length: 3\r\n");
    sends("234");
    get(site, "/", "Range: bytes=8-\r\n");
    says("Content-Range: bytes 8-9/10\r\n");
    sends("89");
    get(site, "/", "Range: bytes=5-99\r\n");
    says("Content-Range: bytes 5-9/10\r\n");
    sends("56789");
    get(site, "/", "Range: bytes=-3\r\n");
    says("Content-Range: bytes 7-9/10\r\n");
    sends("789");
    get(site, "/", "Range: bytes=-99\r\n");
    says("Content-Range: bytes 0-9/10\r\n");
    get(site, "/", "Range: bytes=10-\r\n");
    says("HTTP/1.1 416 Range Not Satisfiable\r\n");
    says("Content-Range: bytes */10\r\n");
    get(site, "/", "Range: bytes=-0\r\n");
    says("HTTP/1.1 416");
    get(site, "/", "Range: bytes=0-1,3-4\r\n");
    says("HTTP/1.1 200 OK\r\n");
    ask(site, "HEAD / HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\n\r\n");
    says("HTTP/1.1 200 OK\r\n");
    site_free(site);
}

static void answers_ranges_only_of_what_the_client_has(void **state)
{
    struct site *site = answering_site();

    (void)state;
    get(site, "/", "Range: bytes=2-4\r\nIf-Range: " DATE "\r\n");
    says("HTTP/1.1 206");
    get(site, "/", "Range: bytes=2-4\r\nIf-Range: Sun, 06 Nov 1994 08:49:36 GMT\r\n");
    says("HTTP/1.1 200");
    get(site, "/", "Range: bytes=2-4\r\nIf-Range: \"tag\"\r\n");
    says("HTTP/1.1 200");
    get(site, "/", "Range: bytes=2-4\r\nIf-Range: \"a-2ebc98a1\"\r\n");
    says("HTTP/1.1 206");
    says("ETag: \"a-2ebc98a1\"\r\n");
    get(site, "/", "Range: bytes=2-4\r\nIf-Range: W/\"a-2ebc98a1\"\r\n");
    says("HTTP/1.1 200");
    get(site, "/empty", "Range: bytes=0-\r\n");
    says("HTTP/1.1 416");
    says("Content-Range: bytes */0\r\n");
    site_free(site);
}

static void answers_conditions(void **state)
{
    struct site *site = answering_site();

    (void)state;
    get(site, "/", "If-Modified-Since: " DATE "\r\n");
    says("HTTP/1.1 304 Not Modified\r\n");
    says("Last-Modified: ");
    says("ETag: \"a-2ebc98a1\"\r\n");
    says_not("Content-Length");
    assert_int_equal(response.body_length, 0);
    get(site, "/", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n");
    says("HTTP/1.1 200");
    get(site, "/", "If-None-Match: \"x\"\r\nIf-Modified-Since: " DATE "\r\n");
    says("HTTP/1.1 200");
    get(site, "/", "If-None-Match: W/\"x\"\r\nIf-None-Match: W/\"a-2ebc98a1\"\r\n");
    says("HTTP/1.1 304");
    get(site, "/", "If-Match: \"a-2ebc98a1\"\r\n");
    says("HTTP/1.1 200");
    get(site, "/", "If-Match: \"x\"\r\n");
    says("HTTP/1.1 412 Precondition Failed\r\n");
    says("<h1>Precondition Failed</h1>");
    get(site, "/", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n");
    says("HTTP/1.1 412");
    /* Conditions are about what would be sent: not about errors. */
    get(site, "/nothing", "If-Match: \"x\"\r\n");
    says("HTTP/1.1 404");
    get(site, "/dir", "If-None-Match: *\r\n");
    says("HTTP/1.1 301");
    site_free(site);
}

static void does_not_know_versions_without_a_time(void **state)
{
    const struct site_file file = {
        .name = "index.html", .name_length = 10, .bytes = (const uint8_t *)"x", .size = 1};
    struct site *site = site_of_file(&file);

    (void)state;
    assert_non_null(site);
    get(site, "/", "If-Unmodified-Since: " DATE "\r\nIf-Modified-Since: " DATE "\r\n");
    says("HTTP/1.1 200");
    says_not("ETag");
    says_not("Last-Modified");
    get(site, "/", "If-None-Match: \"\"\r\n");
    says("HTTP/1.1 200");
    get(site, "/", "If-None-Match: *\r\n");
    says("HTTP/1.1 304");
    get(site, "/", "If-Match: \"\"\r\n");
    says("HTTP/1.1 412");
    get(site, "/", "Range: bytes=0-0\r\nIf-Range: \"\"\r\n");
    says("HTTP/1.1 200");
    site_free(site);
}

static void claims_nothing_to_be_from_the_future(void **state)
{
    struct site *site = answering_site();

    (void)state;
    wall_time = MODIFIED;
    get(site, "/", "");
    says("Date: " DATE "\r\n");
    says("Last-Modified: " DATE "\r\n");
    wall_time = MODIFIED - 1;
    get(site, "/", "");
    says_not("Last-Modified");
    wall_time = 0;
    site_free(site);
}

static void sends_compressed_files_to_whom_they_suit(void **state)
{
    struct site *site = answering_site();

    (void)state;
    get(site, "/z.css", "Accept-Encoding: gzip\r\n");
    says("Content-Encoding: gzip\r\n");
    says("Content-Type: text/css");
    says("Vary: Accept-Encoding\r\n");
    says("Content-Length: 3\r\n");
    says("ETag: \"3-2ebc98a1-gzip\"\r\n");
    sends("zip");
    get(site, "/z.css", "Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n");
    says("Content-Encoding: br\r\n");
    sends("br");
    get(site, "/z.css", "");
    says_not("Content-Encoding");
    says("Vary: Accept-Encoding\r\n");
    sends(CSS);
    get(site, "/z.css.gz", "Accept-Encoding: gzip\r\n");
    says_not("Content-Encoding");
    says("Content-Type: application/gzip\r\n");
    get(site, "/dir/", "Accept-Encoding: gzip, br\r\n");
    says("Content-Encoding: gzip\r\n");
    says("Content-Type: text/html; charset=utf-8\r\n");
    sends("dir zip");
    /* A compressed file that is larger serves nobody. */
    get(site, "/small", "Accept-Encoding: gzip\r\n");
    says_not("Content-Encoding");
    says_not("Vary");
    sends("small");
    /* If nothing suits, it is better to send something. */
    get(site, "/small", "Accept-Encoding: identity;q=0\r\n");
    says("HTTP/1.1 200");
    sends("small");
    site_free(site);
}

static void keeps_the_codings_of_a_file_apart(void **state)
{
    struct site *site = answering_site();

    (void)state;
    get(site, "/packed.css", "");
    says("Content-Type: text/x-css\r\n");
    says("ETag: \"0123456789abcdef\"\r\n");
    get(site, "/packed.css", "Accept-Encoding: br\r\n");
    says("Content-Type: text/x-css\r\n");
    says("ETag: \"1111111111111111-br\"\r\n");
    get(site, "/packed.css", "Accept-Encoding: gzip\r\n");
    says("ETag: \"2222222222222222-gzip\"\r\n");
    get(site, "/packed.css", "Accept-Encoding: gzip\r\nIf-None-Match: \"1111111111111111-br\"\r\n");
    says("HTTP/1.1 200");
    get(site, "/packed.css",
        "Accept-Encoding: gzip\r\nIf-None-Match: \"2222222222222222-gzip\"\r\n");
    says("HTTP/1.1 304");
    says("Vary: Accept-Encoding\r\n");
    get(site, "/packed.css",
        "Accept-Encoding: gzip\r\nRange: bytes=1-\r\nIf-Range: \"0123456789abcdef\"\r\n");
    says("HTTP/1.1 200");
    get(site, "/packed.css", "Accept-Encoding: gzip\r\nRange: bytes=1-\r\n");
    says("HTTP/1.1 206");
    says("Content-Range: bytes 1-2/3\r\n");
    says("Content-Encoding: gzip\r\n");
    sends("ip");
    site_free(site);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin_archive, free_archive)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_files),
        TEST(redirects_to_directories),
        TEST(answers_errors),
        TEST(shows_the_sites_own_404),
        TEST(answers_ranges),
        TEST(answers_ranges_only_of_what_the_client_has),
        TEST(answers_conditions),
        TEST(does_not_know_versions_without_a_time),
        TEST(claims_nothing_to_be_from_the_future),
        TEST(sends_compressed_files_to_whom_they_suit),
        TEST(keeps_the_codings_of_a_file_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
