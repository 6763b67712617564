/* A new configuration: what stays is not disturbed, what goes is stopped, what comes works. */
#include "summon_world.h"

#include <stdlib.h>
#include <string.h>

#define SECOND NANOSECONDS_PER_SECOND

/* The services of the world's configuration from `first` on, `count` of them, under their names. */
static struct config *config_from(size_t first, size_t count)
{
    struct config *config = world_config(first + count);
    for (size_t i = 0; i < first; i++) {
        free(config->services[i].name);
        free(config->services[i].addresses);
        free(config->services[i].ports);
    }
    memmove(config->services, config->services + first, count * sizeof *config->services);
    config->service_count = count;
    return config;
}

static void prepare(struct config *config)
{
    struct error error;
    assert_int_equal(summoner_reload_prepare(world.summoner, config, &error), 0);
}

static void commit(struct config *config)
{
    summoner_reload_commit(world.summoner);
    world_free_config(world.config);
    world.config = config;
}

static void reload(struct config *config)
{
    prepare(config);
    commit(config);
}

static void services_that_stay_keep_machine_host_and_connections(void **state)
{
    (void)state;
    world_summon(world_config(3), true);
    bring_up(1);
    connects(1);
    query(2);
    turn();
    struct service *service = service_at(1);
    struct dns_host *host = summoner_dns_hosts(world.summoner)[1];
    reload(config_from(1, 2)); /* without the first: all move up */
    assert_ptr_equal(service_at(0), service);
    assert_ptr_equal(summoner_dns_hosts(world.summoner)[0], host);
    assert_ptr_equal(summoner_find(world.summoner, "s1.example.org", NULL), service);
    assert_null(summoner_find(world.summoner, "s0.example.org", NULL));
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    assert_int_equal(hold_of(0)->connected, 1);
    assert_int_equal(sent(MESSAGE_STOP, NULL), 0);
    keeper_ready(1); /* the second had been starting all the while */
    assert_int_equal(state_of(1), MACHINE_RUNNING);
}

static void services_that_go_are_stopped_and_then_gone(void **state)
{
    (void)state;
    struct config *config = world_config(4);
    config->services[0].stop = CONFIG_STOP_SUSPEND;
    config->services[2].stop = CONFIG_STOP_SHUTDOWN;
    config->start_limit = 3;
    world_summon(config, true);
    bring_up(0);
    bring_up(2);
    query(1);
    turn();
    keeper_fails(1, "no such image");
    struct message first = *last_sent(MESSAGE_START, NAME(0));
    struct message third = *last_sent(MESSAGE_START, NAME(2));
    reload(config_from(3, 1));
    assert_int_equal(last_sent(MESSAGE_STOP, "s0.example.org")->stop.mode, CONFIG_STOP_DESTROY);
    assert_int_equal(last_sent(MESSAGE_STOP, "s2.example.org")->stop.mode, CONFIG_STOP_SHUTDOWN);
    assert_string_equal(last_transition()->cause, "reload");

    struct limits_status limits;
    summoner_limits(world.summoner, &limits);
    assert_int_equal(limits.machines, 2); /* until they are gone */
    struct message exited = message_make(MESSAGE_EXITED, first.serial, first.service);
    exited.end.asked_for = true;
    summoner_keeper_message(world.summoner, &exited);
    exited = message_make(MESSAGE_EXITED, third.serial, third.service);
    summoner_keeper_message(world.summoner, &exited);
    summoner_limits(world.summoner, &limits);
    assert_int_equal(limits.machines, 0);
    assert_true(TAILQ_EMPTY(&world.summoner->departed));
}

static void one_that_comes_back_before_its_machine_is_gone_waits_for_that(void **state)
{
    (void)state;
    world_summon(world_config(2), true);
    bring_up(0);
    uint32_t serial = last_sent(MESSAGE_START, NAME(0))->serial;
    reload(config_from(1, 1));
    reload(world_config(2));
    assert_int_equal(state_of(0), MACHINE_STOPPING);
    assert_int_equal(query(0), DNS_ANSWER);
    turn();
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    struct message exited = message_make(MESSAGE_EXITED, serial, NAME(0));
    exited.end.asked_for = true;
    summoner_keeper_message(world.summoner, &exited);
    assert_int_equal(state_of(0), MACHINE_STARTING);
}

static void one_that_comes_back_may_end_while_the_reload_is_prepared(void **state)
{
    (void)state;
    world_summon(world_config(2), true);
    bring_up(0);
    uint32_t serial = last_sent(MESSAGE_START, NAME(0))->serial;
    reload(config_from(1, 1));
    struct message exited = message_make(MESSAGE_EXITED, serial, "s0.example.org");
    exited.end.asked_for = true;
    struct config *config = world_config(2);
    prepare(config);
    summoner_keeper_message(world.summoner, &exited);
    commit(config);
    assert_int_equal(state_of(0), MACHINE_OFF);
    bring_up(0);
}

static void a_changed_host_takes_over_marks_and_uses(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    struct dns_host *old = summoner_dns_hosts(world.summoner)[0];
    struct config *config = world_config(1);
    config->services[0].answer_delay = SECOND;
    bring_up(0);
    uint64_t last_query = atomic_load(&old->last_query);
    prepare(config);
    struct dns_host *new = summoner_reload_hosts(world.summoner)[0];
    assert_ptr_not_equal(new, old);
    assert_int_equal(atomic_load(&new->disposition), DNS_ANSWER);
    keeper_exited(0, false, "crashed"); /* both are told until it is known which one counts */
    assert_int_equal(atomic_load(&new->disposition), DNS_FAILED);
    assert_int_equal(atomic_load(&old->disposition), DNS_FAILED);
    commit(config);
    assert_ptr_equal(summoner_dns_hosts(world.summoner)[0], new);
    assert_int_equal(atomic_load(&new->last_query), last_query);
    assert_int_equal(new->answer_delay, SECOND);
}

