/* The conduit's format, read as it was written and never past its end; and its delivery, over links
 * that lose what they like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/conduit.h"
#include "common/conduit_link.h"

#define MILLISECOND  UINT64_C(1000000)
#define QUEUE_FRAMES 256u

static const uint8_t token[CONDUIT_TOKEN_SIZE] = "0123456789abcde";

/* --- format --- */

static struct conduit_take example_take(void)
{
    static const uint8_t data[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    return (struct conduit_take){
        .id = 7,
        .family = 4,
        .state = CONDUIT_ESTABLISHED,
        .flags = CONDUIT_SCALED | CONDUIT_SACK | CONDUIT_CLIENT_ENDED,
        .send_scale = 7,
        .client_segment_max = 1460,
        .machine_address = {10, 0, 0, 2},
        .client_address = {10, 0, 0, 1},
        .machine_port = 80,
        .client_port = 40000,
        .send_next = 0xfffffffe,
        .receive_next = 0x01020304,
        .send_window = 64256,
        .receive_window = 60000,
        .round_trip = 12,
        .data = data,
        .data_length = sizeof data - 1,
    };
}

static bool take_is_read(const struct conduit_take *take)
{
    static uint8_t body[CONDUIT_TAKE_MAX + 1000];
    struct conduit_take read;
    size_t length = conduit_write_take(take, body, sizeof body);

    assert_true(length >= CONDUIT_TAKE_FIXED);
    return conduit_read_take(&read, body, length);
}

static void a_frame_is_read_as_it_was_written(void **state)
{
    const struct conduit_frame written = {
        .type = CONDUIT_TAKE,
        .flags = CONDUIT_FIRST,
        .sequence = 0x01020304,
        .acknowledgement = 0xfffefdfc,
        .token = token,
        .body_length = 3000,
        .piece_offset = 1000,
        .piece_length = 5,
        .piece = (const uint8_t *)"piece",
    };
    static const uint8_t start[] = {'J', 'T', 'S', 'U', 1, 2, 1, 0, 1, 2, 3, 4, 0xff, 0xfe, 0xfd};
    uint8_t payload[CONDUIT_PAYLOAD_MAX];
    struct conduit_frame read;

    (void)state;
    memset(payload, 0xee, sizeof payload);
    assert_int_equal(conduit_write(&written, payload), CONDUIT_HEADER_SIZE + 5);
    assert_memory_equal(payload, start, sizeof start);
    assert_true(conduit_read(&read, payload, 60)); /* padded, as by Ethernet */
    assert_int_equal(read.type, written.type);
    assert_int_equal(read.flags, written.flags);
    assert_int_equal(read.sequence, written.sequence);
    assert_int_equal(read.acknowledgement, written.acknowledgement);
    assert_memory_equal(read.token, token, sizeof token);
    assert_int_equal(read.body_length, written.body_length);
    assert_int_equal(read.piece_offset, written.piece_offset);
    assert_int_equal(read.piece_length, written.piece_length);
    assert_memory_equal(read.piece, "piece", 5);
}

static void frames_that_do_not_fit_themselves_are_refused(void **state)
{
    struct conduit_frame frame = {.type = CONDUIT_HELLO,
                                  .token = token,
                                  .body_length = 4,
                                  .piece_length = 4,
                                  .piece = (const uint8_t *)"1234"};
    uint8_t payload[CONDUIT_PAYLOAD_MAX], changed[CONDUIT_PAYLOAD_MAX];
    size_t length = conduit_write(&frame, payload);

    (void)state;
    assert_true(conduit_read(&frame, payload, length));
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1);
        assert_non_null(exact);
        memcpy(exact, payload, cut);
        assert_false(conduit_read(&frame, exact, cut));
        free(exact);
    }
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {{0, 'j'}, {3, 'u'}, {4, 0}, {4, 2}, {33, 3}, {35, 1}, {37, 5}, {37, 0}, {36, 1}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        memcpy(changed, payload, sizeof changed);
        changed[changes[i].at] = changes[i].value;
        assert_false(conduit_read(&frame, changed, length));
    }
}

