/* The keeper goes and comes back; machines that outlive either process are adopted. */
#include "summon_world.h"

#include <string.h>

#define SECOND NANOSECONDS_PER_SECOND

static void nothing_starts_before_the_keeper_has_said_what_it_has(void **state)
{
    (void)state;
    struct config *config = world_config(2);
    config->services[1].keep = CONFIG_KEEP_ALWAYS;
    world_summon(config, false);
    assert_true(connects(0));
    keeper_arrives();
    query(0);
    turn();
    assert_int_equal(sent(MESSAGE_START, NULL), 0);
    keeper_synchronised();
    assert_int_equal(sent(MESSAGE_START, NAME(0)), 1);
    assert_int_equal(sent(MESSAGE_START, NAME(1)), 1);
}

static void running_machines_are_adopted_and_serve(void **state)
{
    (void)state;
    struct service_status status;
    struct config *config = world_config(3);
    config->services[0].keep = CONFIG_KEEP_ALWAYS;
    world_summon(config, false);
    assert_true(connects(0));
    assert_true(connects(1));
    keeper_arrives();
    keeper_has(NAME(0), 77, true);
    keeper_has(NAME(1), 78, true);
    keeper_has(NAME(2), 79, false); /* still booting */
    keeper_synchronised();
    assert_int_equal(sent(MESSAGE_START, NULL), 0);
    assert_int_equal(sent(MESSAGE_STOP, NULL), 0);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    assert_int_equal(hold_of(1)->connected, 1);
    assert_int_equal(hold_of(1)->target.host, 40080);
    assert_int_equal(state_of(2), MACHINE_STARTING);
    assert_string_equal(last_transition()->cause, "adopted");
    service_status(service_at(1), &status);
    assert_int_equal(status.pid, 4711);
    assert_true(status.started < clock_wall() - 30);
    assert_int_equal(status.starts, 0);

    pass(11 * SECOND); /* the one that never gets ready fails like any other */
    assert_int_equal(state_of(2), MACHINE_FAILED);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(2))->serial, 79);
    hold_of(1)->connected = 0;
    pass(121 * SECOND); /* and an adopted one is reaped */
    assert_int_equal(state_of(1), MACHINE_STOPPING);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(1))->serial, 78);
}

static void adopted_machines_count_for_the_limits(void **state)
{
    (void)state;
    struct config *config = world_config(3);
    config->machine_limit = 1;
    world_summon(config, false);
    keeper_arrives();
    keeper_has(NAME(0), 77, true);
    keeper_has(NAME(1), 78, true); /* limits were lowered meanwhile: both stay */
    keeper_synchronised();
    query(2);
    turn();
    assert_int_equal(disposition_of(2), DNS_NO_RESOURCES);
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL);
    struct message exited = message_make(MESSAGE_EXITED, 77, NAME(0));
    exited.end.asked_for = true;
    summoner_keeper_message(world.summoner, &exited);
    assert_int_equal(state_of(0), MACHINE_OFF);
    assert_int_equal(disposition_of(2), DNS_NO_RESOURCES);
}

static void machines_of_nobody_are_destroyed(void **state)
{
    (void)state;
    world_summon(world_config(1), false);
    keeper_arrives();
    keeper_has("unknown.example.org", 5, true);
    keeper_has(NAME(0), 77, true);
    keeper_has(NAME(0), 78, true); /* a second one of the same service */
    keeper_synchronised();
    assert_int_equal(last_sent(MESSAGE_STOP, "unknown.example.org")->serial, 5);
    assert_int_equal(last_sent(MESSAGE_STOP, "unknown.example.org")->stop.mode,
                     CONFIG_STOP_DESTROY);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->serial, 78);
    assert_int_equal(sent(MESSAGE_STOP, NULL), 2);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
}

