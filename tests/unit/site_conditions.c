/* What requests ask of a file: ranges, codings, and only what has changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "site/coding.h"
#include "site/conditions.h"

#define MODIFIED      784111777
#define MODIFIED_TEXT "Sun, 06 Nov 1994 08:49:37 GMT"

static struct http_request with(enum http_field field, const char *value)
{
    struct http_request request = {.method = HTTP_GET};

    request.fields[field] = (struct http_text){value, strlen(value)};
    return request;
}

static const struct validators file = {"\"tag\"", MODIFIED};
static const struct validators unknown = {"", 0};

static bool range_of(const char *value, struct byte_range *range)
{
    struct http_request request = with(HTTP_RANGE, value);

    return condition_range(&request, &file, range);
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
    assert_false(condition_range(&none, &file, &range));
}

static int check(enum http_field field, const char *value, const struct validators *validators)
{
    struct http_request request = with(field, value);

    return condition_check(&request, validators);
}

static void knows_what_the_client_has_by_its_date(void **state)
{
    const struct validators older = {"", MODIFIED - 1}, newer = {"", MODIFIED + 1};

    (void)state;
    assert_int_equal(check(HTTP_IF_MODIFIED_SINCE, MODIFIED_TEXT, &file), 304);
    assert_int_equal(check(HTTP_IF_MODIFIED_SINCE, MODIFIED_TEXT, &older), 304);
    assert_int_equal(check(HTTP_IF_MODIFIED_SINCE, MODIFIED_TEXT, &newer), 0);
    assert_int_equal(check(HTTP_IF_MODIFIED_SINCE, MODIFIED_TEXT, &unknown), 0);
    assert_int_equal(check(HTTP_IF_MODIFIED_SINCE, "yesterday", &file), 0);
    assert_int_equal(check(HTTP_IF_UNMODIFIED_SINCE, MODIFIED_TEXT, &file), 0);
    assert_int_equal(check(HTTP_IF_UNMODIFIED_SINCE, MODIFIED_TEXT, &older), 0);
    assert_int_equal(check(HTTP_IF_UNMODIFIED_SINCE, MODIFIED_TEXT, &newer), 412);
    assert_int_equal(check(HTTP_IF_UNMODIFIED_SINCE, MODIFIED_TEXT, &unknown), 0);
    assert_int_equal(check(HTTP_IF_UNMODIFIED_SINCE, "yesterday", &newer), 0);
}

static void knows_what_the_client_has_by_its_tag(void **state)
{
    static const struct {
        const char *list;
        int none_match, match;
    } cases[] = {
        {"\"tag\"", 304, 0},
        {"W/\"tag\"", 304, 412},
        {"*", 304, 0},
        {"\"a\", \"tag\"", 304, 0},
        {"\"a,\",W/\"b\" ,\t\"tag\"", 304, 0},
        {",,\"tag\",", 304, 0},
        {"\"TAG\"", 0, 412},
        {"\"a\"", 0, 412},
        {"tag", 0, 412},
        {"\"tag", 0, 412},
        {"\"a\", *", 0, 412},
        {"w/\"tag\"", 0, 412},
        {"W/", 0, 412},
        {"", 0, 412},
        {"\"", 0, 412},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(check(HTTP_IF_NONE_MATCH, cases[i].list, &file), cases[i].none_match);
        assert_int_equal(check(HTTP_IF_MATCH, cases[i].list, &file), cases[i].match);
    }
    assert_int_equal(check(HTTP_IF_NONE_MATCH, "*", &unknown), 304);
    assert_int_equal(check(HTTP_IF_NONE_MATCH, "\"\"", &unknown), 0);
    assert_int_equal(check(HTTP_IF_MATCH, "*", &unknown), 0);
    assert_int_equal(check(HTTP_IF_MATCH, "\"\"", &unknown), 412);
}

/* RFC 9110, section 13.2.2: tags before dates, and what must be before what need not be. */
static void heeds_conditions_in_their_order(void **state)
{
    static const char *const tags[] = {NULL, "\"tag\"", "\"other\""};
    static const char *const dates[] = {NULL, MODIFIED_TEXT, "Sun, 06 Nov 1994 08:49:36 GMT"};

    (void)state;
    for (int i = 0; i < 81; i++) {
        const char *match = tags[i % 3], *none_match = tags[i / 3 % 3];
        const char *unmodified = dates[i / 9 % 3], *modified = dates[i / 27];
        const enum http_field fields[] = {HTTP_IF_MATCH, HTTP_IF_NONE_MATCH,
                                          HTTP_IF_UNMODIFIED_SINCE, HTTP_IF_MODIFIED_SINCE};
        const char *values[] = {match, none_match, unmodified, modified};
        struct http_request request = {.method = HTTP_GET};
        for (unsigned j = 0; j < 4; j++)
            if (values[j])
                request.fields[fields[j]] = (struct http_text){values[j], strlen(values[j])};
        bool fails = match ? match == tags[2] : unmodified == dates[2];
        bool is_known = none_match ? none_match == tags[1] : modified == dates[1];
        assert_int_equal(condition_check(&request, &file), fails ? 412 : is_known ? 304 : 0);
    }
}

