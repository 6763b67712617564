/* How machines become ready, and when what is held goes in. */
#include <stdlib.h>

#include "port_world.h"

static void hold_one(struct world *world)
{
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
    client_opens(world, 1000, 80, 1);
}

static void nothing_is_released_before_the_bridge_knows_the_machine(void **state)
{
    struct world *world = *state;
    hold_one(world);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    world_silence(world);
    world_pass(world, 5 * MILLISECOND);
    expect_question(world);
    machine_answers(world);
    expect_opening(world, 1000);
    world_pass(world, SECOND);
    assert_int_equal(world->readies, 0);
}

static void any_frame_of_the_machine_will_do(void **state)
{
    struct world *world = *state;
    hold_one(world);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    machine_announces(world);
    expect_opening(world, 1000);
}

static void a_machine_that_was_drawn_away_is_asked_even_if_nobody_waits(void **state)
{
    struct world *world = *state;
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    client_opens(world, 1000, 80, 1); /* still comes here */
    world_silence(world);
    machine_answers(world);
    expect_opening(world, 1000);
    world_pass(world, SECOND);
}

static void stragglers_are_passed_on(void **state)
{
    struct world *world = *state;
    hold_one(world);
    port_service_ready(world->service);
    expect_question(world);
    machine_announces(world);
    expect_opening(world, 1000);
    client_opens(world, 1001, 80, 1);
    expect_opening(world, 1001);
    world_pass(world, 2 * SECOND);
    client_opens(world, 1002, 80, 1);
}

static void a_machine_that_is_only_on_the_network_is_drawn_away_again(void **state)
{
    struct world *world = *state;
    hold_one(world);
    port_service_starting(world->service);
    machine_announces(world);
    expect_draw(world);
    world_pass(world, 5 * MILLISECOND);
    expect_draw(world);
    world_silence(world);
}

static void what_is_not_from_clients_may_go_in_before(void **state)
{
    struct world *world = *state;
    hold_one(world);
    port_service_starting(world->service);
    client_datagram(world, 5353, "an answer to the machine");
    world_pass(world, 5 * MILLISECOND);
    expect_draw(world);
    expect_question(world);
    machine_answers(world);
    assert_int_equal(world_next(world)->kind, PACKET_UDP);
    expect_draw(world);
    assert_int_equal(world_statistics(world).frames, 1);
}

/* --- ready: arp --- */

static void a_machine_that_speaks_arp_is_ready(void **state)
{
    struct world *world = *state;
    world_service(world, PORT_READY_ARP);
    hold_one(world);
    port_service_starting(world->service);
    machine_announces(world);
    expect_opening(world, 1000);
    assert_int_equal(world->readies, 1);
    client_asks4(world);
}

static void it_is_asked_until_it_does(void **state)
{
    struct world *world = *state;
    world_service(world, PORT_READY_ARP);
    hold_one(world);
    port_service_starting(world->service);
    for (int i = 0; i < 3; i++) {
        world_pass(world, 5 * MILLISECOND);
        expect_draw(world);
        expect_question(world);
    }
    machine_answers(world);
    expect_opening(world, 1000);
    assert_int_equal(world->readies, 1);
}

/* --- ready: tcp --- */

/* The machine is on the network, and the port has tried its service. */
static struct packet try_service(struct world *world, uint64_t time)
{
    world_pass(world, time);
    expect_draw(world);
    expect_question(world);
    machine_answers(world);
    struct packet attempt = *expect_attempt(world);
    expect_draw(world);
    return attempt;
}

static void a_machine_whose_service_accepts_is_ready(void **state)
{
    struct world *world = *state;
    world_service(world, PORT_READY_TCP);
    hold_one(world);
    port_service_starting(world->service);
    world_silence(world);
    struct packet attempt = try_service(world, 5 * MILLISECOND);
    machine_accepts(world, &attempt);

    const struct packet *packet = world_next(world);
    assert_int_equal(packet->tcp.flags, TCP_RST);
    assert_int_equal(packet->tcp.sequence, attempt.tcp.sequence + 1);
    expect_opening(world, 1000);
    assert_int_equal(world->readies, 1);
    world_pass(world, SECOND);
}

static void a_machine_whose_service_refuses_is_drawn_away_and_tried_again(void **state)
{
    struct world *world = *state;
    world_service(world, PORT_READY_TCP);
    hold_one(world);
    port_service_starting(world->service);
    struct packet first = try_service(world, 5 * MILLISECOND);
    machine_refuses(world, &first);
    expect_draw(world);
    world_silence(world);
    assert_int_equal(world->readies, 0);

    struct packet second = try_service(world, 5 * MILLISECOND);
    assert_true(second.tcp.sequence != first.tcp.sequence);
    machine_accepts(world, &first); /* late, and of another attempt */
    expect_draw(world);
    assert_int_equal(world->readies, 0);
    machine_accepts(world, &second);
    world_next(world);
    expect_opening(world, 1000);
    assert_int_equal(world->readies, 1);
}

