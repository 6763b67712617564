/* Wants: who may start a machine, and that none is lost, whenever it comes. */
#include "summon_world.h"

#include <pthread.h>
#include <string.h>

#include "common/log.h"

#define SECOND NANOSECONDS_PER_SECOND

static void stop_by_idleness(size_t index)
{
    pass(121 * SECOND);
    assert_int_equal(state_of(index), MACHINE_STOPPING);
}

static void a_query_while_stopping_starts_it_again(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    bring_up(0);
    stop_by_idleness(0);
    query(0);
    turn();
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    keeper_exited(0, true, "");
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_string_equal(last_transition()->query, "s0.example.org A");
}

static void a_connection_while_stopping_waits_and_is_served(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    bring_up(0);
    stop_by_idleness(0);
    assert_true(connects(0));
    keeper_exited(0, true, "");
    keeper_ready(0);
    assert_int_equal(hold_of(0)->connected, 1);
    assert_int_equal(world.resets, 0);
}

/* The worker has marked the host, but the main loop hears of the end before it hears of the want.
 */
static void a_query_that_overtakes_nothing_is_not_turned_away(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].answer = CONFIG_ANSWER_WHEN_READY;
    world_summon(config, true);
    bring_up(0);
    stop_by_idleness(0);
    size_t released = world.released_failed;
    assert_int_equal(query(0), DNS_WHEN_READY);
    keeper_exited(0, true, "");
    assert_int_equal(world.released_failed, released);
    turn();
    assert_int_equal(state_of(0), MACHINE_STARTING);
    keeper_ready(0);
    assert_int_equal(world.released_failed, released);
}

/* The worker still saw the mark of before the stop: only the time of the query tells of it. */
static void a_query_in_the_moment_of_the_stop_is_found(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    bring_up(0);
    stop_by_idleness(0);
    atomic_store(&summoner_dns_hosts(world.summoner)[0]->last_query, clock_now());
    keeper_exited(0, true, "");
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_string_equal(last_transition()->cause, "dns");
}

static void after_a_stop_queries_want_it_again(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    for (unsigned i = 1; i < 5; i++) {
        bring_up(0);
        stop_by_idleness(0);
        keeper_exited(0, true, "");
        assert_int_equal(state_of(0), MACHINE_OFF);
        assert_int_equal(sent(MESSAGE_START, NULL), i);
    }
}

static void an_exit_while_stopping_is_no_failure(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    bring_up(0);
    stop_by_idleness(0);
    keeper_exited(0, false, "powered off by itself");
    assert_int_equal(state_of(0), MACHINE_OFF);
    assert_int_equal(disposition_of(0), DNS_ANSWER);
}

static void a_stop_while_starting_turns_waiting_clients_away(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    assert_true(connects(0));
    assert_int_equal(summoner_stop(world.summoner, service_at(0), CONFIG_STOP_SUSPEND, NULL), 0);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->stop.mode, CONFIG_STOP_DESTROY);
    assert_int_equal(world.resets, 1);
    keeper_ready(0); /* was on its way */
    assert_int_equal(state_of(0), MACHINE_STOPPING);
    keeper_fails(0, "stopped");
    assert_int_equal(state_of(0), MACHINE_OFF);
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
}

static void a_second_stop_withdraws_what_came_meanwhile_and_insists(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    bring_up(0);
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_SHUTDOWN, NULL);
    query(0);
    turn();
    assert_true(connects(0));
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->stop.mode, CONFIG_STOP_DESTROY);
    assert_int_equal(world.resets, 1);
    keeper_exited(0, true, "");
    assert_int_equal(state_of(0), MACHINE_OFF);
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    bring_up(0);
}

