/* The instances of a wildcard: made for a label that DNS does not know, in a place of their own;
 * bounded; forgotten when nobody can want them by their addresses; adopted; kept over a reload. */
#include "summon_world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND NANOSECONDS_PER_SECOND
#define TTL    60

enum { A = 1, TXT = 16, AAAA = 28 };

static struct address addresses[8];

/* s0 is a wildcard with `count` places, s1 is not. */
static struct config *wildcard_config(struct config_places *places, uint32_t count)
{
    struct config *config = world_config(2);
    struct config_service *wildcard = &config->services[0];
    for (uint8_t i = 0; i < 8; i++)
        addresses[i] = (struct address){AF_INET, {127, 0, 0, (uint8_t)(1 + i)}};
    *places = (struct config_places){count, 1, addresses};
    free(wildcard->name);
    wildcard->name = strdup("*.apps.example.org");
    wildcard->places = places;
    wildcard->address_count = 0;
    wildcard->ttl = TTL;
    return config;
}

static struct config_places places, later;

static void summon(uint32_t count)
{
    world_summon(wildcard_config(&places, count), true);
}

static struct dns_host *wildcard_host(void)
{
    return summoner_dns_hosts(world.summoner)[0];
}

static struct service *instance(const char *label)
{
    return instances_find(service_at(0), label);
}

static const char *name_of(const char *label)
{
    static char names[4][CONFIG_NAME_TEXT_MAX];
    static unsigned next;
    char *name = names[next++ % 4];
    snprintf(name, sizeof names[0], "%s.apps.example.org", label);
    return name;
}

/* A worker asks about a label that it does not know; its query is told what becomes of it. */
static enum dns_label_fate ask(const char *label, uint16_t type)
{
    struct dns_want want = {.type = type, .moment = clock_now()};
    size_t told = world.told_count;
    endpoint_parse("127.0.0.1@40000", &want.client);
    snprintf(want.name, sizeof want.name, "%s", name_of(label));
    summoner_dns_unknown(world.summoner, wildcard_host(), label, 0, &want);
    turn();
    assert_int_equal(world.told_count, told + 1);
    assert_string_equal(world.told_label, label);
    struct service *known = instance(label);
    if (world.told == DNS_LABEL_ADDED && (type == A || type == AAAA))
        atomic_store(&known->host->last_query, clock_now_coarse());
    return world.told;
}

static void keeper_says_of(enum message_type type, const char *label)
{
    const struct message *start = last_sent(MESSAGE_START, name_of(label));
    struct message message = message_make(type, start->serial, name_of(label));
    if (type == MESSAGE_READY)
        message.machine.pid = 4711;
    else
        message.end.asked_for = type == MESSAGE_EXITED;
    summoner_keeper_message(world.summoner, &message);
}

static void bring_up_instance(const char *label)
{
    assert_int_equal(ask(label, A), DNS_LABEL_ADDED);
    keeper_says_of(MESSAGE_READY, label);
    assert_int_equal(instance(label)->state, MACHINE_RUNNING);
}

static void stop(const char *label)
{
    struct error error;
    assert_int_equal(summoner_stop(world.summoner, instance(label), CONFIG_STOP_DESTROY, &error),
                     0);
    keeper_says_of(MESSAGE_EXITED, label);
}

static void a_label_gets_a_machine_for_the_query_that_asks_for_it(void **state)
{
    struct service_status status;
    (void)state;
    summon(4);
    assert_int_equal(ask("blog", A), DNS_LABEL_ADDED);
    const struct message *start = last_sent(MESSAGE_START, name_of("blog"));
    struct service *blog = instance("blog");
    assert_int_equal(start->start.place.count, 1);
    assert_true(address_equal(&start->start.place.addresses[0], &blog->config->addresses[0]));
    keeper_says_of(MESSAGE_READY, "blog");
    service_status(blog, &status);
    assert_int_equal(status.state, MACHINE_RUNNING);
    assert_string_equal(status.config->name, name_of("blog"));
    assert_string_equal(status.wildcard->name, "*.apps.example.org");
    assert_ptr_equal(summoner_find(world.summoner, name_of("blog"), NULL), blog);
    assert_true(world.transitions[0].is_of_instance);
    assert_string_equal(world.transitions[0].query, "blog.apps.example.org A");
    /* A second query finds it known. */
    assert_int_equal(ask("blog", AAAA), DNS_LABEL_ADDED);
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
}