static bool range_if(const char *value, const struct validators *validators)
{
    struct http_request request = with(HTTP_RANGE, "bytes=0-1");
    struct byte_range range;

    request.fields[HTTP_IF_RANGE] = (struct http_text){value, strlen(value)};
    return condition_range(&request, validators, &range);
}

static void gives_ranges_of_one_version(void **state)
{
    const struct validators newer = {"\"new\"", MODIFIED + 1};

    (void)state;
    assert_true(range_if(MODIFIED_TEXT, &file));
    assert_false(range_if(MODIFIED_TEXT, &newer));
    assert_false(range_if(MODIFIED_TEXT, &unknown));
    assert_true(range_if("\"tag\"", &file));
    assert_false(range_if("W/\"tag\"", &file));
    assert_false(range_if("\"tag\", \"tag\"", &file));
    assert_false(range_if("\"tag\"", &newer));
    assert_false(range_if("", &file));
    assert_false(range_if("", &unknown));
    assert_false(range_if("\"\"", &unknown));
}

#define BR   (1u << CODING_BROTLI)
#define GZIP (1u << CODING_GZIP)

static enum coding choose(const char *value, unsigned available)
{
    struct http_request request = with(HTTP_ACCEPT_ENCODING, value);

    return coding_choose(&request, available);
}

static void chooses_the_coding_that_is_liked_best(void **state)
{
    static const struct {
        const char *value;
        enum coding both, gzip;
    } cases[] = {
        {"gzip, deflate, br", CODING_BROTLI, CODING_GZIP},
        {"br;q=0.5, GZIP;q=0.8", CODING_GZIP, CODING_GZIP},
        {"br;q=0.8,gzip ; Q=0.8", CODING_BROTLI, CODING_GZIP},
        {"x-gzip", CODING_GZIP, CODING_GZIP},
        {"gzip;q=0", CODING_NONE, CODING_NONE},
        {"gzip;q=0.000, br;q=0.001", CODING_BROTLI, CODING_NONE},
        {"xgzip, br2", CODING_NONE, CODING_NONE},
        {"", CODING_NONE, CODING_NONE},
        {"identity", CODING_NONE, CODING_NONE},
        {"identity, gzip", CODING_GZIP, CODING_GZIP},
        {"identity, gzip;q=0.9", CODING_NONE, CODING_NONE},
        {"identity;q=0.5, gzip;q=0.9, br;q=0.1", CODING_GZIP, CODING_GZIP},
        {"*", CODING_BROTLI, CODING_GZIP},
        {"*, br;q=0", CODING_GZIP, CODING_GZIP},
        {"*;q=0", CODING_NONE, CODING_NONE},
        {"*;q=0, gzip;q=0.1", CODING_GZIP, CODING_GZIP},
        {"*;q=0.1, gzip;q=0.2", CODING_GZIP, CODING_GZIP},
        {"identity;q=0, *;q=0.1", CODING_BROTLI, CODING_GZIP},
        {"identity;q=0", CODING_NONE, CODING_NONE},
        {"gzip;level=1;q=0.3", CODING_GZIP, CODING_GZIP},
        {"gzip;q=1.001", CODING_NONE, CODING_NONE},
        {"gzip;q=", CODING_NONE, CODING_NONE},
        {"gzip;q=0.0001", CODING_NONE, CODING_NONE},
        {"gzip;q=2", CODING_NONE, CODING_NONE},
        {",, ;,gzip;;", CODING_GZIP, CODING_GZIP},
    };
    struct http_request request = {.method = HTTP_GET};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (choose(cases[i].value, BR | GZIP) != cases[i].both ||
            choose(cases[i].value, GZIP) != cases[i].gzip)
            fail_msg("Accept-Encoding: %s", cases[i].value);
        assert_int_equal(choose(cases[i].value, 0), CODING_NONE);
    }
    assert_int_equal(coding_choose(&request, BR | GZIP), CODING_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_ranges),
        cmocka_unit_test(ignores_other_ranges),
        cmocka_unit_test(knows_what_the_client_has_by_its_date),
        cmocka_unit_test(knows_what_the_client_has_by_its_tag),
        cmocka_unit_test(heeds_conditions_in_their_order),
        cmocka_unit_test(gives_ranges_of_one_version),
        cmocka_unit_test(chooses_the_coding_that_is_liked_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
