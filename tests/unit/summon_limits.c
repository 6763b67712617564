/* Limits: starts at a time, machines, memory; the queue of starts and the services refused. */
#include "summon_world.h"

#include <string.h>

#include "common/log.h"

static struct limits_status limits(void)
{
    struct limits_status status;
    summoner_limits(world.summoner, &status);
    return status;
}

static void a_query_starts_the_machine_in_the_same_turn(void **state)
{
    (void)state;
    world_summon(world_config(2), true);
    assert_int_equal(query(1), DNS_ANSWER);
    turn();
    assert_int_equal(state_of(1), MACHINE_STARTING);
    assert_int_equal(sent(MESSAGE_START, NAME(1)), 1);
    assert_true(last_sent(MESSAGE_START, NAME(1))->serial != 0);
    query(1);
    turn();
    assert_true(connects(1));
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    assert_int_equal(state_of(0), MACHINE_OFF);
}

static void a_hundred_at_once_are_all_served_few_at_a_time(void **state)
{
    (void)state;
    struct config *config = world_config(100);
    config->machine_limit = 100;
    config->memory_limit = 100 * 16 * MEGABYTE;
    world_summon(config, true);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(query(i), DNS_ANSWER);
        assert_true(connects(i));
    }
    turn();
    size_t served = 0;
    while (served < 100) {
        assert_true(limits().starts <= 4);
        assert_int_equal(limits().starts + limits().waiting, 100 - served);
        assert_int_equal(sent(MESSAGE_START, NULL), served + limits().starts);
        keeper_ready(served);
        assert_int_equal(hold_of(served)->connected, 1);
        served++;
    }
    assert_int_equal(world.resets, 0);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(state_of(i), MACHINE_RUNNING);
        assert_string_equal(world.sent[i].service, NAME(i)); /* first come, first served */
    }
}

static void a_start_that_fails_lets_the_next_in_line_start(void **state)
{
    (void)state;
    struct config *config = world_config(3);
    config->start_limit = 1;
    world_summon(config, true);
    for (size_t i = 0; i < 3; i++)
        query(i);
    turn();
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    keeper_fails(0, "no such image");
    assert_int_equal(sent(MESSAGE_START, NULL), 2);
    assert_int_equal(state_of(1), MACHINE_STARTING);
    keeper_exited(1, false, "exit status 1");
    assert_int_equal(state_of(2), MACHINE_STARTING);
}

static void over_machines_it_is_refused_until_there_is_room(void **state)
{
    (void)state;
    struct config *config = world_config(3);
    config->machine_limit = 2;
    world_summon(config, true);
    bring_up(0);
    bring_up(1);
    assert_int_equal(query(2), DNS_ANSWER); /* the first is answered at once */
    turn();
    assert_int_equal(state_of(2), MACHINE_OFF);
    assert_int_equal(query(2), DNS_NO_RESOURCES);
    assert_int_equal(world.released_failed, 1);
    assert_ptr_equal(world.last_released, summoner_dns_hosts(world.summoner)[2]);
    assert_false(connects(2));
    assert_int_equal(disposition_of(0), DNS_ANSWER);

    keeper_exited(0, false, "crashed");
    assert_int_equal(state_of(2), MACHINE_STARTING);
    assert_int_equal(disposition_of(2), DNS_ANSWER);
    assert_true(connects(2));
    keeper_ready(2);
    assert_int_equal(hold_of(2)->connected, 1);
}

static void over_memory_it_is_refused_but_a_smaller_one_is_not(void **state)
{
    (void)state;
    struct config *config = world_config(4);
    config->memory_limit = 100 * MEGABYTE;
    config->services[0].memory = 64 * MEGABYTE;
    config->services[1].memory = 64 * MEGABYTE;
    config->services[2].memory = 32 * MEGABYTE;
    config->services[3].memory = 200 * MEGABYTE; /* never fits */
    world_summon(config, true);
    bring_up(0);
    query(1);
    turn();
    assert_int_equal(disposition_of(1), DNS_NO_RESOURCES);
    query(3);
    turn();
    assert_int_equal(disposition_of(3), DNS_NO_RESOURCES);
    bring_up(2);
    assert_int_equal(limits().memory, 96 * MEGABYTE);
    summoner_stop(world.summoner, service_at(2), CONFIG_STOP_DESTROY, NULL);
    keeper_exited(2, true, "");
    assert_int_equal(disposition_of(1), DNS_NO_RESOURCES); /* 32 are not enough */
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL);
    assert_int_equal(limits().waiting, 1); /* for the room that it leaves */
    assert_int_equal(sent(MESSAGE_START, NAME(1)), 0);
    keeper_exited(0, true, "");
    assert_int_equal(state_of(1), MACHINE_STARTING);
    assert_int_equal(disposition_of(3), DNS_NO_RESOURCES);
}

static void starts_that_wait_for_their_turn_hold_their_share(void **state)
{
    (void)state;
    struct config *config = world_config(3);
    config->start_limit = 1;
    config->machine_limit = 2;
    world_summon(config, true);
    for (size_t i = 0; i < 3; i++)
        query(i);
    turn();
    assert_int_equal(limits().waiting, 1);
    assert_int_equal(limits().machines, 1);
    assert_int_equal(disposition_of(1), DNS_ANSWER);
    assert_int_equal(disposition_of(2), DNS_NO_RESOURCES);
}

