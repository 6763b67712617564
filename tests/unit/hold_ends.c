/* Ends and resets of connections in every phase; machines that refuse or are slow to accept. */
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
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

/* --- ends and resets --- */

static void a_client_that_ends_its_side_while_waiting_is_served(void **state)
{
    struct world *world = *state;
    int client = world_waiting_client(world);
    world_send(world, client, "last words");
    shutdown(client, SHUT_WR);
    world_idle(world);
    assert_int_equal(waiting(world), 1);
    world_ready(world);
    int server = world_accept(world);
    world_expect(world, server, "last words");
    world_expect_end(world, server);
    world_send(world, server, "answer");
    world_expect(world, client, "answer");
    close(server);
    world_expect_end(world, client);
    world_until(world, connections(world) == 0);
    close(client);
}

static void a_client_that_ends_its_side_without_a_byte_is_served(void **state)
{
    struct world *world = *state;
    int client = world_waiting_client(world);
    shutdown(client, SHUT_WR);
    world_ready(world);
    int server = world_accept(world);
    world_expect_end(world, server);
    world_send(world, server, "banner");
    world_expect(world, client, "banner");
    close(server);
    world_expect_end(world, client);
    close(client);
}

static void the_machine_may_end_its_side_first(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    world_send(world, server, "all there is");
    shutdown(server, SHUT_WR);
    world_expect(world, client, "all there is");
    world_expect_end(world, client);
    world_send(world, client, "thanks");
    world_expect(world, server, "thanks");
    assert_int_equal(connections(world), 1);
    close(client);
    world_expect_end(world, server);
    world_until(world, connections(world) == 0);
    close(server);
}

static void a_clients_reset_reaches_the_machine(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    world_send(world, client, "and");
    world_expect(world, server, "and");
    world_reset(client);
    world_expect_reset(world, server);
    assert_int_equal(connections(world), 0);
    close(server);
}

static void a_machines_reset_reaches_the_client(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    world_reset(server);
    world_expect_reset(world, client);
    assert_int_equal(connections(world), 0);
    close(client);
}

static void a_reset_after_an_end_is_noticed(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    shutdown(client, SHUT_WR);
    world_expect_end(world, server);
    world_reset(client);
    /* recv(2) goes on telling of the end; the reset shows as an error. */
    struct pollfd poll_server = {.fd = server};
    world_until(world, poll(&poll_server, 1, 0) == 1 && (poll_server.revents & POLLERR));
    close(server);
    world_connect(world, &client, &server);
    shutdown(client, SHUT_WR);
    world_reset(client); /* both before the proxy looks */
    world_expect_reset(world, server);
    close(server);
}

static void a_waiting_client_that_resets_is_forgotten(void **state)
{
    struct world *world = *state;
    int silent = world_waiting_client(world);
    int talkative = world_waiting_client(world);
    world_send(world, talkative, "request");
    world_idle(world);
    world_reset(silent);
    world_until(world, waiting(world) == 1);
    world_reset(talkative);
    world_until(world, waiting(world) == 0);
    assert_int_equal(connections(world), 0);
}

static void a_machine_that_refuses_resets_the_client(void **state)
{
    struct world *world = *state;
    int client = world_waiting_client(world);
    close(world->machine);
    world->machine = -1;
    world_ready(world);
    world_expect_reset(world, client);
    close(client);
    client = world_client(world);
    send(client, "data", 4, MSG_NOSIGNAL);
    world_expect_reset(world, client);
    assert_int_equal(world_statistics(world).refused, 2);
    close(client);
}

static void a_port_that_the_machine_does_not_have_resets_the_client(void **state)
{
    struct world *world = *state;
    int client = world_waiting_client(world);
    proxy_service_ready(world->service, NULL, 0);
    world_expect_reset(world, client);
    close(client);
}

/* --- machines that are slow to accept --- */

