/* Cold starts on a bridge with a real keeper, a real machine and the real port between them: a
 * client's first packet summons the machine, and the client is answered as if it had been there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "hold/port.h"
#include "keeper/device_name.h"
#include "keeper/message.h"
#include "unit/keeper_world.h"

#define ROUNDS 5 /* or what JITSU_ROUNDS says */

static unsigned rounds(void)
{
    const char *text = getenv("JITSU_ROUNDS");
    return text ? (unsigned)atoi(text) : ROUNDS;
}

struct measure {
    uint64_t total, most;
};

static void add(struct measure *measure, uint64_t nanoseconds)
{
    measure->total += nanoseconds;
    if (nanoseconds > measure->most)
        measure->most = nanoseconds;
}

/* --- a front, as small as it can be, in a process of its own --- */

enum state { OFF, STARTING, RUNNING, STOPPING };

struct front {
    struct event_base *base;
    struct message_link *link;
    struct port_memory *port_memory;
    struct port *port;
    struct port_service *service;
    const struct config_service *config;
    enum port_hold hold;
    enum state state;
    uint32_t serial;
    uint64_t wanted, first_byte; /* moments of this run */
    struct measure booted;       /* from wanted to ready */
    int control;                 /* 's': stop the machine; answered by 'o' when it is off */
};

static void send_to_keeper(struct front *front, enum message_type type)
{
    struct message message = message_make(type, front->serial, front->config->name);
    if (type == MESSAGE_STOP)
        message.stop.mode = CONFIG_STOP_DESTROY;
    if (type == MESSAGE_PORT)
        strcpy(message.port.network, front->config->network->name);
    message_link_send(front->link, &message, -1);
}

static void wanted(void *owner, const struct endpoint *client, uint16_t port, uint64_t moment)
{
    (void)client, (void)port;
    struct front *front = owner;
    if (front->state != OFF)
        return;
    front->state = STARTING;
    front->wanted = moment;
    front->first_byte = 0;
    front->serial++;
    send_to_keeper(front, MESSAGE_START);
}

static void run_on(struct front *front, uint64_t moment)
{
    front->state = RUNNING;
    add(&front->booted, moment - front->wanted);
}

static void seen_ready(void *owner, uint64_t moment)
{
    struct front *front = owner;
    if (front->state == STARTING)
        run_on(front, moment);
    send_to_keeper(front, MESSAGE_SEEN_READY);
}

static void tell(struct front *front, char what)
{
    assert_int_equal(write(front->control, &what, 1), 1);
}

static void open_port(struct front *front, const struct message *opened, int descriptor)
{
    static const struct port_callbacks callbacks = {.wanted = wanted, .ready = seen_ready};
    static const struct port_limits limits = {.bytes = 16 << 20,
                                              .bytes_per_service = 16 << 20,
                                              .frames_per_service = 256,
                                              .connections_per_service = 256,
                                              .half_open_per_service = 256,
                                              .half_open = 256};
    static const uint16_t ports[] = {80};
    struct error error;
    const struct config_service *config = front->config;
    struct port_identity identity = {.address = config->network->port_address};
    struct port_machine machine = {.addresses = config->addresses,
                                   .address_count = config->address_count,
                                   .ports = ports,
                                   .port_count = 1,
                                   .ready = PORT_READY_ANNOUNCE,
                                   .hold = (uint8_t)front->hold};
    assert_false(opened->opened.failed);
    memcpy(identity.mac, opened->opened.mac, sizeof identity.mac);
    device_machine_mac(config->network->name, config->name, machine.mac);
    front->port_memory = port_memory_new(&limits);
    assert_non_null(front->port_memory);
    front->port = port_new(front->base, descriptor, &identity, &callbacks, front->port_memory);
    assert_non_null(front->port);
    front->service = port_service_new(front->port, front, &machine, &error);
    assert_non_null(front->service);
    tell(front, 'o');
}

static void from_keeper(void *argument, const struct message *message, int descriptor)
{
    struct front *front = argument;
    switch (message->type) {
    case MESSAGE_SYNCHRONISED:
        send_to_keeper(front, MESSAGE_PORT);
        break;
    case MESSAGE_PORT_OPENED:
        open_port(front, message, descriptor);
        break;
    case MESSAGE_SPAWNED:
        port_service_conduit(front->service, message->machine.token);
        port_service_starting(front->service);
        break;
    case MESSAGE_READY: /* mostly after the port has seen it itself, if not after the client */
        if (front->state != STARTING)
            break;
        run_on(front, message->machine.moment);
        port_service_ready(front->service);
        break;
    case MESSAGE_FIRST_BYTE:
        assert_int_equal(front->first_byte, 0);
        front->first_byte = message->first_byte.moment;
        break;
    case MESSAGE_EXITED:
        if (front->state != STOPPING)
            fail_msg("the machine ended: %s", message->end.text);
        assert_true(front->first_byte > front->wanted);
        front->state = OFF;
        port_service_gone(front->service);
        tell(front, 'o');
        break;
    default:
        break;
    }
}

