/* What requests ask of a file: ranges, codings, and only what has changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "site/conditions.h"

#define MODIFIED      784111777
#define MODIFIED_TEXT "Sun, 06 Nov 1994 08:49:37 GMT"

static struct http_request with(enum http_field field, const char *value)
{
    struct http_request request = {.method = HTTP_GET};

    request.fields[field] = (struct http_text){value, strlen(value)};
    return request;
}

static bool range_of(const char *value, struct byte_range *range)
{
    struct http_request request = with(HTTP_RANGE, value);

    return condition_range(&request, range);
}

static void understands_ranges(void **state)
{
    struct byte_range range;

    (void)state;
    assert_true(range_of("bytes=10-19", &range));
    assert_int_equal(range.first, 10);
    assert_int_equal(range.last, 19);
    assert_true(range_of("Bytes = 7-", &range));
    assert_int_equal(range.first, 7);
    assert_true(range.last == NO_OFFSET);
    assert_true(range_of("bytes=-5", &range));
    assert_true(range.first == NO_OFFSET);
    assert_int_equal(range.last, 5);
}

static void ignores_other_ranges(void **state)
{
    static const char *const values[] = {
        "bytes=0-1,3-4", "lines=0-1", "bytes=5-4",   "bytes=-",
        "bytes",         "bytes=a-b", "bytes=1-2-3", "bytes=99999999999999999999-",
    };
    struct http_request none = {.method = HTTP_GET};
    struct byte_range range;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_false(range_of(values[i], &range));
    assert_false(condition_range(&none, &range));
}

static void understands_dates(void **state)
{
    struct http_request request = with(HTTP_IF_MODIFIED_SINCE, MODIFIED_TEXT);

    (void)state;
    assert_true(condition_not_modified(&request, MODIFIED));
    assert_true(condition_not_modified(&request, MODIFIED - 1));
    assert_false(condition_not_modified(&request, MODIFIED + 1));
    assert_false(condition_not_modified(&request, 0));
    request = with(HTTP_IF_MODIFIED_SINCE, "yesterday");
    assert_false(condition_not_modified(&request, MODIFIED));
    request = with(HTTP_IF_RANGE, MODIFIED_TEXT);
    assert_false(condition_range_is_stale(&request, MODIFIED));
    assert_true(condition_range_is_stale(&request, MODIFIED + 1));
    assert_true(condition_range_is_stale(&request, 0));
    request = with(HTTP_IF_RANGE, "\"tag\"");
    assert_true(condition_range_is_stale(&request, MODIFIED));
    request = with(HTTP_RANGE, "");
    assert_false(condition_range_is_stale(&request, MODIFIED));
}

static void understands_codings(void **state)
{
    static const struct {
        const char *value;
        bool accepted;
    } cases[] = {
        {"gzip", true},          {"br, GZIP;q=0.5", true},
        {"deflate,gzip", true},  {"gzip;q=0", false},
        {"gzip;q=0.000", false}, {"xgzip", false},
        {"identity", false},     {"", false},
        {"gzip ; q=1", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_request request = with(HTTP_ACCEPT_ENCODING, cases[i].value);
        assert_int_equal(condition_accepts_gzip(&request), cases[i].accepted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_ranges),
        cmocka_unit_test(ignores_other_ranges),
        cmocka_unit_test(understands_dates),
        cmocka_unit_test(understands_codings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
