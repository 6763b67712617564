/* Thousands of random events against a keeper that is played here. After each of them must hold:
 * the summoner's counts are those of its services; limits are kept; no machine is started twice;
 * nobody waits for something that will not come; and no service has become deaf to queries. */
#include "summon_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum { SERVICES = 8, STEPS = 4000 };

/* The machines as the keeper knows them, by the number in their service's name. */
static struct played {
    bool exists, ready, suspended, stopping;
    uint32_t serial, old_serial;
    uint32_t next_serial; /* of a START that waits until this one has been stopped; 0: none */
    enum config_stop mode;
} played[SERVICES];
static size_t heard; /* messages of the summoner that the keeper has seen */
static bool away;
static uint32_t next_own_serial;
static uint32_t seed;
static bool loud;

static unsigned pick(unsigned below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 16) % below;
}

static size_t number_of(const char *name)
{
    return (size_t)strtoul(name + 1, NULL, 10);
}

/* --- the keeper --- */

static struct message about(enum message_type type, size_t number, uint32_t serial)
{
    char name[32];
    snprintf(name, sizeof name, "s%zu.example.org", number);
    struct message message = message_make(type, serial, name);
    if (type == MESSAGE_READY || type == MESSAGE_MACHINE)
        message.machine.moment = clock_now();
    return message;
}

static void say(const struct message *message)
{
    if (!away)
        summoner_keeper_message(world.summoner, message);
}

static void hear_start(struct played *machine, const struct message *message)
{
    if (machine->exists && machine->stopping && message->serial != machine->serial) {
        machine->next_serial = message->serial;
        return;
    }
    if (machine->exists && !machine->suspended)
        fail_msg("%s: started twice", message->service);
    machine->old_serial = machine->serial;
    *machine = (struct played){
        .exists = true, .serial = message->serial, .old_serial = machine->old_serial};
}

static void hear_stop(struct played *machine, const struct message *message)
{
    if (!machine->exists || machine->serial != message->serial)
        return;
    machine->stopping = true;
    machine->mode = (enum config_stop)message->stop.mode;
}

static void hear(void)
{
    for (; heard < world.sent_count; heard++) {
        struct message message = world.sent[heard];
        struct played *machine = &played[number_of(message.service)];
        if (message.type == MESSAGE_START)
            hear_start(machine, &message);
        else
            hear_stop(machine, &message);
    }
}

static void end_machine(size_t number, enum message_type type, bool asked_for)
{
    struct message message = about(type, number, played[number].serial);
    message.end.asked_for = asked_for;
    strcpy(message.end.text, "because");
    uint32_t next = played[number].next_serial;
    played[number] =
        (struct played){.exists = next, .serial = next, .old_serial = played[number].serial};
    say(&message);
}

static void finish_stop(size_t number)
{
    struct played *machine = &played[number];
    if (machine->mode == CONFIG_STOP_SUSPEND && machine->ready) {
        struct message message = about(MESSAGE_SUSPENDED, number, machine->serial);
        machine->stopping = machine->ready = false;
        machine->suspended = true;
        say(&message);
    } else {
        end_machine(number, MESSAGE_EXITED, true);
    }
}

static void go_on(size_t number)
{
    struct played *machine = &played[number];
    if (!machine->exists)
        return;
    if (pick(8) == 0) {
        bool failed = !machine->ready && !machine->stopping && !machine->suspended;
        end_machine(number, failed ? MESSAGE_FAILED : MESSAGE_EXITED, false);
    } else if (machine->stopping) {
        finish_stop(number);
    } else if (!machine->ready && !machine->suspended) {
        struct message message = about(MESSAGE_READY, number, machine->serial);
        machine->ready = true;
        say(&message);
    }
}

static void say_late(size_t number)
{
    static const enum message_type types[] = {MESSAGE_READY, MESSAGE_EXITED, MESSAGE_FAILED,
                                              MESSAGE_SUSPENDED, MESSAGE_SPAWNED};
    struct message message = about(types[pick(5)], number, played[number].old_serial);
    if (played[number].old_serial)
        say(&message);
}

static void leave(void)
{
    if (away)
        return;
    hear();
    away = true;
    keeper_leaves();
}

