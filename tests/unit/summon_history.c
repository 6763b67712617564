/* What is told of machines: transitions with causes and phases, consoles, counters, status. */
#include "summon_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLISECOND NANOSECONDS_PER_MILLISECOND

static void keeper_reports(enum message_type type, size_t index, uint64_t moment)
{
    struct message message =
        message_make(type, last_sent(MESSAGE_START, NAME(index))->serial, NAME(index));
    message.machine.moment = moment;
    message.machine.pid = 4711;
    summoner_keeper_message(world.summoner, &message);
}

static void a_start_is_told_with_its_phases_and_who_wanted_it(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    uint64_t wanted = clock_now();
    struct endpoint client;
    endpoint_parse("192.0.2.1@999", &client);
    service_want(service_at(0),
                 want_new(service_at(0), CAUSE_DNS, wanted, &client, "alias.example.org", 28));
    const struct transition *t = last_transition();
    assert_int_equal(t->number, 1);
    assert_string_equal(t->service, "s0.example.org");
    assert_int_equal(t->from, MACHINE_OFF);
    assert_int_equal(t->to, MACHINE_STARTING);
    assert_string_equal(t->cause, "dns");
    assert_true(t->has_client);
    assert_true(endpoint_equal(&t->client, &client));
    assert_string_equal(t->query, "alias.example.org AAAA");

    keeper_reports(MESSAGE_SPAWNED, 0, wanted + 1 * MILLISECOND);
    keeper_reports(MESSAGE_ENTERED, 0, wanted + 48 * MILLISECOND);
    keeper_reports(MESSAGE_READY, 0, wanted + 61 * MILLISECOND);
    t = last_transition();
    assert_int_equal(t->to, MACHINE_RUNNING);
    assert_string_equal(t->cause, "ready");
    assert_int_equal(t->phases.spawned, 1 * MILLISECOND);
    assert_int_equal(t->phases.entered, 48 * MILLISECOND);
    assert_int_equal(t->phases.ready, 61 * MILLISECOND);
    assert_int_equal(t->phases.first_byte, 0);

    machine_first_byte(service_at(0), wanted + 63 * MILLISECOND, wanted + 2 * MILLISECOND);
    t = last_transition();
    assert_int_equal(t->number, 3);
    assert_int_equal(t->from, MACHINE_RUNNING);
    assert_int_equal(t->to, MACHINE_RUNNING);
    assert_string_equal(t->cause, "first-byte");
    assert_int_equal(t->phases.ready, 61 * MILLISECOND);
    assert_int_equal(t->phases.first_byte, 63 * MILLISECOND);
    assert_string_equal(t->query, "alias.example.org AAAA");
    assert_true(endpoint_equal(&t->client, &client));
    machine_first_byte(service_at(0), wanted + 99 * MILLISECOND, wanted);
    assert_int_equal(world.transition_count, 3); /* once a start */
}

static void the_second_start_has_phases_of_its_own(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    bring_up(0);
    machine_first_byte(service_at(0), clock_now(), clock_now());
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_SUSPEND, NULL);
    keeper_says(MESSAGE_SUSPENDED, 0);
    connects(0);
    keeper_ready(0);
    assert_int_equal(last_transition()->phases.first_byte, 0);
    assert_string_equal(last_transition()->query, "");
    assert_true(last_transition()->has_client);
    machine_first_byte(service_at(0), clock_now(), clock_now());
    assert_string_equal(last_transition()->cause, "first-byte");
}

struct numbers {
    uint64_t first, last;
    size_t count;
};

static void note_number(void *argument, const struct transition *transition)
{
    struct numbers *numbers = argument;
    if (numbers->count++ == 0)
        numbers->first = transition->number;
    else
        assert_int_equal(transition->number, numbers->last + 1);
    numbers->last = transition->number;
}

static void the_last_thousand_transitions_are_remembered(void **state)
{
    (void)state;
    struct numbers numbers = {0};
    world_summon(world_config(1), true);
    summoner_history(world.summoner, note_number, &numbers);
    assert_int_equal(numbers.count, 0);
    for (unsigned i = 0; i < 300; i++) { /* four transitions each */
        bring_up(0);
        summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL);
        keeper_exited(0, true, "");
    }
    summoner_history(world.summoner, note_number, &numbers);
    assert_int_equal(numbers.count, 1024);
    assert_int_equal(numbers.last, 1200);
    assert_int_equal(numbers.first, 1200 - 1024 + 1);
}

struct listener {
    struct subscription *own, *other;
    unsigned told;
};

static void unsubscribe_both(void *argument, const struct transition *transition)
{
    struct listener *listener = argument;
    (void)transition;
    listener->told++;
    summoner_unsubscribe(world.summoner, listener->own);
    summoner_unsubscribe(world.summoner, listener->other);
}

static void count_told(void *argument, const struct transition *transition)
{
    (void)transition;
    (*(unsigned *)argument)++;
}

static void subscribers_may_leave_while_being_told(void **state)
{
    (void)state;
    struct listener listener = {0};
    unsigned next = 0, last = 0;
    world_summon(world_config(1), true);
    listener.own = summoner_subscribe(world.summoner, unsubscribe_both, &listener);
    listener.other = summoner_subscribe(world.summoner, count_told, &next);
    struct subscription *stays = summoner_subscribe(world.summoner, count_told, &last);
    bring_up(0);
    assert_int_equal(listener.told, 1);
    assert_int_equal(next, 0);
    assert_int_equal(last, 2);
    summoner_unsubscribe(world.summoner, stays);
}