static void keeper_lost(void *argument, const char *why)
{
    struct front *front = argument;
    (void)why;
    event_base_loopbreak(front->base);
}

static void on_control(evutil_socket_t control, short events, void *argument)
{
    (void)events;
    struct front *front = argument;
    char what;
    if (read(control, &what, 1) != 1) {
        event_base_loopbreak(front->base);
        return;
    }
    assert_int_equal(front->state, RUNNING);
    port_service_attract(front->service);
    front->state = STOPPING;
    send_to_keeper(front, MESSAGE_STOP);
}

static int run_front(const struct world *world, enum port_hold hold, int control)
{
    struct front front = {.base = event_base_new(),
                          .config = config_find_service(world->config, "www.example.org"),
                          .hold = hold,
                          .control = control};
    front.link = message_link_new(front.base, dup(world->link), from_keeper, keeper_lost, &front);
    struct event *controlled =
        event_new(front.base, control, EV_READ | EV_PERSIST, on_control, &front);
    event_add(controlled, NULL);
    event_base_dispatch(front.base);
    print_message("machines ready after %.1f ms (at most %.1f)\n",
                  (double)front.booted.total / rounds() / 1e6, (double)front.booted.most / 1e6);
    port_service_free(front.service);
    port_free(front.port);
    port_memory_free(front.port_memory);
    event_free(controlled);
    message_link_free(front.link);
    event_base_free(front.base);
    return 0;
}

/* --- the client --- */

static void await_off(int control)
{
    char what;
    assert_int_equal(read(control, &what, 1), 1);
    assert_int_equal(what, 'o');
}

static int open_client(const struct address *address)
{
    struct sockaddr_storage storage;
    struct timeval patience = {.tv_sec = PATIENCE / 1000};
    struct endpoint endpoint = {*address, 80};
    socklen_t length = endpoint_to_sockaddr(&endpoint, &storage);
    int client = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(client, (struct sockaddr *)&storage, length) != 0)
        fail_msg("cannot connect: %s", strerror(errno));
    return client;
}

/* Asks for the page, and checks that all of it comes, to the end of the connection. */
static void get(int client)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n", length_is[] = "\r\nContent-Length: ";
    char answer[16384];
    size_t length = 0;
    ssize_t got;
    assert_int_equal(write(client, request, sizeof request - 1), sizeof request - 1);
    while ((got = read(client, answer + length, sizeof answer - 1 - length)) > 0)
        length += (size_t)got;
    if (got < 0)
        fail_msg("the connection broke: %s", strerror(errno));
    answer[length] = '\0';
    assert_int_equal(strncmp(answer, "HTTP/1.1 200", 12), 0);
    const char *body = strstr(answer, "\r\n\r\n"), *told = strstr(answer, length_is);
    assert_true(body && told);
    assert_int_equal(length - (size_t)(body + 4 - answer), atoi(told + strlen(length_is)));
}

static unsigned repetitions(int client)
{
    struct tcp_info information;
    socklen_t length = sizeof information;
    assert_int_equal(getsockopt(client, IPPROTO_TCP, TCP_INFO, &information, &length), 0);
    return information.tcpi_total_retrans;
}

static void start_cold(const struct world *world, int control, const char *name)
{
    const struct config_service *service = config_find_service(world->config, "www.example.org");
    struct measure connected = {0}, answered = {0};
    unsigned repeated = 0;
    for (unsigned round = 0; round < rounds(); round++) {
        uint64_t begin = clock_now();
        int client = open_client(&service->addresses[round % service->address_count]);
        add(&connected, clock_now() - begin);
        get(client);
        add(&answered, clock_now() - begin);
        repeated += repetitions(client);
        close(client);
        assert_int_equal(write(control, "s", 1), 1);
        await_off(control);
    }
    print_message("%s: %u cold starts: connected after %.1f ms (at most %.1f), answered after %.1f "
                  "ms (at most %.1f), %u segments repeated\n",
                  name, rounds(), (double)connected.total / rounds() / 1e6,
                  (double)connected.most / 1e6, (double)answered.total / rounds() / 1e6,
                  (double)answered.most / 1e6, repeated);
}

static void with_front(struct world *world, enum port_hold hold, const char *name)
{
    int control[2], status;
    world_start_keeper(world);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
    pid_t front = fork();
    if (front == 0) {
        close(control[0]);
        exit(run_front(world, hold, control[1]));
    }
    close(control[1]);
    await_off(control[0]);
    start_cold(world, control[0], name);
    close(control[0]);
    assert_int_equal(waitpid(front, &status, 0), front);
    assert_int_equal(status, 0);
    world_end_keeper(world, SIGTERM);
}

static void delayed_clients_are_answered(void **state)
{
    with_front(*state, PORT_DELAY, "delay");
}

static void connections_are_handed_over(void **state)
{
    with_front(*state, PORT_HANDOFF, "handoff");
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(delayed_clients_are_answered, world_make, world_remove),
        cmocka_unit_test_setup_teardown(connections_are_handed_over, world_make, world_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return world_run(run);
}
