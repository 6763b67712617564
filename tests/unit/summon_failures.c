/* Machines that do not start, do not get ready, or die: back-off, and what the others notice. */
#include "summon_world.h"

#include <string.h>

#define SECOND NANOSECONDS_PER_SECOND

static struct service_status status_of(size_t index)
{
    struct service_status status;
    service_status(service_at(index), &status);
    return status;
}

static bool first_has_failed(void)
{
    return state_of(0) == MACHINE_FAILED;
}

static bool first_is_starting(void)
{
    return state_of(0) == MACHINE_STARTING;
}

/* Seconds until it may be tried again: at most `delay`, and more than half of it. */
static void assert_backs_off(size_t index, double delay)
{
    double left = status_of(index).retry - clock_wall();
    assert_true(left <= delay && left > delay / 2);
}

static void a_boot_that_takes_too_long_fails_by_the_timer(void **state)
{
    (void)state;
    struct config *config = world_config(2);
    config->services[0].boot_timeout = 20 * NANOSECONDS_PER_MILLISECOND;
    world_summon(config, true);
    bring_up(1);
    query(0);
    turn();
    assert_true(connects(0));
    wait_for(first_has_failed);
    const struct message *stop = last_sent(MESSAGE_STOP, NAME(0));
    assert_int_equal(stop->stop.mode, CONFIG_STOP_DESTROY);
    assert_int_equal(stop->serial, last_sent(MESSAGE_START, NAME(0))->serial);
    assert_int_equal(world.resets, 1);
    assert_false(connects(0));
    assert_int_equal(query(0), DNS_FAILED);
    assert_int_equal(world.released_failed, 1);
    assert_string_equal(status_of(0).error, "not ready within boot-timeout, 0.02 s");
    assert_int_equal(status_of(0).failures, 1);
    assert_string_equal(last_transition()->cause, "boot-timeout");
    assert_string_equal(last_transition()->query, "s0.example.org A");
    assert_int_equal(state_of(1), MACHINE_RUNNING);
}

static void what_a_timed_out_machine_says_later_changes_nothing(void **state)
{
    (void)state;
    struct limits_status limits;
    world_summon(world_config(1), true);
    query(0);
    turn();
    pass(11 * SECOND);
    assert_int_equal(state_of(0), MACHINE_FAILED);
    summoner_limits(world.summoner, &limits);
    assert_int_equal(limits.machines, 1); /* until it is gone */
    keeper_ready(0);
    assert_int_equal(state_of(0), MACHINE_FAILED);
    assert_false(hold_of(0)->ready);
    keeper_exited(0, true, "");
    assert_int_equal(state_of(0), MACHINE_FAILED);
    summoner_limits(world.summoner, &limits);
    assert_int_equal(limits.machines, 0);
}

static void no_second_machine_before_the_first_is_gone(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    query(0);
    turn();
    pass(11 * SECOND);
    pass(2 * SECOND); /* the back-off is over, but the keeper has not got rid of it */
    assert_int_equal(query(0), DNS_ANSWER);
    turn();
    assert_true(connects(0));
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    keeper_exited(0, true, "");
    assert_int_equal(sent(MESSAGE_START, NULL), 2);
    keeper_ready(0);
    assert_int_equal(hold_of(0)->connected, 1);
}

static void failing_again_and_again_backs_off_longer_and_longer(void **state)
{
    (void)state;
    static const double delays[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300};
    world_summon(world_config(1), true);
    for (unsigned i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        assert_int_equal(query(0), DNS_ANSWER);
        turn();
        assert_int_equal(state_of(0), MACHINE_STARTING);
        keeper_fails(0, "no such image");
        assert_backs_off(0, delays[i]);
        assert_int_equal(query(0), DNS_FAILED);
        turn();
        assert_int_equal(state_of(0), MACHINE_FAILED);
        pass((uint64_t)(delays[i] + 1) * SECOND);
        assert_int_equal(state_of(0), MACHINE_FAILED); /* nobody wants it now */
        assert_true(status_of(0).retry <= 0);
    }
    assert_int_equal(status_of(0).failures, 12);
    assert_string_equal(status_of(0).error, "no such image");
}

static void a_good_start_clears_the_error_and_a_long_run_the_back_off(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    for (unsigned i = 0; i < 3; i++) {
        query(0);
        turn();
        keeper_fails(0, "no such image");
        pass(10 * SECOND);
    }
    bring_up(0);
    assert_string_equal(status_of(0).error, "");
    pass(30 * SECOND);
    keeper_exited(0, false, "signal 11");
    assert_backs_off(0, 8); /* half a minute was not enough */
    pass(10 * SECOND);
    bring_up(0);
    pass(61 * SECOND);
    keeper_exited(0, false, "signal 11");
    assert_backs_off(0, 1);
}

