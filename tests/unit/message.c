/* Messages between front and keeper: what is accepted, what is refused, and the queueing link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "keeper/message.h"

static void pair(int sockets[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets),
                     0);
}

/* A message of each type with every part of it filled as far as it goes. */
static struct message full(enum message_type type)
{
    struct message message = message_make(type, 7, "www.example.org");
    switch (type) {
    case MESSAGE_LISTEN:
        endpoint_parse("127.0.0.1@53", &message.listen.endpoint);
        message.listen.stream = message.listen.reuse_port = true;
        break;
    case MESSAGE_STOP:
        message.stop.mode = CONFIG_STOP_SUSPEND;
        break;
    case MESSAGE_FILE:
        message.file.number = UINT32_MAX;
        break;
    case MESSAGE_START:
        message.start.place.count = CONFIG_PLACE_ADDRESSES_MAX;
        address_parse("10.0.0.1", &message.start.place.addresses[0]);
        address_parse("fd00::1", &message.start.place.addresses[1]);
        break;
    case MESSAGE_RELOAD:
        message.reload.digest = UINT64_MAX;
        break;
    case MESSAGE_PORT:
    case MESSAGE_PORT_MISSING:
        strcpy(message.port.network, "lan");
        break;
    case MESSAGE_PORT_OPENED:
        message.opened.failed = true;
        memset(message.opened.mac, 2, sizeof message.opened.mac);
        memset(message.opened.text, 'x', sizeof message.opened.text - 1);
        break;
    case MESSAGE_LISTENING:
    case MESSAGE_FILE_OPENED:
    case MESSAGE_RELOADED:
        message.answer.failed = true;
        memset(message.answer.text, 'x', sizeof message.answer.text - 1);
        break;
    case MESSAGE_MACHINE:
    case MESSAGE_SPAWNED:
    case MESSAGE_ENTERED:
    case MESSAGE_READY:
        message.machine.pid = 4711;
        message.machine.forward_count = CONFIG_PORTS_MAX;
        message.machine.forwards[CONFIG_PORTS_MAX - 1] = (struct message_forward){80, 32768};
        message.machine.started = 1.5e9;
        strcpy(message.machine.domain, "legacy");
        memset(message.machine.token, 7, sizeof message.machine.token);
        message.machine.ready_rule = CONFIG_READY_TCP;
        message.machine.ready_port = 80;
        break;
    case MESSAGE_FAILED:
    case MESSAGE_EXITED:
        message.end.moment = 9;
        strcpy(message.end.text, "killed by signal 9");
        break;
    case MESSAGE_CONSOLE:
        message.console.length = 5;
        memcpy(message.console.bytes, "hello", 5);
        break;
    case MESSAGE_USED:
        message.use.used = true;
        break;
    case MESSAGE_FIRST_BYTE:
        message.first_byte.moment = UINT64_MAX;
        break;
    default:
        break;
    }
    return message;
}

static void every_type_arrives_as_it_was_sent(void **state)
{
    int sockets[2];
    (void)state;
    pair(sockets);
    for (int type = MESSAGE_LISTEN; type < MESSAGE_TYPES; type++) {
        struct message sent = full((enum message_type)type);
        struct message got;
        int descriptor;
        assert_int_equal(message_send(sockets[0], &sent, -1), 0);
        assert_int_equal(message_receive(sockets[1], &got, &descriptor), 1);
        assert_int_equal(descriptor, -1);
        assert_memory_equal(&got, &sent, sizeof sent);
    }
    close(sockets[0]);
    struct message got;
    int descriptor;
    assert_int_equal(message_receive(sockets[1], &got, &descriptor), 0);
    close(sockets[1]);
}

static void one_byte_more_or_less_is_refused(void **state)
{
    (void)state;
    for (int type = MESSAGE_LISTEN; type < MESSAGE_TYPES; type++) {
        struct message sent = full((enum message_type)type);
        struct message got;
        size_t size = message_size(&sent);
        unsigned char bytes[sizeof(struct message) + 1];
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes, &sent, size);
        assert_int_equal(message_check(bytes, size, &got), 0);
        assert_int_equal(message_check(bytes, size + 1, &got), -1);
        assert_int_equal(errno, EBADMSG);
        for (size_t less = 0; less < size; less++)
            assert_int_equal(message_check(bytes, less, &got), -1);
    }
}

static int check(const struct message *message)
{
    struct message got;
    return message_check(message, message_size(message), &got);
}

