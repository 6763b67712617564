/* Archives as sites are read from them, and what is answered from such a site. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/request.h"
#include "http/response.h"
#include "site/answer.h"
#include "site/archive.h"
#include "site/site.h"

#define MODIFIED       784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define FILE_MODE      0100644u
#define DIRECTORY_MODE 0040755u

/* An archive in the making. */
static uint8_t bytes[64 * 1024];
static size_t length;

static int begin(void **state)
{
    (void)state;
    memset(bytes, 0, sizeof bytes);
    length = 0;
    return 0;
}

static void add_cpio_full(const char *name, const char *contents, unsigned mode, unsigned inode,
                          unsigned links)
{
    length += (size_t)sprintf((char *)bytes + length,
                              "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X%s",
                              inode, mode, 0, 0, links, MODIFIED, strlen(contents), 0, 0, 0, 0,
                              strlen(name) + 1, 0, name) +
              1;
    length = (length + 3) & ~(size_t)3;
    memcpy(bytes + length, contents, strlen(contents));
    length = (length + strlen(contents) + 3) & ~(size_t)3;
}

static void add_cpio(const char *name, const char *contents)
{
    add_cpio_full(name, contents, FILE_MODE, 0, 1);
}

static void end_cpio(void)
{
    add_cpio_full("TRAILER!!!", "", 0, 0, 1);
}

static void add_tar_full(const char *prefix, const char *name, const char *contents, char type,
                         const char *target)
{
    char *header = (char *)bytes + length;

    strncpy(header, name, 100);
    sprintf(header + 124, "%011zo", strlen(contents));
    sprintf(header + 136, "%011o", MODIFIED);
    header[156] = type;
    strncpy(header + 157, target, 100);
    memcpy(header + 257,
           "ustar\0"
           "00",
           8);
    strncpy(header + 345, prefix, 155);
    memcpy(bytes + length + 512, contents, strlen(contents));
    length += 512 + ((strlen(contents) + 511) & ~(size_t)511);
}

static void add_tar(const char *name, const char *contents)
{
    add_tar_full("", name, contents, '0', "");
}

static void end_tar(void)
{
    length += 1024;
}

/* Opens a copy that ends where the archive does, so that a read past it is noticed. */
static uint8_t *opened;
static struct site *open_site(size_t size, const char **problem, size_t *position)
{
    free(opened);
    opened = malloc(size ? size : 1);
    assert_non_null(opened);
    memcpy(opened, bytes, size);
    return site_open(opened, size, problem, position);
}

static struct site *must_open(void)
{
    const char *problem = "";
    size_t position;
    struct site *site = open_site(length, &problem, &position);

    if (!site)
        fail_msg("%s at %zu", problem, position);
    return site;
}

static void has(const struct site *site, const char *path, const char *contents)
{
    const struct site_file *file = site_find(site, path, strlen(path), "");

    if (!file)
        fail_msg("%s is not there", path);
    assert_int_equal(file->size, strlen(contents));
    assert_memory_equal(file->bytes, contents, file->size);
}

static void has_not(const struct site *site, const char *path)
{
    assert_null(site_find(site, path, strlen(path), ""));
}

static void reads_cpio(void **state)
{
    (void)state;
    add_cpio_full(".", "", DIRECTORY_MODE, 0, 2);
    add_cpio("./index.html", "hello");
    add_cpio("/a/b", "x");
    add_cpio("empty", "");
    add_cpio_full("link", "index.html", 0120777, 0, 1);
    end_cpio();
    struct site *site = must_open();
    assert_int_equal(site_file_count(site), 3);
    has(site, "/index.html", "hello");
    has(site, "/a/b", "x");
    has(site, "/empty", "");
    has_not(site, "/link");
    has_not(site, "/a");
    has_not(site, "/TRAILER!!!");
    assert_int_equal(site_find(site, "/a/b", 4, "")->modified, MODIFIED);
    site_free(site);
}

static void gives_every_name_of_a_cpio_file_its_contents(void **state)
{
    (void)state;
    add_cpio_full("one", "", FILE_MODE, 7, 3);
    add_cpio_full("other", "", FILE_MODE, 8, 2);
    add_cpio_full("two", "", FILE_MODE, 7, 3);
    add_cpio_full("three", "contents", FILE_MODE, 7, 3);
    end_cpio();
    struct site *site = must_open();
    has(site, "/one", "contents");
    has(site, "/two", "contents");
    has(site, "/three", "contents");
    has(site, "/other", "");
    site_free(site);
}

static void reads_tar(void **state)
{
    (void)state;
    add_tar_full("", "./", "", '5', "");
    add_tar("./index.html", "hello");
    add_tar_full("deep/down", "file", "x", '0', "");
    add_tar_full("", "hard", "", '1', "./index.html");
    add_tar_full("", "soft", "", '2', "index.html");
    add_tar_full("", "dangling", "", '1', "nowhere");
    end_tar();
    struct site *site = must_open();
    assert_int_equal(site_file_count(site), 3);
    has(site, "/index.html", "hello");
    has(site, "/deep/down/file", "x");
    has(site, "/hard", "hello");
    has_not(site, "/soft");
    has_not(site, "/dangling");
    site_free(site);
}

static void reads_long_names_of_tar(void **state)
{
    (void)state;
    add_tar_full("", "././@LongLink", "long/gnu", 'L', "");
    add_tar("long/g", "gnu");
    add_tar_full("", "PaxHeaders/x", "18 path=long/pax1\n20 mtime=1234567.8\n", 'x', "");
    add_tar_full("prefix", "long/p", "pax", '0', "");
    add_tar("short", "s");
    end_tar();
    struct site *site = must_open();
    has(site, "/long/gnu", "gnu");
    has(site, "/long/pax1", "pax");
    has(site, "/short", "s");
    has_not(site, "/long/g");
    assert_int_equal(site_file_count(site), 3);
    site_free(site);
}