static void tokens_are_equal_only_if_all_of_them_is(void **state)
{
    uint8_t other[CONDUIT_TOKEN_SIZE];

    (void)state;
    for (size_t i = 0; i < CONDUIT_TOKEN_SIZE; i++) {
        memcpy(other, token, sizeof other);
        assert_true(conduit_token_equal(token, other));
        other[i] ^= 0x80;
        assert_false(conduit_token_equal(token, other));
    }
}

static void a_token_is_32_hexadecimal_digits(void **state)
{
    uint8_t parsed[CONDUIT_TOKEN_SIZE];
    const char *good = "00112233445566778899aabbccddEEFF";

    (void)state;
    assert_true(conduit_token_parse(parsed, good, 32));
    for (size_t i = 0; i < CONDUIT_TOKEN_SIZE; i++)
        assert_int_equal(parsed[i], 0x11 * i);
    assert_false(conduit_token_parse(parsed, good, 31));
    assert_false(conduit_token_parse(parsed, "00112233445566778899aabbccddEEFFa", 33));
    assert_false(conduit_token_parse(parsed, "00112233445566778899aabbccddEEFg", 32));
    assert_false(conduit_token_parse(parsed, "-0112233445566778899aabbccddEEFF", 32));
}

static void bodies_are_read_as_they_were_written(void **state)
{
    uint8_t body[CONDUIT_TAKE_MAX];
    size_t length;

    (void)state;
    struct conduit_hello hello = {.features = CONDUIT_CAN_TAKE | CONDUIT_CAN_STOP}, hello_read;
    length = conduit_write_hello(&hello, body, CONDUIT_SMALL_BODY_MAX);
    assert_true(conduit_read_hello(&hello_read, body, length));
    assert_int_equal(hello_read.features, hello.features);
    assert_false(conduit_read_hello(&hello_read, body, length - 1));
    assert_false(conduit_read_hello(&hello_read, body, length + 1));

    struct conduit_taken taken = {.id = 0x80000001, .outcome = CONDUIT_NO_MORE}, taken_read;
    length = conduit_write_taken(&taken, body, CONDUIT_SMALL_BODY_MAX);
    assert_true(conduit_read_taken(&taken_read, body, length));
    assert_int_equal(taken_read.id, taken.id);
    assert_int_equal(taken_read.outcome, taken.outcome);
    taken.outcome = CONDUIT_NO_MORE + 1;
    length = conduit_write_taken(&taken, body, CONDUIT_SMALL_BODY_MAX);
    assert_false(conduit_read_taken(&taken_read, body, length));

    struct conduit_load load = {3, 4, UINT64_C(0x123456789abcdef0), UINT64_MAX}, load_read;
    length = conduit_write_load(&load, body, CONDUIT_SMALL_BODY_MAX);
    assert_true(conduit_read_load(&load_read, body, length));
    assert_int_equal(load_read.connections, 3);
    assert_int_equal(load_read.dropped, 4);
    assert_true(load_read.received == load.received && load_read.sent == load.sent);
    assert_false(conduit_read_load(&load_read, body, length - 1));

    struct conduit_stop stop = {.deadline = 30000}, stop_read;
    length = conduit_write_stop(&stop, body, CONDUIT_SMALL_BODY_MAX);
    assert_true(conduit_read_stop(&stop_read, body, length));
    assert_int_equal(stop_read.deadline, 30000);
    assert_false(conduit_read_stop(&stop_read, body, 0));

    struct conduit_stopped stopped = {.cut = 2}, stopped_read;
    length = conduit_write_stopped(&stopped, body, CONDUIT_SMALL_BODY_MAX);
    assert_true(conduit_read_stopped(&stopped_read, body, length));
    assert_int_equal(stopped_read.cut, 2);
    assert_int_equal(conduit_write_stopped(&stopped, body, 3), 0);

    struct conduit_settled settled = {.key = {{1, UINT64_MAX}}, .now = 1234567890123, .expires = 5},
                           settled_read;
    length = conduit_write_settled(&settled, body, CONDUIT_SMALL_BODY_MAX);
    assert_int_equal(length, CONDUIT_SMALL_BODY_MAX);
    assert_true(conduit_read_settled(&settled_read, body, length));
    assert_memory_equal(&settled_read, &settled, sizeof settled);
    assert_false(conduit_read_settled(&settled_read, body, length - 1));
}

