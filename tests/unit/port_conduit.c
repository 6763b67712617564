/* What port and machine say to each other by the conduit. */
#include "port_world.h"

static void begin(struct world *world)
{
    world_service(world, PORT_READY_ANNOUNCE);
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
    client_opens(world, 1000, 80, 1);
    machine_connects(world);
    port_service_starting(world->service);
    world_silence(world);
}

static void a_machine_that_says_hello_is_ready(void **state)
{
    struct world *world = *state;
    begin(world);
    machine_announces(world);
    world_pass(world, SECOND);
    world_silence(world);
    machine_hello(world);
    expect_opening(world, 1000);
    assert_int_equal(world->readies, 1);
    machine_hears(world, CONDUIT_SETTLED);
    world_pass(world, SECOND);
    client_asks4(world);
    world_silence(world);
}

static void what_is_lost_is_said_again(void **state)
{
    struct world *world = *state;
    begin(world);
    machine_hello(world);
    expect_opening(world, 1000);
    world_next(world); /* SETTLED */
    conduit_link_run(&world->link, UINT64_MAX);
    machine_hears(world, CONDUIT_ACKNOWLEDGEMENT);
    world_pass(world, CONDUIT_PATIENCE_FIRST);
    machine_hears(world, CONDUIT_SETTLED);
    assert_int_equal(world->readies, 1);
    world_pass(world, SECOND);
}

static void another_token_is_not_heard(void **state)
{
    static const uint8_t token[CONDUIT_TOKEN_SIZE] = "another";
    struct world *world = *state;
    begin(world);
    port_service_conduit(world->service, token);
    machine_hello(world);
    assert_int_equal(world->readies, 0);
    port_service_conduit(world->service, token);
    assert_int_equal(world_statistics(world).strange, 1);
}

static void a_machine_without_a_conduit_is_not_heard(void **state)
{
    struct world *world = *state;
    begin(world);
    world_service(world, PORT_READY_ANNOUNCE);
    machine_hello(world);
    assert_int_equal(world->readies, 0);
    assert_int_equal(world_statistics(world).strange, 1);
}

static void run(struct world *world)
{
    begin(world);
    machine_hello(world);
    expect_opening(world, 1000);
    machine_hears(world, CONDUIT_SETTLED);
}

static void load_is_use(void **state)
{
    struct world *world = *state;
    uint8_t body[CONDUIT_SMALL_BODY_MAX];
    struct conduit_load load = {.connections = 3, .received = 100};
    run(world);
    uint64_t before = port_service_last_use(world->service);
    world_pass(world, SECOND);
    machine_says(world, CONDUIT_LOAD, body, conduit_write_load(&load, body, sizeof body));
    machine_hears(world, CONDUIT_ACKNOWLEDGEMENT);
    assert_int_equal(port_service_connections(world->service), 3);
    assert_int_equal(port_service_last_use(world->service), before + SECOND);

    world_pass(world, SECOND);
    load.connections = 2;
    machine_says(world, CONDUIT_LOAD, body, conduit_write_load(&load, body, sizeof body));
    machine_hears(world, CONDUIT_ACKNOWLEDGEMENT);
    assert_int_equal(port_service_connections(world->service), 2);
    assert_int_equal(port_service_last_use(world->service), before + SECOND);
    port_service_gone(world->service);
    expect_announcement(world);
    assert_int_equal(world_next(world)->tcp.flags, TCP_ACK); /* its client is told */
    assert_int_equal(port_service_connections(world->service), 0);
}

static void a_machine_is_asked_to_stop(void **state)
{
    struct world *world = *state;
    uint8_t body[CONDUIT_SMALL_BODY_MAX];
    const struct conduit_stopped stopped = {0};
    struct conduit_stop stop;
    assert_false(port_service_stop(world->service, 1500));
    run(world);
    assert_true(port_service_stop(world->service, 1500));
    machine_hears(world, CONDUIT_STOP);
    assert_true(
        conduit_read_stop(&stop, world->conduit_message.body, world->conduit_message.length));
    assert_int_equal(stop.deadline, 1500);
    machine_says(world, CONDUIT_STOPPED, body, conduit_write_stopped(&stopped, body, sizeof body));
    machine_hears(world, CONDUIT_ACKNOWLEDGEMENT);
    assert_int_equal(world->stops, 1);
}

static void a_new_port_makes_itself_known(void **state)
{
    struct world *world = *state;
    world_service(world, PORT_READY_ANNOUNCE);
    machine_connects(world);
    port_service_ready(world->service);
    machine_hears(world, CONDUIT_HELLO);
    machine_hello(world);
    machine_hears(world, CONDUIT_SETTLED);
    assert_int_equal(world->readies, 0);
    assert_true(port_service_stop(world->service, 1));
    machine_hears(world, CONDUIT_STOP);
}

/* Its owner may learn of it before the port does, from the console: HELLO is on its way. */
static void a_machine_that_starts_is_not_asked_for_its_hello(void **state)
{
    struct world *world = *state;
    begin(world);
    machine_announces(world);
    port_service_ready(world->service);
    expect_opening(world, 1000);
    world_silence(world);
    machine_hello(world);
    machine_hears(world, CONDUIT_SETTLED);
    assert_int_equal(world->readies, 0);
}

static void a_machine_that_resumes_is_asked_for_its_hello(void **state)
{
    struct world *world = *state;
    world_service(world, PORT_READY_TOLD);
    port_service_suspended(world->service);
    expect_announcement(world);
    machine_connects(world);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    world_silence(world);
    machine_answers(world);
    machine_hears(world, CONDUIT_HELLO);
    machine_hello(world);
    machine_hears(world, CONDUIT_SETTLED);
}

static void a_machine_whose_readiness_shows_otherwise_is_told_when_all_is_settled(void **state)
{
    struct world *world = *state;
    begin(world);
    world_service(world, PORT_READY_TOLD);
    machine_connects(world);
    port_service_starting(world->service);
    machine_hello(world);
    machine_hears(world, CONDUIT_ACKNOWLEDGEMENT);
    assert_int_equal(world->readies, 0);
    port_service_ready(world->service);
    machine_hears(world, CONDUIT_SETTLED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_machine_that_says_hello_is_ready),
        TEST(what_is_lost_is_said_again),
        TEST(another_token_is_not_heard),
        TEST(a_machine_without_a_conduit_is_not_heard),
        TEST(load_is_use),
        TEST(a_machine_is_asked_to_stop),
        TEST(a_new_port_makes_itself_known),
        TEST(a_machine_that_starts_is_not_asked_for_its_hello),
        TEST(a_machine_that_resumes_is_asked_for_its_hello),
        TEST(a_machine_whose_readiness_shows_otherwise_is_told_when_all_is_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
