/* Services on bridge networks: what the port is told, and what becomes of what it tells. */
#include "summon_world.h"

#include <string.h>

#include "common/log.h"

#define SECOND NANOSECONDS_PER_SECOND

static void begin(struct config *config)
{
    put_on_bridge(config);
    memset(world.token, 7, sizeof world.token);
    world.ready_rule = CONFIG_READY_ANNOUNCE;
    world_summon(config, true);
    assert_int_equal(ports_missing(), 1);
    port_opens();
    assert_int_equal(ports_missing(), 0);
}

/* From off to running by a packet. */
static void bring_up_by_packet(size_t index)
{
    assert_true(packet(index));
    assert_int_equal(state_of(index), MACHINE_STARTING);
    keeper_says(MESSAGE_SPAWNED, index);
    port_sees_ready(index);
    keeper_ready(index);
    assert_int_equal(state_of(index), MACHINE_RUNNING);
}

static void a_packet_starts_it_and_the_port_is_told_how_it_gets_ready(void **state)
{
    (void)state;
    begin(world_config(1));
    assert_true(packet(0));
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_string_equal(last_transition()->cause, "connection");
    assert_string_equal(port_of(0)->said, "nothing");
    keeper_says(MESSAGE_SPAWNED, 0);
    assert_string_equal(port_of(0)->said, "starting");
    assert_int_equal(port_of(0)->ready, PORT_READY_ANNOUNCE);
    assert_int_equal(port_of(0)->conduits, 1);
    assert_memory_equal(port_of(0)->token, world.token, sizeof world.token);
    assert_int_equal(sent(MESSAGE_SEEN_READY, NULL), 0);
    port_sees_ready(0);
    assert_int_equal(last_sent(MESSAGE_SEEN_READY, NAME(0))->serial,
                     last_sent(MESSAGE_START, NAME(0))->serial);
    assert_int_equal(state_of(0), MACHINE_STARTING); /* the keeper decides */
    keeper_ready(0);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    assert_string_equal(port_of(0)->said, "ready");
}

static void each_rule_of_readiness_is_the_port_s_where_it_can_see(void **state)
{
    (void)state;
    static const struct {
        enum config_ready rule;
        enum port_ready ready;
    } rules[] = {{CONFIG_READY_ANNOUNCE, PORT_READY_ANNOUNCE},
                 {CONFIG_READY_TCP, PORT_READY_TCP},
                 {CONFIG_READY_ARP, PORT_READY_ARP},
                 {CONFIG_READY_CONSOLE, PORT_READY_TOLD},
                 {CONFIG_READY_AFTER, PORT_READY_TOLD}};
    begin(world_config(5));
    for (size_t i = 0; i < 5; i++) {
        world.ready_rule = (uint8_t)rules[i].rule;
        assert_true(packet(i));
        if (i < 4)
            keeper_says(MESSAGE_SPAWNED, i);
        if (i < 4)
            assert_int_equal(port_of(i)->ready, rules[i].ready);
    }
    keeper_ready(0);
    keeper_says(MESSAGE_SPAWNED, 4);
    assert_int_equal(port_of(4)->ready, PORT_READY_TOLD);
    assert_int_equal(port_of(1)->ready_port, 80);
}

static void a_machine_without_a_token_has_no_conduit(void **state)
{
    (void)state;
    begin(world_config(1));
    memset(world.token, 0, sizeof world.token);
    world.ready_rule = CONFIG_READY_TCP;
    bring_up_by_packet(0);
    assert_int_equal(port_of(0)->conduits, 0);
}

static void handing_over_to_what_cannot_take_fails_the_start(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].hold = CONFIG_HOLD_HANDOFF;
    begin(config);
    memset(world.token, 0, sizeof world.token);
    assert_true(packet(0));
    keeper_says(MESSAGE_SPAWNED, 0);
    assert_int_equal(state_of(0), MACHINE_FAILED);
    assert_non_null(strstr(last_transition()->reason, "handoff"));
    assert_string_equal(last_transition()->cause, "start-failed");
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->stop.mode, CONFIG_STOP_DESTROY);
    assert_int_equal(world.resets, 1);
    keeper_exited(0, true, "");
    assert_null(service_at(0)->run);
}