static void a_connection_is_read_as_it_was_written(void **state)
{
    struct conduit_take take = example_take(), read;
    uint8_t body[CONDUIT_TAKE_MAX];
    size_t length = conduit_write_take(&take, body, sizeof body);

    (void)state;
    assert_int_equal(length, CONDUIT_TAKE_FIXED + take.data_length);
    assert_true(conduit_read_take(&read, body, length));
    assert_int_equal(read.id, take.id);
    assert_int_equal(read.family, take.family);
    assert_int_equal(read.state, take.state);
    assert_int_equal(read.flags, take.flags);
    assert_int_equal(read.send_scale, take.send_scale);
    assert_int_equal(read.receive_scale, take.receive_scale);
    assert_int_equal(read.client_segment_max, take.client_segment_max);
    assert_memory_equal(read.machine_address, take.machine_address, 16);
    assert_memory_equal(read.client_address, take.client_address, 16);
    assert_int_equal(read.machine_port, take.machine_port);
    assert_int_equal(read.client_port, take.client_port);
    assert_int_equal(read.send_next, take.send_next);
    assert_int_equal(read.receive_next, take.receive_next);
    assert_int_equal(read.send_window, take.send_window);
    assert_int_equal(read.receive_window, take.receive_window);
    assert_int_equal(read.round_trip, take.round_trip);
    assert_int_equal(read.data_length, take.data_length);
    assert_memory_equal(read.data, take.data, take.data_length);
    for (size_t cut = 0; cut < CONDUIT_TAKE_FIXED; cut++)
        assert_false(conduit_read_take(&read, body, cut));
    assert_int_equal(conduit_write_take(&take, body, length - 1), 0);
}

static void a_connection_that_cannot_be_is_refused(void **state)
{
    static uint8_t data[CONDUIT_WINDOW + 1];
    struct conduit_take take;

    (void)state;
#define IS_REFUSED(change)                                                                         \
    do {                                                                                           \
        take = example_take();                                                                     \
        change;                                                                                    \
        assert_false(take_is_read(&take));                                                         \
    } while (0)
    take = example_take();
    assert_true(take_is_read(&take));
    IS_REFUSED(take.family = 5);
    IS_REFUSED(take.machine_address[4] = 1);
    IS_REFUSED(take.client_address[15] = 1);
    IS_REFUSED(take.machine_port = 0);
    IS_REFUSED(take.client_port = 0);
    IS_REFUSED(take.state = 0);
    IS_REFUSED(take.state = 3);
    IS_REFUSED(take.state = CONDUIT_SYN_RECEIVED);
    IS_REFUSED(take.flags |= 8);
    IS_REFUSED(take.send_scale = 15);
    IS_REFUSED(take.receive_scale = 15);
    IS_REFUSED(take.flags &= (uint8_t)~CONDUIT_SCALED);
    IS_REFUSED(take.send_window = (0xffffu << 7) + 1);
    IS_REFUSED(take.receive_window = CONDUIT_WINDOW);
    IS_REFUSED((take.data = data, take.data_length = CONDUIT_WINDOW, take.receive_window = 1));
    IS_REFUSED((take.data = data, take.data_length = sizeof data, take.receive_window = 0));

    take = example_take();
    take.data = data;
    take.data_length = CONDUIT_WINDOW;
    take.receive_window = 0;
    assert_true(take_is_read(&take));
    take = example_take();
    take.state = CONDUIT_SYN_RECEIVED;
    take.flags = 0;
    take.send_scale = 0;
    take.data_length = 0;
    assert_true(take_is_read(&take));
}

/* --- delivery --- */

/* Two ends, and the frames under way from each. */
struct end {
    struct conduit_link link;
    struct end *other;
    size_t count; /* frames under way to `other` */
    struct {
        uint8_t payload[CONDUIT_PAYLOAD_MAX];
        size_t length;
    } frames[QUEUE_FRAMES];
    unsigned received; /* messages */
    uint8_t type;      /* of the last one */
    uint8_t body[CONDUIT_BODY_MAX];
    size_t length;
    bool declines;
};

