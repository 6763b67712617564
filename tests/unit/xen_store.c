/* Xenstore's messages, and the machine's side of the conversation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "platform/xen/control.h"
#include "platform/xen/store.h"
#include "platform/xen/store_message.h"
#include "xen_world.h"

static struct store_message message_of(uint32_t type, uint32_t id, const char *text,
                                       uint32_t length)
{
    const struct xen_store_header header = {.type = type, .id = id, .length = length};
    struct store_message message = {.length = sizeof header + length};

    memcpy(message.bytes, &header, sizeof header);
    memcpy(message.bytes + sizeof header, text, length);
    return message;
}

static void messages_are_whole_when_all_has_come(void **state)
{
    const struct store_message whole = message_of(XEN_STORE_READ, 3, "value", 5);
    struct store_message message = whole;

    (void)state;
    for (size_t length = 0; length < whole.length; length++) {
        message.length = length;
        assert_int_equal(store_message_progress(&message), STORE_PARTLY);
        assert_int_equal(store_message_lacks(&message), length < 16 ? 16 - length : 21 - length);
    }
    assert_int_equal(store_message_progress(&whole), STORE_WHOLE);
    assert_int_equal(store_message_lacks(&whole), 0);
    struct store_answer answer = store_message_answer(&whole);
    assert_int_equal(answer.type, XEN_STORE_READ);
    assert_int_equal(answer.id, 3);
    assert_int_equal(answer.length, 5);
    assert_memory_equal(answer.text, "value", 5);
}

static void messages_that_are_too_long_are_broken(void **state)
{
    struct store_message message = {.length = 16};
    const uint32_t lengths[] = {XEN_STORE_BYTES_MAX + 1, UINT32_MAX, UINT32_MAX - 15};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct xen_store_header header = {.length = lengths[i]};
        memcpy(message.bytes, &header, sizeof header);
        assert_int_equal(store_message_progress(&message), STORE_BROKEN);
        assert_int_equal(store_message_lacks(&message), 0);
    }
}

static void tokens_are_read_or_refused(void **state)
{
    static const struct {
        const char *text;
        uint32_t length;
        bool good;
        uint32_t token;
    } cases[] = {
        {"a/b\0"
         "7\0",
         6, true, 7},
        {"\0"
         "4294967295\0",
         12, true, UINT32_MAX},
        {"a\0"
         "4294967296\0",
         13, false, 0},
        {"a\0"
         "7",
         3, false, 0},
        {"a\0"
         "\0",
         3, false, 0},
        {"a\0"
         "7x\0",
         5, false, 0},
        {"a", 1, false, 0},
        {"", 0, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_message message =
            message_of(XEN_STORE_CHANGED, 0, cases[i].text, cases[i].length);
        struct store_answer answer = store_message_answer(&message);
        uint32_t token = 0;
        assert_int_equal(store_message_token(&answer, &token), cases[i].good);
        assert_int_equal(token, cases[i].token);
    }
}

static void rings_wrap_around_and_their_indices_too(void **state)
{
    uint8_t ring[16], bytes[16];
    uint32_t given = UINT32_MAX - 5, taken = given;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(
            store_ring_give(ring, 16, taken, &given, (const uint8_t *)"0123456789ab", 12), 12);
        assert_int_equal(store_ring_give(ring, 16, taken, &given, (const uint8_t *)"cdefgh", 6), 4);
        assert_int_equal(store_ring_give(ring, 16, taken, &given, (const uint8_t *)"x", 1), 0);
        assert_int_equal(store_ring_take(ring, 16, &taken, given, bytes, 5), 5);
        assert_memory_equal(bytes, "01234", 5);
        assert_int_equal(store_ring_take(ring, 16, &taken, given, bytes, 100), 11);
        assert_memory_equal(bytes, "56789abcdef", 11);
        assert_int_equal(store_ring_take(ring, 16, &taken, given, bytes, 1), 0);
    }
}

static void indices_that_contradict_each_other_are_refused(void **state)
{
    uint8_t ring[16] = {0}, byte;
    uint32_t taken = 10, given = 10;

    (void)state;
    assert_true(store_ring_take(ring, 16, &taken, 27, &byte, 1) == SIZE_MAX);
    assert_true(store_ring_take(ring, 16, &taken, 9, &byte, 1) == SIZE_MAX);
    assert_int_equal(taken, 10);
    assert_true(store_ring_give(ring, 16, 11, &given, &byte, 1) == SIZE_MAX);
    assert_true(store_ring_give(ring, 16, 10u - 17u, &given, &byte, 1) == SIZE_MAX);
    assert_int_equal(given, 10);
}

static void requests_are_answered_in_order_however_slowly(void **state)
{
    (void)state;
    for (size_t piece = 0; piece < 40; piece++) {
        char value[STORE_VALUE_MAX];
        world_start();
        world.store_piece = piece;
        /* More than a ring holds at once. */
        for (int i = 0; i < 40; i++) {
            store_ask_write("dir", "name", i % 2 ? "odd" : "12");
            store_ask_read("dir", "name");
            store_ask_read("dir", "nothing");
        }
        for (int i = 0; i < 40; i++) {
            assert_true(store_answer_done());
            if (i % 2) {
                assert_true(store_answer_text(value));
                assert_string_equal(value, "odd");
            } else {
                assert_int_equal(store_answer_number(99), 12);
            }
            assert_int_equal(store_answer_number(99), 99);
        }
    }
}

