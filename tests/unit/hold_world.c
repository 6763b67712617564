#include "hold_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/descriptor.h"

int world_count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void wanted(void *owner, const struct endpoint *client, uint16_t port, uint64_t moment)
{
    struct world *world = owner;
    world->wanted++;
    world->wanted_by = *client;
    world->wanted_port = port;
    world->wanted_moment = moment;
    if (world->on_wanted)
        world->on_wanted(world);
}

static void first_byte(void *owner, uint64_t moment, uint64_t accepted)
{
    struct world *world = owner;
    world->first_bytes++;
    world->first_byte_moment = moment;
    world->first_byte_accepted = accepted;
}

int world_listen(struct endpoint *endpoint, int backlog)
{
    struct sockaddr_storage address;
    socklen_t length;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *endpoint = (struct endpoint){.address = {AF_INET, {127, 0, 0, 1}}};
    length = endpoint_to_sockaddr(endpoint, &address);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(descriptor, backlog), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&address, endpoint), 0);
    return descriptor;
}

static void make_proxy(struct world *world, const struct proxy_limits *limits)
{
    static const struct proxy_callbacks callbacks = {wanted, first_byte};
    world->proxy = proxy_new(world->base, &callbacks, limits);
    assert_non_null(world->proxy);
    world->service = proxy_service_new(world->proxy, world);
    assert_non_null(world->service);
    int descriptor = world_listen(&world->endpoint, 4096);
    assert_int_equal(proxy_service_listen(world->service, descriptor, &world->endpoint, WORLD_PORT),
                     0);
}

int world_setup(void **state)
{
    static const struct proxy_limits limits = {10000, 10000, 10000};
    struct world *world = calloc(1, sizeof *world);
    struct endpoint machine;
    assert_non_null(world);
    descriptor_raise_limit();
    world->descriptors = world_count_descriptors();
    world->base = event_base_new();
    make_proxy(world, &limits);
    world->machine = world_listen(&machine, 4096);
    world->machine_port = machine.port;
    *state = world;
    return 0;
}

void world_limit(struct world *world, const struct proxy_limits *limits)
{
    proxy_service_free(world->service);
    proxy_free(world->proxy);
    make_proxy(world, limits);
}

int world_teardown(void **state)
{
    struct world *world = *state;
    proxy_service_free(world->service);
    struct proxy_statistics left = world_statistics(world);
    proxy_free(world->proxy);
    event_base_free(world->base);
    descriptor_close(&world->machine);
    assert_int_equal(left.connections, 0);
    assert_int_equal(left.waiting, 0);
    assert_int_equal(world_count_descriptors(), world->descriptors);
    free(world);
    return 0;
}

void world_ready(struct world *world)
{
    struct proxy_target target = {.machine = WORLD_PORT, .host = world->machine_port};
    proxy_service_ready(world->service, &target, 1);
}

void world_turn(struct world *world)
{
    event_base_loop(world->base, EVLOOP_NONBLOCK);
    sched_yield();
}

void world_idle(struct world *world)
{
    for (int i = 0; i < 20; i++) {
        world_turn(world);
        poll(NULL, 0, 1);
    }
}

int world_client(struct world *world)
{
    struct sockaddr_storage address;
    socklen_t length = endpoint_to_sockaddr(&world->endpoint, &address);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_not_equal(descriptor, -1);
    assert_int_equal(connect(descriptor, (struct sockaddr *)&address, length), 0);
    assert_int_equal(fcntl(descriptor, F_SETFL, O_NONBLOCK), 0);
    return descriptor;
}

int world_waiting_client(struct world *world)
{
    uint64_t before = world_statistics(world).accepted;
    int client = world_client(world);
    world_until(world, world_statistics(world).accepted > before);
    return client;
}

int world_accept(struct world *world)
{
    int server = -1;
    world_until(world,
                (server = accept4(world->machine, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
    return server;
}

void world_connect(struct world *world, int *client, int *server)
{
    *client = world_client(world);
    *server = world_accept(world);
}

void world_send(struct world *world, int descriptor, const char *text)
{
    size_t length = strlen(text);
    assert_int_equal(send(descriptor, text, length, MSG_NOSIGNAL), length);
    world_turn(world);
}

void world_expect(struct world *world, int descriptor, const char *text)
{
    char bytes[256];
    size_t length = strlen(text), got = 0;
    assert_true(length <= sizeof bytes);
    while (got < length) {
        ssize_t count = 0;
        world_until(world, (count = recv(descriptor, bytes + got, length - got, 0)) >= 0);
        assert_int_not_equal(count, 0);
        got += (size_t)count;
    }
    assert_memory_equal(bytes, text, length);
}

void world_expect_silence(struct world *world, int descriptor)
{
    char byte;
    world_idle(world);
    assert_int_equal(recv(descriptor, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

void world_expect_end(struct world *world, int descriptor)
{
    char byte;
    ssize_t count = 0;
    world_until(world, (count = recv(descriptor, &byte, 1, 0)) != -1 || errno != EAGAIN);
    assert_int_equal(count, 0);
}

void world_expect_reset(struct world *world, int descriptor)
{
    char bytes[4096];
    ssize_t count = 0;
    do
        world_until(world,
                    (count = recv(descriptor, bytes, sizeof bytes, 0)) != -1 || errno != EAGAIN);
    while (count > 0);
    assert_int_equal(count, -1);
    assert_int_equal(errno, ECONNRESET);
}

void world_reset(int descriptor)
{
    struct linger linger = {.l_onoff = 1};
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(descriptor);
}

struct proxy_statistics world_statistics(const struct world *world)
{
    struct proxy_statistics statistics;
    proxy_statistics(world->proxy, &statistics);
    return statistics;
}
