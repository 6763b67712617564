/* stats: times with sensible digits, texts that mean themselves in HTML and JSON, and no more than
 * there is room for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "stats/text.h"

static char bytes[256];

static struct text empty(void)
{
    return (struct text){.at = bytes, .size = sizeof bytes};
}

static void tells_times_with_three_digits_that_matter(void **state)
{
    const struct {
        uint64_t nanoseconds;
        const char *shown;
    } times[] = {
        {0, "0.000"},           {499, "0.000"},     {500, "0.001"},     {42000, "0.042"},
        {999499, "0.999"},      {999500, "1.00"},   {2341000, "2.34"},  {9999000, "9.99"},
        {10000000, "10.0"},     {99949000, "99.9"}, {100000000, "100"}, {593100000, "593"},
        {12345678901, "12345"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct text text = empty();
        text_add_brief_milliseconds(&text, times[i].nanoseconds);
        assert_string_equal(bytes, times[i].shown);
    }
}

static void tells_times_before_zero(void **state)
{
    const struct {
        int64_t nanoseconds;
        const char *shown;
    } times[] = {
        {0, "0.000"}, {1234567, "1.234"}, {-1234567, "-1.234"}, {-5000, "-0.005"}, {-999, "0.000"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct text text = empty();
        text_add_milliseconds(&text, times[i].nanoseconds);
        assert_string_equal(bytes, times[i].shown);
    }
}

static void adds_what_means_itself(void **state)
{
    static const char hostile[] = "a<b>&\"'\\\n\x7f\xe4";
    struct text text = empty();

    (void)state;
    text_add_html(&text, hostile, strlen(hostile));
    assert_string_equal(bytes, "a&#60;b&#62;&#38;&#34;&#39;\\???");
    text = empty();
    text_add_json(&text, hostile, strlen(hostile));
    assert_string_equal(bytes, "a<b>&\\\"'\\\\???");
    assert_false(text.overrun);
}

static void notices_that_there_is_no_room(void **state)
{
    struct text text = {.at = bytes, .size = 8};

    (void)state;
    text_add(&text, "1234567");
    assert_false(text.overrun);
    assert_int_equal(text.length, 7);
    text_add(&text, "8");
    assert_true(text.overrun);
    assert_int_equal(text.length, 7);
    text_add(&text, "%s", "a long text");
    assert_string_equal(bytes, "1234567");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_times_with_three_digits_that_matter),
        cmocka_unit_test(tells_times_before_zero),
        cmocka_unit_test(adds_what_means_itself),
        cmocka_unit_test(notices_that_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
