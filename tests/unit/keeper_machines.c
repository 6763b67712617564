/* A keeper with real machines on a bridge, in a network namespace of the test's own: what the front
 * is told and given, and that clients reach the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "keeper/device_name.h"
#include "keeper/message.h"
#include "keeper/netlink.h"
#include "keeper/tap.h"
#include "unit/keeper_world.h"

#define CONDUIT_ETHERTYPE 0x88b5

static const char lan[] = "lan", br0[] = "br0";
static const char announced_name[] = "www.example.org", seen_name[] = "seen.example.org",
                  spare_name[] = "spare.example.org";

/* --- messages --- */

static struct message ask(struct world *world, enum message_type type, const char *service,
                          uint32_t serial)
{
    struct message message = message_make(type, serial, service);
    if (type == MESSAGE_PORT)
        strcpy(message.port.network, lan);
    assert_int_equal(message_send(world->link, &message, -1), 0);
    return message;
}

static struct message receive(struct world *world, int *descriptor)
{
    struct message message;
    struct pollfd readable = {.fd = world->link, .events = POLLIN};
    if (poll(&readable, 1, PATIENCE) != 1)
        fail_msg("the keeper says nothing");
    assert_int_equal(message_receive(world->link, &message, descriptor), 1);
    return message;
}

/* The next message of that type. Others that may come at any time are passed over. */
static struct message expect_with(struct world *world, enum message_type type, int *descriptor)
{
    for (;;) {
        int passed;
        struct message message = receive(world, &passed);
        if (message.type == type) {
            if (descriptor)
                *descriptor = passed;
            else
                assert_int_equal(passed, -1);
            return message;
        }
        descriptor_close(&passed);
        if (message.type == MESSAGE_FAILED || message.type == MESSAGE_EXITED)
            fail_msg("%s: %s", message.service, message.end.text);
        assert_int_not_equal(message.type, MESSAGE_READY);
    }
}

static struct message expect(struct world *world, enum message_type type)
{
    return expect_with(world, type, NULL);
}

/* The same where the machine is expected to come to a bad end. */
static struct message expect_end(struct world *world, enum message_type type)
{
    for (;;) {
        int passed;
        struct message message = receive(world, &passed);
        descriptor_close(&passed);
        if (message.type == type)
            return message;
    }
}

static void start(struct world *world, const char *service)
{
    ask(world, MESSAGE_START, service, ++world->serial);
}

static void stop(struct world *world, const char *service, enum config_stop mode)
{
    struct message message = message_make(MESSAGE_STOP, world->serial, service);
    message.stop.mode = (uint8_t)mode;
    assert_int_equal(message_send(world->link, &message, -1), 0);
}

static int open_port(struct world *world)
{
    int port;
    uint8_t mac[MAC_SIZE];
    ask(world, MESSAGE_PORT, NULL, 77);
    struct message opened = expect_with(world, MESSAGE_PORT_OPENED, &port);
    assert_string_equal(opened.opened.text, "");
    assert_false(opened.opened.failed);
    assert_int_equal(opened.serial, 77);
    assert_int_not_equal(port, -1);
    assert_true(fcntl(port, F_GETFL) & O_NONBLOCK);
    device_port_mac(lan, mac);
    assert_memory_equal(opened.opened.mac, mac, sizeof mac);
    return port;
}

/* The keeper has done everything that it does about what it has been asked and has told. */
static void let_finish(struct world *world)
{
    struct message message = message_make(MESSAGE_PORT, 0, NULL);
    strcpy(message.port.network, "none");
    assert_int_equal(message_send(world->link, &message, -1), 0);
    expect(world, MESSAGE_PORT_OPENED);
}

/* --- clients --- */

/* Asks the machine for its page from the host, which is its gateway. Returns whether it answers. */
static void get(const char *address)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    char answer[13] = "";
    struct endpoint endpoint = {.port = 80};
    struct sockaddr_storage storage;
    struct timeval patience = {.tv_sec = PATIENCE / 1000};
    address_parse(address, &endpoint.address);
    socklen_t length = endpoint_to_sockaddr(&endpoint, &storage);
    int client = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(client, (struct sockaddr *)&storage, length) != 0)
        fail_msg("cannot connect to %s: %s", address, strerror(errno));
    assert_int_equal(write(client, request, sizeof request - 1), sizeof request - 1);
    assert_int_equal(recv(client, answer, sizeof answer - 1, MSG_WAITALL), sizeof answer - 1);
    assert_string_equal(answer, "HTTP/1.1 200");
    close(client);
}