static void readiness_that_cannot_be_tried_fails_the_start(void **state)
{
    (void)state;
    begin(world_config(1));
    port_of(0)->cannot_expect = true;
    assert_true(packet(0));
    keeper_says(MESSAGE_SPAWNED, 0);
    assert_int_equal(state_of(0), MACHINE_FAILED);
    assert_string_equal(last_transition()->reason, "it cannot be tried");
}

static void it_is_attracted_before_it_is_stopped_and_told_when_it_is_gone(void **state)
{
    (void)state;
    begin(world_config(1));
    bring_up_by_packet(0);
    pass(121 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
    assert_string_equal(port_of(0)->said, "attract");
    assert_int_equal(sent(MESSAGE_STOP, NAME(0)), 1);
    keeper_exited(0, true, "");
    assert_string_equal(port_of(0)->said, "gone");
    assert_int_equal(state_of(0), MACHINE_OFF);
    assert_int_equal(world.resets, 0);
}

/* The port says so only when the machine is gone: nobody may be turned away until then. */
static void who_comes_while_it_stops_is_kept_and_starts_it_again(void **state)
{
    (void)state;
    begin(world_config(1));
    bring_up_by_packet(0);
    pass(121 * SECOND);
    assert_true(packet(0));
    keeper_exited(0, true, "");
    assert_int_equal(world.resets, 0);
    port_wants_again(0);
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_int_equal(world.resets, 0);
    keeper_says(MESSAGE_SPAWNED, 0);
    assert_int_equal(port_of(0)->conduits, 2);
}

static void a_start_that_fails_refuses_until_it_is_tried_again(void **state)
{
    (void)state;
    begin(world_config(1));
    assert_true(packet(0));
    keeper_fails(0, "no such image");
    assert_int_equal(world.resets, 1);
    assert_true(port_of(0)->refusing);
    assert_false(packet(0));
    pass(2 * SECOND);
    assert_false(port_of(0)->refusing);
    assert_true(packet(0));
    assert_int_equal(state_of(0), MACHINE_STARTING);
}

static void over_the_limits_packets_are_refused(void **state)
{
    (void)state;
    struct config *config = world_config(2);
    config->machine_limit = 1;
    begin(config);
    bring_up_by_packet(0);
    packet(1);
    assert_int_equal(world.resets, 1);
    assert_true(port_of(1)->refusing);
    assert_int_equal(state_of(1), MACHINE_OFF);
}

static void packets_that_do_not_summon_are_refused(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].summon = CONFIG_SUMMON_DNS;
    begin(config);
    assert_true(port_of(0)->refusing);
    query(0);
    turn();
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_false(port_of(0)->refusing);
}

static void a_shutdown_is_asked_of_the_machine_and_ended_when_it_has_finished(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].stop = CONFIG_STOP_SHUTDOWN;
    config->services[0].shutdown_timeout = 3 * SECOND;
    begin(config);
    port_of(0)->can_stop = true;
    bring_up_by_packet(0);
    pass(121 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
    assert_int_equal(port_of(0)->deadline, 3000);
    assert_int_equal(sent(MESSAGE_STOP, NULL), 0);
    assert_string_equal(port_of(0)->said, "ready"); /* its connections go on */
    machine_finishes(0);
    assert_string_equal(port_of(0)->said, "attract");
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->stop.mode, CONFIG_STOP_DESTROY);
    keeper_exited(0, true, "");
    assert_int_equal(state_of(0), MACHINE_OFF);
}

static void a_machine_that_does_not_finish_is_destroyed(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].stop = CONFIG_STOP_SHUTDOWN;
    config->services[0].shutdown_timeout = 3 * SECOND;
    begin(config);
    port_of(0)->can_stop = true;
    bring_up_by_packet(0);
    pass(121 * SECOND);
    pass(5 * SECOND);
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->stop.mode, CONFIG_STOP_DESTROY);
    assert_int_equal(sent(MESSAGE_STOP, NULL), 1);
    machine_finishes(0); /* after all */
    assert_int_equal(sent(MESSAGE_STOP, NULL), 1);
}