static void there_are_no_more_than_configured(void **state)
{
    (void)state;
    summon(2);
    bring_up_instance("a");
    bring_up_instance("b");
    assert_int_equal(ask("c", A), DNS_LABEL_NO_RESOURCES);
    assert_null(instance("c"));
    assert_int_equal(atomic_load(&wildcard_host()->disposition), DNS_NO_RESOURCES);
    assert_int_equal(instances_known(service_at(0)), 2);
    assert_false(
        address_equal(&instance("a")->config->addresses[0], &instance("b")->config->addresses[0]));

    /* As soon as one is gone there is room again. */
    stop("a");
    pass(TTL * SECOND);
    assert_null(instance("a"));
    assert_int_equal(atomic_load(&wildcard_host()->disposition), DNS_ANSWER);
    assert_int_equal(ask("c", A), DNS_LABEL_ADDED);
}

static void none_is_made_where_the_limits_allow_no_machine(void **state)
{
    (void)state;
    struct config *config = wildcard_config(&places, 4);
    config->machine_limit = 1;
    world_summon(config, true);
    bring_up_instance("a");
    assert_int_equal(ask("b", A), DNS_LABEL_NO_RESOURCES);
    assert_int_equal(instances_known(service_at(0)), 1);
    stop("a");
    assert_int_equal(atomic_load(&wildcard_host()->disposition), DNS_ANSWER);
    assert_int_equal(ask("b", A), DNS_LABEL_ADDED);
}

static void services_with_names_of_their_own_start_before_made_up_ones(void **state)
{
    (void)state;
    struct config *config = wildcard_config(&places, 4);
    config->start_limit = 1;
    world_summon(config, true);
    assert_int_equal(ask("a", A), DNS_LABEL_ADDED);
    assert_int_equal(ask("b", A), DNS_LABEL_ADDED);
    assert_int_equal(ask("c", A), DNS_LABEL_ADDED);
    query(1);
    turn();
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    keeper_says_of(MESSAGE_READY, "a");
    assert_int_equal(state_of(1), MACHINE_STARTING);
    keeper_ready(1);
    assert_int_equal(instance("b")->state, MACHINE_STARTING);
    keeper_says_of(MESSAGE_READY, "b");
    assert_int_equal(instance("c")->state, MACHINE_STARTING);
}

static void it_is_forgotten_when_no_answer_can_be_in_a_cache(void **state)
{
    (void)state;
    summon(4);
    bring_up_instance("a");
    pass(30 * SECOND);
    atomic_store(&instance("a")->host->last_query, clock_now_coarse());
    stop("a");
    pass((TTL - 1) * SECOND);
    assert_non_null(instance("a"));
    pass(SECOND);
    assert_null(instance("a"));
    assert_int_equal(world.retired, 1);
    assert_true(TAILQ_EMPTY(&world.summoner->forgotten));
    assert_int_equal(summoner_service_count(world.summoner), 2);
}

static void one_reaped_long_after_its_last_query_is_forgotten_at_once(void **state)
{
    (void)state;
    summon(4);
    bring_up_instance("a");
    pass(120 * SECOND); /* its idle time */
    assert_int_equal(sent(MESSAGE_STOP, name_of("a")), 1);
    keeper_says_of(MESSAGE_EXITED, "a");
    pass(1);
    assert_null(instance("a"));
}