static void values_out_of_range_are_refused(void **state)
{
    struct message m;
    (void)state;

    m = full(MESSAGE_START);
    m.type = 0;
    assert_int_equal(check(&m), -1);
    m.type = MESSAGE_TYPES;
    assert_int_equal(check(&m), -1);

    m = full(MESSAGE_START);
    memset(m.service, 'a', sizeof m.service);
    assert_int_equal(check(&m), -1);
    memset(m.service, 0, sizeof m.service);
    assert_int_equal(check(&m), -1);

    m = full(MESSAGE_PORT);
    memset(m.port.network, 'x', sizeof m.port.network);
    assert_int_equal(check(&m), -1);
    memset(m.port.network, 0, sizeof m.port.network);
    assert_int_equal(check(&m), -1);

    m = full(MESSAGE_LISTEN);
    m.listen.endpoint.address.family = AF_UNIX;
    assert_int_equal(check(&m), -1);
    m = full(MESSAGE_LISTEN);
    m.listen.endpoint.address.bytes[15] = 1;
    assert_int_equal(check(&m), -1);
    m = full(MESSAGE_LISTEN);
    memset(&m.listen.stream, 2, 1);
    assert_int_equal(check(&m), -1);

    m = full(MESSAGE_STOP);
    m.stop.mode = CONFIG_STOP_SUSPEND + 1;
    assert_int_equal(check(&m), -1);

    m = full(MESSAGE_START);
    m.start.place.count++;
    assert_int_equal(check(&m), -1);
    m = full(MESSAGE_START);
    m.start.place.addresses[1].family = 0;
    assert_int_equal(check(&m), -1);
    m = full(MESSAGE_START);
    m.start.place.addresses[0].bytes[4] = 1;
    assert_int_equal(check(&m), -1);

    m = full(MESSAGE_READY);
    m.machine.place.count = CONFIG_PLACE_ADDRESSES_MAX + 1;
    assert_int_equal(check(&m), -1);
    m = full(MESSAGE_READY);
    m.machine.forward_count = CONFIG_PORTS_MAX + 1;
    assert_int_equal(check(&m), -1);
    m = full(MESSAGE_READY);
    m.machine.pid = -1;
    assert_int_equal(check(&m), -1);
    m = full(MESSAGE_READY);
    m.machine.started = NAN;
    assert_int_equal(check(&m), -1);
    m = full(MESSAGE_READY);
    memset(m.machine.domain, 'x', sizeof m.machine.domain);
    assert_int_equal(check(&m), -1);

    m = full(MESSAGE_CONSOLE);
    m.console.length = MESSAGE_CONSOLE_MAX + 1;
    struct message got;
    assert_int_equal(message_check(&m, sizeof m, &got), -1);

    m = full(MESSAGE_USED);
    memset(&m.use.used, 2, 1);
    assert_int_equal(check(&m), -1);

    /* A text that never ends is as long as its room. */
    m = full(MESSAGE_EXITED);
    memset(m.end.text, 'x', sizeof m.end.text);
    assert_int_equal(message_check(&m, offsetof(struct message, end.text) + MESSAGE_TEXT_MAX, &got),
                     -1);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    for (int i = 0; i < 256; i++)
        count += fcntl(i, F_GETFD) != -1;
    return count;
}

static void a_descriptor_comes_with_listening_only(void **state)
{
    int sockets[2];
    struct message got;
    int descriptor;
    (void)state;
    pair(sockets);

    struct message message = full(MESSAGE_LISTENING);
    assert_int_equal(message_send(sockets[0], &message, sockets[0]), 0);
    assert_int_equal(message_receive(sockets[1], &got, &descriptor), 1);
    assert_int_not_equal(descriptor, -1);
    assert_true(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
    close(descriptor);

    size_t before = open_descriptors();
    message = full(MESSAGE_START);
    assert_int_equal(message_send(sockets[0], &message, sockets[0]), 0);
    assert_int_equal(message_receive(sockets[1], &got, &descriptor), -1);
    assert_int_equal(errno, EBADMSG);
    assert_int_equal(open_descriptors(), before);
    close(sockets[0]);
    close(sockets[1]);
}

static void a_second_descriptor_does_not_leak(void **state)
{
    int sockets[2];
    (void)state;
    pair(sockets);

    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } ancillary = {0};
    struct message message = full(MESSAGE_LISTENING);
    struct iovec part = {&message, message_size(&message)};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &ancillary,
                            .msg_controllen = sizeof ancillary};
    struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), sockets, sizeof sockets);
    assert_true(sendmsg(sockets[0], &packet, 0) > 0);

    size_t before = open_descriptors();
    struct message got;
    int descriptor;
    assert_int_equal(message_receive(sockets[1], &got, &descriptor), 1);
    descriptor_close(&descriptor);
    assert_int_equal(open_descriptors(), before);
    close(sockets[0]);
    close(sockets[1]);
}

/* --- the link --- */

struct end {
    struct event_base *base;
    struct message_link *link;
    uint32_t received; /* also the serial expected next */
    size_t descriptors;
    const char *lost;
    bool frees;
};

static void on_message(void *argument, const struct message *message, int descriptor)
{
    struct end *end = argument;
    assert_int_equal(message->serial, end->received);
    end->received++;
    if (descriptor != -1) {
        end->descriptors++;
        close(descriptor);
    }
    if (end->frees) {
        message_link_free(end->link);
        end->link = NULL;
        event_base_loopbreak(end->base);
    }
}

static void on_lost(void *argument, const char *why)
{
    struct end *end = argument;
    assert_null(end->lost);
    end->lost = why;
    event_base_loopbreak(end->base);
}

#define MANY 5000

