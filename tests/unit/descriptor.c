/* Descriptors and packets between processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/descriptor.h"

struct link {
    int ends[2];
};

static int open_link(void **state)
{
    static struct link link;
    *state = &link;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link.ends);
}

static int close_link(void **state)
{
    struct link *link = *state;
    descriptor_close(&link->ends[0]);
    descriptor_close(&link->ends[1]);
    return 0;
}

/* The lowest descriptor that is free: the same before and after, if none was leaked. */
static int next_descriptor(void)
{
    int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(descriptor >= 0);
    close(descriptor);
    return descriptor;
}

static void a_packet_comes_without_a_descriptor(void **state)
{
    struct link *link = *state;
    char bytes[16];
    int passed = 77;
    assert_int_equal(descriptor_send(link->ends[0], "hello", 5, -1), 0);
    assert_int_equal(descriptor_receive(link->ends[1], bytes, sizeof bytes, &passed), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(passed, -1);
}

static void a_descriptor_comes_with_its_packet(void **state)
{
    struct link *link = *state;
    char byte;
    int passed = -1, pipes[2];
    struct stat sent, received;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(descriptor_send(link->ends[0], "x", 1, pipes[0]), 0);
    assert_int_equal(descriptor_receive(link->ends[1], &byte, 1, &passed), 1);
    assert_true(passed >= 0);
    assert_int_not_equal(passed, pipes[0]);
    assert_int_equal(fstat(pipes[0], &sent), 0);
    assert_int_equal(fstat(passed, &received), 0);
    assert_true(sent.st_ino == received.st_ino);
    assert_int_equal(fcntl(passed, F_GETFD), FD_CLOEXEC);
    descriptor_close(&passed);
    descriptor_close(&pipes[0]);
    descriptor_close(&pipes[1]);
}

static void a_packet_that_is_too_long_is_refused_with_its_descriptor(void **state)
{
    struct link *link = *state;
    char bytes[4];
    int passed = -1, before = next_descriptor();
    assert_int_equal(descriptor_send(link->ends[0], "hello", 5, link->ends[0]), 0);
    assert_int_equal(descriptor_receive(link->ends[1], bytes, sizeof bytes, &passed), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(passed, -1);
    assert_int_equal(next_descriptor(), before);
}

/* What a hostile process at the other end may try. */
static void several_descriptors_at_once_are_not_leaked(void **state)
{
    struct link *link = *state;
    char byte = 'x';
    int passed = -1, before = next_descriptor();
    int two[2] = {link->ends[0], link->ends[1]};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof two)];
    } ancillary = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &ancillary,
                             .msg_controllen = sizeof ancillary};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof two);
    memcpy(CMSG_DATA(header), two, sizeof two);
    assert_int_equal(sendmsg(link->ends[0], &message, 0), 1);

    assert_int_equal(descriptor_receive(link->ends[1], &byte, 1, &passed), 1);
    descriptor_close(&passed);
    assert_int_equal(next_descriptor(), before);
}

static void the_end_of_the_stream_is_zero(void **state)
{
    struct link *link = *state;
    char byte;
    int passed = 77;
    descriptor_close(&link->ends[0]);
    assert_int_equal(link->ends[0], -1);
    assert_int_equal(descriptor_receive(link->ends[1], &byte, 1, &passed), 0);
    assert_int_equal(passed, -1);
}

static void sending_to_nobody_is_an_error_and_no_signal(void **state)
{
    struct link *link = *state;
    descriptor_close(&link->ends[1]);
    assert_int_equal(descriptor_send(link->ends[0], "x", 1, -1), -1);
    assert_int_equal(errno, EPIPE);
}

static void a_full_socket_and_an_empty_one_say_again(void **state)
{
    struct link *link = *state;
    char bytes[1024] = {0};
    int passed, sent = 0;
    assert_int_equal(fcntl(link->ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(descriptor_receive(link->ends[0], bytes, sizeof bytes, &passed), -1);
    assert_int_equal(errno, EAGAIN);
    while (descriptor_send(link->ends[0], bytes, sizeof bytes, -1) == 0)
        assert_true(++sent < 1000000);
    assert_int_equal(errno, EAGAIN);
}

static void closing_nothing_does_nothing(void **state)
{
    (void)state;
    int none = -1;
    descriptor_close(&none);
    assert_int_equal(none, -1);
}

static void the_limit_is_raised_to_the_hard_one(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit lower = {limit.rlim_max < 64 ? limit.rlim_max : 64, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
    assert_true(descriptor_raise_limit() == limit.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &lower), 0);
    assert_true(lower.rlim_cur == limit.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_packet_comes_without_a_descriptor, open_link, close_link),
        cmocka_unit_test_setup_teardown(a_descriptor_comes_with_its_packet, open_link, close_link),
        cmocka_unit_test_setup_teardown(a_packet_that_is_too_long_is_refused_with_its_descriptor,
                                        open_link, close_link),
        cmocka_unit_test_setup_teardown(several_descriptors_at_once_are_not_leaked, open_link,
                                        close_link),
        cmocka_unit_test_setup_teardown(the_end_of_the_stream_is_zero, open_link, close_link),
        cmocka_unit_test_setup_teardown(sending_to_nobody_is_an_error_and_no_signal, open_link,
                                        close_link),
        cmocka_unit_test_setup_teardown(a_full_socket_and_an_empty_one_say_again, open_link,
                                        close_link),
        cmocka_unit_test(closing_nothing_does_nothing),
        cmocka_unit_test(the_limit_is_raised_to_the_hard_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