static void a_query_keeps_it_known_and_starts_it_again(void **state)
{
    (void)state;
    summon(4);
    bring_up_instance("a");
    stop("a");
    struct dns_host *host = instance("a")->host;
    struct dns_want want = {.type = A, .moment = clock_now()};
    atomic_store(&host->wanted, true);
    summoner_dns_wanted(world.summoner, host, &want);
    turn();
    assert_int_equal(instance("a")->state, MACHINE_STARTING);
    pass(2 * SECOND);
    keeper_says_of(MESSAGE_READY, "a");
    pass(TTL * SECOND);
    assert_int_equal(instance("a")->state, MACHINE_RUNNING);
}

static void somebody_who_wants_it_in_its_last_moment_gets_it_at_its_addresses(void **state)
{
    (void)state;
    summon(4);
    bring_up_instance("a");
    struct address address = instance("a")->config->addresses[0];
    stop("a");
    struct dns_host *host = instance("a")->host;
    struct dns_want want = {.type = A, .moment = clock_now()};
    /* A worker has found it and is about to say so when it is forgotten. */
    atomic_store(&host->last_query, 0);
    instance("a")->made = 0;
    deadline_set(instance("a"), clock_now());
    deadlines_run(world.summoner);
    assert_null(instance("a"));
    summoner_dns_wanted(world.summoner, host, &want);
    turn();
    assert_non_null(instance("a"));
    assert_int_equal(instance("a")->state, MACHINE_STARTING);
    assert_true(address_equal(&instance("a")->config->addresses[0], &address));
}

/* The DNS server is gone by then, and the keeper hears no more of us. */
static void what_is_wanted_at_the_very_end_starts_nothing(void **state)
{
    (void)state;
    summon(4);
    bring_up_instance("a");
    stop("a");
    struct dns_host *host = instance("a")->host;
    struct dns_want want = {.type = A, .moment = clock_now()};
    atomic_store(&host->last_query, 0);
    instance("a")->made = 0;
    deadline_set(instance("a"), clock_now());
    deadlines_run(world.summoner);
    summoner_dns_wanted(world.summoner, host, &want);
    size_t starts = sent(MESSAGE_START, NULL);
    world_dismiss();
    assert_int_equal(sent(MESSAGE_START, NULL), starts);
}

static void addresses_come_back_into_use_as_late_as_possible(void **state)
{
    struct address first, next;
    (void)state;
    summon(4);
    bring_up_instance("a");
    first = instance("a")->config->addresses[0];
    stop("a");
    pass(TTL * SECOND);
    static const char *const labels[] = {"b", "c", "d"};
    for (size_t i = 0; i < 3; i++) {
        bring_up_instance(labels[i]);
        next = instance(labels[i])->config->addresses[0];
        assert_false(address_equal(&next, &first));
    }
    bring_up_instance("e");
    next = instance("e")->config->addresses[0];
    assert_true(address_equal(&next, &first));
}

static void one_that_fails_is_forgotten_after_its_back_off(void **state)
{
    (void)state;
    summon(1);
    assert_int_equal(ask("a", A), DNS_LABEL_ADDED);
    keeper_says_of(MESSAGE_FAILED, "a");
    assert_int_equal(atomic_load(&instance("a")->host->disposition), DNS_FAILED);
    assert_int_equal(ask("b", A), DNS_LABEL_NO_RESOURCES);
    pass(2 * SECOND);
    assert_int_equal(instance("a")->state, MACHINE_FAILED);
    pass(TTL * SECOND);
    assert_null(instance("a"));
    assert_int_equal(ask("b", A), DNS_LABEL_ADDED);
}

static void labels_without_files_do_not_exist(void **state)
{
    static char ramdisk[] = "/proc/self/%{label}";
    (void)state;
    struct config *config = wildcard_config(&places, 4);
    config->services[0].ramdisk = ramdisk;
    world_summon(config, true);
    assert_true(wildcard_host()->is_sparse);
    assert_int_equal(ask("nothing", A), DNS_LABEL_MISSING);
    assert_int_equal(ask("nothing", TXT), DNS_LABEL_MISSING);
    assert_int_equal(ask("status", TXT), DNS_LABEL_EMPTY);
    assert_int_equal(instances_known(service_at(0)), 0);
    assert_int_equal(ask("status", A), DNS_LABEL_ADDED);
    assert_string_equal(instance("status")->config->ramdisk, "/proc/self/status");
}