struct world {
    struct end machine, port;
    uint64_t now;
    unsigned seed, loss; /* of 100 frames, how many are lost */
};

static void transmit(void *owner, const uint8_t *payload, size_t length)
{
    struct end *end = owner;

    assert_true(end->count < QUEUE_FRAMES && length <= CONDUIT_PAYLOAD_MAX);
    memcpy(end->frames[end->count].payload, payload, length);
    end->frames[end->count++].length = length;
}

static int world_setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->machine.other = &world->port;
    world->port.other = &world->machine;
    conduit_link_start(&world->machine.link, token, 1, transmit, &world->machine);
    conduit_link_start(&world->port.link, token, UINT32_MAX, transmit, &world->port);
    world->seed = 1;
    *state = world;
    return 0;
}

static int world_teardown(void **state)
{
    struct world *world = *state;

    conduit_link_end(&world->machine.link);
    conduit_link_end(&world->port.link);
    free(world);
    return 0;
}

static bool is_lost(struct world *world)
{
    world->seed = world->seed * 1103515245 + 12345;
    return (world->seed >> 16) % 100 < world->loss;
}

static void arrive(struct end *end, const uint8_t *payload, size_t length)
{
    struct conduit_message message;
    uint8_t *exact = malloc(length);

    assert_non_null(exact);
    memcpy(exact, payload, length);
    if (conduit_link_receive(&end->link, exact, length, &message) && !end->declines) {
        end->received++;
        end->type = message.type;
        end->length = message.length;
        if (message.length > 0)
            memcpy(end->body, message.body, message.length);
        conduit_link_accept(&end->link);
    }
    conduit_link_flush(&end->link);
    free(exact);
}

/* What is under way from `end` arrives, or does not. */
static void deliver(struct world *world, struct end *end)
{
    size_t count = end->count;

    end->count = 0;
    for (size_t i = 0; i < count; i++)
        if (!is_lost(world))
            arrive(end->other, end->frames[i].payload, end->frames[i].length);
}

static void settle(struct world *world)
{
    while (world->machine.count > 0 || world->port.count > 0) {
        deliver(world, &world->machine);
        deliver(world, &world->port);
    }
}

/* Until the message under way from `end` is acknowledged. Returns the milliseconds it took. */
static uint64_t wait_for_acknowledgement(struct world *world, struct end *end)
{
    uint64_t start = world->now;

    settle(world);
    while (conduit_link_is_busy(&end->link)) {
        uint64_t machine_due = conduit_link_run(&world->machine.link, world->now);
        uint64_t port_due = conduit_link_run(&world->port.link, world->now);
        world->now = machine_due < port_due ? machine_due : port_due;
        assert_true(world->now < start + UINT64_C(10000) * 1000 * MILLISECOND);
        conduit_link_run(&world->machine.link, world->now);
        conduit_link_run(&world->port.link, world->now);
        settle(world);
    }
    return (world->now - start) / MILLISECOND;
}

static void send(struct world *world, struct end *end, uint8_t type, const void *body,
                 size_t length)
{
    conduit_link_send(&end->link, type, body, length, world->now);
}

static void messages_arrive_and_are_acknowledged(void **state)
{
    struct world *world = *state;

    send(world, &world->machine, CONDUIT_HELLO, (const uint8_t *)"1234", 4);
    assert_true(conduit_link_is_busy(&world->machine.link));
    assert_int_equal(wait_for_acknowledgement(world, &world->machine), 0);
    assert_int_equal(world->port.received, 1);
    assert_int_equal(world->port.type, CONDUIT_HELLO);
    assert_memory_equal(world->port.body, "1234", 4);
    /* The port's numbers pass their end. */
    for (unsigned i = 1; i <= 3; i++) {
        send(world, &world->port, CONDUIT_SETTLED, NULL, 0);
        wait_for_acknowledgement(world, &world->port);
        assert_int_equal(world->machine.received, i);
        assert_int_equal(world->machine.length, 0);
    }
    assert_true(conduit_link_run(&world->port.link, world->now) == UINT64_MAX);
}

