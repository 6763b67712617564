/* What the kernel counts at a real network device, and the answer that is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "keeper/tap.h"
#include "keeper/traffic.h"

#define DEVICE "machine"

static const uint8_t machine_mac[MAC_SIZE] = {2, 0, 0, 0, 0, 1};

static struct config_port port = {.listen = 80, .machine = 80};
static const struct config_service service = {.ports = &port, .port_count = 1};

/* UDP over IPv4, from port 1 to port 80, 10.0.0.2 to 10.0.0.1; or back. */
static const uint8_t question[] = {2,    0, 0,  0,  0, 1, 2, 0, 0,  0,  0, 2, 8,  0,
                                   0x45, 0, 0,  28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0,
                                   0,    2, 10, 0,  0, 1, 0, 1, 0,  80, 0, 8, 0,  0};
static const uint8_t answer[] = {2,    0, 0,  0,  0, 2, 2, 0,  0,  0,  0, 1, 8,  0,
                                 0x45, 0, 0,  28, 0, 0, 0, 0,  64, 17, 0, 0, 10, 0,
                                 0,    1, 10, 0,  0, 2, 0, 80, 0,  1,  0, 8, 0,  0};

static struct {
    struct event_base *base;
    int tap, host; /* the machine's end of the wire, and the host's */
    struct traffic *traffic;
    unsigned answers;
    uint64_t moment;
    bool ends; /* at the first answer */
} world;

static void set_up(bool up)
{
    struct ifreq request = {.ifr_name = DEVICE, .ifr_flags = (short)(up ? IFF_UP : 0)};
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(any, SIOCSIFFLAGS, &request), 0);
    close(any);
}

static void answered(void *argument, uint64_t moment)
{
    assert_ptr_equal(argument, &world);
    world.answers++;
    world.moment = moment;
    if (!world.ends)
        return;
    traffic_end(world.traffic);
    world.traffic = NULL;
}

static int begin(void **state)
{
    (void)state;
    struct error error;
    struct sockaddr_ll end = {.sll_family = AF_PACKET};
    world.base = event_base_new();
    world.tap = tap_open(DEVICE, false, &error);
    assert_int_not_equal(world.tap, -1);
    world.host = socket(AF_PACKET, SOCK_RAW, 0);
    end.sll_ifindex = (int)if_nametoindex(DEVICE);
    assert_int_equal(bind(world.host, (struct sockaddr *)&end, sizeof end), 0);
    world.traffic =
        traffic_begin(world.base, &service, DEVICE, machine_mac, answered, &world, &error);
    assert_non_null(world.traffic);
    set_up(true); /* as a spare's is, after it has been found */
    return 0;
}

static int end(void **state)
{
    (void)state;
    traffic_end(world.traffic);
    descriptor_close(&world.tap);
    close(world.host);
    event_base_free(world.base);
    memset(&world, 0, sizeof world);
    return 0;
}

static void ask(void)
{
    assert_int_equal(send(world.host, question, sizeof question, 0), sizeof question);
}

static void reply(void)
{
    assert_int_equal(write(world.tap, answer, sizeof answer), sizeof answer);
}

static void turn(void)
{
    event_base_loop(world.base, EVLOOP_NONBLOCK);
}

static void use_is_told_once(void **state)
{
    (void)state;
    assert_false(traffic_was_used(world.traffic));
    ask();
    assert_true(traffic_was_used(world.traffic));
    assert_false(traffic_was_used(world.traffic));
    reply();
    assert_true(traffic_was_used(world.traffic));
}

static void what_is_no_use_is_not_counted(void **state)
{
    (void)state;
    uint8_t scan[sizeof question];
    memcpy(scan, question, sizeof scan);
    scan[37] = 81;
    assert_int_equal(send(world.host, scan, sizeof scan, 0), sizeof scan);
    assert_false(traffic_was_used(world.traffic));
}

