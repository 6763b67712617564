/* The reader and writer never pass the end of their bytes, and remember that they were asked to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "common/cursor.h"

static void numbers_are_read_in_network_order(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x01, 0x02, 0x03, 0xff, 0xfe, 0xfd, 0xfc, 0x99};
    struct reader reader = reader_over(bytes, sizeof bytes);
    assert_int_equal(reader_u8(&reader), 0x01);
    assert_int_equal(reader_u16(&reader), 0x0203);
    assert_true(reader_u32(&reader) == 0xfffefdfc);
    assert_int_equal(reader_left(&reader), 1);
    reader_skip(&reader, 1);
    assert_int_equal(reader_left(&reader), 0);
    assert_false(reader.failed);
}

static void reading_past_the_end_gives_zero_and_fails_for_good(void **state)
{
    (void)state;
    /* On the heap and of exact size, so that a sanitizer sees a read too far. */
    uint8_t *bytes = malloc(3);
    assert_non_null(bytes);
    memset(bytes, 0xaa, 3);
    struct reader reader = reader_over(bytes, 3);
    assert_true(reader_u32(&reader) == 0);
    assert_true(reader.failed);
    assert_int_equal(reader.position, 0);
    assert_int_equal(reader_u8(&reader), 0);
    assert_int_equal(reader_u16(&reader), 0);
    assert_null(reader_take(&reader, 1));
    assert_true(reader.failed);
    free(bytes);
}

static void enormous_counts_do_not_overflow(void **state)
{
    (void)state;
    static const uint8_t bytes[4];
    struct reader reader = reader_over(bytes, sizeof bytes);
    reader_skip(&reader, 2);
    assert_null(reader_take(&reader, SIZE_MAX));
    assert_true(reader.failed);

    uint8_t room[4];
    struct writer writer = writer_over(room, sizeof room);
    writer_u16(&writer, 1);
    assert_null(writer_reserve(&writer, SIZE_MAX - 1));
    assert_true(writer.failed);
}

static void taking_nothing_is_always_possible(void **state)
{
    (void)state;
    static const uint8_t bytes[1];
    struct reader reader = reader_over(bytes, 0);
    assert_ptr_equal(reader_take(&reader, 0), bytes);
    assert_false(reader.failed);
}

static void numbers_are_written_in_network_order(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x01, 0x02, 0x03, 0xff, 0xfe, 0xfd, 0xfc, 'x', 'y'};
    uint8_t room[sizeof expected];
    struct writer writer = writer_over(room, sizeof room);
    writer_u8(&writer, 0x01);
    writer_u16(&writer, 0x0203);
    writer_u32(&writer, 0xfffefdfc);
    writer_bytes(&writer, "xy", 2);
    assert_false(writer.failed);
    assert_int_equal(writer.position, sizeof expected);
    assert_memory_equal(room, expected, sizeof expected);
}

static void writing_past_the_end_writes_nothing_and_fails_for_good(void **state)
{
    (void)state;
    uint8_t *room = malloc(3);
    assert_non_null(room);
    memset(room, 0xaa, 3);
    struct writer writer = writer_over(room, 3);
    writer_u32(&writer, 1);
    assert_true(writer.failed);
    writer_u8(&writer, 1);
    assert_int_equal(writer.position, 0);
    assert_memory_equal(room, "\xaa\xaa\xaa", 3);
    free(room);
}

static void writing_no_bytes_from_nowhere_is_allowed(void **state)
{
    (void)state;
    struct writer writer = writer_over(NULL, 0);
    writer_bytes(&writer, NULL, 0);
    assert_false(writer.failed);
    writer_u8(&writer, 1);
    assert_true(writer.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_in_network_order),
        cmocka_unit_test(reading_past_the_end_gives_zero_and_fails_for_good),
        cmocka_unit_test(enormous_counts_do_not_overflow),
        cmocka_unit_test(taking_nothing_is_always_possible),
        cmocka_unit_test(numbers_are_written_in_network_order),
        cmocka_unit_test(writing_past_the_end_writes_nothing_and_fails_for_good),
        cmocka_unit_test(writing_no_bytes_from_nowhere_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