/* Waits at the port for what the machine says to it on the conduit. */
static void expect_conduit(int port, const char *service, const uint8_t *token)
{
    uint8_t frame[2048], port_mac[MAC_SIZE], machine_mac[MAC_SIZE];
    device_port_mac(lan, port_mac);
    device_machine_mac(lan, service, machine_mac);
    for (;;) {
        struct pollfd readable = {.fd = port, .events = POLLIN};
        if (poll(&readable, 1, PATIENCE) != 1)
            fail_msg("the machine says nothing on the conduit");
        ssize_t length = read(port, frame, sizeof frame);
        assert_true(length > 14);
        if ((frame[12] << 8 | frame[13]) != CONDUIT_ETHERTYPE)
            continue;
        assert_memory_equal(frame, port_mac, MAC_SIZE);
        assert_memory_equal(frame + MAC_SIZE, machine_mac, MAC_SIZE);
        assert_non_null(memmem(frame, (size_t)length, token, MESSAGE_TOKEN_SIZE));
        return;
    }
}

static void remove_device(const char *name)
{
    struct error error;
    struct netlink *netlink = netlink_open(&error);
    unsigned index = if_nametoindex(name);
    assert_int_not_equal(index, 0);
    assert_int_equal(netlink_delete(netlink, index, name, &error), 0);
    netlink_close(netlink);
}

static bool device_is_up(const char *name)
{
    struct ifreq request = {0};
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    assert_int_equal(ioctl(any, SIOCGIFFLAGS, &request), 0);
    close(any);
    return request.ifr_flags & IFF_UP;
}

/* --- tests --- */

static void a_machine_on_a_bridge_is_reached_and_known_to_the_front(void **state)
{
    struct world *world = *state;
    static const uint8_t none[MESSAGE_TOKEN_SIZE];
    char device[IF_NAMESIZE];
    device_machine_name(world->directory, announced_name, device);
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    int port = open_port(world);

    start(world, announced_name);
    struct message spawned = expect(world, MESSAGE_SPAWNED);
    assert_memory_not_equal(spawned.machine.token, none, sizeof none);
    assert_int_equal(spawned.machine.ready_rule, CONFIG_READY_ANNOUNCE);
    assert_int_equal(spawned.machine.forward_count, 0);
    assert_true(device_is_up(device));
    expect_conduit(port, announced_name, spawned.machine.token);
    expect(world, MESSAGE_READY);
    get("10.9.0.10");
    get("fd09::10");

    stop(world, announced_name, CONFIG_STOP_DESTROY);
    assert_true(expect(world, MESSAGE_EXITED).end.asked_for);
    assert_int_equal(if_nametoindex(device), 0);
    close(port);
    world_end_keeper(world, SIGTERM);
    assert_int_equal(if_nametoindex(br0), 0);
}

static void what_the_front_has_seen_makes_a_machine_ready(void **state)
{
    struct world *world = *state;
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    start(world, seen_name);
    struct message spawned = expect(world, MESSAGE_SPAWNED);
    assert_int_equal(spawned.machine.ready_rule, CONFIG_READY_ARP);
    get("10.9.0.11");
    ask(world, MESSAGE_SEEN_READY, seen_name, world->serial + 1); /* of another run: ignored */
    int port = open_port(world);
    ask(world, MESSAGE_SEEN_READY, seen_name, world->serial);
    assert_int_equal(expect(world, MESSAGE_READY).serial, world->serial);
    stop(world, seen_name, CONFIG_STOP_DESTROY);
    expect(world, MESSAGE_EXITED);
    close(port);
    world_end_keeper(world, SIGTERM);
}

static void a_network_that_there_is_not_has_no_port(void **state)
{
    struct world *world = *state;
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    struct message message = message_make(MESSAGE_PORT, 3, NULL);
    strcpy(message.port.network, "wan");
    assert_int_equal(message_send(world->link, &message, -1), 0);
    struct message opened = expect(world, MESSAGE_PORT_OPENED);
    assert_true(opened.opened.failed);
    assert_non_null(strstr(opened.opened.text, "no such network"));
    world_end_keeper(world, SIGTERM);
}