static void a_reload_that_is_given_up_leaves_no_trace(void **state)
{
    (void)state;
    world_summon(world_config(2), true);
    bring_up(0);
    struct dns_host *host = summoner_dns_hosts(world.summoner)[0];
    struct config *config = world_config(5);
    config->services[0].summon = CONFIG_SUMMON_PACKET;
    prepare(config);
    summoner_reload_abandon(world.summoner);
    world_free_config(config);
    assert_int_equal(summoner_service_count(world.summoner), 2);
    assert_ptr_equal(summoner_dns_hosts(world.summoner)[0], host);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    assert_null(summoner_find(world.summoner, "s4.example.org", NULL));
    bring_up(1);
}

static void one_that_is_gone_for_good_when_the_reload_is_given_up_is_freed(void **state)
{
    (void)state;
    world_summon(world_config(2), true);
    bring_up(0);
    uint32_t serial = last_sent(MESSAGE_START, NAME(0))->serial;
    reload(config_from(1, 1));
    struct config *config = world_config(2);
    prepare(config);
    struct message exited = message_make(MESSAGE_EXITED, serial, "s0.example.org");
    summoner_keeper_message(world.summoner, &exited);
    summoner_reload_abandon(world.summoner);
    world_free_config(config);
    assert_true(TAILQ_EMPTY(&world.summoner->departed));
}

static void new_settings_hold_from_then_on(void **state)
{
    (void)state;
    world_summon(world_config(2), true);
    bring_up(0);
    query(1);
    turn();
    keeper_fails(1, "no such image");
    struct config *config = world_config(3);
    config->services[0].idle = 5 * SECOND;
    config->services[2].keep = CONFIG_KEEP_ALWAYS;
    reload(config);
    assert_int_equal(sent(MESSAGE_START, NAME(2)), 1);
    assert_int_equal(query(1), DNS_ANSWER); /* the cause of the failure may have been mended */
    turn();
    assert_int_equal(state_of(1), MACHINE_STARTING);
    pass(6 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void higher_limits_let_refused_ones_start(void **state)
{
    (void)state;
    struct config *config = world_config(2);
    config->machine_limit = 1;
    world_summon(config, true);
    bring_up(0);
    query(1);
    turn();
    assert_int_equal(disposition_of(1), DNS_NO_RESOURCES);
    reload(world_config(2));
    assert_int_equal(state_of(1), MACHINE_STARTING);
    assert_int_equal(disposition_of(1), DNS_ANSWER);
}

static void a_waiting_want_for_one_that_goes_is_dropped(void **state)
{
    (void)state;
    struct config *config = world_config(3);
    config->start_limit = 1;
    config->machine_limit = 2;
    world_summon(config, true);
    query(0);
    turn();
    query(1); /* waits for its turn */
    query(2); /* refused */
    turn();
    assert_int_equal(disposition_of(2), DNS_NO_RESOURCES);
    reload(config_from(0, 1));
    keeper_ready(0);
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    struct limits_status limits;
    summoner_limits(world.summoner, &limits);
    assert_int_equal(limits.waiting, 0);
}

static struct endpoint missing[16];
static uint16_t missing_ports[16];
static size_t missing_count;

static void note_missing(void *argument, const char *service, const struct endpoint *endpoint,
                         uint16_t machine_port)
{
    assert_string_equal(argument, "argument");
    assert_string_equal(service, "s0.example.org");
    missing_ports[missing_count] = machine_port;
    missing[missing_count++] = *endpoint;
}

static size_t count_missing(void)
{
    missing_count = 0;
    summoner_missing_listeners(world.summoner, note_missing, (void *)(uintptr_t) "argument");
    return missing_count;
}

static void missing_listeners_are_those_configured_and_not_open(void **state)
{
    (void)state;
    world_summon(world_config(1), true);
    assert_int_equal(count_missing(), 0);
    bring_up(0);
    connects(0);

    struct config *config = world_config(1);
    config->services[0].ports =
        reallocarray(config->services[0].ports, 2, sizeof *config->services[0].ports);
    config->services[0].ports[1] = (struct config_port){.listen = 8443, .machine = 443};
    config->services[0].port_count = 2;
    reload(config);
    assert_int_equal(hold_of(0)->listeners, 1); /* the old one was not touched */
    assert_int_equal(count_missing(), 1);
    assert_int_equal(missing[0].port, 8443);
    assert_int_equal(missing_ports[0], 443);
    assert_int_equal(summoner_listen(world.summoner, NAME(0), &missing[0], 443, -1), 0);
    assert_int_equal(count_missing(), 0);

    config = world_config(1);
    config->services[0].ports[0].listen = 9000;
    reload(config);
    assert_int_equal(hold_of(0)->listeners, 0);
    assert_int_equal(count_missing(), 1);
    assert_int_equal(missing[0].port, 9000);
    assert_int_equal(hold_of(0)->connected, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(services_that_stay_keep_machine_host_and_connections),
        TEST(services_that_go_are_stopped_and_then_gone),
        TEST(one_that_comes_back_before_its_machine_is_gone_waits_for_that),
        TEST(one_that_comes_back_may_end_while_the_reload_is_prepared),
        TEST(a_changed_host_takes_over_marks_and_uses),
        TEST(a_reload_that_is_given_up_leaves_no_trace),
        TEST(one_that_is_gone_for_good_when_the_reload_is_given_up_is_freed),
        TEST(new_settings_hold_from_then_on),
        TEST(higher_limits_let_refused_ones_start),
        TEST(a_waiting_want_for_one_that_goes_is_dropped),
        TEST(missing_listeners_are_those_configured_and_not_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