static void takes_the_last_of_a_name(void **state)
{
    (void)state;
    add_tar("a", "old");
    add_tar("./a", "new");
    end_tar();
    struct site *site = must_open();
    assert_int_equal(site_file_count(site), 1);
    has(site, "/a", "new");
    site_free(site);
}

static void finds_each_of_many(void **state)
{
    char name[20];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "f%d.html", i);
        add_cpio(name, name);
    }
    end_cpio();
    struct site *site = must_open();
    assert_int_equal(site_file_count(site), 300);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "/f%d.html", i);
        has(site, name, name + 1);
    }
    has_not(site, "/f300.html");
    site_free(site);
}

static void refuses_what_is_no_archive(void **state)
{
    const char *problem;
    size_t position;

    (void)state;
    memcpy(bytes, "\x1f\x8b\x08", 3);
    assert_null(open_site(1024, &problem, &position));
    assert_string_equal(problem, "neither a cpio archive (newc) nor a tar archive");
    assert_null(open_site(0, &problem, &position));
}

/* Wherever it is cut, an archive is refused or (tar without its end) read as far as it goes. */
static void survives_every_cut(void **state)
{
    const char *problem;
    size_t position;

    (void)state;
    add_cpio("index.html", "hello");
    size_t second = length;
    add_cpio("b", "world");
    end_cpio();
    size_t trailer_end = length - 3;
    for (size_t cut = 0; cut < trailer_end; cut++) {
        struct site *site = open_site(cut, &problem, &position);
        assert_null(site);
        if (cut > second)
            assert_true(position >= second);
    }

    begin(NULL);
    add_tar_full("", "././@LongLink", "long/gnu", 'L', "");
    add_tar("long/g", "gnu");
    end_tar();
    for (size_t cut = 0; cut < length; cut++)
        site_free(open_site(cut, &problem, &position));
}

static void refuses_broken_fields(void **state)
{
    const char *problem;
    size_t position;

    (void)state;
    add_cpio("a", "x");
    add_cpio("b", "y");
    end_cpio();
    memset(bytes + 6 + 11 * 8, 'F', 8); /* the name's size */
    assert_null(open_site(length, &problem, &position));
    memset(bytes + 6 + 11 * 8, '0', 8);
    assert_null(open_site(length, &problem, &position));

    begin(NULL);
    add_tar("a", "x");
    end_tar();
    memset(bytes + 124, '7', 12);
    assert_null(open_site(length, &problem, &position));
    assert_string_equal(problem, "the archive is broken or cut off");
    memset(bytes + 124, 0xff, 12);
    assert_null(open_site(length, &problem, &position));
}

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

static struct site *answering_site(void)
{
    begin(NULL);
    add_cpio("index.html", "0123456789");
    add_cpio("dir/index.html", "dir");
    add_cpio("a b/index.html", "space");
    add_cpio("z.css", "plain");
    add_cpio("z.css.gz", "zip");
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
    says("Accept-Ranges: bytes\r\n");
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

    (void)state;
    get(site, "/dir", "");
    says("HTTP/1.1 301 Moved Permanently\r\n");
    says("Location: /dir/\r\n");
    get(site, "/a%20b?q=1", "");
    says("Location: /a%20b/?q=1\r\n");
    get(site, "/dir/", "");
    sends("dir");
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
    add_cpio("404.html", "lost");
    end_cpio();
    struct site *site = must_open();
    get(site, "/nothing", "Range: bytes=0-1\r\n");
    says("HTTP/1.1 404 Not Found\r\n");
    says("Content-Length: 4\r\n");
    sends("lost");
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
    get(site, "/", "Range: bytes=2-4\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    says("HTTP/1.1 206");
    get(site, "/", "Range: bytes=2-4\r\nIf-Range: Sun, 06 Nov 1994 08:49:36 GMT\r\n");
    says("HTTP/1.1 200");
    get(site, "/", "Range: bytes=2-4\r\nIf-Range: \"tag\"\r\n");
    says("HTTP/1.1 200");
    site_free(site);
}

static void answers_conditions(void **state)
{
    struct site *site = answering_site();

    (void)state;
    get(site, "/", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    says("HTTP/1.1 304 Not Modified\r\n");
    says("Last-Modified: ");
    says_not("Content-Length");
    assert_int_equal(response.body_length, 0);
    get(site, "/", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n");
    says("HTTP/1.1 200");
    get(site, "/", "If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    says("HTTP/1.1 200");
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
    sends("zip");
    get(site, "/z.css", "");
    says_not("Content-Encoding");
    says("Vary: Accept-Encoding\r\n");
    sends("plain");
    get(site, "/z.css.gz", "Accept-Encoding: gzip\r\n");
    says_not("Content-Encoding");
    says("Content-Type: application/gzip\r\n");
    site_free(site);
}

static int free_opened(void **state)
{
    (void)state;
    free(opened);
    opened = NULL;
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, free_opened)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_cpio),
        TEST(gives_every_name_of_a_cpio_file_its_contents),
        TEST(reads_tar),
        TEST(reads_long_names_of_tar),
        TEST(takes_the_last_of_a_name),
        TEST(finds_each_of_many),
        TEST(refuses_what_is_no_archive),
        TEST(survives_every_cut),
        TEST(refuses_broken_fields),
        TEST(answers_files),
        TEST(redirects_to_directories),
        TEST(answers_errors),
        TEST(shows_the_sites_own_404),
        TEST(answers_ranges),
        TEST(answers_ranges_only_of_what_the_client_has),
        TEST(answers_conditions),
        TEST(sends_compressed_files_to_whom_they_suit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