static void where_queries_do_not_summon_they_make_it_all_the_same(void **state)
{
    (void)state;
    struct config *config = wildcard_config(&places, 1);
    config->services[0].summon = CONFIG_SUMMON_PACKET;
    put_on_bridge(config);
    world_summon(config, true);
    port_opens();
    assert_int_equal(ask("a", A), DNS_LABEL_ADDED);
    assert_int_equal(sent(MESSAGE_START, NULL), 0);
    assert_non_null(instance("a")->port);
    assert_true(address_equal(&instance("a")->port->address, &instance("a")->config->addresses[0]));
    struct endpoint client;
    endpoint_parse("127.0.0.1@50000", &client);
    wants_from_hold(instance("a"), &client, 80, clock_now());
    assert_int_equal(sent(MESSAGE_START, name_of("a")), 1);
}

static void on_user_networks_its_sockets_are_there_before_it(void **state)
{
    (void)state;
    summon(1);
    /* The world has listened on the first place. */
    bring_up_instance("a");
    struct proxy_service *proxy = instance("a")->proxy;
    assert_non_null(proxy);
    assert_int_equal(proxy->listeners, 1);
    assert_ptr_equal(proxy->owner, instance("a"));
    assert_false(proxy->refusing);
    assert_true(proxy->ready);
    stop("a");
    pass(TTL * SECOND);
    assert_null(proxy->owner);
    assert_true(proxy->refusing);
    bring_up_instance("b");
    assert_ptr_equal(instance("b")->proxy, proxy);
    assert_false(proxy->refusing);
}

static void questions_wait_until_it_is_known_which_machines_run(void **state)
{
    struct dns_want want = {.type = A};
    (void)state;
    world_summon(wildcard_config(&places, 1), false);
    keeper_arrives();
    summoner_dns_unknown(world.summoner, wildcard_host(), "b", 0, &want);
    turn();
    assert_int_equal(world.told_count, 0);
    struct message message = message_make(MESSAGE_MACHINE, 7, name_of("a"));
    message.machine.ready = true;
    message.machine.place = (struct message_place){1, {addresses[0]}};
    summoner_keeper_message(world.summoner, &message);
    keeper_synchronised();
    turn();
    assert_int_equal(instance("a")->state, MACHINE_RUNNING);
    assert_int_equal(world.told, DNS_LABEL_NO_RESOURCES);
}

static void a_machine_is_adopted_only_at_addresses_that_are_its_own(void **state)
{
    (void)state;
    world_summon(wildcard_config(&places, 2), false);
    keeper_arrives();
    struct message message = message_make(MESSAGE_MACHINE, 7, name_of("a"));
    message.machine.ready = true;
    message.machine.place = (struct message_place){1, {addresses[1]}};
    summoner_keeper_message(world.summoner, &message);
    assert_int_equal(instance("a")->place, 1);
    /* Another one at the same addresses, one at none of its wildcard's, and one without. */
    message = message_make(MESSAGE_MACHINE, 8, name_of("b"));
    message.machine.place = (struct message_place){1, {addresses[1]}};
    summoner_keeper_message(world.summoner, &message);
    message.machine.place = (struct message_place){1, {addresses[7]}};
    summoner_keeper_message(world.summoner, &message);
    message.machine.place = (struct message_place){0};
    summoner_keeper_message(world.summoner, &message);
    assert_null(instance("b"));
    assert_int_equal(sent(MESSAGE_STOP, name_of("b")), 3);
    assert_int_equal(sent(MESSAGE_STOP, name_of("a")), 0);
}

