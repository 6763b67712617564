/* Limits on connections, and running out of descriptors. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "hold_world.h"

static size_t waiting(const struct world *world)
{
    return world_statistics(world).waiting;
}

static size_t connections(const struct world *world)
{
    return world_statistics(world).connections;
}

/* --- limits --- */

static void beyond_a_services_limit_clients_stay_in_the_backlog(void **state)
{
    struct world *world = *state;
    int clients[4];
    world_limit(world, &(struct proxy_limits){2, 100, 100});
    for (int i = 0; i < 4; i++)
        clients[i] = world_client(world);
    world_until(world, waiting(world) == 2);
    world_idle(world);
    assert_int_equal(waiting(world), 2);
    assert_int_equal(world_statistics(world).accepted, 2);
    proxy_service_fail(world->service);
    world_expect_reset(world, clients[0]);
    world_expect_reset(world, clients[1]);
    world_until(world, waiting(world) == 2);
    world_ready(world);
    for (int i = 2; i < 4; i++) {
        int server = world_accept(world);
        world_send(world, server, "served");
        world_expect(world, clients[i], "served");
        close(server);
    }
    for (int i = 0; i < 4; i++)
        close(clients[i]);
}

static void a_limit_on_all_that_wait_spares_services_that_are_ready(void **state)
{
    struct world *world = *state;
    struct endpoint endpoint;
    int clients[2], client, server;
    world_limit(world, &(struct proxy_limits){100, 2, 100});
    for (int i = 0; i < 2; i++)
        clients[i] = world_waiting_client(world);
    struct proxy_service *other = proxy_service_new(world->proxy, world);
    int descriptor = world_listen(&endpoint, 16);
    proxy_service_listen(other, descriptor, &endpoint, WORLD_PORT);
    struct endpoint first = world->endpoint;
    world->endpoint = endpoint;
    client = world_client(world);
    world_idle(world);
    assert_int_equal(proxy_service_connections(other), 0);
    proxy_service_ready(other, &(struct proxy_target){WORLD_PORT, world->machine_port}, 1);
    server = world_accept(world);
    world_send(world, server, "served");
    world_expect(world, client, "served");
    proxy_service_free(other);
    world->endpoint = first;
    close(client);
    close(server);
    for (int i = 0; i < 2; i++)
        close(clients[i]);
}

static void beyond_the_limit_on_connections_others_wait_for_an_end(void **state)
{
    struct world *world = *state;
    int clients[3], servers[3];
    world_limit(world, &(struct proxy_limits){100, 100, 2});
    world_ready(world);
    for (int i = 0; i < 3; i++)
        clients[i] = world_client(world);
    for (int i = 0; i < 2; i++)
        servers[i] = world_accept(world);
    world_idle(world);
    assert_int_equal(connections(world), 2);
    world_reset(clients[0]);
    servers[2] = world_accept(world);
    world_send(world, clients[2], "now");
    world_expect(world, servers[2], "now");
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            close(clients[i]);
        close(servers[i]);
    }
}

/* --- descriptors --- */

/* Occupies the descriptors of this process but for a few. */
struct shortage {
    struct rlimit before;
    int taken[256];
    size_t count;
};

static void shortage_begin(struct shortage *shortage, size_t left)
{
    struct rlimit limit;
    int descriptor = dup(STDERR_FILENO);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &shortage->before), 0);
    limit = shortage->before;
    limit.rlim_cur = (rlim_t)descriptor + 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    shortage->count = 0;
    do {
        assert_true(shortage->count < sizeof shortage->taken / sizeof shortage->taken[0]);
        shortage->taken[shortage->count++] = descriptor;
    } while ((descriptor = dup(STDERR_FILENO)) != -1);
    while (left-- > 0)
        close(shortage->taken[--shortage->count]);
}

static void shortage_end(struct shortage *shortage)
{
    while (shortage->count > 0)
        close(shortage->taken[--shortage->count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &shortage->before), 0);
}

static void connect_client(struct world *world, int descriptor)
{
    struct sockaddr_storage address;
    socklen_t length = endpoint_to_sockaddr(&world->endpoint, &address);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, length), 0);
    assert_int_equal(fcntl(descriptor, F_SETFL, O_NONBLOCK), 0);
}