/* SYNs that this process' connections to `port` have had to send again. */
static unsigned retransmissions_to(uint16_t port)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        struct sockaddr_in peer;
        struct tcp_info info;
        socklen_t length = sizeof peer;
        int descriptor = atoi(entry->d_name);
        if (getpeername(descriptor, (struct sockaddr *)&peer, &length) != 0 ||
            peer.sin_family != AF_INET || ntohs(peer.sin_port) != port)
            continue;
        length = sizeof info;
        if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) == 0)
            count += info.tcpi_total_retrans;
    }
    closedir(directory);
    return count;
}

/* QEMU's user network listens with a backlog of 1: what comes at once must not wait for the kernel
 * to send its SYN again after a second. */
static void a_machine_with_a_short_backlog_gets_a_crowd_without_retransmissions(void **state)
{
    enum { CROWD = 40 };
    struct world *world = *state;
    struct endpoint endpoint;
    int clients[CROWD], servers[CROWD];
    close(world->machine);
    world->machine = world_listen(&endpoint, 1);
    world->machine_port = endpoint.port;
    for (int i = 0; i < CROWD; i++) {
        clients[i] = world_waiting_client(world);
        if (i % 2)
            world_send(world, clients[i], "request");
    }
    world_ready(world);
    for (int i = 0; i < CROWD; i++) {
        world_idle(world); /* the machine is slow */
        servers[i] = world_accept(world);
        world_send(world, servers[i], "response");
    }
    for (int i = 0; i < CROWD; i++)
        world_expect(world, clients[i], "response");
    assert_int_equal(retransmissions_to(endpoint.port), 0);
    for (int i = 0; i < CROWD; i++) {
        close(clients[i]);
        close(servers[i]);
    }
    world_until(world, connections(world) == 0);
}

/* Fills a short backlog, so that the proxy's connection cannot be established. */
static void block_machine(struct world *world, int blockers[2])
{
    struct endpoint endpoint, service = world->endpoint;
    close(world->machine);
    world->machine = world_listen(&endpoint, 1);
    world->machine_port = endpoint.port;
    world->endpoint = endpoint;
    for (int i = 0; i < 2; i++)
        blockers[i] = world_client(world);
    world->endpoint = service;
}

static void what_was_only_connecting_waits_again_when_the_machine_goes(void **state)
{
    struct world *world = *state;
    struct endpoint endpoint;
    int blockers[2];
    int client = world_waiting_client(world);
    world_send(world, client, "request");
    block_machine(world, blockers);
    world_ready(world);
    world_idle(world);
    assert_int_equal(proxy_service_connections(world->service), 1);
    assert_int_equal(world->wanted, 1);
    proxy_service_gone(world->service);
    world_until(world, world->wanted == 2);
    assert_int_equal(waiting(world), 1);
    assert_true(world->wanted_by.port != 0);

    close(world->machine);
    world->machine = world_listen(&endpoint, 16);
    world->machine_port = endpoint.port;
    world_ready(world);
    int server = world_accept(world);
    world_expect(world, server, "request");
    world_send(world, server, "response");
    world_expect(world, client, "response");
    for (int i = 0; i < 2; i++)
        close(blockers[i]);
    close(client);
    close(server);
}

static void a_client_that_resets_while_connecting_is_forgotten(void **state)
{
    struct world *world = *state;
    int blockers[2];
    int client = world_waiting_client(world);
    block_machine(world, blockers);
    world_ready(world);
    world_idle(world);
    world_reset(client);
    world_until(world, connections(world) == 0);
    for (int i = 0; i < 2; i++)
        close(blockers[i]);
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_client_that_ends_its_side_while_waiting_is_served),
        test(a_client_that_ends_its_side_without_a_byte_is_served),
        test(the_machine_may_end_its_side_first),
        test(a_clients_reset_reaches_the_machine),
        test(a_machines_reset_reaches_the_client),
        test(a_reset_after_an_end_is_noticed),
        test(a_waiting_client_that_resets_is_forgotten),
        test(a_machine_that_refuses_resets_the_client),
        test(a_port_that_the_machine_does_not_have_resets_the_client),
        test(a_machine_with_a_short_backlog_gets_a_crowd_without_retransmissions),
        test(what_was_only_connecting_waits_again_when_the_machine_goes),
        test(a_client_that_resets_while_connecting_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