static void the_link_queues_in_order(void **state)
{
    int sockets[2];
    struct end end = {.base = event_base_new()};
    struct end other = {.base = end.base};
    (void)state;
    pair(sockets);
    end.link = message_link_new(end.base, sockets[0], on_message, on_lost, &end);
    for (uint32_t i = 0; i < MANY; i++) {
        struct message message = full(MESSAGE_LISTENING);
        message.serial = i;
        message_link_send(end.link, &message, i % 10 == 0 ? STDERR_FILENO : -1);
    }
    assert_true(message_link_queued(end.link) > 0);
    other.link = message_link_new(end.base, sockets[1], on_message, on_lost, &other);
    while (other.received < MANY)
        assert_int_equal(event_base_loop(end.base, EVLOOP_ONCE), 0);
    assert_int_equal(other.descriptors, MANY / 10);
    assert_int_equal(message_link_queued(end.link), 0);
    message_link_free(end.link);
    event_base_dispatch(end.base);
    assert_string_equal(other.lost, "the other process ended");
    message_link_free(other.link);
    event_base_free(end.base);
}

static void what_was_said_before_the_end_is_still_received(void **state)
{
    int sockets[2];
    struct end end = {.base = event_base_new()};
    (void)state;
    pair(sockets);
    end.link = message_link_new(end.base, sockets[0], on_message, on_lost, &end);
    struct message message = full(MESSAGE_READY);
    message.serial = 0;
    assert_int_equal(message_send(sockets[1], &message, -1), 0);
    close(sockets[1]);
    message_link_send(end.link, &message, -1);
    event_base_dispatch(end.base);
    assert_int_equal(end.received, 1);
    assert_string_equal(end.lost, "the other process ended");
    message_link_send(end.link, &message, -1);
    message_link_free(end.link);
    event_base_free(end.base);
}

static void nonsense_ends_the_link(void **state)
{
    int sockets[2];
    struct end end = {.base = event_base_new()};
    (void)state;
    pair(sockets);
    end.link = message_link_new(end.base, sockets[0], on_message, on_lost, &end);
    assert_int_equal(send(sockets[1], "nonsense", 8, 0), 8);
    event_base_dispatch(end.base);
    assert_string_equal(end.lost, "the other process sent what is not a message");
    char byte;
    assert_int_equal(recv(sockets[1], &byte, 1, 0), 0);
    close(sockets[1]);
    message_link_free(end.link);
    event_base_free(end.base);
}

static void the_receiver_may_free_the_link(void **state)
{
    int sockets[2];
    struct end end = {.base = event_base_new(), .frees = true};
    (void)state;
    pair(sockets);
    end.link = message_link_new(end.base, sockets[0], on_message, on_lost, &end);
    for (uint32_t i = 0; i < 2; i++) {
        struct message message = full(MESSAGE_READY);
        message.serial = i;
        assert_int_equal(message_send(sockets[1], &message, -1), 0);
    }
    event_base_dispatch(end.base);
    assert_int_equal(end.received, 1);
    assert_null(end.link);
    close(sockets[1]);
    event_base_free(end.base);
}

static void echo(void *argument, const struct message *message, int descriptor)
{
    struct end *end = argument;
    end->received++;
    assert_int_equal(descriptor, -1);
    message_link_send(end->link, message, -1);
}

static void an_end_that_does_not_read_is_held_back(void **state)
{
    int sockets[2];
    struct end end = {.base = event_base_new()};
    (void)state;
    pair(sockets);
    end.link = message_link_new(end.base, sockets[0], echo, on_lost, &end);
    message_link_hold_back(end.link, 8);
    struct message message = full(MESSAGE_READY);
    message.serial = 0;
    uint32_t sent = 0;
    /* Fills both directions until nothing moves any more. */
    for (uint32_t before = UINT32_MAX; before != sent;) {
        before = sent;
        while (message_send(sockets[1], &message, -1) == 0)
            sent++;
        assert_int_equal(errno, EAGAIN);
        event_base_loop(end.base, EVLOOP_NONBLOCK);
    }
    assert_true(message_link_queued(end.link) <= 9);
    assert_true(end.received < sent);
    uint32_t answered = 0;
    while (answered < sent) {
        struct message got;
        int descriptor;
        while (message_receive(sockets[1], &got, &descriptor) == 1)
            answered++;
        event_base_loop(end.base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(end.received, sent);
    close(sockets[1]);
    message_link_free(end.link);
    event_base_free(end.base);
}

static void the_digest_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(message_digest("", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(message_digest("foobar", 6) == UINT64_C(0x85944171f73967e8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_arrives_as_it_was_sent),
        cmocka_unit_test(one_byte_more_or_less_is_refused),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(a_descriptor_comes_with_listening_only),
        cmocka_unit_test(a_second_descriptor_does_not_leak),
        cmocka_unit_test(the_link_queues_in_order),
        cmocka_unit_test(what_was_said_before_the_end_is_still_received),
        cmocka_unit_test(nonsense_ends_the_link),
        cmocka_unit_test(the_receiver_may_free_the_link),
        cmocka_unit_test(an_end_that_does_not_read_is_held_back),
        cmocka_unit_test(the_digest_is_fnv_1a),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
