/* Clients whose machine is gone are told, though they only wait. */
#include <string.h>
#include <sys/socket.h>

#include "common/conduit.h"
#include "port_world.h"

/* A machine that takes over what the port accepts. */
static void begin_handoff(struct world *world)
{
    struct port_machine machine = world_machine(PORT_READY_ANNOUNCE);
    machine.hold = PORT_HANDOFF;
    world_replace(world, &machine);
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
    machine_connects(world);
}

static void begin_delay(struct world *world)
{
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
}

static void client_segment_of(struct world *world, uint16_t port, uint8_t flags, uint32_t sequence,
                              uint32_t acknowledgement)
{
    struct tcp_segment segment = {.source_port = port,
                                  .destination_port = 80,
                                  .sequence = sequence,
                                  .acknowledgement = acknowledgement,
                                  .flags = flags,
                                  .window = 500};
    client_segment(world, &world_to_machine4, &segment);
}

static const struct packet *expect_segment(struct world *world, uint16_t port, uint8_t flags)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_TCP);
    assert_true(mac_equal(packet->ethernet.source, world_machine_mac));
    assert_true(mac_equal(packet->ethernet.destination, world_client_mac));
    assert_true(tcp_checksum_is_right(&packet->ip));
    assert_int_equal(packet->tcp.source_port, 80);
    assert_int_equal(packet->tcp.destination_port, port);
    assert_int_equal(packet->tcp.flags, flags);
    return packet;
}

static void hand_over(struct world *world, uint16_t port)
{
    client_opens(world, port, 80, 7);
    uint32_t next = expect_segment(world, port, TCP_SYN | TCP_ACK)->tcp.sequence + 1;
    client_segment_of(world, port, TCP_ACK, 8, next);
    port_service_starting(world->service);
    machine_hello(world);
    struct conduit_take take = machine_is_offered(world);
    machine_takes(world, take.id, CONDUIT_DONE);
    machine_hears(world, CONDUIT_SETTLED);
}

/* The client says, as it must, what it expects. */
static void expect_reset_after_answer(struct world *world, uint16_t port)
{
    client_segment_of(world, port, TCP_ACK, 100, 200);
    assert_int_equal(expect_segment(world, port, TCP_RST)->tcp.sequence, 200);
}

static void whose_connection_was_handed_over_is_told(void **state)
{
    struct world *world = *state;
    begin_handoff(world);
    hand_over(world, 1000);
    port_service_gone(world->service);
    expect_announcement(world);
    expect_segment(world, 1000, TCP_ACK);
    expect_reset_after_answer(world, 1000);
}

static void whose_opening_was_released_is_told(void **state)
{
    struct world *world = *state;
    begin_delay(world);
    client_opens(world, 1000, 80, 7);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    expect_opening(world, 1000);
    port_service_fail(world->service);
    expect_announcement(world);
    expect_segment(world, 1000, TCP_ACK);
    expect_reset_after_answer(world, 1000);
}

static void who_answers_while_the_next_machine_starts_is_reset_too(void **state)
{
    struct world *world = *state;
    begin_handoff(world);
    hand_over(world, 1000);
    port_service_gone(world->service);
    expect_announcement(world);
    expect_segment(world, 1000, TCP_ACK);
    machine_connects(world);
    port_service_starting(world->service);
    expect_reset_after_answer(world, 1000);
    client_segment_of(world, 1001, TCP_ACK, 100, 200); /* of nobody known: it is held */
    world_silence(world);
    machine_hello(world);
    assert_int_equal(world_next(world)->tcp.source_port, 1001);
    machine_hears(world, CONDUIT_SETTLED);
}

static void who_has_ended_is_not_told(void **state)
{
    struct world *world = *state;
    uint8_t body[CONDUIT_SMALL_BODY_MAX];
    struct conduit_load load = {.connections = 0, .received = 5, .sent = 5};
    begin_handoff(world);
    hand_over(world, 1000);
    machine_says(world, CONDUIT_LOAD, body, conduit_write_load(&load, body, sizeof body));
    machine_hears(world, CONDUIT_ACKNOWLEDGEMENT);
    port_service_gone(world->service);
    expect_announcement(world);
}