static void a_suspended_machine_is_off_the_wire_and_comes_back(void **state)
{
    struct world *world = *state;
    char device[IF_NAMESIZE];
    device_machine_name(world->directory, announced_name, device);
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    start(world, announced_name);
    expect(world, MESSAGE_READY);
    stop(world, announced_name, CONFIG_STOP_SUSPEND);
    expect(world, MESSAGE_SUSPENDED);
    assert_false(device_is_up(device));
    start(world, announced_name);
    expect(world, MESSAGE_READY);
    assert_true(device_is_up(device));
    get("10.9.0.10");

    /* A suspended one is adopted as that, and comes back too. */
    stop(world, announced_name, CONFIG_STOP_SUSPEND);
    expect(world, MESSAGE_SUSPENDED);
    let_finish(world);
    world_end_keeper(world, SIGKILL);
    world_start_keeper(world);
    expect(world, MESSAGE_SUSPENDED);
    start(world, announced_name);
    expect(world, MESSAGE_READY);
    get("10.9.0.10");
    stop(world, announced_name, CONFIG_STOP_DESTROY);
    expect(world, MESSAGE_EXITED);
    world_end_keeper(world, SIGTERM);
}

static void a_machine_outlives_its_keeper_on_its_bridge(void **state)
{
    struct world *world = *state;
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    int port = open_port(world);
    start(world, announced_name);
    struct message spawned = expect(world, MESSAGE_SPAWNED);
    expect(world, MESSAGE_READY);
    let_finish(world);
    world_end_keeper(world, SIGKILL);
    get("10.9.0.10");
    world_start_keeper(world);
    struct message adopted = expect(world, MESSAGE_MACHINE);
    assert_memory_equal(adopted.machine.token, spawned.machine.token, MESSAGE_TOKEN_SIZE);
    expect(world, MESSAGE_SYNCHRONISED);
    int next = open_port(world); /* while the old one is still held */
    get("fd09::10");
    world_end_keeper(world, SIGTERM);
    assert_int_not_equal(if_nametoindex(br0), 0); /* the machine needs it */
    get("10.9.0.10");
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    stop(world, announced_name, CONFIG_STOP_DESTROY);
    expect(world, MESSAGE_EXITED);
    close(port);
    close(next);
    world_end_keeper(world, SIGTERM);
    assert_int_equal(if_nametoindex(br0), 0);
}

/* Prewarming begins a moment after the keeper. */
static void await_spare(const struct world *world)
{
    char device[IF_NAMESIZE];
    device_machine_name(world->directory, "+spare-0", device);
    for (int i = 0; i < PATIENCE / 10 && if_nametoindex(device) == 0; i++)
        poll(NULL, 0, 10);
    assert_false(device_is_up(device));
}

static void a_prewarmed_machine_joins_the_bridge_when_it_is_wanted(void **state)
{
    struct world *world = *state;
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    await_spare(world);
    start(world, spare_name);
    struct message spawned = expect(world, MESSAGE_SPAWNED);
    assert_true(spawned.machine.prewarmed);
    assert_int_equal(spawned.machine.ready_rule, CONFIG_READY_ANNOUNCE);
    expect(world, MESSAGE_READY);
    get("10.9.0.12");
    stop(world, spare_name, CONFIG_STOP_DESTROY);
    expect(world, MESSAGE_EXITED);
    world_end_keeper(world, SIGTERM);
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, world_make, world_remove)

static void a_machine_without_a_network_is_not_left_running(void **state)
{
    struct world *world = *state;
    struct error error;
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    start(world, "lost.example.org");
    struct message failed = expect_end(world, MESSAGE_FAILED);
    assert_string_equal(failed.end.text, "there is no bridge br9");

    await_spare(world);
    kill(world->keeper, SIGSTOP); /* it would make the bridge again */
    remove_device(br0);
    int other = tap_open(br0, false, &error);
    assert_int_not_equal(other, -1);
    kill(world->keeper, SIGCONT);
    start(world, spare_name);
    failed = expect_end(world, MESSAGE_FAILED);
    assert_string_equal(failed.end.text, "br0 is not a bridge");
    close(other);
    world_end_keeper(world, SIGTERM);
}

