/* What the proxy promises its owner: who waits, who is told, who is served or reset when. */
#include <sys/socket.h>
#include <unistd.h>

#include "hold_world.h"

static size_t waiting(const struct world *world)
{
    return world_statistics(world).waiting;
}

static size_t connections(const struct world *world)
{
    return world_statistics(world).connections;
}

/* --- waiting and being served --- */

static void a_client_waits_until_its_machine_is_ready(void **state)
{
    struct world *world = *state;
    uint64_t begin = clock_now();
    int client = world_waiting_client(world);
    assert_int_equal(world->wanted, 1);
    assert_int_equal(world->wanted_port, WORLD_PORT);
    assert_true(address_is_loopback(&world->wanted_by.address));
    assert_true(world->wanted_moment >= begin && world->wanted_moment <= clock_now());
    assert_true(proxy_service_last_use(world->service) >= begin);
    world_send(world, client, "request");
    world_expect_silence(world, client);
    assert_int_equal(waiting(world), 1);
    assert_int_equal(proxy_service_connections(world->service), 1);

    world_ready(world);
    assert_int_equal(waiting(world), 0);
    int server = world_accept(world);
    world_expect(world, server, "request");
    assert_int_equal(world->first_bytes, 0);
    world_send(world, server, "response");
    world_expect(world, client, "response");
    assert_int_equal(proxy_service_connections(world->service), 1);
    assert_int_equal(world->wanted, 1);
    close(client);
    close(server);
}

/* What the client sent goes to the machine from within proxy_service_ready(). */
static void what_was_sent_before_goes_without_a_turn_of_the_loop(void **state)
{
    struct world *world = *state;
    char bytes[16];
    int client = world_waiting_client(world);
    world_send(world, client, "early");
    world_ready(world);
    int server = accept(world->machine, NULL, NULL);
    assert_int_not_equal(server, -1);
    assert_int_equal(recv(server, bytes, sizeof bytes, MSG_DONTWAIT), 5);
    close(client);
    close(server);
}

static void a_ready_machine_is_connected_to_and_not_wanted(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    world_send(world, client, "question");
    world_expect(world, server, "question");
    world_send(world, server, "answer");
    world_expect(world, client, "answer");
    world_send(world, client, "another");
    world_expect(world, server, "another");
    assert_int_equal(world->wanted, 0);
    close(client);
    close(server);
    world_until(world, connections(world) == 0);
}

static void each_connection_that_begins_to_wait_is_told_of(void **state)
{
    struct world *world = *state;
    int clients[3];
    for (int i = 0; i < 3; i++)
        clients[i] = world_waiting_client(world);
    assert_int_equal(world->wanted, 3);
    for (int i = 0; i < 3; i++)
        close(clients[i]);
}

static void make_ready(struct world *world)
{
    world_ready(world);
}

static void the_owner_may_make_it_ready_when_told(void **state)
{
    struct world *world = *state;
    int client, server;
    world->on_wanted = make_ready;
    world_connect(world, &client, &server);
    world_send(world, server, "x");
    world_expect(world, client, "x");
    close(client);
    close(server);
}

static void refuse_it(struct world *world)
{
    proxy_service_refuse(world->service, true);
}

static void fail_it(struct world *world)
{
    proxy_service_fail(world->service);
}

static void stop_listening(struct world *world)
{
    proxy_service_unlisten(world->service);
}

static void free_it(struct world *world)
{
    proxy_service_free(world->service);
    world->service = NULL;
}

static void the_owner_may_give_it_up_when_told(void **state)
{
    struct world *world = *state;
    void (*const ways[])(struct world *) = {fail_it, refuse_it, stop_listening, free_it};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        proxy_service_refuse(world->service, false);
        int client = world_client(world);
        world->on_wanted = ways[i];
        world_until(world, world->wanted == i + 1);
        if (ways[i] == stop_listening) {
            world_expect_silence(world, client);
            struct endpoint endpoint;
            int descriptor = world_listen(&endpoint, 16);
            world->endpoint = endpoint;
            proxy_service_listen(world->service, descriptor, &endpoint, WORLD_PORT);
            proxy_service_fail(world->service);
        }
        world_expect_reset(world, client);
        close(client);
    }
}

static void the_first_byte_after_becoming_ready_is_reported_once(void **state)
{
    struct world *world = *state;
    uint64_t begin = clock_now();
    int client = world_waiting_client(world), server, second_client, second_server;
    world_ready(world);
    server = world_accept(world);
    world_send(world, server, "one");
    world_expect(world, client, "one");
    assert_int_equal(world->first_bytes, 1);
    assert_true(world->first_byte_accepted >= begin);
    assert_true(world->first_byte_moment > world->first_byte_accepted);
    world_connect(world, &second_client, &second_server);
    world_send(world, second_server, "two");
    world_expect(world, second_client, "two");
    assert_int_equal(world->first_bytes, 1);

    /* The next run's first byte is not one for a connection of the run before. */
    proxy_service_not_ready(world->service);
    world_ready(world);
    world_send(world, server, "old");
    world_expect(world, client, "old");
    assert_int_equal(world->first_bytes, 1);
    close(second_client);
    close(second_server);
    world_connect(world, &second_client, &second_server);
    world_send(world, second_server, "new");
    world_expect(world, second_client, "new");
    assert_int_equal(world->first_bytes, 2);
    close(client);
    close(server);
    close(second_client);
    close(second_server);
}

/* --- what the owner says --- */