static void print(size_t index, const char *text, size_t length)
{
    struct message message = message_make(MESSAGE_CONSOLE, 1, NAME(index));
    while (length) {
        size_t part = length < MESSAGE_CONSOLE_MAX ? length : MESSAGE_CONSOLE_MAX;
        memcpy(message.console.bytes, text, part);
        message.console.length = (uint16_t)part;
        summoner_keeper_message(world.summoner, &message);
        text += part;
        length -= part;
    }
}

static void the_last_64_kilobytes_of_a_console_are_kept(void **state)
{
    (void)state;
    enum { WHOLE = 300000, KEPT = 65536 };
    const char *bytes;
    world_summon(world_config(1), true);
    assert_int_equal(service_console(service_at(0), &bytes), 0);
    char *text = malloc(WHOLE);
    for (size_t i = 0; i < WHOLE; i++)
        text[i] = (char)('a' + i % 23);
    for (size_t done = 0, step = 1; done < WHOLE; done += step, step = step * 5 % 3001) {
        if (step > WHOLE - done)
            step = WHOLE - done;
        print(0, text + done, step);
        size_t whole = done + step;
        size_t kept = whole < KEPT ? whole : KEPT;
        assert_int_equal(service_console(service_at(0), &bytes), kept);
        assert_memory_equal(bytes, text + whole - kept, kept);
    }
    free(text);
}

static void append(void *argument, const struct service *service, const void *bytes, size_t length)
{
    assert_ptr_equal(service, service_at(0));
    strncat(argument, bytes, length);
}

static void a_console_is_told_to_its_subscribers(void **state)
{
    (void)state;
    char told[64] = "";
    world_summon(world_config(2), true);
    struct subscription *subscription =
        summoner_subscribe_console(world.summoner, service_at(0), append, told);
    print(0, "hello ", 6);
    print(1, "nobody ", 7);
    print(0, "world", 5);
    assert_string_equal(told, "hello world");
    summoner_unsubscribe(world.summoner, subscription);
    print(0, "!", 1);
    assert_string_equal(told, "hello world");
}

static void a_console_subscription_outlives_its_service(void **state)
{
    (void)state;
    char told[64] = "";
    struct error error;
    world_summon(world_config(2), true);
    struct subscription *subscription =
        summoner_subscribe_console(world.summoner, service_at(1), append, told);
    struct config *config = world_config(1);
    assert_int_equal(summoner_reload_prepare(world.summoner, config, &error), 0);
    summoner_reload_commit(world.summoner);
    world_free_config(world.config);
    world.config = config;
    summoner_unsubscribe(world.summoner, subscription);
}

static void consoles_of_many_machines_do_not_pile_up(void **state)
{
    (void)state;
    enum { COUNT = 400 };
    const char *bytes;
    struct config *config = world_config(COUNT);
    world_summon(config, true);
    bring_up(0);
    for (size_t i = 0; i < COUNT; i++)
        print(i, "hello", 5);
    assert_int_equal(service_console(service_at(0), &bytes), 5); /* it is running */
    assert_int_equal(service_console(service_at(1), &bytes), 0); /* the oldest without a machine */
    assert_int_equal(service_console(service_at(COUNT - 1), &bytes), 5);
}

static char counted[512];

static void note_start(void *argument, const char *service, const char *cause, uint64_t count)
{
    size_t used = strlen(counted);
    snprintf(counted + used, sizeof counted - used, "%s %s %s %u; ", (const char *)argument,
             service, cause, (unsigned)count);
}

static void note_failure(void *argument, const char *service, const char *reason, uint64_t count)
{
    note_start(argument, service, reason, count);
}

static void counters_tell_causes_and_reasons(void **state)
{
    (void)state;
    world_summon(world_config(2), true);
    bring_up(0);
    pass(121 * NANOSECONDS_PER_SECOND);
    keeper_exited(0, true, "");
    connects(0);
    keeper_fails(0, "no such image");
    pass(2 * NANOSECONDS_PER_SECOND);
    bring_up(0);
    counted[0] = '\0';
    static char argument[] = "x";
    struct summon_counter_visitor visitor = {note_start, note_failure, note_start, argument};
    summoner_counters(world.summoner, &visitor);
    assert_string_equal(counted, "x s0.example.org dns 2; x s0.example.org connection 1; "
                                 "x s0.example.org start-failed 1; x s0.example.org idle 1; ");
}

static void status_tells_what_is_known(void **state)
{
    (void)state;
    struct service_status status;
    world_summon(world_config(1), true);
    service_status(service_at(0), &status);
    assert_true(status.last_use <= 0 && status.started <= 0);
    bring_up(0);
    connects(0);
    service_status(service_at(0), &status);
    assert_ptr_equal(status.config, &world.config->services[0]);
    assert_int_equal(status.state, MACHINE_RUNNING);
    assert_int_equal(status.pid, 4711);
    assert_int_equal(status.connections, 1);
    assert_int_equal(status.starts, 1);
    assert_true(status.last_use > clock_wall() - 60 && status.last_use < clock_wall() + 1);
    assert_true(status.started > clock_wall() - 60);
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL);
    keeper_exited(0, true, "");
    service_status(service_at(0), &status);
    assert_int_equal(status.pid, 0);
    assert_true(status.started <= 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_start_is_told_with_its_phases_and_who_wanted_it),
        TEST(the_second_start_has_phases_of_its_own),
        TEST(the_last_thousand_transitions_are_remembered),
        TEST(subscribers_may_leave_while_being_told),
        TEST(the_last_64_kilobytes_of_a_console_are_kept),
        TEST(a_console_is_told_to_its_subscribers),
        TEST(a_console_subscription_outlives_its_service),
        TEST(consoles_of_many_machines_do_not_pile_up),
        TEST(counters_tell_causes_and_reasons),
        TEST(status_tells_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
