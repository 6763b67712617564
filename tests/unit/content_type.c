/* The types of files by their suffixes and contents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "admin/client/content_type.h"
#include "common/media_type.h"

#define UTF8        "; charset=utf-8"
#define SIZED(text) text, sizeof text - 1

static void assert_type(const char *name, const char *bytes, size_t length, const char *expected)
{
    char type[CONTENT_TYPE_SIZE];

    /* However the contents are cut into pieces. */
    for (size_t piece = 1; piece <= length + 1; piece += piece < 4 ? 1 : length) {
        struct content content = {0};
        for (size_t at = 0; at < length; at += piece)
            content_add(&content, (const uint8_t *)bytes + at,
                        length - at < piece ? length - at : piece);
        content_type(&content, name, type);
        if (strcmp(type, expected) != 0)
            fail_msg("%s \"%.*s\" is %s, not %s", name, (int)length, bytes, type, expected);
    }
}

static void the_suffix_decides(void **state)
{
    (void)state;
    assert_type("a/index.html", SIZED("\x89PNG\r\n\x1a\n"), "text/html");
    assert_type("style.CSS", SIZED("<html>"), "text/css" UTF8);
    assert_type("a.svg", SIZED("text"), "image/svg+xml");
    assert_type("a.tar.gz", SIZED("text"), "application/gzip");
}

static void text_is_said_to_be_utf8_only_if_it_is(void **state)
{
    (void)state;
    assert_type("a.html", SIZED("<p>\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80</p>"), "text/html" UTF8);
    assert_type("a.html", SIZED("<p>\xe9</p>"), "text/html");
    assert_type("a.txt", SIZED(""), "text/plain" UTF8);
    assert_type("a.js", SIZED("'cut \xe2\x82"), "text/javascript");
    assert_type("a.js", SIZED("'overlong \xc0\xaf'"), "text/javascript");
    assert_type("a.js", SIZED("'overlong \xe0\x80\xaf'"), "text/javascript");
    assert_type("a.js", SIZED("'overlong \xf0\x80\x80\xaf'"), "text/javascript");
    assert_type("a.js", SIZED("'surrogate \xed\xa0\x80'"), "text/javascript");
    assert_type("a.js", SIZED("'too large \xf4\x90\x80\x80'"), "text/javascript");
    assert_type("a.js", SIZED("'continuation \x80'"), "text/javascript");
    assert_type("a.js", SIZED("'highest \xf4\x8f\xbf\xbf \xed\x9f\xbf \xc2\x80'"),
                "text/javascript" UTF8);
}

static void contents_decide_where_the_suffix_says_nothing(void **state)
{
    (void)state;
    assert_type("LICENSE", SIZED("You may\n\tdo this.\r\n\x1b[0m"), "text/plain" UTF8);
    assert_type("notes.old", SIZED("caf\xe9"), "text/plain");
    assert_type("empty", SIZED(""), "text/plain" UTF8);
    assert_type("core", SIZED("text\0text"), MEDIA_TYPE_UNKNOWN);
    assert_type("core",
                SIZED("\x7f"
                      "ELF\2\1\1"),
                MEDIA_TYPE_UNKNOWN);
    assert_type("about", SIZED("<!DOCTYPE html>\n<p>"), "text/html" UTF8);
    assert_type("about", SIZED("\xef\xbb\xbf \n<!-- a <svg> --><HTML lang=en>"), "text/html" UTF8);
    assert_type("about", SIZED("<p>\xe9</p>"), "text/html");
    assert_type("about", SIZED("<people>"), "text/plain" UTF8);
    assert_type("about", SIZED("<p"), "text/plain" UTF8);
    assert_type("about", SIZED("<!-- never ends"), "text/plain" UTF8);
    assert_type("logo", SIZED("<svg xmlns='http://www.w3.org/2000/svg'/>"), "image/svg+xml");
    assert_type("logo", SIZED("<?xml version='1.0'?>\n<!-- a --><!DOCTYPE svg PUBLIC ''>\n<svg>"),
                "image/svg+xml");
    assert_type("data", SIZED("<?xml version='1.0'?><data/>"), "application/xml");
    assert_type("data", SIZED("<?xml version='1.0'?><html xmlns=''>"), "application/xhtml+xml");
    assert_type("feed", SIZED("<?xml version='1.0'?><rss version='2.0'>"), "application/rss+xml");
    assert_type("feed", SIZED("<?xml version='1.0'?>\n<feed xmlns=''>"), "application/atom+xml");
}

static void formats_are_known_by_their_signatures(void **state)
{
    char tar[512] = "name";

    (void)state;
    memcpy(tar + 257, "ustar", 5);
    assert_type("a", SIZED("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "image/png");
    assert_type("a", SIZED("\xff\xd8\xff\xe0"), "image/jpeg");
    assert_type("a", SIZED("GIF89a"), "image/gif");
    assert_type("a", SIZED("RIFF\x24\0\0\0WEBPVP8 "), "image/webp");
    assert_type("a", SIZED("RIFF\x24\0\0\0WAVEfmt "), "audio/wav");
    assert_type("a",
                SIZED("\0\0\0\x1c"
                      "ftypavif"),
                "image/avif");
    assert_type("a",
                SIZED("\0\0\0\x1c"
                      "ftypisom"),
                "video/mp4");
    assert_type("a", SIZED("%PDF-1.7\n%\xe2\xe3"), "application/pdf");
    assert_type("a", SIZED("PK\3\4"), "application/zip");
    assert_type("a", SIZED("\x1f\x8b\x08"), "application/gzip");
    assert_type("a", SIZED("wOF2\0"), "font/woff2");
    assert_type("a", SIZED("\0asm\1\0\0\0"), "application/wasm");
    assert_type("a", tar, sizeof tar, "application/x-tar");
    assert_type("a", SIZED("\x89PN"), "text/plain");
}

static void what_gains_from_compression_is_known(void **state)
{
    static const struct {
        const char *type;
        enum compress_kind kind;
    } compressed[] = {
        {"text/html; charset=utf-8", COMPRESS_TEXT},
        {"text/plain", COMPRESS_TEXT},
        {"image/svg+xml", COMPRESS_TEXT},
        {"application/manifest+json", COMPRESS_TEXT},
        {"application/json", COMPRESS_TEXT},
        {"application/xml", COMPRESS_TEXT},
        {"font/ttf", COMPRESS_FONT},
        {"application/wasm", COMPRESS_BYTES},
    };
    static const char *const others[] = {"image/png",  "application/gzip", "font/woff2",
                                         "video/mp4",  MEDIA_TYPE_UNKNOWN, "application/pdf",
                                         "audio/mpeg", "image/jpeg"};
    enum compress_kind kind;

    (void)state;
    for (size_t i = 0; i < sizeof compressed / sizeof compressed[0]; i++) {
        assert_true(content_type_compresses(compressed[i].type, &kind));
        assert_int_equal(kind, compressed[i].kind);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(content_type_compresses(others[i], &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suffix_decides),
        cmocka_unit_test(text_is_said_to_be_utf8_only_if_it_is),
        cmocka_unit_test(contents_decide_where_the_suffix_says_nothing),
        cmocka_unit_test(formats_are_known_by_their_signatures),
        cmocka_unit_test(what_gains_from_compression_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
