/* Idle machines are stopped; each kind of use keeps one up. */
#include "summon_world.h"

#include <string.h>

#define SECOND NANOSECONDS_PER_SECOND

static bool first_is_stopping(void)
{
    return state_of(0) == MACHINE_STOPPING;
}

static void an_idle_machine_is_stopped_by_the_timer(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].idle = 50 * NANOSECONDS_PER_MILLISECOND;
    config->services[0].stop = CONFIG_STOP_SHUTDOWN;
    world_summon(config, true);
    bring_up(0);
    wait_for(first_is_stopping);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->stop.mode, CONFIG_STOP_SHUTDOWN);
    assert_string_equal(last_transition()->cause, "idle");
    assert_false(hold_of(0)->ready);
    keeper_exited(0, true, "");
    assert_int_equal(state_of(0), MACHINE_OFF);
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
}

static void queries_keep_it_up(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    bring_up(0);
    for (unsigned i = 0; i < 5; i++) {
        pass(100 * SECOND);
        assert_int_equal(state_of(0), MACHINE_RUNNING);
        query(0);
        turn();
    }
    pass(119 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    pass(2 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void bytes_keep_it_up(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].idle_connections = CONFIG_CONNECTIONS_IGNORE;
    world_summon(config, true);
    bring_up(0);
    connects(0);
    for (unsigned i = 0; i < 5; i++) {
        pass(100 * SECOND);
        assert_int_equal(state_of(0), MACHINE_RUNNING);
        hold_of(0)->last_use = clock_now();
    }
    pass(121 * SECOND); /* the connection is open still, but ignored */
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void an_open_connection_keeps_it_up_and_its_end_begins_the_idle_time(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    bring_up(0);
    connects(0);
    for (unsigned i = 0; i < 100; i++) {
        pass(100 * SECOND);
        assert_int_equal(state_of(0), MACHINE_RUNNING);
    }
    hold_of(0)->connected = 0;
    pass(60 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    pass(61 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void one_that_is_kept_always_stays(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].keep = CONFIG_KEEP_ALWAYS;
    world_summon(config, true);
    keeper_ready(0);
    pass(100000 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
}

static void the_idle_time_begins_when_it_is_ready(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].idle = 5 * SECOND;
    world_summon(config, true);
    query(0);
    turn();
    pass(9 * SECOND);
    keeper_ready(0);
    pass(4 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    pass(2 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void a_suspended_machine_is_resumed_by_the_next_want(void **state)
{
    (void)state;
    struct limits_status limits;
    struct config *config = world_config(1);
    config->services[0].stop = CONFIG_STOP_SUSPEND;
    config->services[0].idle_connections = CONFIG_CONNECTIONS_IGNORE;
    world_summon(config, true);
    bring_up(0);
    uint32_t serial = last_sent(MESSAGE_START, NAME(0))->serial;
    connects(0);
    pass(121 * SECOND);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->stop.mode, CONFIG_STOP_SUSPEND);
    keeper_says(MESSAGE_SUSPENDED, 0);
    assert_int_equal(state_of(0), MACHINE_SUSPENDED);
    assert_int_equal(hold_of(0)->connected, 1); /* it survives */
    summoner_limits(world.summoner, &limits);
    assert_int_equal(limits.machines, 1); /* it keeps its memory */
    assert_int_equal(limits.memory, 16 * MEGABYTE);

    assert_true(connects(0));
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_true(last_sent(MESSAGE_START, NAME(0))->serial != serial);
    keeper_ready(0);
    assert_int_equal(hold_of(0)->connected, 2);
    assert_int_equal(world.resets, 0);
}

static void a_suspended_machine_that_goes_is_off(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].stop = CONFIG_STOP_SUSPEND;
    world_summon(config, true);
    bring_up(0);
    pass(121 * SECOND);
    keeper_says(MESSAGE_SUSPENDED, 0);
    keeper_exited(0, false, "killed");
    assert_int_equal(state_of(0), MACHINE_OFF);
    assert_int_equal(query(0), DNS_ANSWER);
    turn();
    assert_int_equal(state_of(0), MACHINE_STARTING);
}

static void deadlines_come_in_their_order(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct config *config = world_config(COUNT);
    config->machine_limit = COUNT;
    config->start_limit = COUNT;
    config->memory_limit = COUNT * 16 * MEGABYTE;
    for (unsigned i = 0; i < COUNT; i++)
        config->services[i].idle = (uint64_t)(i * 37 % COUNT + 1) * 10 * SECOND;
    world_summon(config, true);
    for (unsigned i = 0; i < COUNT; i++)
        bring_up(i);
    /* Some end before their time: their deadlines go from the middle of the heap. */
    unsigned ended = 0;
    for (unsigned i = 0; i < COUNT; i += 7, ended++)
        keeper_exited(i, false, "crashed");
    for (unsigned tenth = 1; tenth <= COUNT; tenth++) {
        pass(10 * SECOND);
        for (unsigned i = 0; i < COUNT; i++)
            if (i % 7 != 0)
                assert_int_equal(state_of(i), config->services[i].idle <= tenth * 10 * SECOND
                                                  ? MACHINE_STOPPING
                                                  : MACHINE_RUNNING);
    }
    assert_int_equal(sent(MESSAGE_STOP, NULL), COUNT - ended);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_machine_is_stopped_by_the_timer),
        TEST(queries_keep_it_up),
        TEST(bytes_keep_it_up),
        TEST(an_open_connection_keeps_it_up_and_its_end_begins_the_idle_time),
        TEST(one_that_is_kept_always_stays),
        TEST(the_idle_time_begins_when_it_is_ready),
        TEST(a_suspended_machine_is_resumed_by_the_next_want),
        TEST(a_suspended_machine_that_goes_is_off),
        TEST(deadlines_come_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