/* Nobody reads them, so that most find no room. */
static void any_number_of_packets_is_counted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5000; i++)
        ask();
    assert_true(traffic_was_used(world.traffic));
    turn();
    assert_int_equal(world.answers, 0);
    ask();
    assert_true(traffic_was_used(world.traffic));
}

static void the_first_answer_is_told(void **state)
{
    (void)state;
    uint64_t before = clock_now();
    traffic_await_answer(world.traffic);
    ask();
    turn();
    assert_int_equal(world.answers, 0);
    reply();
    reply();
    turn();
    assert_int_equal(world.answers, 1);
    assert_in_range(world.moment, before, clock_now());
    reply();
    turn();
    assert_int_equal(world.answers, 1);
    assert_true(traffic_was_used(world.traffic));
}

static void answers_from_before_are_not_told_when_one_is_awaited_again(void **state)
{
    (void)state;
    ask();
    reply();
    traffic_await_answer(world.traffic);
    turn();
    assert_int_equal(world.answers, 0);
    reply();
    turn();
    assert_int_equal(world.answers, 1);
}

static void an_answer_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    traffic_await_answer(world.traffic);
    for (unsigned i = 0; i < 2000; i++) {
        ask();
        turn();
    }
    assert_int_equal(world.answers, 1);
    assert_int_equal(world.moment, 0);
    reply();
    turn();
    assert_int_equal(world.answers, 1);
}

static void it_may_end_when_it_tells_of_the_answer(void **state)
{
    (void)state;
    world.ends = true;
    traffic_await_answer(world.traffic);
    reply();
    turn();
    assert_int_equal(world.answers, 1);
    assert_null(world.traffic);
}

/* As a suspended machine's device is. */
static void a_device_that_was_down_is_counted_again(void **state)
{
    (void)state;
    traffic_await_answer(world.traffic);
    set_up(false);
    turn();
    set_up(true);
    turn();
    assert_false(traffic_was_used(world.traffic));
    ask();
    assert_true(traffic_was_used(world.traffic));
    traffic_await_answer(world.traffic);
    reply();
    turn();
    assert_int_equal(world.answers, 1);
}

static void a_device_that_vanishes_is_silent(void **state)
{
    (void)state;
    traffic_await_answer(world.traffic);
    descriptor_close(&world.tap);
    turn();
    assert_false(traffic_was_used(world.traffic));
    assert_int_equal(world.answers, 0);
}

static void a_device_that_is_not_there_is_said(void **state)
{
    (void)state;
    struct error error;
    assert_null(
        traffic_begin(world.base, &service, "nowhere", machine_mac, answered, &world, &error));
    assert_non_null(strstr(error.text, "nowhere"));
}

static void the_privilege_that_is_missing_is_named(void **state)
{
    (void)state;
    struct error error;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct all[2], some[2];
    assert_int_equal(syscall(SYS_capget, &header, all), 0);
    memcpy(some, all, sizeof some);
    some[0].effective &= ~(1u << CAP_NET_RAW);
    assert_int_equal(syscall(SYS_capset, &header, some), 0);
    assert_null(traffic_begin(world.base, &service, DEVICE, machine_mac, answered, &world, &error));
    assert_int_equal(syscall(SYS_capset, &header, all), 0);
    assert_non_null(strstr(error.text, "CAP_NET_RAW"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(use_is_told_once),
        TEST(what_is_no_use_is_not_counted),
        TEST(any_number_of_packets_is_counted),
        TEST(the_first_answer_is_told),
        TEST(answers_from_before_are_not_told_when_one_is_awaited_again),
        TEST(an_answer_is_not_waited_for_for_ever),
        TEST(it_may_end_when_it_tells_of_the_answer),
        TEST(a_device_that_was_down_is_counted_again),
        TEST(a_device_that_vanishes_is_silent),
        TEST(a_device_that_is_not_there_is_said),
        TEST(the_privilege_that_is_missing_is_named),
    };
    struct error error;
    int tap;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0 ||
        (tap = tap_open(DEVICE, false, &error)) == -1) {
        puts("skipped: no network namespaces or no TAP devices here");
        return 77;
    }
    close(tap);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