static void of_a_machine_that_is_stopped_only_those_who_are_known_to_wait_are_told(void **state)
{
    struct world *world = *state;
    uint8_t body[CONDUIT_SMALL_BODY_MAX];
    struct conduit_load load = {.connections = 1, .received = 5, .sent = 5};
    begin_handoff(world);
    hand_over(world, 1000);
    machine_says(world, CONDUIT_LOAD, body, conduit_write_load(&load, body, sizeof body));
    machine_hears(world, CONDUIT_ACKNOWLEDGEMENT);
    port_service_attract(world->service); /* it may have closed it by now */
    expect_announcement(world);
    port_service_gone(world->service);
    expect_announcement(world);

    machine_connects(world);
    hand_over(world, 1001);
    machine_says(world, CONDUIT_LOAD, body, conduit_write_load(&load, body, sizeof body));
    machine_hears(world, CONDUIT_ACKNOWLEDGEMENT);
    world_pass(world, 3 * SECOND);
    port_service_attract(world->service);
    expect_announcement(world);
    port_service_gone(world->service);
    expect_announcement(world);
    expect_segment(world, 1001, TCP_ACK);
}

static void suspended_machines_keep_their_clients(void **state)
{
    struct world *world = *state;
    begin_handoff(world);
    hand_over(world, 1000);
    port_service_suspended(world->service);
    expect_announcement(world);
    port_service_starting(world->service);
    client_segment_of(world, 1000, TCP_ACK, 100, 200);
    assert_int_equal(world_statistics(world).frames, 1);
    port_service_gone(world->service);
    expect_announcement(world);
    expect_segment(world, 1000, TCP_ACK);
    expect_segment(world, 1000, TCP_RST);
}

/* The machine may not resume just now; but it will. */
static void connections_of_suspended_machines_are_not_reset_when_others_are_refused(void **state)
{
    struct world *world = *state;
    begin_handoff(world);
    hand_over(world, 1000);
    port_service_attract(world->service);
    expect_announcement(world);
    client_segment_of(world, 1000, TCP_ACK, 100, 200);
    port_service_refuse(world->service, true);
    world_silence(world);
    port_service_refuse(world->service, false);
    port_service_suspended(world->service);
    expect_announcement(world);
    client_segment_of(world, 1000, TCP_ACK, 100, 200);
    client_opens(world, 1001, 80, 7);
    port_service_refuse(world->service, true);
    expect_segment(world, 1001, TCP_RST | TCP_ACK);
    client_segment_of(world, 1000, TCP_ACK, 100, 200);
    world_silence(world);
    port_service_refuse(world->service, false);
    unsigned wanted = world->wanted;
    client_segment_of(world, 1000, TCP_ACK, 100, 200);
    assert_int_equal(world->wanted, wanted + 1);
}

static void failing_again_does_not_tell_again(void **state)
{
    struct world *world = *state;
    begin_handoff(world);
    hand_over(world, 1000);
    port_service_gone(world->service);
    expect_announcement(world);
    expect_segment(world, 1000, TCP_ACK);
    port_service_starting(world->service);
    port_service_fail(world->service);
    expect_announcement(world);
    port_service_fail(world->service);
    expect_announcement(world);
    expect_reset_after_answer(world, 1000);
}

/* However many there are, and whether or not they are remembered. */
static void the_memory_for_clients_leaves_room_for_what_is_held(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    limits.bytes = limits.bytes_per_service = 40000;
    world_limit(world, &limits);
    begin_delay(world);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    for (uint16_t port = 1000; port < 2000; port++) {
        world->service->location = LOCATION_PORT;
        client_opens(world, port, 80, 7);
        machine_answers(world);
        expect_opening(world, port);
    }
    assert_in_range(world_statistics(world).bytes, 1, limits.bytes / 8);
    port_service_free(world->service);
    world->service = NULL;
}

static void the_latest_of_too_many_are_told(void **state)
{
    struct world *world = *state;
    begin_delay(world);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    for (uint16_t port = 1000; port < 3000; port++) {
        world->service->location = LOCATION_PORT;
        client_opens(world, port, 80, 7);
        machine_answers(world);
        expect_opening(world, port);
    }
    /* As many as there is room for on the way. */
    port_service_gone(world->service);
    expect_announcement(world);
    uint16_t first = world_next(world)->tcp.destination_port, count = 1;
    while (recv(world->bridge, world->frame, sizeof world->frame, MSG_PEEK) > 0)
        assert_int_equal(world_next(world)->tcp.destination_port, first + count++);
    assert_int_equal(first, 3000 - 1024);
    assert_int_equal(world->service->served.count, 1024);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(whose_connection_was_handed_over_is_told),
        TEST(whose_opening_was_released_is_told),
        TEST(who_answers_while_the_next_machine_starts_is_reset_too),
        TEST(who_has_ended_is_not_told),
        TEST(of_a_machine_that_is_stopped_only_those_who_are_known_to_wait_are_told),
        TEST(suspended_machines_keep_their_clients),
        TEST(connections_of_suspended_machines_are_not_reset_when_others_are_refused),
        TEST(failing_again_does_not_tell_again),
        TEST(the_memory_for_clients_leaves_room_for_what_is_held),
        TEST(the_latest_of_too_many_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