static void a_suspended_one_makes_room_when_that_is_needed(void **state)
{
    (void)state;
    struct config *config = wildcard_config(&places, 2);
    config->services[0].stop = CONFIG_STOP_SUSPEND;
    world_summon(config, true);
    bring_up_instance("a");
    bring_up_instance("b");
    pass(120 * SECOND);
    keeper_says_of(MESSAGE_SUSPENDED, "b");
    pass(SECOND);
    keeper_says_of(MESSAGE_SUSPENDED, "a");
    atomic_store(&instance("a")->host->last_query, clock_now_coarse());
    assert_int_equal(ask("c", A), DNS_LABEL_NO_RESOURCES);
    assert_int_equal(instance("b")->state, MACHINE_STOPPING);
    assert_int_equal(instance("a")->state, MACHINE_SUSPENDED);
    keeper_says_of(MESSAGE_EXITED, "b");
    pass(1);
    assert_int_equal(ask("c", A), DNS_LABEL_ADDED);
}

/* --- the store --- */

static char directory[] = "/tmp/jitsu-instances-XXXXXX", store_path[sizeof directory + 16];

static int begin_with_directory(void **state)
{
    strcpy(directory + sizeof directory - 7, "XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(store_path, sizeof store_path, "%s/state.db", directory);
    return world_begin(state);
}

static int end_with_directory(void **state)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    world_end(state);
    for (size_t i = 0; i < 3; i++) {
        char file[sizeof store_path + 8];
        snprintf(file, sizeof file, "%s%s", store_path, endings[i]);
        unlink(file);
    }
    return rmdir(directory);
}

static bool is_remembered(const char *label)
{
    struct error error;
    struct store_row *rows = NULL;
    size_t count = 0;
    bool found = false;
    struct store_options options = {.path = store_path, .base = world.base};
    struct store *store = store_new(&options, &error);
    assert_non_null(store);
    assert_true(store_take(store, &rows, &count));
    for (size_t i = 0; i < count; i++)
        found |= strcmp(rows[i].service, name_of(label)) == 0;
    free(rows);
    store_free(store);
    return found;
}

static void only_instances_that_are_known_are_remembered(void **state)
{
    (void)state;
    world_summon_with_store(wildcard_config(&places, 4), store_path);
    keeper_arrives();
    keeper_synchronised();
    bring_up_instance("a");
    bring_up_instance("b");
    bring_up_instance("c");
    stop("c");
    pass(TTL * SECOND);
    uint32_t serial = last_sent(MESSAGE_START, name_of("a"))->serial;
    struct address address = instance("a")->config->addresses[0];
    world_dismiss();
    assert_true(is_remembered("a") && is_remembered("b"));
    assert_false(is_remembered("c"));

    /* Only the first one's machine is found again. */
    world_summon_with_store(world.config, store_path);
    keeper_arrives();
    struct message message = message_make(MESSAGE_MACHINE, serial, name_of("a"));
    message.machine.ready = true;
    message.machine.place = (struct message_place){1, {address}};
    summoner_keeper_message(world.summoner, &message);
    keeper_synchronised();
    assert_int_equal(instance("a")->starts, 1);
    world_dismiss();
    assert_true(is_remembered("a"));
    assert_false(is_remembered("b"));
}

/* --- commands --- */

static void a_command_makes_it_too(void **state)
{
    struct error error;
    const struct config_service *wildcard;
    (void)state;
    summon(1);
    assert_null(summoner_find(world.summoner, name_of("a"), &wildcard));
    assert_ptr_equal(wildcard, &world.config->services[0]);
    struct service *service = summoner_find_or_make(world.summoner, name_of("a"), &error);
    assert_non_null(service);
    assert_int_equal(summoner_start(world.summoner, service, &error), 0);
    assert_int_equal(sent(MESSAGE_START, name_of("a")), 1);
    assert_null(summoner_find_or_make(world.summoner, name_of("b"), &error));
    assert_string_equal(error.text, "all its instances are in use: 1");
    assert_null(summoner_find_or_make(world.summoner, "x.y.apps.example.org", &error));
    assert_null(summoner_find_or_make(world.summoner, name_of("b.c"), &error));
    assert_null(summoner_find(world.summoner, "x.y.apps.example.org", &wildcard));
    assert_null(wildcard);
    assert_int_not_equal(summoner_start(world.summoner, service_at(0), &error), 0);
    assert_int_not_equal(summoner_stop(world.summoner, service_at(0), CONFIG_STOP_DESTROY, &error),
                         0);
}

