/* The unikernels' own memory, string and format functions, against the host's. They are renamed for
 * this test (unikernel_libc.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

void *image_memcpy(void *restrict to, const void *restrict from, size_t count);
void *image_memmove(void *to, const void *from, size_t count);
void *image_memset(void *to, int value, size_t count);
int image_memcmp(const void *a, const void *b, size_t count);
void *image_memchr(const void *bytes, int value, size_t count);
size_t image_strlen(const char *text);
size_t image_strnlen(const char *text, size_t limit);
int image_strcmp(const char *a, const char *b);
int image_strncmp(const char *a, const char *b, size_t count);
char *image_strchr(const char *text, int character);
char *image_strrchr(const char *text, int character);
int image_strcasecmp(const char *a, const char *b);
int image_strncasecmp(const char *a, const char *b, size_t count);
int image_snprintf(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int image_atoi(const char *text);
char *image_strstr(const char *text, const char *wanted);
struct tm *image_gmtime_r(const time_t *seconds, struct tm *fields); /* writes what both have */

#define SIZE 300

static void fill(uint8_t *bytes)
{
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
}

static void copies_every_length(void **state)
{
    uint8_t from[SIZE], got[SIZE], wanted[SIZE];

    (void)state;
    fill(from);
    for (size_t length = 0; length < SIZE - 20; length++) {
        for (size_t shift = 0; shift < 17; shift += 8) {
            memset(got, 0, sizeof got);
            memset(wanted, 0, sizeof wanted);
            assert_ptr_equal(image_memcpy(got + shift, from + 1, length), got + shift);
            memcpy(wanted + shift, from + 1, length);
            assert_memory_equal(got, wanted, SIZE);
        }
    }
}

static void moves_over_every_overlap(void **state)
{
    uint8_t got[SIZE], wanted[SIZE];

    (void)state;
    for (size_t length = 0; length < 100; length++) {
        for (size_t to = 0; to < 80; to++) {
            fill(got);
            fill(wanted);
            assert_ptr_equal(image_memmove(got + to, got + 40, length), got + to);
            memmove(wanted + to, wanted + 40, length);
            assert_memory_equal(got, wanted, SIZE);
        }
    }
}

static void sets_every_length(void **state)
{
    uint8_t got[SIZE], wanted[SIZE];

    (void)state;
    for (size_t length = 0; length < SIZE - 8; length++) {
        fill(got);
        fill(wanted);
        assert_ptr_equal(image_memset(got + 3, 0xa5, length), got + 3);
        memset(wanted + 3, 0xa5, length);
        assert_memory_equal(got, wanted, SIZE);
    }
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void compares_like_the_host(void **state)
{
    static const char *const texts[] = {"", "a", "A", "ab", "aB", "b", "\xff", "index.html"};
    const size_t count = sizeof texts / sizeof texts[0];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const char *a = texts[i];
        assert_int_equal(image_strlen(a), strlen(a));
        assert_int_equal(image_strnlen(a, 1), strnlen(a, 1));
        assert_ptr_equal(image_strchr(a, 'a'), strchr(a, 'a'));
        assert_ptr_equal(image_strchr(a, '\0'), strchr(a, '\0'));
        assert_ptr_equal(image_strrchr(a, 'l'), strrchr(a, 'l'));
        assert_ptr_equal(image_memchr(a, 'b', strlen(a)), memchr(a, 'b', strlen(a)));
        for (size_t j = 0; j < count; j++) {
            const char *b = texts[j];
            assert_int_equal(sign(image_strcmp(a, b)), sign(strcmp(a, b)));
            assert_int_equal(sign(image_strncmp(a, b, 1)), sign(strncmp(a, b, 1)));
            assert_int_equal(sign(image_strcasecmp(a, b)), sign(strcasecmp(a, b)));
            assert_int_equal(sign(image_strncasecmp(a, b, 1)), sign(strncasecmp(a, b, 1)));
            assert_int_equal(sign(image_memcmp(a, b, 1)), sign(memcmp(a, b, 1)));
        }
    }
}

#define SAME(...)                                                                                  \
    do {                                                                                           \
        char got[64], wanted[64];                                                                  \
        int got_length = image_snprintf(got, sizeof got, __VA_ARGS__);                             \
        int wanted_length = snprintf(wanted, sizeof wanted, __VA_ARGS__);                          \
        assert_string_equal(got, wanted);                                                          \
        assert_int_equal(got_length, wanted_length);                                               \
    } while (0)

static void formats_like_the_host(void **state)
{
    (void)state;
    SAME("plain %%");
    SAME("%d %d %d", 0, -1, INT32_MIN);
    SAME("%u %x %08x %4u|", 4000000000u, 0xbeefu, 0xbeefu, 7u);
    SAME("%ld %lu %lx", INT64_MIN, UINT64_MAX, UINT64_MAX);
    SAME("%lld %llu", -5LL, 5ULL);
    SAME("%zu", SIZE_MAX);
    SAME("%s|%.2s|%.*s|%5s|", "text", "text", 3, "text", "ab");
    SAME("%c%c", 'x', 'y');
    SAME("%05d|%3d", 42, -7);
}

static void cuts_what_does_not_fit(void **state)
{
    char text[6] = "xxxxx";

    (void)state;
    assert_int_equal(image_snprintf(text, sizeof text, "%s", "1234567"), 7);
    assert_string_equal(text, "12345");
    assert_int_equal(image_snprintf(text, 1, "%d", 99), 2);
    assert_string_equal(text, "");
    assert_int_equal(image_snprintf(NULL, 0, "%d", 999), 3);
}

static void reads_numbers(void **state)
{
    (void)state;
    assert_int_equal(image_atoi("64"), 64);
    assert_int_equal(image_atoi("128x"), 128);
    assert_int_equal(image_atoi(""), 0);
}

static void finds_texts_like_the_host(void **state)
{
    static const char *const texts[] = {"", "a", "aab", "abab", "-----BEGIN-----", "xaaab"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++)
            assert_ptr_equal(image_strstr(texts[i], texts[j]), strstr(texts[i], texts[j]));
}

static void expect_same_time(time_t seconds)
{
    struct tm got = {0}, wanted = {0};

    assert_ptr_equal(image_gmtime_r(&seconds, &got), &got);
    gmtime_r(&seconds, &wanted);
    assert_memory_equal(&got, &wanted, offsetof(struct tm, tm_isdst) + sizeof got.tm_isdst);
}

static void knows_the_calendar_like_the_host(void **state)
{
    const time_t day = 86400;

    (void)state;
    /* Every day of 900 years, with leap centuries and others, and what is next to midnight. */
    for (time_t at = -500 * 365 * day; at < 400 * 365 * day; at += day) {
        expect_same_time(at);
        expect_same_time(at - 1);
    }
    expect_same_time(253402300799); /* the end of 9999 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_every_length),
        cmocka_unit_test(moves_over_every_overlap),
        cmocka_unit_test(sets_every_length),
        cmocka_unit_test(compares_like_the_host),
        cmocka_unit_test(formats_like_the_host),
        cmocka_unit_test(cuts_what_does_not_fit),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(finds_texts_like_the_host),
        cmocka_unit_test(knows_the_calendar_like_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