static void while_the_keeper_is_away_running_ones_serve_and_starts_wait(void **state)
{
    (void)state;
    world_summon(world_config(3), true);
    bring_up(0);
    query(1);
    turn();
    size_t before = world.sent_count;
    keeper_leaves();
    assert_int_equal(query(0), DNS_ANSWER);
    assert_true(connects(0));
    assert_int_equal(hold_of(0)->connected, 1);
    assert_int_equal(query(2), DNS_ANSWER);
    turn();
    assert_true(connects(2));
    assert_int_equal(world.sent_count, before);

    uint32_t running = last_sent(MESSAGE_START, NAME(0))->serial;
    keeper_arrives();
    keeper_has(NAME(0), running, true);
    keeper_synchronised();
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    assert_int_equal(hold_of(0)->connected, 1);
    assert_int_equal(sent(MESSAGE_START, NAME(0)), 1);
    assert_int_equal(sent(MESSAGE_START, NAME(1)), 2); /* again: nobody had heard of it */
    assert_int_equal(sent(MESSAGE_START, NAME(2)), 1);
    keeper_ready(1);
    keeper_ready(2);
    assert_int_equal(world.resets, 0);
}

static void a_start_that_survived_the_keeper_is_not_repeated(void **state)
{
    (void)state;
    world_summon(world_config(2), true);
    query(0);
    query(1);
    turn();
    assert_true(connects(1));
    keeper_leaves();
    keeper_arrives();
    keeper_has(NAME(0), last_sent(MESSAGE_START, NAME(0))->serial, false);
    keeper_has(NAME(1), last_sent(MESSAGE_START, NAME(1))->serial, true);
    keeper_synchronised();
    assert_int_equal(sent(MESSAGE_START, NULL), 2);
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_int_equal(state_of(1), MACHINE_RUNNING);
    assert_int_equal(hold_of(1)->connected, 1);
    keeper_ready(0);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
}

static void what_the_new_keeper_does_not_find_is_gone(void **state)
{
    (void)state;
    struct config *config = world_config(4);
    config->services[2].stop = CONFIG_STOP_SUSPEND;
    world_summon(config, true);
    bring_up(0);
    bring_up(1);
    bring_up(2);
    connects(0);
    pass(60 * SECOND);
    query(0);
    query(3);
    turn();
    pass(61 * SECOND); /* 1 and 2 are idle; 3 timed out */
    keeper_says(MESSAGE_SUSPENDED, 2);
    keeper_leaves();
    assert_int_equal(state_of(1), MACHINE_STOPPING);
    assert_int_equal(state_of(3), MACHINE_FAILED);
    keeper_arrives();
    keeper_synchronised();
    assert_int_equal(state_of(0), MACHINE_FAILED);
    assert_int_equal(world.resets, 1);
    assert_int_equal(state_of(1), MACHINE_OFF);
    assert_int_equal(state_of(2), MACHINE_OFF);
    struct limits_status limits;
    summoner_limits(world.summoner, &limits);
    assert_int_equal(limits.machines, 0);
}

static void a_stop_that_the_old_keeper_did_not_finish_is_repeated(void **state)
{
    (void)state;
    struct config *config = world_config(2);
    config->services[0].stop = CONFIG_STOP_SHUTDOWN;
    world_summon(config, true);
    bring_up(0);
    query(1);
    turn();
    uint32_t first = last_sent(MESSAGE_START, NAME(0))->serial;
    uint32_t second = last_sent(MESSAGE_START, NAME(1))->serial;
    keeper_leaves();
    pass(121 * SECOND); /* idle, and timed out: neither STOP gets anywhere */
    assert_int_equal(sent(MESSAGE_STOP, NULL), 0);
    keeper_arrives();
    keeper_has(NAME(0), first, true);
    keeper_has(NAME(1), second, true);
    keeper_synchronised();
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->stop.mode, CONFIG_STOP_SHUTDOWN);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(1))->stop.mode, CONFIG_STOP_DESTROY);
    keeper_exited(0, true, "");
    keeper_exited(1, true, "");
    assert_int_equal(state_of(0), MACHINE_OFF);
    assert_int_equal(sent(MESSAGE_START, NULL), 2);
}