static void what_is_not_acknowledged_is_sent_again_ever_more_rarely(void **state)
{
    struct world *world = *state;
    uint64_t patience = CONDUIT_PATIENCE_FIRST;

    send(world, &world->machine, CONDUIT_HELLO, (const uint8_t *)"1234", 4);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(world->machine.count, 1);
        world->machine.count = 0;
        uint64_t due = conduit_link_run(&world->machine.link, world->now);
        assert_true(due == world->now + patience);
        conduit_link_run(&world->machine.link, due - 1);
        assert_int_equal(world->machine.count, 0);
        world->now = due;
        conduit_link_run(&world->machine.link, world->now);
        patience = patience * 2 < CONDUIT_PATIENCE_MOST ? patience * 2 : CONDUIT_PATIENCE_MOST;
    }
    settle(world);
    assert_int_equal(world->port.received, 1);
    assert_false(conduit_link_is_busy(&world->machine.link));
}

static void a_message_that_comes_again_is_acknowledged_and_not_received(void **state)
{
    struct world *world = *state;

    send(world, &world->machine, CONDUIT_HELLO, (const uint8_t *)"1234", 4);
    deliver(world, &world->machine);
    world->port.count = 0; /* the acknowledgement is lost */
    assert_int_equal(wait_for_acknowledgement(world, &world->machine), 20);
    assert_int_equal(world->port.received, 1);
    assert_int_equal(world->port.link.duplicates, 1);
}

static void an_acknowledgement_rides_on_a_message(void **state)
{
    struct world *world = *state;
    struct conduit_message message;

    send(world, &world->port, CONDUIT_TAKE, (const uint8_t *)"take", 4);
    assert_true(conduit_link_receive(&world->machine.link, world->port.frames[0].payload,
                                     world->port.frames[0].length, &message));
    conduit_link_accept(&world->machine.link);
    send(world, &world->machine, CONDUIT_TAKEN, (const uint8_t *)"taken", 5);
    conduit_link_flush(&world->machine.link);
    assert_int_equal(world->machine.count, 1);
    world->port.count = 0;
    deliver(world, &world->machine);
    assert_false(conduit_link_is_busy(&world->port.link));
    assert_int_equal(world->port.type, CONDUIT_TAKEN);
}

static void a_message_that_is_not_accepted_comes_again(void **state)
{
    struct world *world = *state;
    static uint8_t body[5000];

    world->machine.declines = true;
    send(world, &world->port, CONDUIT_TAKE, body, sizeof body);
    settle(world);
    assert_true(conduit_link_is_busy(&world->port.link));
    assert_int_equal(world->machine.received, 0);
    world->machine.declines = false;
    wait_for_acknowledgement(world, &world->port);
    assert_int_equal(world->machine.received, 1);
    assert_int_equal(world->machine.length, sizeof body);
}

static void long_messages_arrive_whole_over_a_bad_link(void **state)
{
    struct world *world = *state;
    static uint8_t body[CONDUIT_BODY_MAX];
    static const size_t lengths[] = {CONDUIT_PIECE_MAX, CONDUIT_PIECE_MAX + 1,
                                     CONDUIT_PIECE_MAX * 2, 10000, CONDUIT_BODY_MAX};

    world->loss = 10;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t at = 0; at < sizeof body; at++)
            body[at] = (uint8_t)(at * 7 + at / 251 + i);
        send(world, &world->port, CONDUIT_TAKE, body, lengths[i]);
        wait_for_acknowledgement(world, &world->port);
        assert_int_equal(world->machine.received, i + 1);
        assert_int_equal(world->machine.length, lengths[i]);
        assert_memory_equal(world->machine.body, body, lengths[i]);
    }
    assert_true(world->port.link.sent_again > 0);
}

static void both_ends_talk_at_once_over_a_bad_link(void **state)
{
    struct world *world = *state;
    unsigned sent = 0;

    world->loss = 30;
    for (; sent < 300; sent++) {
        send(world, &world->machine, CONDUIT_LOAD, (const uint8_t *)&sent, sizeof sent);
        send(world, &world->port, CONDUIT_TAKE, (const uint8_t *)&sent, sizeof sent);
        wait_for_acknowledgement(world, &world->machine);
        wait_for_acknowledgement(world, &world->port);
        assert_int_equal(world->port.received, sent + 1);
        assert_int_equal(world->machine.received, sent + 1);
        assert_memory_equal(world->port.body, &sent, sizeof sent);
        assert_memory_equal(world->machine.body, &sent, sizeof sent);
    }
}