static void a_guest_that_cannot_be_asked_is_shut_down_by_the_keeper(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].stop = CONFIG_STOP_SHUTDOWN;
    begin(config);
    bring_up_by_packet(0);
    pass(121 * SECOND);
    assert_string_equal(port_of(0)->said, "attract");
    assert_int_equal(last_sent(MESSAGE_STOP, NAME(0))->stop.mode, CONFIG_STOP_SHUTDOWN);
}

static void a_suspended_machine_keeps_its_conduit_and_is_resumed_by_a_packet(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].stop = CONFIG_STOP_SUSPEND;
    begin(config);
    bring_up_by_packet(0);
    pass(121 * SECOND);
    assert_string_equal(port_of(0)->said, "attract");
    keeper_says(MESSAGE_SUSPENDED, 0);
    assert_string_equal(port_of(0)->said, "suspended");
    assert_true(packet(0));
    assert_int_equal(state_of(0), MACHINE_STARTING);
    assert_string_equal(port_of(0)->said, "starting");
    assert_int_equal(port_of(0)->ready, PORT_READY_TOLD);
    keeper_says(MESSAGE_SPAWNED, 0);
    keeper_ready(0);
    assert_string_equal(port_of(0)->said, "ready");
    assert_int_equal(port_of(0)->conduits, 1);
    assert_int_equal(world.resets, 0);
}

static void turning_away_leaves_a_suspended_machine_suspended(void **state)
{
    (void)state;
    struct config *config = world_config(1);
    config->services[0].stop = CONFIG_STOP_SUSPEND;
    begin(config);
    bring_up_by_packet(0);
    pass(121 * SECOND);
    keeper_says(MESSAGE_SUSPENDED, 0);
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_SUSPEND, NULL);
    assert_string_equal(port_of(0)->said, "suspended");
    assert_int_equal(state_of(0), MACHINE_SUSPENDED);
    assert_false(port_of(0)->refusing);
}

