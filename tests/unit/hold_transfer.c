/* Much data, many connections, slow peers. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "hold/splice.h"
#include "hold_world.h"

#define BULK  ((uint64_t)1 << 30)
#define CHUNK 65536

static size_t connections(const struct world *world)
{
    return world_statistics(world).connections;
}

/* --- a stream whose every 8 bytes say where they belong --- */

static uint64_t word_at(uint64_t seed, uint64_t position)
{
    return (position + seed) * UINT64_C(0x9e3779b97f4a7c15);
}

static void make_chunk(uint64_t seed, uint64_t position, uint64_t words[CHUNK / 8])
{
    for (uint64_t i = 0; i < CHUNK / 8; i++)
        words[i] = word_at(seed, position / 8 + i);
}

struct stream {
    int descriptor;
    uint64_t seed, length;
    bool ok;
};

/* Threads with blocking sockets. */
static void *stream_send(void *argument)
{
    struct stream *stream = argument;
    uint64_t words[CHUNK / 8];
    for (uint64_t position = 0; position < stream->length; position += CHUNK) {
        make_chunk(stream->seed, position, words);
        for (size_t sent = 0; sent < CHUNK;) {
            ssize_t count =
                send(stream->descriptor, (char *)words + sent, CHUNK - sent, MSG_NOSIGNAL);
            if (count <= 0)
                return NULL;
            sent += (size_t)count;
        }
    }
    stream->ok = shutdown(stream->descriptor, SHUT_WR) == 0;
    return NULL;
}

static void *stream_receive(void *argument)
{
    struct stream *stream = argument;
    uint64_t words[CHUNK / 8], expected[CHUNK / 8], position = 0;
    for (; position < stream->length; position += CHUNK) {
        if (recv(stream->descriptor, words, CHUNK, MSG_WAITALL) != CHUNK)
            return NULL;
        make_chunk(stream->seed, position, expected);
        if (memcmp(words, expected, CHUNK) != 0)
            return NULL;
    }
    stream->ok = recv(stream->descriptor, words, 1, 0) == 0; /* and the end */
    return NULL;
}

static void make_blocking(int descriptor)
{
    assert_int_equal(fcntl(descriptor, F_SETFL, 0), 0);
}

static void a_large_transfer_arrives_whole_both_ways_at_once(void **state)
{
    struct world *world = *state;
    int client, server;
    pthread_t threads[4];
    world_ready(world);
    world_connect(world, &client, &server);
    make_blocking(client);
    make_blocking(server);
    struct stream streams[] = {{client, 1, BULK, false},
                               {server, 1, BULK, false},
                               {server, 2, BULK, false},
                               {client, 2, BULK, false}};
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, i % 2 ? stream_receive : stream_send, &streams[i]);
    while (connections(world) > 0)
        assert_int_equal(event_base_loop(world->base, EVLOOP_ONCE), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(streams[i].ok);
    }
    assert_int_equal(world_statistics(world).bytes_to_machines, BULK);
    assert_int_equal(world_statistics(world).bytes_to_clients, BULK);
    close(client);
    close(server);
}

/* A flow that has more to move than its budget leaves the others their turn. */
static void a_flow_stops_at_its_budget(void **state)
{
    struct world *world = *state;
    int source, sink;
    static const char bytes[CHUNK];
    struct splice_pool pool;
    struct splice_flow flow = {0};
    uint64_t moved = 0, sent = 0;
    ssize_t count;
    /* Beside the proxy: two connections of which only the ends in the middle are used by a flow. */
    struct endpoint endpoint;
    int listening = world_listen(&endpoint, 2), far_source, far_sink;
    struct endpoint service = world->endpoint;
    world->endpoint = endpoint;
    far_source = world_client(world);
    source = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    sink = world_client(world);
    far_sink = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
    world->endpoint = service;
    while ((count = send(far_source, bytes, sizeof bytes, 0)) > 0)
        sent += (uint64_t)count;
    assert_true(sent > SPLICE_LARGE_SIZE);

    splice_pool_init(&pool);
    assert_int_equal(splice_flow_move(&flow, &pool, source, sink, 1, &moved), SPLICE_MORE);
    assert_true(moved > 0 && moved <= SPLICE_LARGE_SIZE);
    splice_flow_clear(&flow, &pool);
    splice_pool_clear(&pool);
    const int all[] = {listening, far_source, source, sink, far_sink};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        close(all[i]);
}

/* --- back-pressure --- */