static void strangers_are_dropped_and_counted(void **state)
{
    struct world *world = *state;
    struct conduit_message message;
    uint8_t payload[CONDUIT_PAYLOAD_MAX];

    send(world, &world->machine, CONDUIT_HELLO, (const uint8_t *)"1234", 4);
    size_t length = world->machine.frames[0].length;
    memcpy(payload, world->machine.frames[0].payload, length);
    for (size_t at = 16; at < 32; at++) {
        payload[at] ^= 1;
        assert_false(conduit_link_receive(&world->port.link, payload, length, &message));
        payload[at] ^= 1;
    }
    assert_int_equal(world->port.link.dropped, 16);
    conduit_link_flush(&world->port.link);
    assert_int_equal(world->port.count, 0);
    assert_true(conduit_link_receive(&world->port.link, payload, length, &message));
}

static void an_end_can_begin_anew(void **state)
{
    struct world *world = *state;

    for (unsigned i = 0; i < 3; i++) {
        send(world, &world->port, CONDUIT_TAKE, (const uint8_t *)"old", 3);
        wait_for_acknowledgement(world, &world->port);
        send(world, &world->machine, CONDUIT_LOAD, (const uint8_t *)"load", 4);
        wait_for_acknowledgement(world, &world->machine);
    }
    conduit_link_end(&world->port.link);
    conduit_link_start(&world->port.link, token, 5000000, transmit, &world->port);
    send(world, &world->port, CONDUIT_HELLO, (const uint8_t *)"anew", 4);
    wait_for_acknowledgement(world, &world->port);
    assert_int_equal(world->machine.received, 4);
    assert_memory_equal(world->machine.body, "anew", 4);
    /* It takes the other's number as it comes. */
    send(world, &world->machine, CONDUIT_LOAD, (const uint8_t *)"load", 4);
    wait_for_acknowledgement(world, &world->machine);
    assert_int_equal(world->port.received, 4);
    /* The first message again, late: nothing begins anew. */
    send(world, &world->port, CONDUIT_TAKE, (const uint8_t *)"more", 4);
    wait_for_acknowledgement(world, &world->port);
    assert_int_equal(world->machine.received, 5);
    struct conduit_frame late = {.type = CONDUIT_HELLO,
                                 .flags = CONDUIT_FIRST,
                                 .sequence = 5000000,
                                 .token = token,
                                 .body_length = 4,
                                 .piece_length = 4,
                                 .piece = (const uint8_t *)"anew"};
    uint8_t payload[CONDUIT_PAYLOAD_MAX];
    arrive(&world->machine, payload, conduit_write(&late, payload));
    assert_int_equal(world->machine.received, 5);
    assert_int_equal(world->machine.link.dropped, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_read_as_it_was_written),
        cmocka_unit_test(frames_that_do_not_fit_themselves_are_refused),
        cmocka_unit_test(tokens_are_equal_only_if_all_of_them_is),
        cmocka_unit_test(a_token_is_32_hexadecimal_digits),
        cmocka_unit_test(bodies_are_read_as_they_were_written),
        cmocka_unit_test(a_connection_is_read_as_it_was_written),
        cmocka_unit_test(a_connection_that_cannot_be_is_refused),
#define DELIVERY(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
        DELIVERY(messages_arrive_and_are_acknowledged),
        DELIVERY(what_is_not_acknowledged_is_sent_again_ever_more_rarely),
        DELIVERY(a_message_that_comes_again_is_acknowledged_and_not_received),
        DELIVERY(an_acknowledgement_rides_on_a_message),
        DELIVERY(a_message_that_is_not_accepted_comes_again),
        DELIVERY(long_messages_arrive_whole_over_a_bad_link),
        DELIVERY(both_ends_talk_at_once_over_a_bad_link),
        DELIVERY(strangers_are_dropped_and_counted),
        DELIVERY(an_end_can_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