struct counted {
    char service[CONFIG_NAME_TEXT_MAX];
    uint64_t starts;
};

static void count_starts(void *argument, const char *service, const char *cause, uint64_t count)
{
    struct counted *counted = argument;
    (void)cause;
    counted->starts += count;
    snprintf(counted->service, sizeof counted->service, "%s", service);
}

static void count_nothing(void *argument, const char *service, const char *cause, uint64_t count)
{
    (void)argument, (void)service, (void)cause, (void)count;
}

static void metrics_count_instances_for_their_wildcard(void **state)
{
    struct counted counted = {0};
    (void)state;
    summon(2);
    bring_up_instance("a");
    bring_up_instance("b");
    stop("a");
    pass(TTL * SECOND);
    summoner_counters(world.summoner, &(struct summon_counter_visitor){count_starts, count_nothing,
                                                                       count_nothing, &counted});
    assert_int_equal(counted.starts, 2);
    assert_string_equal(counted.service, "*.apps.example.org");
}

/* --- reload --- */

static void reload(struct config *config)
{
    struct error error;
    assert_int_equal(summoner_reload_prepare(world.summoner, config, &error), 0);
    summoner_reload_commit(world.summoner);
    world_free_config(world.config);
    world.config = config;
}

static void instances_that_stay_keep_their_machine_over_a_reload(void **state)
{
    (void)state;
    summon(3);
    bring_up_instance("a");
    struct service *a = instance("a");
    struct address address = a->config->addresses[0];
    reload(wildcard_config(&later, 5));
    assert_ptr_equal(instance("a"), a);
    assert_int_equal(a->state, MACHINE_RUNNING);
    assert_true(address_equal(&a->config->addresses[0], &address));
    assert_ptr_equal(dns_instances_find(wildcard_host()->instances, "a"), a->host);
    assert_int_equal(sent(MESSAGE_STOP, NULL), 0);
    assert_int_equal(instances_known(service_at(0)), 1);
    bring_up_instance("b");
    stop("a");
    pass(TTL * SECOND);
    assert_null(instance("a"));
}

static void a_reload_does_not_bring_addresses_back_into_use_sooner(void **state)
{
    static const char *const labels[] = {"b", "c", "d", "e"};
    (void)state;
    summon(4);
    bring_up_instance("a");
    struct address first = instance("a")->config->addresses[0];
    stop("a");
    pass(TTL * SECOND);
    reload(wildcard_config(&later, 5));
    for (size_t i = 0; i < 4; i++) {
        bring_up_instance(labels[i]);
        assert_false(address_equal(&instance(labels[i])->config->addresses[0], &first));
    }
    bring_up_instance("f");
    assert_true(address_equal(&instance("f")->config->addresses[0], &first));
}

static void instances_of_a_wildcard_that_goes_are_stopped(void **state)
{
    (void)state;
    summon(3);
    bring_up_instance("a");
    assert_int_equal(ask("b", A), DNS_LABEL_ADDED);
    stop("b");
    struct config *config = world_config(2);
    reload(config);
    assert_int_equal(world.summoner->instance_count, 0);
    assert_int_equal(sent(MESSAGE_STOP, name_of("a")), 1);
    keeper_says_of(MESSAGE_EXITED, "a");
    assert_true(TAILQ_EMPTY(&world.summoner->departed));
}