static unsigned changes;

static void count_change(void)
{
    changes++;
}

static void watches_tell_of_changes_only(void **state)
{
    (void)state;
    world_start();
    changes = 0;
    store_ask_watch("some", "name", count_change);
    assert_true(store_answer_done());
    store_poll();
    assert_int_equal(changes, 0);
    world_set("some/name", "1");
    assert_true(store_has_come());
    assert_true(store_poll());
    assert_int_equal(changes, 1);
    assert_false(store_poll());
}

static unsigned ends, saves;

static void count_end(void)
{
    ends++;
}

static void count_save(void)
{
    saves++;
}

static void orders_are_heeded_and_acknowledged(void **state)
{
    static const struct control_orders heeded = {count_end, count_save};
    static const struct {
        const char *order;
        unsigned ends, saves;
    } cases[] = {
        {"poweroff", 1, 0}, {"halt", 1, 0}, {"reboot", 1, 0}, {"suspend", 0, 1}, {"dance", 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_start();
        ends = saves = 0;
        control_start(&heeded);
        assert_string_equal(world_get("control/feature-suspend"), "1");
        store_poll();
        assert_int_equal(ends + saves, 0);
        world_set("control/shutdown", cases[i].order);
        for (int times = 0; times < 2; times++) {
            store_poll();
            assert_null(world_get("control/shutdown"));
            assert_int_equal(ends, cases[i].ends);
            assert_int_equal(saves, cases[i].saves);
        }
    }
}

static void ask_and_wait(void)
{
    store_ask_read("a", "b");
    store_answer_done();
}

static void a_broken_ring_ends_the_machine(void **state)
{
    (void)state;
    world_start();
    world.store.answers_given = 2000;
    assert_true(world_ends(ask_and_wait));
    world_start();
    world.store.requests_taken = 1;
    assert_true(world_ends(ask_and_wait));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_whole_when_all_has_come),
        cmocka_unit_test(messages_that_are_too_long_are_broken),
        cmocka_unit_test(tokens_are_read_or_refused),
        cmocka_unit_test(rings_wrap_around_and_their_indices_too),
        cmocka_unit_test(indices_that_contradict_each_other_are_refused),
        cmocka_unit_test(requests_are_answered_in_order_however_slowly),
        cmocka_unit_test(watches_tell_of_changes_only),
        cmocka_unit_test(orders_are_heeded_and_acknowledged),
        cmocka_unit_test(a_broken_ring_ends_the_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
