/* In a crowd, whose openings of connections are kept: those of clients that are there. */
#include "port_world.h"

#define MOST 10

/* A client's frames go to the port, where there is room for MOST. */
static void begin(struct world *world)
{
    struct port_limits limits = WORLD_LIMITS;
    limits.frames_per_service = MOST;
    world_limit(world, &limits);
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
}

/* The port asks whether that client is there. Returns the number that the answer must have. */
static uint32_t expect_challenge(struct world *world, uint16_t client_port)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_TCP);
    assert_true(mac_equal(packet->ethernet.source, world_machine_mac));
    assert_true(mac_equal(packet->ethernet.destination, world_client_mac));
    assert_true(tcp_checksum_is_right(&packet->ip));
    assert_true(address_equal(&packet->ip.source, &world_machine4));
    assert_int_equal(packet->tcp.source_port, 80);
    assert_int_equal(packet->tcp.destination_port, client_port);
    assert_int_equal(packet->tcp.flags, TCP_ACK);
    assert_int_equal(packet->tcp.data_length, 0);
    return packet->tcp.acknowledgement;
}

static void client_resets(struct world *world, uint16_t client_port, uint32_t sequence)
{
    struct tcp_segment segment = {
        .source_port = client_port, .destination_port = 80, .sequence = sequence, .flags = TCP_RST};
    client_segment(world, &world_to_machine4, &segment);
}

/* Opens connections until there are so many; returns the number for the client of `port`. */
static uint32_t crowd(struct world *world, uint16_t port)
{
    uint32_t number = 0;
    for (uint16_t other = 1000; other < 1000 + MOST / 2; other++)
        client_opens(world, other, 80, 1);
    world_silence(world);
    client_opens(world, 1000 + MOST / 2, 80, 1);
    for (uint16_t other = 1000; other <= 1000 + MOST / 2; other++) {
        uint32_t its = expect_challenge(world, other);
        if (other == port)
            number = its;
    }
    return number;
}

static void flood(struct world *world)
{
    for (uint16_t port = 2000; port < 2000 + 3 * MOST; port++) {
        client_opens(world, port, 80, 1);
        expect_challenge(world, port);
    }
}

static void who_answers_is_kept_while_others_come(void **state)
{
    struct world *world = *state;
    begin(world);
    client_resets(world, 1002, crowd(world, 1002));
    flood(world);
    assert_int_equal(world_statistics(world).frames, MOST);
    assert_int_equal(world_statistics(world).challenges, MOST / 2 + 1 + 3 * MOST);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    expect_opening(world, 1002);
    for (uint16_t port = 2000 + 2 * MOST + 1; port < 2000 + 3 * MOST; port++)
        expect_opening(world, port);
}

static void of_clients_that_are_there_the_oldest_gives_way(void **state)
{
    struct world *world = *state;
    begin(world);
    client_resets(world, 1000, crowd(world, 1000));
    for (uint16_t port = 2000; port < 2000 + MOST; port++) {
        client_opens(world, port, 80, 1);
        client_resets(world, port, expect_challenge(world, port));
    }
    client_opens(world, 3000, 80, 1);
    expect_challenge(world, 3000);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    for (uint16_t port = 2001; port < 2000 + MOST; port++)
        expect_opening(world, port);
    expect_opening(world, 3000);
}

static void a_wrong_answer_shows_nothing(void **state)
{
    struct world *world = *state;
    begin(world);
    uint32_t number = crowd(world, 1002);
    client_resets(world, 1002, number + 1);
    client_resets(world, 1003, number);
    flood(world);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    for (uint16_t port = 2000 + 2 * MOST; port < 2000 + 3 * MOST; port++)
        expect_opening(world, port);
}

static void an_answer_too_late_is_followed_by_the_opening_again(void **state)
{
    struct world *world = *state;
    begin(world);
    uint32_t number = crowd(world, 1002);
    flood(world);
    client_resets(world, 1002, number);
    client_opens(world, 1002, 80, 1);
    number = expect_challenge(world, 1002);
    client_resets(world, 1002, number);
    flood(world);
    client_opens(world, 1002, 80, 1); /* is held already, and not asked again */
    world_silence(world);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    expect_opening(world, 1002);
    for (int i = 1; i < MOST; i++)
        world_next(world);
}

static void a_crowd_of_other_services_counts_too(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    begin(world);
    client_opens(world, 1000, 80, 1);
    world_silence(world);
    limits.bytes = 3 * world_statistics(world).bytes;
    world_limit(world, &limits);
    client_opens(world, 1001, 80, 1);
    client_resets(world, 1000, expect_challenge(world, 1000));
    expect_challenge(world, 1001);
    for (uint16_t port = 1002; port < 1010; port++) {
        client_opens(world, port, 80, 1);
        expect_challenge(world, port);
    }
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    expect_opening(world, 1000);
    expect_opening(world, 1008);
    expect_opening(world, 1009);
}

static void when_the_crowd_is_gone_nobody_is_asked(void **state)
{
    struct world *world = *state;
    begin(world);
    crowd(world, 1000);
    port_service_fail(world->service);
    expect_announcement(world);
    for (uint16_t port = 1000; port <= 1000 + MOST / 2; port++)
        expect_reset(world, port);
    client_opens(world, 3000, 80, 1);
    world_silence(world);
}

/* Held for as long as anybody can be waiting, whatever order they are in. */
static void nobody_waits_for_ever(void **state)
{
    struct world *world = *state;
    begin(world);
    client_resets(world, 1002, crowd(world, 1002));
    world_pass(world, 60 * SECOND);
    client_opens(world, 3000, 80, 1);
    expect_challenge(world, 3000);
    world_pass(world, 61 * SECOND);
    assert_int_equal(world_statistics(world).frames, 1);
    world_pass(world, 60 * SECOND);
    assert_int_equal(world_statistics(world).frames, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_answers_is_kept_while_others_come),
        TEST(of_clients_that_are_there_the_oldest_gives_way),
        TEST(a_wrong_answer_shows_nothing),
        TEST(an_answer_too_late_is_followed_by_the_opening_again),
        TEST(a_crowd_of_other_services_counts_too),
        TEST(when_the_crowd_is_gone_nobody_is_asked),
        TEST(nobody_waits_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