static void failing_resets_who_waits_and_the_next_wants_again(void **state)
{
    struct world *world = *state;
    int clients[3];
    for (int i = 0; i < 3; i++)
        clients[i] = world_waiting_client(world);
    world_send(world, clients[0], "request");
    proxy_service_fail(world->service);
    for (int i = 0; i < 3; i++) {
        world_expect_reset(world, clients[i]);
        close(clients[i]);
    }
    assert_int_equal(world_statistics(world).refused, 3);
    int client = world_waiting_client(world);
    assert_int_equal(world->wanted, 4);
    world_ready(world);
    int server = world_accept(world);
    world_send(world, server, "at last");
    world_expect(world, client, "at last");
    close(client);
    close(server);
}

static void refusing_resets_at_once_while_not_ready(void **state)
{
    struct world *world = *state;
    int waits = world_waiting_client(world), client, server;
    proxy_service_refuse(world->service, true);
    world_expect_reset(world, waits);
    client = world_client(world);
    world_expect_reset(world, client);
    assert_int_equal(world->wanted, 1);
    close(waits);
    close(client);

    world_ready(world);
    world_connect(world, &client, &server);
    world_send(world, client, "served");
    world_expect(world, server, "served");
    proxy_service_refuse(world->service, false);
    proxy_service_not_ready(world->service);
    waits = world_waiting_client(world);
    assert_int_equal(waiting(world), 1);
    close(client);
    close(server);
    close(waits);
}

static void unwelcome_clients_are_reset_and_summon_nothing(void **state)
{
    struct world *world = *state;
    struct prefix prefixes[2];
    int client;
    prefix_parse("192.0.2.0/24", &prefixes[0]);
    prefix_parse("127.0.0.0/8", &prefixes[1]);
    proxy_service_allow(world->service, prefixes, 1);
    client = world_client(world);
    world_expect_reset(world, client);
    close(client);
    assert_int_equal(world->wanted, 0);
    assert_int_equal(proxy_service_last_use(world->service), 0);
    assert_int_equal(world_statistics(world).refused, 1);
    proxy_service_allow(world->service, prefixes, 2);
    client = world_waiting_client(world);
    assert_int_equal(world->wanted, 1);
    close(client);
}

static void open_connections_outlive_readiness_and_new_ones_wait(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    proxy_service_not_ready(world->service);
    world_send(world, client, "still");
    world_expect(world, server, "still");
    int waits = world_waiting_client(world);
    assert_int_equal(world->wanted, 1);
    assert_int_equal(waiting(world), 1);
    assert_int_equal(proxy_service_connections(world->service), 2);

    proxy_service_gone(world->service);
    world_expect_reset(world, client);
    world_expect_reset(world, server);
    world_expect_silence(world, waits);
    assert_true(world->wanted >= 1);
    close(client);
    close(server);
    world_ready(world);
    server = world_accept(world);
    world_send(world, server, "hello");
    world_expect(world, waits, "hello");
    close(waits);
    close(server);
}

static void freeing_a_service_resets_all_its_connections(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    proxy_service_not_ready(world->service);
    int waits = world_waiting_client(world);
    proxy_service_free(world->service);
    world->service = NULL;
    world_expect_reset(world, client);
    world_expect_reset(world, server);
    world_expect_reset(world, waits);
    close(client);
    close(server);
    close(waits);
}

static void another_service_is_not_concerned(void **state)
{
    struct world *world = *state;
    struct endpoint endpoint, first = world->endpoint;
    struct proxy_service *other = proxy_service_new(world->proxy, world);
    int descriptor = world_listen(&endpoint, 16);
    proxy_service_listen(other, descriptor, &endpoint, WORLD_PORT);
    int client = world_waiting_client(world);
    world->endpoint = endpoint;
    int others = world_waiting_client(world);
    proxy_service_fail(world->service);
    world_expect_reset(world, client);
    world_expect_silence(world, others);
    assert_int_equal(proxy_service_connections(other), 1);
    proxy_service_free(other);
    world_expect_reset(world, others);
    world->endpoint = first;
    close(client);
    close(others);
}

static void bytes_and_ends_of_connections_are_use(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    world_idle(world); /* longer than a tick of the coarse clock */
    uint64_t before = proxy_service_last_use(world->service);
    world_send(world, server, "bytes");
    world_expect(world, client, "bytes");
    uint64_t bytes = proxy_service_last_use(world->service);
    assert_true(bytes > before);
    world_idle(world);
    assert_int_equal(proxy_service_last_use(world->service), bytes);
    world_reset(client);
    world_until(world, connections(world) == 0);
    assert_true(proxy_service_last_use(world->service) > bytes);
    close(server);
}

static void statistics_count(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    world_send(world, client, "12345");
    world_expect(world, server, "12345");
    world_send(world, server, "1234567");
    world_expect(world, client, "1234567");
    struct proxy_statistics now = world_statistics(world);
    assert_int_equal(now.bytes_to_machines, 5);
    assert_int_equal(now.bytes_to_clients, 7);
    assert_int_equal(now.accepted, 1);
    assert_int_equal(now.connections, 1);
    assert_int_equal(now.waiting, 0);
    assert_int_equal(now.refused, 0);
    close(client);
    close(server);
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_client_waits_until_its_machine_is_ready),
        test(what_was_sent_before_goes_without_a_turn_of_the_loop),
        test(a_ready_machine_is_connected_to_and_not_wanted),
        test(each_connection_that_begins_to_wait_is_told_of),
        test(the_owner_may_make_it_ready_when_told),
        test(the_owner_may_give_it_up_when_told),
        test(the_first_byte_after_becoming_ready_is_reported_once),
        test(failing_resets_who_waits_and_the_next_wants_again),
        test(refusing_resets_at_once_while_not_ready),
        test(unwelcome_clients_are_reset_and_summon_nothing),
        test(open_connections_outlive_readiness_and_new_ones_wait),
        test(freeing_a_service_resets_all_its_connections),
        test(another_service_is_not_concerned),
        test(bytes_and_ends_of_connections_are_use),
        test(statistics_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