static void a_machine_that_does_not_answer_is_tried_again(void **state)
{
    struct world *world = *state;
    world_service(world, PORT_READY_TCP);
    port_service_starting(world->service);
    struct packet attempt = try_service(world, 5 * MILLISECOND);
    attempt = try_service(world, 5 * MILLISECOND);
    machine_accepts(world, &attempt);
    world_next(world);
    assert_int_equal(world->readies, 1);
}

static void only_the_machine_can_say_that_it_is_ready(void **state)
{
    struct world *world = *state;
    world_service(world, PORT_READY_TCP);
    hold_one(world);
    port_service_starting(world->service);
    struct packet attempt = try_service(world, 5 * MILLISECOND);
    struct way way = {world_client_mac, world_port_mac, world_machine4, world_port4};
    struct tcp_segment segment = {.source_port = 80,
                                  .destination_port = attempt.tcp.source_port,
                                  .acknowledgement = attempt.tcp.sequence + 1,
                                  .flags = TCP_SYN | TCP_ACK};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_tcp(frame, &way, &segment));
    assert_int_equal(world->readies, 0);
}

static void a_machine_with_ipv6_only_is_tried_from_the_link_local_address(void **state)
{
    struct world *world = *state;
    struct port_machine machine = world_machine(PORT_READY_TCP);
    struct address own = neighbour_link_local(world_port_mac);
    machine.addresses = &world_machine6;
    machine.address_count = 1;
    world_replace(world, &machine);
    port_service_starting(world->service);
    world_pass(world, 5 * MILLISECOND);
    expect_draw(world);
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_NEIGHBOUR);
    assert_int_equal(packet->neighbour.type, NEIGHBOUR_SOLICITATION);
    assert_true(address_equal(&packet->neighbour.target, &world_machine6));
    assert_true(address_equal(&packet->ip.source, &own));

    struct way way = {world_machine_mac, world_port_mac, world_machine6, own};
    struct neighbour answer = {
        .type = NEIGHBOUR_ADVERTISEMENT, .flags = NEIGHBOUR_SOLICITED, .target = world_machine6};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_neighbour(frame, &way, &answer));
    struct packet attempt = *world_next(world);
    expect_draw(world);
    assert_int_equal(attempt.kind, PACKET_TCP);
    assert_true(address_equal(&attempt.ip.source, &own));
    machine_accepts(world, &attempt);
    world_next(world);
    assert_int_equal(world->readies, 1);
}

static void a_port_without_an_address_cannot_try(void **state)
{
    struct world *world = *state;
    struct port_machine machine = world_machine(PORT_READY_TCP);
    struct error error;
    machine.address_count = 1;
    world->port->address4 = (struct address){0};
    port_service_free(world->service);
    world->service = port_service_new(world->port, world, &machine, &error);
    assert_null(world->service);
    machine.ready = PORT_READY_ARP;
    world_replace(world, &machine);
    port_service_starting(world->service);
    world_pass(world, 5 * MILLISECOND);
    expect_draw(world);
    assert_true(arp_is_probe(&world_next(world)->arp));
}

static void go_away(struct world *world)
{
    port_service_free(world->service);
    world->service = NULL;
}

static void the_owner_may_free_the_service(void **state)
{
    struct world *world = *state;
    world_service(world, PORT_READY_ARP);
    hold_one(world);
    port_service_starting(world->service);
    world->on_ready = go_away;
    machine_announces(world);
    expect_opening(world, 1000);
    assert_null(world->service);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_released_before_the_bridge_knows_the_machine),
        TEST(any_frame_of_the_machine_will_do),
        TEST(a_machine_that_was_drawn_away_is_asked_even_if_nobody_waits),
        TEST(stragglers_are_passed_on),
        TEST(a_machine_that_is_only_on_the_network_is_drawn_away_again),
        TEST(what_is_not_from_clients_may_go_in_before),
        TEST(a_machine_that_speaks_arp_is_ready),
        TEST(it_is_asked_until_it_does),
        TEST(a_machine_whose_service_accepts_is_ready),
        TEST(a_machine_whose_service_refuses_is_drawn_away_and_tried_again),
        TEST(a_machine_that_does_not_answer_is_tried_again),
        TEST(only_the_machine_can_say_that_it_is_ready),
        TEST(a_machine_with_ipv6_only_is_tried_from_the_link_local_address),
        TEST(a_port_without_an_address_cannot_try),
        TEST(the_owner_may_free_the_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