static void a_bridge_that_was_removed_is_made_again(void **state)
{
    struct world *world = *state;
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    remove_device(br0);
    start(world, announced_name);
    expect(world, MESSAGE_READY);
    get("10.9.0.10");
    stop(world, announced_name, CONFIG_STOP_DESTROY);
    expect(world, MESSAGE_EXITED);
    world_end_keeper(world, SIGTERM);
}

/* --- instances of a wildcard --- */

static const char instance_name[] = "blog.apps.example.org";

/* A START for an instance at the first of these addresses. */
static void start_at(struct world *world, const char *name, const struct address *address)
{
    struct message message = message_make(MESSAGE_START, ++world->serial, name);
    message.start.place = (struct message_place){1, {*address}};
    assert_int_equal(message_send(world->link, &message, -1), 0);
}

static void an_instance_is_started_at_its_place_and_outlives_the_keeper(void **state)
{
    struct world *world = *state;
    char text[ADDRESS_TEXT_SIZE];
    const struct config_places *places =
        config_find_service(world->config, "*.apps.example.org")->places;
    const struct address *address = config_place(places, 1);
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    start_at(world, instance_name, address);
    struct message ready = expect(world, MESSAGE_READY);
    assert_string_equal(ready.service, instance_name);
    assert_int_equal(ready.machine.place.count, 1);
    assert_true(address_equal(&ready.machine.place.addresses[0], address));
    get(address_format(address, text));

    world_end_keeper(world, SIGKILL);
    world_start_keeper(world);
    struct message adopted = expect(world, MESSAGE_MACHINE);
    assert_string_equal(adopted.service, instance_name);
    assert_int_equal(adopted.machine.place.count, 1);
    assert_true(address_equal(&adopted.machine.place.addresses[0], address));
    stop(world, instance_name, CONFIG_STOP_DESTROY);
    expect_end(world, MESSAGE_EXITED);
    world_end_keeper(world, SIGTERM);
}

static void refused(struct world *world, const char *name, const struct address *address,
                    const char *why)
{
    if (address)
        start_at(world, name, address);
    else
        start(world, name);
    struct message failed = expect_end(world, MESSAGE_FAILED);
    assert_int_equal(failed.serial, world->serial);
    assert_string_equal(failed.end.text, why);
}

/* Whatever the front asks for: the keeper goes by its own configuration. */
static void only_instances_that_are_configured_are_started(void **state)
{
    static const char none[] = "the keeper's configuration has no such service";
    static const char nowhere[] = "the keeper's configuration has no such addresses for it";
    struct world *world = *state;
    struct address other;
    const struct address *address =
        config_place(config_find_service(world->config, "*.apps.example.org")->places, 0);
    assert_int_equal(address_parse("10.9.0.10", &other), 0);
    world_start_keeper(world);
    expect(world, MESSAGE_SYNCHRONISED);
    refused(world, instance_name, &other, nowhere);
    refused(world, instance_name, NULL, none);
    refused(world, "*.apps.example.org", NULL, none);
    refused(world, "*.apps.example.org", address, none);
    refused(world, "a.b.apps.example.org", address, none);
    refused(world, "../../etc.apps.example.org", address, none);
    refused(world, "a/b.apps.example.org", address, none);
    refused(world, "-a.apps.example.org", address, none);
    refused(world, ".apps.example.org", address, none);
    refused(world, "blog.also.example.org", address, none);
    refused(world, "blog.example.org", address, none);
    refused(world, announced_name, address, none);
    world_end_keeper(world, SIGTERM);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        with_world(a_machine_on_a_bridge_is_reached_and_known_to_the_front),
        with_world(what_the_front_has_seen_makes_a_machine_ready),
        with_world(a_network_that_there_is_not_has_no_port),
        with_world(a_suspended_machine_is_off_the_wire_and_comes_back),
        with_world(a_machine_outlives_its_keeper_on_its_bridge),
        with_world(a_prewarmed_machine_joins_the_bridge_when_it_is_wanted),
        with_world(a_machine_without_a_network_is_not_left_running),
        with_world(a_bridge_that_was_removed_is_made_again),
        with_world(an_instance_is_started_at_its_place_and_outlives_the_keeper),
        with_world(only_instances_that_are_configured_are_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return world_run(run);
}