static void a_machine_that_dies_fails_and_resets_its_connections(void **state)
{
    (void)state;
    world_summon(world_config(2), true);
    bring_up(0);
    bring_up(1);
    connects(0);
    connects(1);
    keeper_exited(0, false, "exit status 0");
    assert_int_equal(state_of(0), MACHINE_FAILED);
    assert_int_equal(hold_of(0)->gone, 1);
    assert_int_equal(world.resets, 1);
    assert_false(connects(0));
    assert_int_equal(query(0), DNS_FAILED);
    assert_string_equal(last_transition()->reason, "exit status 0");
    assert_string_equal(last_transition()->cause, "exited");
    assert_int_equal(hold_of(1)->connected, 1);
    assert_int_equal(hold_of(1)->gone, 0);
}

static void a_hypervisor_that_is_away_does_not_make_retries_rarer(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    for (unsigned i = 0; i < 5; i++) {
        query(0);
        turn();
        keeper_cannot(0, "libvirt is away");
        assert_backs_off(0, 1);
        pass(2 * SECOND);
    }
}

static void a_failed_machine_that_somebody_else_starts_is_adopted(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    query(0);
    turn();
    keeper_fails(0, "no such image");
    assert_int_equal(state_of(0), MACHINE_FAILED);
    keeper_has(NAME(0), 4711, true);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    assert_int_equal(sent(MESSAGE_STOP, NULL), 0);
    assert_int_equal(disposition_of(0), DNS_ANSWER);
    pass(10 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
}

static void after_the_back_off_the_next_connection_tries_again(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    assert_true(connects(0));
    assert_int_equal(state_of(0), MACHINE_STARTING);
    keeper_fails(0, "no such image");
    assert_int_equal(world.resets, 1); /* the waiting one, at once */
    assert_false(connects(0));
    pass(2 * SECOND);
    assert_true(connects(0));
    assert_int_equal(state_of(0), MACHINE_STARTING);
}

static void one_that_is_kept_always_retries_by_itself(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].keep = CONFIG_KEEP_ALWAYS;
    world_summon(config, true);
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_string_equal(last_transition()->cause, "keep");
    keeper_fails(0, "no such image");
    wait_for(first_is_starting); /* in a second of real time */
    assert_int_equal(sent(MESSAGE_START, NULL), 2);
}

static void a_command_starts_during_the_back_off(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    query(0);
    turn();
    keeper_fails(0, "no such image");
    assert_int_equal(summoner_start(world.summoner, service_at(0), NULL), 0);
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_int_equal(disposition_of(0), DNS_ANSWER);
    assert_true(connects(0));
    keeper_ready(0);
    assert_int_equal(hold_of(0)->connected, 1);
}

static void a_command_gives_up_on_a_failed_one(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].keep = CONFIG_KEEP_ALWAYS;
    world_summon(config, true);
    keeper_fails(0, "no such image");
    assert_int_equal(summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL), 0);
    assert_int_equal(state_of(0), MACHINE_OFF);
    pass(10 * SECOND);
    assert_int_equal(sent(MESSAGE_START, NULL), 1); /* not even though it is kept always */
    assert_int_equal(query(0), DNS_ANSWER);
    turn();
    assert_int_equal(state_of(0), MACHINE_STARTING);
}

static void kept_queries_get_the_failure(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].answer = CONFIG_ANSWER_WHEN_READY;
    world_summon(config, true);
    assert_int_equal(query(0), DNS_WHEN_READY);
    turn();
    keeper_fails(0, "no such image");
    assert_int_equal(world.released_failed, 1);
    assert_int_equal(world.released_ready, 0);
    assert_int_equal(disposition_of(0), DNS_FAILED);
    pass(2 * SECOND);
    assert_int_equal(query(0), DNS_WHEN_READY);
    turn();
    keeper_ready(0);
    assert_int_equal(world.released_ready, 1);
    assert_int_equal(disposition_of(0), DNS_ANSWER);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_boot_that_takes_too_long_fails_by_the_timer),
        TEST(what_a_timed_out_machine_says_later_changes_nothing),
        TEST(no_second_machine_before_the_first_is_gone),
        TEST(failing_again_and_again_backs_off_longer_and_longer),
        TEST(a_good_start_clears_the_error_and_a_long_run_the_back_off),
        TEST(a_machine_that_dies_fails_and_resets_its_connections),
        TEST(a_hypervisor_that_is_away_does_not_make_retries_rarer),
        TEST(a_failed_machine_that_somebody_else_starts_is_adopted),
        TEST(after_the_back_off_the_next_connection_tries_again),
        TEST(one_that_is_kept_always_retries_by_itself),
        TEST(a_command_starts_during_the_back_off),
        TEST(a_command_gives_up_on_a_failed_one),
        TEST(kept_queries_get_the_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