/* Sends the stream from `position` until nothing takes more of it; returns the new position. */
static uint64_t send_until_blocked(struct world *world, int descriptor, uint64_t position)
{
    uint64_t words[CHUNK / 8];
    for (int idle = 0; idle < 20; idle++) {
        ssize_t count;
        do {
            uint64_t begin = position / CHUNK * CHUNK;
            make_chunk(3, begin, words);
            size_t skip = (size_t)(position - begin);
            count = send(descriptor, (char *)words + skip, CHUNK - skip, MSG_NOSIGNAL);
            if (count > 0) {
                position += (uint64_t)count;
                idle = 0;
            }
        } while (count > 0);
        world_turn(world);
    }
    return position;
}

static void a_slow_reader_stops_the_sender_and_gets_everything(void **state)
{
    struct world *world = *state;
    int client, server;
    uint64_t words[CHUNK / 8], expected[CHUNK / 8];
    world_ready(world);
    world_connect(world, &client, &server);
    uint64_t sent = send_until_blocked(world, server, 0);
    /* Four sockets' buffers, of at most some megabytes each, and a pipe. */
    assert_true(sent < (uint64_t)64 << 20);
    for (uint64_t position = 0; position < sent;) {
        size_t want = sent - position < CHUNK ? (size_t)(sent - position) : CHUNK, got = 0;
        while (got < want) {
            ssize_t count = 0;
            world_until(world, (count = recv(client, (char *)words + got, want - got, 0)) > 0);
            got += (size_t)count;
        }
        make_chunk(3, position, expected);
        assert_memory_equal(words, expected, want);
        position += want;
    }
    /* It flows again, and the other way it always has. */
    world_send(world, server, "on");
    world_expect(world, client, "on");
    world_send(world, client, "up");
    world_expect(world, server, "up");
    close(client);
    close(server);
}

static void a_blocked_sender_that_resets_is_noticed(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    send_until_blocked(world, server, 0);
    world_reset(server);
    world_until(world, connections(world) == 0);
    world_expect_reset(world, client);
    close(client);
    world_connect(world, &client, &server);
    send_until_blocked(world, client, 0);
    world_reset(client);
    world_until(world, connections(world) == 0);
    world_expect_reset(world, server);
    close(server);
}

static void a_blocked_reader_that_resets_is_noticed(void **state)
{
    struct world *world = *state;
    int client, server;
    world_ready(world);
    world_connect(world, &client, &server);
    send_until_blocked(world, server, 0);
    world_reset(client);
    world_expect_reset(world, server);
    close(server);
    world_connect(world, &client, &server);
    send_until_blocked(world, client, 0);
    world_reset(server);
    world_expect_reset(world, client);
    close(client);
    assert_int_equal(connections(world), 0);
}

static void an_end_behind_much_data_comes_after_it(void **state)
{
    struct world *world = *state;
    int client, server;
    static char bytes[CHUNK];
    world_ready(world);
    world_connect(world, &client, &server);
    uint64_t sent = send_until_blocked(world, server, 0), got = 0;
    close(server);
    while (got < sent) {
        ssize_t count = 0;
        world_until(world, (count = recv(client, bytes, sizeof bytes, 0)) >= 0);
        assert_true(count > 0);
        got += (uint64_t)count;
    }
    world_expect_end(world, client);
    close(client);
    world_until(world, connections(world) == 0);
}

/* --- a crowd --- */

static void a_thousand_that_wait_are_all_served(void **state)
{
    enum { CROWD = 1000 };
    struct world *world = *state;
    static int clients[CROWD], servers[CROWD];
    char text[16], name[5] = "";
    for (int i = 0; i < CROWD; i++) {
        clients[i] = world_client(world);
        snprintf(text, sizeof text, "%04d", i);
        world_send(world, clients[i], text);
    }
    world_until(world, world_statistics(world).waiting == CROWD);
    assert_int_equal(world->wanted, CROWD);
    world_ready(world);
    for (int i = 0; i < CROWD; i++) {
        servers[i] = world_accept(world);
        world_until(world, recv(servers[i], name, 4, 0) == 4);
        snprintf(text, sizeof text, "%s served", name);
        world_send(world, servers[i], text);
    }
    for (int i = 0; i < CROWD; i++) {
        snprintf(text, sizeof text, "%04d served", i);
        world_expect(world, clients[i], text);
    }
    assert_int_equal(connections(world), CROWD);
    for (int i = 0; i < CROWD; i++) {
        close(clients[i]);
        close(servers[i]);
    }
    world_until(world, connections(world) == 0);
    /* They had few pipes between them. */
    assert_true(world_count_descriptors() < world->descriptors + 100);
}

#define test(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_large_transfer_arrives_whole_both_ways_at_once),
        test(a_flow_stops_at_its_budget),
        test(a_slow_reader_stops_the_sender_and_gets_everything),
        test(a_blocked_sender_that_resets_is_noticed),
        test(a_blocked_reader_that_resets_is_noticed),
        test(an_end_behind_much_data_comes_after_it),
        test(a_thousand_that_wait_are_all_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