static void without_packet_a_connection_waits_only_for_a_start_under_way(void **state)
{
    (void)state;
    struct config *config = world_config(2);
    config->start_limit = 1;
    config->services[0].summon = CONFIG_SUMMON_DNS;
    world_summon(config, true);
    assert_false(connects(0)); /* it would wait forever */
    bring_up(1);
    query(1);
    query(0);
    turn();
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_true(connects(0));
    keeper_ready(0);
    assert_int_equal(hold_of(0)->connected, 1);
    hold_of(0)->connected = 0;
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL);
    assert_true(connects(0)); /* may be wanted by a query still */
    keeper_exited(0, true, "");
    assert_int_equal(world.resets, 2);
    assert_false(connects(0));
}

static void a_connection_waits_for_a_start_in_the_queue_without_packet(void **state)
{
    (void)state;
    struct config *config = world_config(2);
    config->start_limit = 1;
    config->services[1].summon = CONFIG_SUMMON_DNS;
    world_summon(config, true);
    query(0);
    query(1);
    turn();
    assert_int_equal(state_of(1), MACHINE_OFF);
    assert_true(connects(1));
}

static void without_dns_a_query_starts_nothing(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].summon = CONFIG_SUMMON_PACKET;
    config->services[0].answer = CONFIG_ANSWER_WHEN_READY;
    world_summon(config, true);
    assert_int_equal(query(0), DNS_ANSWER); /* nothing would ever be ready */
    turn();
    assert_int_equal(state_of(0), MACHINE_OFF);
    assert_true(connects(0));
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_string_equal(last_transition()->cause, "connection");
}

static void delayed_answers_are_delayed_only_while_it_is_not_running(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].answer_delay = 100 * NANOSECONDS_PER_MILLISECOND;
    world_summon(config, true);
    assert_int_equal(query(0), DNS_DELAY);
    turn();
    assert_int_equal(query(0), DNS_DELAY);
    keeper_ready(0);
    assert_int_equal(query(0), DNS_ANSWER);
    stop_by_idleness(0);
    assert_int_equal(query(0), DNS_DELAY);
}

static void a_command_while_stopping_starts_it_again(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    bring_up(0);
    stop_by_idleness(0);
    assert_int_equal(summoner_start(world.summoner, service_at(0), NULL), 0);
    keeper_exited(0, true, "");
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_string_equal(last_transition()->cause, "command");
}

enum { WORKERS = 4, EACH = 500 };

static void *ask_for_many(void *argument)
{
    size_t first = *(const size_t *)argument;
    for (size_t i = 0; i < EACH; i++)
        query(first + i);
    return NULL;
}

static void no_want_of_many_workers_is_lost(void **state)
{
    (void)state;
    struct config *config = world_config(WORKERS * EACH);
    pthread_t threads[WORKERS];
    size_t firsts[WORKERS];
    config->machine_limit = WORKERS * EACH;
    config->start_limit = WORKERS * EACH;
    config->memory_limit = WORKERS * EACH * 16 * MEGABYTE;
    world_summon(config, true);
    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < WORKERS; i++) {
        firsts[i] = i * EACH;
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_many, &firsts[i]), 0);
    }
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    turn();
    assert_int_equal(sent(MESSAGE_START, NULL), WORKERS * EACH);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_query_while_stopping_starts_it_again),
        TEST(a_connection_while_stopping_waits_and_is_served),
        TEST(a_query_that_overtakes_nothing_is_not_turned_away),
        TEST(a_query_in_the_moment_of_the_stop_is_found),
        TEST(after_a_stop_queries_want_it_again),
        TEST(an_exit_while_stopping_is_no_failure),
        TEST(a_stop_while_starting_turns_waiting_clients_away),
        TEST(a_second_stop_withdraws_what_came_meanwhile_and_insists),
        TEST(without_packet_a_connection_waits_only_for_a_start_under_way),
        TEST(a_connection_waits_for_a_start_in_the_queue_without_packet),
        TEST(without_dns_a_query_starts_nothing),
        TEST(delayed_answers_are_delayed_only_while_it_is_not_running),
        TEST(a_command_while_stopping_starts_it_again),
        TEST(no_want_of_many_workers_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