static void an_idle_machine_makes_room(void **state)
{
    (void)state;
    struct config *config = world_config(2);
    config->machine_limit = 1;
    world_summon(config, true);
    bring_up(0);
    pass(119 * NANOSECONDS_PER_SECOND);
    query(1);
    turn();
    assert_int_equal(disposition_of(1), DNS_NO_RESOURCES); /* not idle yet */
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    pass(2 * NANOSECONDS_PER_SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
    assert_int_equal(disposition_of(1), DNS_ANSWER); /* it waits for the room */
    assert_int_equal(sent(MESSAGE_START, NAME(1)), 0);
    keeper_exited(0, true, "");
    assert_int_equal(state_of(1), MACHINE_STARTING);
}

static void what_nobody_wants_any_more_is_not_started_when_there_is_room(void **state)
{
    (void)state;
    struct config *config = world_config(3);
    config->machine_limit = 1;
    config->services[0].keep = CONFIG_KEEP_ALWAYS;
    world_summon(config, true);
    keeper_ready(0);
    query(1);
    query(2);
    turn();
    pass(90 * NANOSECONDS_PER_SECOND);
    assert_int_equal(query(2), DNS_NO_RESOURCES); /* counts as a want still */
    turn();
    pass(60 * NANOSECONDS_PER_SECOND);
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL);
    keeper_exited(0, true, "");
    assert_int_equal(state_of(1), MACHINE_OFF);
    assert_int_equal(disposition_of(1), DNS_ANSWER);
    assert_false(atomic_load(&summoner_dns_hosts(world.summoner)[1]->wanted));
    assert_int_equal(state_of(2), MACHINE_STARTING);
}

static void a_start_by_command_over_the_limits_says_why(void **state)
{
    (void)state;
    struct error error = {""};
    struct config *config = world_config(2);
    config->machine_limit = 1;
    world_summon(config, true);
    assert_int_equal(summoner_start(world.summoner, service_at(0), &error), 0);
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_int_equal(summoner_start(world.summoner, service_at(0), &error), 0);
    assert_int_equal(summoner_start(world.summoner, service_at(1), &error), -1);
    assert_non_null(strstr(error.text, "limits: machines: 1 of 1"));
    assert_int_equal(disposition_of(1), DNS_ANSWER);
}

static void a_waiting_start_can_be_taken_back_by_command(void **state)
{
    (void)state;
    struct config *config = world_config(2);
    config->start_limit = 1;
    world_summon(config, true);
    query(0);
    turn();
    assert_true(connects(1));
    assert_int_equal(limits().waiting, 1);
    assert_int_equal(summoner_stop(world.summoner, service_at(1), CONFIG_STOP_DESTROY, NULL), 0);
    assert_int_equal(limits().waiting, 0);
    assert_int_equal(world.resets, 1);
    keeper_ready(0);
    assert_int_equal(sent(MESSAGE_START, NAME(1)), 0);
    assert_true(connects(1));
    assert_int_equal(state_of(1), MACHINE_STARTING);
}

static void set_done(void *argument)
{
    *(bool *)argument = true;
}

static void all_are_stopped_and_none_is_started_any_more(void **state)
{
    (void)state;
    bool done = false;
    struct config *config = world_config(4);
    config->services[1].stop = CONFIG_STOP_SUSPEND;
    config->start_limit = 1;
    world_summon(config, true);
    bring_up(0);
    bring_up(1);
    query(2);
    query(3);
    turn();
    summoner_stop_all(world.summoner, set_done, &done);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(1))->stop.mode, CONFIG_STOP_SUSPEND);
    assert_int_equal(limits().waiting, 0);
    keeper_exited(0, true, "");
    keeper_says(MESSAGE_SUSPENDED, 1);
    assert_false(done);
    query(0);
    turn();
    connects(1);
    keeper_exited(2, true, "");
    assert_true(done);
    assert_int_equal(sent(MESSAGE_START, NULL), 3);
    struct error error;
    assert_int_equal(summoner_start(world.summoner, service_at(0), &error), -1);
}

static void thousands_are_refused_and_started_in_turn(void **state)
{
    (void)state;
    struct config *config = world_config(5000);
    config->machine_limit = 10;
    config->start_limit = 10;
    world_summon(config, true);
    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < 5000; i++)
        query(i);
    turn();
    for (size_t i = 0; i < 4990; i++) {
        keeper_ready(i);
        summoner_stop(world.summoner, service_at(i), CONFIG_STOP_DESTROY, NULL);
        keeper_exited(i, true, "");
        assert_int_equal(state_of(i), MACHINE_OFF);
    }
    assert_int_equal(sent(MESSAGE_START, NULL), 5000);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_query_starts_the_machine_in_the_same_turn),
        TEST(a_hundred_at_once_are_all_served_few_at_a_time),
        TEST(a_start_that_fails_lets_the_next_in_line_start),
        TEST(over_machines_it_is_refused_until_there_is_room),
        TEST(over_memory_it_is_refused_but_a_smaller_one_is_not),
        TEST(starts_that_wait_for_their_turn_hold_their_share),
        TEST(an_idle_machine_makes_room),
        TEST(what_nobody_wants_any_more_is_not_started_when_there_is_room),
        TEST(a_start_by_command_over_the_limits_says_why),
        TEST(a_waiting_start_can_be_taken_back_by_command),
        TEST(all_are_stopped_and_none_is_started_any_more),
        TEST(thousands_are_refused_and_started_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