static void a_suspended_machine_stays_so_when_the_keeper_returns(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].stop = CONFIG_STOP_SUSPEND;
    world_summon(config, true);
    bring_up(0);
    pass(121 * SECOND);
    keeper_says(MESSAGE_SUSPENDED, 0);
    keeper_leaves();
    keeper_arrives();
    keeper_has(NAME(0), last_sent(MESSAGE_START, NAME(0))->serial, false);
    keeper_says(MESSAGE_SUSPENDED, 0);
    keeper_synchronised();
    assert_int_equal(state_of(0), MACHINE_SUSPENDED);
    assert_string_equal(last_transition()->cause, "suspended");
    assert_true(connects(0));
    assert_int_equal(sent(MESSAGE_START, NULL), 2);
}

/* Neither front nor store remember it: only the keeper does, which says so after MACHINE. */
static void an_unknown_suspended_machine_is_resumed_for_who_waits(void **state)
{
    (void)state;
    world_summon(world_config(2), false);
    assert_true(connects(0));
    keeper_arrives();
    for (size_t i = 0; i < 2; i++) {
        keeper_has(NAME(i), 77, false);
        struct message suspended = message_make(MESSAGE_SUSPENDED, 77, NAME(i));
        summoner_keeper_message(world.summoner, &suspended);
    }
    keeper_synchronised();
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_int_equal(state_of(1), MACHINE_SUSPENDED);
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    keeper_ready(0);
    assert_int_equal(hold_of(0)->connected, 1);
}

static void messages_of_an_older_run_are_ignored(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    query(0);
    turn();
    uint32_t old = last_sent(MESSAGE_START, NAME(0))->serial;
    keeper_fails(0, "no such image");
    struct message late = message_make(MESSAGE_READY, old, NAME(0));
    summoner_keeper_message(world.summoner, &late); /* no machine at all */
    assert_int_equal(state_of(0), MACHINE_FAILED);
    pass(2 * SECOND);
    query(0);
    turn();
    assert_true(last_sent(MESSAGE_START, NAME(0))->serial != old);
    summoner_keeper_message(world.summoner, &late); /* another machine */
    assert_int_equal(state_of(0), MACHINE_STARTING);
    late = message_make(MESSAGE_EXITED, old, NAME(0));
    summoner_keeper_message(world.summoner, &late);
    assert_int_equal(state_of(0), MACHINE_STARTING);
    late = message_make(MESSAGE_SPAWNED, old, "unknown.example.org");
    summoner_keeper_message(world.summoner, &late);
    keeper_ready(0);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
}

static void what_an_earlier_front_had_asked_to_stop_is_off_and_no_failure(void **state)
{
    (void)state;
    world_summon(world_config(1), false);
    keeper_arrives();
    keeper_has(NAME(0), 77, true);
    keeper_synchronised();
    struct message exited = message_make(MESSAGE_EXITED, 77, NAME(0));
    exited.end.asked_for = true;
    summoner_keeper_message(world.summoner, &exited);
    assert_int_equal(state_of(0), MACHINE_OFF);
    bring_up(0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_starts_before_the_keeper_has_said_what_it_has),
        TEST(running_machines_are_adopted_and_serve),
        TEST(adopted_machines_count_for_the_limits),
        TEST(machines_of_nobody_are_destroyed),
        TEST(while_the_keeper_is_away_running_ones_serve_and_starts_wait),
        TEST(a_start_that_survived_the_keeper_is_not_repeated),
        TEST(what_the_new_keeper_does_not_find_is_gone),
        TEST(a_stop_that_the_old_keeper_did_not_finish_is_repeated),
        TEST(a_suspended_machine_stays_so_when_the_keeper_returns),
        TEST(an_unknown_suspended_machine_is_resumed_for_who_waits),
        TEST(messages_of_an_older_run_are_ignored),
        TEST(what_an_earlier_front_had_asked_to_stop_is_off_and_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