static void arrive(void)
{
    if (!away)
        return;
    away = false;
    keeper_arrives();
    for (size_t i = 0; i < SERVICES; i++) {
        struct played *machine = &played[i];
        machine->stopping = false;
        machine->next_serial = 0;
        if (!machine->exists && pick(30) == 0) /* somebody else's */
            *machine = (struct played){.exists = true, .serial = ++next_own_serial, .ready = true};
        if (!machine->exists)
            continue;
        struct message message = about(MESSAGE_MACHINE, i, machine->serial);
        message.machine.ready = machine->ready;
        say(&message);
        message = about(MESSAGE_SUSPENDED, i, machine->serial);
        if (machine->suspended)
            say(&message);
    }
    keeper_synchronised();
}

/* --- the rest of the world --- */

static struct config *some_config(void)
{
    struct config *config = world_config(SERVICES - pick(3));
    config->machine_limit = 2 + pick(4);
    config->start_limit = 1 + pick(2);
    config->memory_limit = (40 + pick(100)) * MEGABYTE;
    for (size_t i = 0; i < config->service_count; i++) {
        struct config_service *service = &config->services[i];
        service->stop = (uint8_t)pick(3);
        service->answer = (uint8_t)pick(2);
        service->keep = pick(6) == 0;
        service->idle_connections = (uint8_t)pick(2);
        service->summon = (uint8_t)(1 + pick(3));
        service->memory = (8 + pick(40)) * MEGABYTE;
        service->answer_delay = pick(2);
    }
    return config;
}

static void listen_on_missing(void *argument, const char *service, const struct endpoint *endpoint,
                              uint16_t machine_port)
{
    (void)argument;
    assert_int_equal(summoner_listen(world.summoner, service, endpoint, machine_port, -1), 0);
}

static void reload(void)
{
    struct error error;
    struct config *config = some_config();
    assert_int_equal(summoner_reload_prepare(world.summoner, config, &error), 0);
    if (pick(3) == 0) {
        summoner_reload_abandon(world.summoner);
        world_free_config(config);
        return;
    }
    summoner_reload_commit(world.summoner);
    world_free_config(world.config);
    world.config = config;
    summoner_missing_listeners(world.summoner, listen_on_missing, NULL);
}

static void restart_front(void)
{
    hear();
    world_dismiss();
    world_summon(world.config, false);
    away = true;
    if (pick(2))
        arrive();
}

static void connection_ends(size_t index)
{
    if (hold_of(index)->connected)
        hold_of(index)->connected--;
}

static void command(size_t index)
{
    struct error error;
    if (pick(2))
        summoner_start(world.summoner, service_at(index), &error);
    else
        summoner_stop(world.summoner, service_at(index), (enum config_stop)pick(3), &error);
}

static void step(void)
{
    size_t index = pick((unsigned)world.config->service_count);
    switch (pick(24)) {
    case 0:
        pass((1 + pick(200)) * NANOSECONDS_PER_SECOND);
        break;
    case 1:
        pass((1 + pick(3)) * NANOSECONDS_PER_SECOND);
        break;
    case 2:
        command(index);
        break;
    case 3:
        say_late(pick(SERVICES));
        break;
    case 4:
        if (pick(4) == 0)
            leave();
        break;
    case 5:
    case 6:
        arrive();
        break;
    case 7:
        if (pick(4) == 0)
            reload();
        break;
    case 8:
        if (pick(20) == 0)
            restart_front();
        break;
    case 9:
        connection_ends(index);
        break;
    case 10:
    case 11:
    case 12:
        connects(index);
        break;
    case 13:
    case 14:
    case 15:
        query(index);
        break;
    default:
        go_on(pick(SERVICES));
    }
    if (pick(2)) /* else the wants of this step come after the events of the next */
        turn();
}

/* --- what must hold --- */

static bool something_will_come(const struct service *service)
{
    return service->state == MACHINE_STARTING || service->queued || service->pending;
}

static bool can_be_wanted(const struct service *service)
{
    return (service->state == MACHINE_OFF || service->state == MACHINE_SUSPENDED ||
            service->state == MACHINE_FAILED) &&
           !something_will_come(service) && !service->refused && !service->backing_off;
}