static void an_instance_whose_addresses_are_gone_is_stopped_and_may_come_back(void **state)
{
    (void)state;
    summon(2);
    bring_up_instance("a");
    bring_up_instance("b");
    const char *gone = instance("a")->place == 1 ? "a" : "b";
    const char *stays = gone[0] == 'a' ? "b" : "a";
    reload(wildcard_config(&later, 1));
    assert_null(instance(gone));
    assert_int_equal(instance(stays)->state, MACHINE_RUNNING);
    assert_int_equal(sent(MESSAGE_STOP, name_of(gone)), 1);
    stop(stays);
    pass(TTL * SECOND);
    /* Its old machine is still called so; that is no reason to turn others away. */
    assert_int_equal(ask(gone, A), DNS_LABEL_NO_RESOURCES);
    assert_int_equal(atomic_load(&wildcard_host()->disposition), DNS_ANSWER);
    keeper_says_of(MESSAGE_EXITED, gone);
    assert_int_equal(ask(gone, A), DNS_LABEL_ADDED);
}

static void a_service_that_gets_an_instances_name_begins_anew(void **state)
{
    (void)state;
    summon(2);
    bring_up_instance("a");
    uint32_t serial = last_sent(MESSAGE_START, name_of("a"))->serial;
    struct config *config = wildcard_config(&later, 2);
    free(config->services[1].name);
    config->services[1].name = strdup(name_of("a"));
    reload(config);
    assert_null(instance("a"));
    assert_int_equal(sent(MESSAGE_STOP, name_of("a")), 1);
    query(1);
    turn();
    assert_int_equal(state_of(1), MACHINE_STARTING);
    assert_int_equal(last_sent(MESSAGE_START, name_of("a"))->start.place.count, 0);
    struct message message = message_make(MESSAGE_EXITED, serial, name_of("a"));
    message.end.asked_for = true;
    summoner_keeper_message(world.summoner, &message);
    assert_int_equal(state_of(1), MACHINE_STARTING);
    assert_true(TAILQ_EMPTY(&world.summoner->departed));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)
    const struct CMUnitTest tests[] = {
        TEST(a_label_gets_a_machine_for_the_query_that_asks_for_it),
        TEST(there_are_no_more_than_configured),
        TEST(none_is_made_where_the_limits_allow_no_machine),
        TEST(services_with_names_of_their_own_start_before_made_up_ones),
        TEST(it_is_forgotten_when_no_answer_can_be_in_a_cache),
        TEST(one_reaped_long_after_its_last_query_is_forgotten_at_once),
        TEST(a_query_keeps_it_known_and_starts_it_again),
        TEST(somebody_who_wants_it_in_its_last_moment_gets_it_at_its_addresses),
        TEST(what_is_wanted_at_the_very_end_starts_nothing),
        TEST(addresses_come_back_into_use_as_late_as_possible),
        TEST(one_that_fails_is_forgotten_after_its_back_off),
        TEST(labels_without_files_do_not_exist),
        TEST(where_queries_do_not_summon_they_make_it_all_the_same),
        TEST(on_user_networks_its_sockets_are_there_before_it),
        TEST(questions_wait_until_it_is_known_which_machines_run),
        TEST(a_machine_is_adopted_only_at_addresses_that_are_its_own),
        TEST(a_suspended_one_makes_room_when_that_is_needed),
        cmocka_unit_test_setup_teardown(only_instances_that_are_known_are_remembered,
                                        begin_with_directory, end_with_directory),
        TEST(a_command_makes_it_too),
        TEST(metrics_count_instances_for_their_wildcard),
        TEST(instances_that_stay_keep_their_machine_over_a_reload),
        TEST(a_reload_does_not_bring_addresses_back_into_use_sooner),
        TEST(instances_of_a_wildcard_that_goes_are_stopped),
        TEST(an_instance_whose_addresses_are_gone_is_stopped_and_may_come_back),
        TEST(a_service_that_gets_an_instances_name_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