static void without_descriptors_clients_wait_in_the_backlog_and_nothing_spins(void **state)
{
    struct world *world = *state;
    struct shortage shortage;
    int clients[4];
    for (int i = 0; i < 4; i++)
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
    shortage_begin(&shortage, 2);
    for (int i = 0; i < 4; i++)
        connect_client(world, clients[i]);
    world_until(world, world_statistics(world).accepted == 2);

    /* A listener that is not paused would make each of the turns end at once. */
    uint64_t end = clock_now() + 500 * NANOSECONDS_PER_MILLISECOND;
    unsigned turns = 0;
    for (; clock_now() < end; turns++)
        event_base_loop(world->base, EVLOOP_ONCE);
    assert_true(turns < 100);
    assert_int_equal(waiting(world), 2);

    /* One that ends makes room. */
    world_reset(clients[0]);
    world_until(world, world_statistics(world).accepted == 4);
    shortage_end(&shortage);
    assert_int_equal(waiting(world), 3);
    assert_int_equal(world->wanted, 4);
    for (int i = 1; i < 4; i++)
        close(clients[i]);
}

static void descriptors_that_others_give_back_are_noticed(void **state)
{
    struct world *world = *state;
    struct shortage shortage;
    int clients[2];
    for (int i = 0; i < 2; i++)
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
    shortage_begin(&shortage, 1);
    for (int i = 0; i < 2; i++)
        connect_client(world, clients[i]);
    world_until(world, world_statistics(world).accepted == 1);
    world_idle(world);
    assert_int_equal(world_statistics(world).accepted, 1);
    shortage_end(&shortage);
    world_until(world, world_statistics(world).accepted == 2);
    for (int i = 0; i < 2; i++)
        close(clients[i]);
}

static void a_client_is_not_reset_because_its_machine_gets_no_descriptor_now(void **state)
{
    struct world *world = *state;
    struct shortage shortage;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    world_ready(world);
    shortage_begin(&shortage, 1);
    connect_client(world, client);
    world_send(world, client, "request");
    world_until(world, world_statistics(world).accepted == 1);
    world_expect_silence(world, client);
    assert_int_equal(waiting(world), 1);
    shortage_end(&shortage);
    int server = world_accept(world);
    world_expect(world, server, "request");
    close(client);
    close(server);
}

/* Sends until neither the sockets nor the proxy take more; returns how much went. */
static size_t flood(struct world *world, int descriptor)
{
    static const char bytes[65536];
    size_t sent = 0;
    for (int idle = 0; idle < 20; idle++) {
        ssize_t count;
        while ((count = send(descriptor, bytes, sizeof bytes, MSG_NOSIGNAL)) > 0) {
            sent += (size_t)count;
            idle = 0;
        }
        world_turn(world);
    }
    return sent;
}

static void drain(struct world *world, int descriptor, size_t length)
{
    static char bytes[65536];
    for (size_t got = 0; got < length;) {
        ssize_t count = 0;
        world_until(world, (count = recv(descriptor, bytes, sizeof bytes, 0)) > 0);
        got += (size_t)count;
    }
}

static void without_descriptors_for_pipes_flows_take_turns(void **state)
{
    enum { BLOCKED = 2, ALL = 5 }; /* the proxy begins with two pipes */
    struct world *world = *state;
    struct shortage shortage;
    int clients[ALL], servers[ALL];
    size_t sent[BLOCKED];
    world_ready(world);
    for (int i = 0; i < ALL; i++)
        world_connect(world, &clients[i], &servers[i]);
    shortage_begin(&shortage, 0);
    for (int i = 0; i < BLOCKED; i++)
        sent[i] = flood(world, servers[i]);
    for (int i = BLOCKED; i < ALL; i++)
        world_send(world, servers[i], "starved");
    for (int i = BLOCKED; i < ALL; i++)
        world_expect_silence(world, clients[i]);
    drain(world, clients[0], sent[0]);
    for (int i = BLOCKED; i < ALL; i++)
        world_expect(world, clients[i], "starved");
    shortage_end(&shortage);
    for (int i = 0; i < ALL; i++) {
        close(clients[i]);
        close(servers[i]);
    }
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(beyond_a_services_limit_clients_stay_in_the_backlog),
        test(a_limit_on_all_that_wait_spares_services_that_are_ready),
        test(beyond_the_limit_on_connections_others_wait_for_an_end),
        test(without_descriptors_clients_wait_in_the_backlog_and_nothing_spins),
        test(descriptors_that_others_give_back_are_noticed),
        test(a_client_is_not_reset_because_its_machine_gets_no_descriptor_now),
        test(without_descriptors_for_pipes_flows_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