static void check_service(const struct service *service, bool wants_are_seen_to)
{
    /* Those that wait while it is stopping are seen to when it has stopped. */
    assert_true(service->proxy->waiting == 0 || something_will_come(service) ||
                service->state == MACHINE_STOPPING);
    if (wants_are_seen_to && can_be_wanted(service))
        assert_false(atomic_load(&service->host->wanted));
    assert_int_equal(service->proxy->ready, service->state == MACHINE_RUNNING);
    if (service->state == MACHINE_RUNNING)
        assert_int_equal(atomic_load(&service->host->disposition), DNS_ANSWER);
    assert_int_equal(atomic_load(&service->host->disposition) == DNS_NO_RESOURCES,
                     service->refused);
    if (service->state == MACHINE_STARTING || service->backing_off)
        assert_true(service->deadline_place != 0);
}

static void check_all(bool wants_are_seen_to)
{
    struct summoner *summoner = world.summoner;
    struct share used = {0}, waiting = {0}, leaving = {0};
    unsigned starting = 0;
    struct machine_run *run;

    TAILQ_FOREACH(run, &summoner->runs, entry)
    {
        used.machines++;
        used.memory += run->memory;
        if (!run->serial) {
            assert_true(run->service->queued);
            waiting.machines++;
            waiting.memory += run->memory;
        }
        if (run->leaving) {
            leaving.machines++;
            leaving.memory += run->memory;
        }
        starting += run->service->state == MACHINE_STARTING;
    }
    assert_memory_equal(&used.memory, &summoner->used.memory, sizeof used.memory);
    assert_int_equal(used.machines, summoner->used.machines);
    assert_int_equal(waiting.memory, summoner->waiting.memory);
    assert_int_equal(waiting.machines, summoner->waiting.machines);
    assert_int_equal(leaving.memory, summoner->leaving.memory);
    assert_int_equal(leaving.machines, summoner->leaving.machines);
    assert_int_equal(starting, summoner->starting);
    for (size_t i = 0; i < summoner->service_count; i++)
        check_service(summoner->services[i], wants_are_seen_to);
}

/* When the world calms down, all can be started and stopped as on the first day. */
static void settle(void)
{
    arrive();
    for (unsigned round = 0; round < 50; round++) {
        pass(400 * NANOSECONDS_PER_SECOND);
        hear();
        for (size_t i = 0; i < SERVICES; i++) {
            if (played[i].exists && played[i].stopping)
                end_machine(i, MESSAGE_EXITED, true);
            else
                go_on(i);
        }
        for (size_t i = 0; i < world.config->service_count; i++) {
            hold_of(i)->connected = 0;
            summoner_stop(world.summoner, service_at(i), CONFIG_STOP_DESTROY, NULL);
        }
        hear();
    }
    check_all(true);
    assert_int_equal(world.summoner->used.machines, 0);
    assert_true(TAILQ_EMPTY(&world.summoner->departed));
    for (size_t i = 0; i < world.config->service_count; i++) {
        if (world.config->services[i].memory > world.config->memory_limit)
            continue;
        summoner_start(world.summoner, service_at(i), NULL);
        assert_int_equal(state_of(i), MACHINE_STARTING);
        summoner_stop(world.summoner, service_at(i), CONFIG_STOP_DESTROY, NULL);
        hear();
        end_machine(i, MESSAGE_EXITED, true);
        assert_int_equal(state_of(i), MACHINE_OFF);
    }
}

static void live(uint32_t first_seed)
{
    seed = first_seed;
    print_message("life %u\n", first_seed);
    heard = 0;
    away = true;
    next_own_serial = 1;
    memset(played, 0, sizeof played);
    world_summon(some_config(), false);
    log_set_level(loud ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    for (unsigned i = 0; i < STEPS; i++) {
        step();
        hear();
        check_all(false);
        if (pick(4) == 0) {
            turn();
            hear();
            check_all(true);
        }
    }
    settle();
}

static void random_lives_keep_every_promise(void **state)
{
    for (uint32_t i = 1; i <= 100; i++) {
        live(i * 7919);
        world_end(state);
        world_begin(state);
    }
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_lives_keep_every_promise, world_begin, world_end),
    };
    if (count > 1) { /* one life, by the number it failed with, and with its log */
        loud = true;
        world_begin(NULL);
        live((uint32_t)strtoul(arguments[1], NULL, 10));
        return world_end(NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