static void connections_of_the_machine_keep_it(void **state)
{
    (void)state;
    begin(world_config(1));
    bring_up_by_packet(0);
    port_of(0)->connections = 1;
    pass(121 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    port_of(0)->connections = 0;
    port_of(0)->last_use = clock_now();
    pass(100 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    pass(121 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

/* A guest that tells nothing itself: the kernel counts its packets for the keeper. */
static void begin_foreign(struct config *config)
{
    begin(config);
    memset(world.token, 0, sizeof world.token);
    world.ready_rule = CONFIG_READY_TCP;
    bring_up_by_packet(0);
}

static void one_that_tells_itself_is_not_looked_at(void **state)
{
    (void)state;
    begin(world_config(1));
    bring_up_by_packet(0);
    for (unsigned i = 0; i < 121; i++)
        pass(SECOND);
    assert_int_equal(sent(MESSAGE_LOOK, NULL), 0);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void packets_that_the_keeper_counts_keep_it(void **state)
{
    (void)state;
    begin_foreign(world_config(1));
    world.is_used = true;
    for (unsigned i = 0; i < 20; i++) {
        pass(100 * SECOND);
        assert_int_equal(state_of(0), MACHINE_RUNNING);
    }
    assert_int_equal(last_sent(MESSAGE_LOOK, NAME(0))->serial,
                     last_sent(MESSAGE_START, NAME(0))->serial);
    world.is_used = false;
    pass(119 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    pass(2 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void its_connections_are_not_known(void **state)
{
    (void)state;
    struct service_status status;
    begin(world_config(2));
    bring_up_by_packet(1);
    memset(world.token, 0, sizeof world.token);
    world.ready_rule = CONFIG_READY_TCP;
    service_status(service_at(0), &status);
    assert_false(status.connections_unknown);
    bring_up_by_packet(0);
    service_status(service_at(0), &status);
    assert_true(status.connections_unknown);
    service_status(service_at(1), &status);
    assert_false(status.connections_unknown);
}

/* So that the time of its last use is known well enough. */
static void it_is_looked_at_several_times_in_its_idle_time(void **state)
{
    (void)state;
    begin_foreign(world_config(1));
    for (unsigned i = 0; i < 120; i++)
        pass(SECOND);
    assert_in_range(sent(MESSAGE_LOOK, NAME(0)), 7, 9);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void the_last_use_is_known_to_an_eighth_of_the_idle_time(void **state)
{
    (void)state;
    begin_foreign(world_config(1));
    for (unsigned i = 0; i < 60; i++)
        pass(SECOND);
    world.is_used = true;
    pass(16 * SECOND);
    world.is_used = false;
    for (unsigned i = 0; i < 119; i++)
        pass(SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    for (unsigned i = 0; i < 20; i++)
        pass(SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void nothing_is_decided_until_the_keeper_has_said_what_it_saw(void **state)
{
    (void)state;
    begin_foreign(world_config(1));
    world.is_mute = true;
    pass(1000 * SECOND);
    assert_int_equal(sent(MESSAGE_LOOK, NAME(0)), 1);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    keeper_leaves();
    keeper_arrives();
    keeper_has(NAME(0), last_sent(MESSAGE_START, NAME(0))->serial, true);
    keeper_synchronised();
    world.is_mute = false;
    pass(119 * SECOND); /* as what came meanwhile was not counted */
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    pass(2 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void nothing_is_decided_while_the_keeper_is_away(void **state)
{
    (void)state;
    begin_foreign(world_config(1));
    keeper_leaves();
    for (unsigned i = 0; i < 10; i++)
        pass(100 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    assert_int_equal(sent(MESSAGE_LOOK, NULL), 0);
}

static void what_the_keeper_saw_of_an_ended_machine_is_ignored(void **state)
{
    (void)state;
    begin(world_config(1));
    bring_up_by_packet(0);
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL);
    keeper_says(MESSAGE_USED, 0);
    keeper_says(MESSAGE_FIRST_BYTE, 0);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

/* Whose they are is not known, so that they cannot keep it. */
static void connections_do_not_keep_it_where_only_some_clients_count(void **state)
{
    (void)state;
    static struct prefix some;
    assert_int_equal(prefix_parse("10.1.0.0/16", &some), 0);
    struct config *config = world_config(1);
    config->services[0].summon_from = &some;
    config->services[0].summon_from_count = 1;
    begin(config);
    bring_up_by_packet(0);
    port_of(0)->connections = 1;
    world.is_used = true;
    pass(121 * SECOND);
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    world.is_used = false;
    pass(121 * SECOND);
    assert_int_equal(state_of(0), MACHINE_STOPPING);
}

static void the_first_byte_is_told_when_it_is_known_to_be_ready(void **state)
{
    (void)state;
    begin(world_config(2));
    bring_up_by_packet(0);
    keeper_says(MESSAGE_FIRST_BYTE, 0);
    assert_string_equal(last_transition()->cause, "first-byte");
    assert_true(last_transition()->phases.first_byte > last_transition()->phases.ready);

    /* It spoke before the keeper had heard from the port that it is ready. */
    assert_true(packet(1));
    keeper_says(MESSAGE_SPAWNED, 1);
    port_sees_ready(1);
    keeper_says(MESSAGE_FIRST_BYTE, 1);
    assert_int_equal(state_of(1), MACHINE_STARTING);
    keeper_ready(1);
    assert_string_equal(last_transition()->cause, "first-byte");
    assert_true(last_transition()->phases.ready > 0);
    assert_true(last_transition()->phases.first_byte > last_transition()->phases.ready);
}

static void it_was_entered_before_it_was_ready(void **state)
{
    (void)state;
    begin(world_config(1));
    assert_true(packet(0));
    keeper_says(MESSAGE_SPAWNED, 0);
    port_sees_ready(0);
    keeper_says(MESSAGE_ENTERED, 0); /* its console was read after the network */
    keeper_ready(0);
    assert_true(last_transition()->phases.ready > 0);
    assert_int_equal(last_transition()->phases.entered, last_transition()->phases.ready);
}

static void a_port_that_opens_later_is_told_how_things_are(void **state)
{
    (void)state;
    struct config *config = world_config(3);
    put_on_bridge(config);
    memset(world.token, 7, sizeof world.token);
    world.ready_rule = CONFIG_READY_ANNOUNCE;
    world_summon(config, false);
    keeper_arrives();
    keeper_has(NAME(0), 77, true);
    keeper_has(NAME(1), 78, false);
    keeper_synchronised();
    assert_null(port_of(0));
    port_opens();
    assert_string_equal(port_of(0)->said, "ready");
    assert_int_equal(port_of(0)->conduits, 1);
    assert_string_equal(port_of(1)->said, "starting");
    assert_int_equal(port_of(1)->conduits, 1);
    assert_string_equal(port_of(2)->said, "nothing");
}

static void after_the_keeper_s_restart_a_start_is_begun_anew(void **state)
{
    (void)state;
    begin(world_config(1));
    assert_true(packet(0));
    keeper_says(MESSAGE_SPAWNED, 0);
    keeper_leaves();
    keeper_arrives();
    keeper_synchronised();
    assert_int_equal(sent(MESSAGE_START, NULL), 2);
    assert_string_equal(port_of(0)->said, "gone");
    world.token[0] = 8;
    keeper_says(MESSAGE_SPAWNED, 0);
    assert_string_equal(port_of(0)->said, "starting");
    assert_int_equal(port_of(0)->token[0], 8);
    assert_int_equal(ports_missing(), 0);
}

static struct config *reload_with(size_t count)
{
    struct error error;
    struct config *config = world_config(count);
    put_on_bridge(config);
    if (summoner_reload_prepare(world.summoner, config, &error) != 0)
        fail_msg("%s", error.text);
    return config;
}

static void commit(struct config *config)
{
    summoner_reload_commit(world.summoner);
    world_free_config(world.config);
    world.config = config;
}

static void a_reload_changes_the_address_when_the_machine_has_ended(void **state)
{
    (void)state;
    struct address address;
    address_parse("10.0.0.20", &address);
    begin(world_config(2));
    bring_up_by_packet(0);
    struct config *config = reload_with(2);
    config->services[0].addresses[0] = config->services[1].addresses[0] = address;
    commit(config);
    assert_false(address_equal(&port_of(0)->address, &address));
    assert_true(address_equal(&port_of(1)->address, &address));
    assert_string_equal(port_of(0)->said, "ready");
    pass(121 * SECOND);
    keeper_exited(0, true, "");
    assert_true(address_equal(&port_of(0)->address, &address));
}

static void a_reload_makes_holds_for_new_services_and_ends_those_of_others(void **state)
{
    (void)state;
    begin(world_config(2));
    bring_up_by_packet(1);
    commit(reload_with(1));
    assert_int_equal(sent(MESSAGE_STOP, "s1.example.org"), 1);
    commit(reload_with(3));
    assert_non_null(port_of(2));
    assert_non_null(port_of(1)); /* come back, before its machine had ended */
    keeper_exited(1, true, "");
    assert_true(packet(1));
    assert_int_equal(state_of(1), MACHINE_STARTING);
}

static void a_service_moves_to_a_user_network(void **state)
{
    (void)state;
    begin(world_config(1));
    bring_up_by_packet(0);
    struct config *config = world_config(1);
    struct error error;
    assert_int_equal(summoner_reload_prepare(world.summoner, config, &error), 0);
    commit(config);
    assert_null(port_of(0));
    assert_int_equal(world.ports, 0);
    struct endpoint endpoint = {config->services[0].addresses[0], 8000};
    assert_int_equal(summoner_listen(world.summoner, NAME(0), &endpoint, 80, -1), 0);
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, NULL);
    keeper_exited(0, true, "");
    assert_true(connects(0));
    assert_int_equal(state_of(0), MACHINE_STARTING);
}

static void what_the_port_refuses_is_tried_again_at_a_reload(void **state)
{
    (void)state;
    world.port_refuses = true;
    begin(world_config(1));
    assert_null(port_of(0));
    query(0);
    turn();
    assert_int_equal(state_of(0), MACHINE_STARTING);
    world.port_refuses = false;
    commit(reload_with(1));
    assert_non_null(port_of(0));
}

static void connections_handed_over_are_counted_over_all_holds(void **state)
{
    (void)state;
    begin(world_config(1));
    port_of(0)->handed_over = 3;
    struct config *config = reload_with(1);
    address_parse("10.0.0.20", &config->services[0].addresses[0]);
    commit(config);
    port_of(0)->handed_over = 2;
    assert_int_equal(service_at(0)->handed_over, 3);
    struct port_statistics statistics;
    summoner_port_statistics(world.summoner, &statistics);
    assert_int_equal(statistics.frames, 1);
}

static void limits_of_what_is_held_follow_the_configuration(void **state)
{
    (void)state;
    begin(world_config(1));
    const struct port_limits *limits = &world.port_limits;
    assert_int_equal(limits->bytes, 64 * MEGABYTE);
    assert_int_equal(limits->bytes_per_service, 16 * MEGABYTE);
    assert_int_equal(limits->connections_per_service, 1024);
    assert_int_equal(limits->half_open_per_service, 256);
    assert_int_equal(limits->half_open, 1024);
    struct config *config = reload_with(1);
    config->held_limit = 8 * MEGABYTE;
    config->held_connection_limit = 100;
    commit(config);
    assert_int_equal(limits->bytes, 8 * MEGABYTE);
    assert_int_equal(limits->bytes_per_service, 2 * MEGABYTE);
    assert_int_equal(limits->connections_per_service, 100);
    assert_int_equal(limits->half_open_per_service, 25);
    assert_int_equal(limits->half_open, 100);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_packet_starts_it_and_the_port_is_told_how_it_gets_ready),
        TEST(each_rule_of_readiness_is_the_port_s_where_it_can_see),
        TEST(a_machine_without_a_token_has_no_conduit),
        TEST(handing_over_to_what_cannot_take_fails_the_start),
        TEST(readiness_that_cannot_be_tried_fails_the_start),
        TEST(it_is_attracted_before_it_is_stopped_and_told_when_it_is_gone),
        TEST(who_comes_while_it_stops_is_kept_and_starts_it_again),
        TEST(a_start_that_fails_refuses_until_it_is_tried_again),
        TEST(over_the_limits_packets_are_refused),
        TEST(packets_that_do_not_summon_are_refused),
        TEST(a_shutdown_is_asked_of_the_machine_and_ended_when_it_has_finished),
        TEST(a_machine_that_does_not_finish_is_destroyed),
        TEST(a_guest_that_cannot_be_asked_is_shut_down_by_the_keeper),
        TEST(a_suspended_machine_keeps_its_conduit_and_is_resumed_by_a_packet),
        TEST(turning_away_leaves_a_suspended_machine_suspended),
        TEST(connections_of_the_machine_keep_it),
        TEST(one_that_tells_itself_is_not_looked_at),
        TEST(packets_that_the_keeper_counts_keep_it),
        TEST(its_connections_are_not_known),
        TEST(it_is_looked_at_several_times_in_its_idle_time),
        TEST(the_last_use_is_known_to_an_eighth_of_the_idle_time),
        TEST(nothing_is_decided_until_the_keeper_has_said_what_it_saw),
        TEST(nothing_is_decided_while_the_keeper_is_away),
        TEST(what_the_keeper_saw_of_an_ended_machine_is_ignored),
        TEST(connections_do_not_keep_it_where_only_some_clients_count),
        TEST(the_first_byte_is_told_when_it_is_known_to_be_ready),
        TEST(it_was_entered_before_it_was_ready),
        TEST(a_port_that_opens_later_is_told_how_things_are),
        TEST(after_the_keeper_s_restart_a_start_is_begun_anew),
        TEST(a_reload_changes_the_address_when_the_machine_has_ended),
        TEST(a_reload_makes_holds_for_new_services_and_ends_those_of_others),
        TEST(a_service_moves_to_a_user_network),
        TEST(what_the_port_refuses_is_tried_again_at_a_reload),
        TEST(connections_handed_over_are_counted_over_all_holds),
        TEST(limits_of_what_is_held_follow_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
