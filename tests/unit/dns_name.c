/* Domain names: reading them from the wire, folding, comparing, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dns/name.h"

static void test_read_takes_a_name_in_place(void **state)
{
    static const uint8_t bytes[] = "\3www\7example\0rest";
    struct reader reader = reader_over(bytes, sizeof bytes - 1);
    struct name name;
    (void)state;
    assert_true(name_read(&reader, &name));
    assert_ptr_equal(name.wire, bytes);
    assert_int_equal(name.length, 13);
    assert_int_equal(name.labels, 2);
    assert_int_equal(reader.position, 13);
}

static void test_read_takes_the_root(void **state)
{
    struct reader reader = reader_over("", 1);
    struct name name;
    (void)state;
    assert_true(name_read(&reader, &name));
    assert_int_equal(name.length, 1);
    assert_int_equal(name.labels, 0);
}

static void test_read_refuses_what_is_not_a_name(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"", 0},             /* nothing */
        {"\3www", 4},        /* no end */
        {"\3ww", 3},         /* a cut label */
        {"\300\14", 2},      /* a compression pointer */
        {"\100aaaaaaa", 66}, /* a label type that is not in use */
    };
    uint8_t room[80] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct name name;
        memcpy(room, bad[i].bytes, strlen(bad[i].bytes));
        struct reader reader = reader_over(room, bad[i].length);
        assert_false(name_read(&reader, &name));
    }
}

/* A name of `labels` one-byte labels, and one of `last` bytes unless that is 0. */
static size_t long_name(uint8_t *bytes, size_t labels, uint8_t last)
{
    size_t length = 0;
    for (size_t i = 0; i < labels; i++) {
        bytes[length++] = 1;
        bytes[length++] = 'x';
    }
    if (last) {
        bytes[length] = last;
        memset(bytes + length + 1, 'y', last);
        length += last + 1u;
    }
    bytes[length++] = 0;
    return length;
}

static void test_read_allows_255_bytes_and_no_more(void **state)
{
    uint8_t bytes[300];
    struct name name;
    (void)state;
    struct reader reader = reader_over(bytes, long_name(bytes, 127, 0));
    assert_int_equal(reader.length, 255);
    assert_true(name_read(&reader, &name));
    assert_int_equal(name.length, 255);
    assert_int_equal(name.labels, 127);

    reader = reader_over(bytes, long_name(bytes, 126, 2));
    assert_int_equal(reader.length, 256);
    assert_false(name_read(&reader, &name));
}

static void test_skip_passes_over_pointers(void **state)
{
    struct reader reader = reader_over("\3www\300\14\0", 7);
    (void)state;
    name_skip(&reader);
    assert_false(reader.failed);
    assert_int_equal(reader.position, 6);
    name_skip(&reader);
    assert_int_equal(reader.position, 7);
    name_skip(&reader);
    assert_true(reader.failed);
}

static void test_skip_refuses_a_name_without_end(void **state)
{
    uint8_t bytes[300];
    (void)state;
    struct reader reader = reader_over(bytes, long_name(bytes, 140, 0));
    name_skip(&reader);
    assert_true(reader.failed);
}

static void test_fold_lowers_letters_only(void **state)
{
    uint8_t bytes[256], folded[256];
    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    for (size_t shift = 0; shift < 9; shift++) {
        name_fold(folded, bytes + shift, sizeof bytes - shift);
        for (size_t i = 0; i < sizeof bytes - shift; i++) {
            uint8_t byte = bytes[i + shift];
            assert_int_equal(folded[i], byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
        }
    }
}

static void test_hash_tells_names_apart(void **state)
{
    uint8_t bytes[16] = "\5aaaaa\3org";
    (void)state;
    uint32_t hash = name_hash(bytes, 11, 1);
    assert_int_equal(name_hash(bytes, 11, 1), hash);
    assert_int_not_equal(name_hash(bytes, 11, 2), hash);
    assert_int_not_equal(name_hash(bytes, 10, 1), hash);
    for (size_t i = 0; i < 11; i++) {
        bytes[i]++;
        assert_int_not_equal(name_hash(bytes, 11, 1), hash);
        bytes[i]--;
    }
}

static struct name named(const char *text, uint8_t *wire)
{
    struct name name;
    assert_true(name_from_text(text, wire, &name));
    return name;
}

static void test_below(void **state)
{
    uint8_t a[NAME_WIRE_MAX], b[NAME_WIRE_MAX];
    (void)state;
    assert_true(name_is_below(named("www.example.org", a), named("example.org", b)));
    assert_true(name_is_below(named("example.org", a), named("example.org", b)));
    assert_true(name_is_below(named("example.org", a), named(".", b)));
    assert_false(name_is_below(named("wwwexample.org", a), named("example.org", b)));
    assert_false(name_is_below(named("org", a), named("example.org", b)));
}

static void test_common_suffix_counts_whole_labels(void **state)
{
    uint8_t a[NAME_WIRE_MAX], b[NAME_WIRE_MAX];
    (void)state;
    assert_int_equal(name_common_suffix(named("ns.example.org", a), named("www.example.org", b)),
                     13);
    assert_int_equal(name_common_suffix(named("anexample.org", a), named("example.org", b)), 5);
    assert_int_equal(name_common_suffix(named("example.org", a), named("a.example.org", b)), 13);
    assert_int_equal(name_common_suffix(named("example.org", a), named("example.net", b)), 1);
    struct name upper = named("example.org", a);
    a[1] = 'E';
    assert_int_equal(name_common_suffix(upper, named("example.org", b)), 13);
}

static void test_text_and_back(void **state)
{
    static const char *const texts[][2] = {
        {"www.example.org", "www.example.org"},
        {"WWW.Example.ORG.", "www.example.org"},
        {".", "."},
        {"a\\.b.c", "a\\.b.c"},
        {"a\\032b", "a\\032b"},
        {"*.example", "*.example"},
        {"\\200", "\\200"},
        {"a\\;b", "a\\;b"},
    };
    uint8_t wire[NAME_WIRE_MAX];
    char text[NAME_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(name_to_text(named(texts[i][0], wire), text, sizeof text), texts[i][1]);
}

static void test_text_that_is_no_name(void **state)
{
    static const char *const texts[] = {
        "",
        "a..b",
        ".a",
        "a\\",
        "a\\25",
        "a\\999",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org"};
    uint8_t wire[NAME_WIRE_MAX];
    struct name name;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(name_from_text(texts[i], wire, &name));
}

static void test_text_is_cut_to_its_room(void **state)
{
    uint8_t wire[NAME_WIRE_MAX];
    char text[8];
    (void)state;
    assert_string_equal(name_to_text(named("www.example.org", wire), text, sizeof text), "www.exa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_takes_a_name_in_place),
        cmocka_unit_test(test_read_takes_the_root),
        cmocka_unit_test(test_read_refuses_what_is_not_a_name),
        cmocka_unit_test(test_read_allows_255_bytes_and_no_more),
        cmocka_unit_test(test_skip_passes_over_pointers),
        cmocka_unit_test(test_skip_refuses_a_name_without_end),
        cmocka_unit_test(test_fold_lowers_letters_only),
        cmocka_unit_test(test_hash_tells_names_apart),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_common_suffix_counts_whole_labels),
        cmocka_unit_test(test_text_and_back),
        cmocka_unit_test(test_text_that_is_no_name),
        cmocka_unit_test(test_text_is_cut_to_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
