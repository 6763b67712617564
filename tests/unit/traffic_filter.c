/* What counts as use of a machine: frames, and whether the kernel lets them through. It runs the
 * programs for a datagram socket here, which needs no privilege. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cursor.h"
#include "keeper/traffic_filter.h"

enum { TCP = 6, UDP = 17, ICMP = 1, IGMP = 2, ICMPV6 = 58, SCTP = 132 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

static const uint8_t machine_mac[MAC_SIZE] = {2, 0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t client_mac[MAC_SIZE] = {2, 0x11, 0x22, 0x33, 0x44, 0x56};
static const uint8_t all_hosts[MAC_SIZE] = {255, 255, 255, 255, 255, 255};
static const uint8_t group[MAC_SIZE] = {0x33, 0x33, 0, 0, 0, 1};

/* --- frames --- */

/* One, to the machine unless `is_answer`, by TCP unless it says otherwise. */
struct frame {
    bool ipv6, is_answer;
    const char *client;
    const uint8_t *destination; /* NULL: the machine, or the client */
    uint8_t protocol;           /* 0: TCP */
    uint16_t port;              /* the machine's; 0: 80 */
    uint8_t flags;
    unsigned data;     /* bytes */
    unsigned options;  /* of TCP, bytes */
    unsigned ip_words; /* of IPv4 options */
    unsigned padding;  /* behind the packet */
    uint16_t fragment;
};

static const uint8_t zeroes[256];

static void put_address(struct writer *writer, const struct frame *frame, bool is_client)
{
    struct address address;
    const char *machine = frame->ipv6 ? "fd00::10" : "10.0.0.10";
    const char *client = frame->client ? frame->client : frame->ipv6 ? "fd00::99" : "10.0.0.99";
    assert_int_equal(address_parse(is_client ? client : machine, &address), 0);
    writer_bytes(writer, address.bytes, frame->ipv6 ? 16 : 4);
}

static void put_ip(struct writer *writer, const struct frame *frame, size_t content)
{
    uint8_t protocol = frame->protocol ? frame->protocol : TCP;
    unsigned header = 20 + 4 * frame->ip_words;
    if (frame->ipv6) {
        writer_u32(writer, 6u << 28);
        writer_u16(writer, (uint16_t)content);
        writer_u8(writer, protocol);
        writer_u8(writer, 64);
    } else {
        writer_u16(writer, (uint16_t)((0x40 | header / 4) << 8));
        writer_u16(writer, (uint16_t)(header + content));
        writer_u16(writer, 0);
        writer_u16(writer, frame->fragment);
        writer_u8(writer, 64);
        writer_u8(writer, protocol);
        writer_u16(writer, 0);
    }
    put_address(writer, frame, !frame->is_answer);
    put_address(writer, frame, frame->is_answer);
    if (!frame->ipv6)
        writer_bytes(writer, zeroes, header - 20);
}

static void put_ports(struct writer *writer, const struct frame *frame)
{
    uint16_t machine = frame->port ? frame->port : 80, client = 50000;
    writer_u16(writer, frame->is_answer ? machine : client);
    writer_u16(writer, frame->is_answer ? client : machine);
}

static size_t write_frame(const struct frame *frame, uint8_t bytes[512])
{
    struct writer writer = writer_over(bytes, 512);
    bool is_tcp = frame->protocol == 0 || frame->protocol == TCP;
    const uint8_t *source = frame->is_answer ? machine_mac : client_mac;
    const uint8_t *destination = frame->is_answer ? client_mac : machine_mac;
    unsigned header = is_tcp ? 20 + frame->options : 8;

    writer_bytes(&writer, frame->destination ? frame->destination : destination, MAC_SIZE);
    writer_bytes(&writer, source, MAC_SIZE);
    writer_u16(&writer, frame->ipv6 ? 0x86dd : 0x0800);
    put_ip(&writer, frame, header + frame->data);
    put_ports(&writer, frame);
    if (is_tcp) {
        writer_bytes(&writer, zeroes, 8);
        writer_u8(&writer, (uint8_t)(header / 4 << 4));
        writer_u8(&writer, frame->flags);
        writer_bytes(&writer, zeroes, 6 + frame->options);
    } else {
        writer_bytes(&writer, zeroes, 4);
    }
    writer_bytes(&writer, zeroes, frame->data + frame->padding);
    assert_false(writer.failed);
    return writer.position;
}

/* --- the service, and what the kernel says --- */

static struct prefix prefixes[CONFIG_SUMMON_FROM_MAX];
static struct config_port ports[CONFIG_PORTS_MAX];
static struct config_service service;

static int begin(void **state)
{
    (void)state;
    ports[0] = (struct config_port){.listen = 8080, .machine = 80};
    ports[1] = (struct config_port){.listen = 443, .machine = 443};
    service = (struct config_service){.ports = ports,
                                      .port_count = 2,
                                      .summon_from = prefixes,
                                      .idle_connections = CONFIG_CONNECTIONS_KEEP};
    return 0;
}

static void only_from(const char *text)
{
    assert_int_equal(prefix_parse(text, &prefixes[service.summon_from_count++]), 0);
}

static bool counts_bytes(const void *bytes, size_t length)
{
    struct sock_filter code[TRAFFIC_FILTER_MAX];
    struct sock_fprog program = {.filter = code};
    int ends[2];
    uint8_t seen[512];

    program.len = traffic_filter_make(&service, machine_mac, code);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program),
                     0);
    assert_int_equal(send(ends[0], bytes, length, 0), length);
    ssize_t got = recv(ends[1], seen, sizeof seen, MSG_DONTWAIT);
    assert_true(got == TRAFFIC_FILTER_SEEN || (got == -1 && errno == EAGAIN));
    close(ends[0]);
    close(ends[1]);
    return got != -1;
}

static bool counts_frame(struct frame frame)
{
    uint8_t bytes[512];
    return counts_bytes(bytes, write_frame(&frame, bytes));
}

/* The same of IPv4 and IPv6. */
static bool counts_both(struct frame frame)
{
    frame.ipv6 = false;
    bool ipv4 = counts_frame(frame);
    frame.ipv6 = true;
    assert_int_equal(counts_frame(frame), ipv4);
    return ipv4;
}

#define counts(...)  counts_both((struct frame){__VA_ARGS__})
#define counts4(...) counts_frame((struct frame){__VA_ARGS__})
#define counts6(...) counts_frame((struct frame){.ipv6 = true, __VA_ARGS__})

/* --- */

static void packets_to_its_ports_count(void **state)
{
    (void)state;
    assert_true(counts(.flags = SYN));
    assert_true(counts(.flags = ACK));
    assert_true(counts(.flags = ACK | PSH, .data = 10));
    assert_true(counts(.flags = FIN | ACK, .data = 1));
    assert_true(counts(.flags = SYN, .port = 443));
    assert_true(counts(.protocol = UDP));
    assert_true(counts4(.flags = SYN, .ip_words = 2));
    assert_true(counts4(.flags = SYN, .fragment = 0x4000)); /* not to be fragmented */
}

static void nobody_else_s_packets_count(void **state)
{
    (void)state;
    assert_false(counts(.flags = SYN, .port = 22));
    assert_false(
        counts(.flags = SYN, .port = 8080)); /* where a client of a user network connects */
    assert_false(counts(.protocol = UDP, .port = 53));
    assert_false(counts(.protocol = ICMP));
    assert_false(counts(.protocol = ICMPV6));
    assert_false(counts(.protocol = SCTP));
    assert_false(counts(.flags = RST));
    assert_false(counts(.flags = RST | ACK));
    assert_false(counts(.flags = SYN | ACK));
    assert_false(counts(.flags = FIN | ACK));
    assert_false(counts(.flags = SYN, .destination = all_hosts));
    assert_false(counts(.protocol = UDP, .destination = group));
    assert_false(counts(.flags = SYN, .destination = client_mac));
    assert_false(counts4(.flags = ACK, .fragment = 100, .data = 100));
}

static void what_is_not_ip_does_not_count(void **state)
{
    (void)state;
    uint8_t bytes[512];
    size_t length = write_frame(&(struct frame){.flags = SYN}, bytes);
    assert_true(counts_bytes(bytes, length));
    bytes[12] = 0x08, bytes[13] = 0x06; /* ARP */
    assert_false(counts_bytes(bytes, length));
    bytes[12] = 0x88, bytes[13] = 0xb5; /* the conduit */
    assert_false(counts_bytes(bytes, length));
}

static void frames_that_are_cut_off_do_not_count(void **state)
{
    (void)state;
    uint8_t bytes[512];
    for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
        struct frame frame = {.ipv6 = ipv6, .flags = SYN};
        size_t needed = write_frame(&frame, bytes) - 6; /* up to the flags */
        for (size_t length = 1; length < needed; length++)
            assert_false(counts_bytes(bytes, length));
    }
}

static void answers_with_data_count(void **state)
{
    (void)state;
    assert_true(counts(.is_answer = true, .flags = ACK, .data = 1));
    assert_true(counts(.is_answer = true, .flags = ACK, .data = 1, .options = 12));
    assert_true(counts(.is_answer = true, .protocol = UDP));
    assert_false(counts(.is_answer = true, .flags = ACK));
    assert_false(counts(.is_answer = true, .flags = ACK, .options = 12));
    assert_false(counts(.is_answer = true, .flags = SYN | ACK, .options = 4));
    assert_false(counts(.is_answer = true, .flags = RST, .data = 5));
    assert_false(counts(.is_answer = true, .flags = ACK, .data = 1, .port = 50));
    assert_false(counts(.is_answer = true, .protocol = UDP, .destination = group));
    assert_false(counts4(.is_answer = true, .flags = ACK, .ip_words = 3));
    assert_true(counts4(.is_answer = true, .flags = ACK, .ip_words = 3, .data = 1));
    assert_false(counts4(.is_answer = true, .flags = ACK, .padding = 6)); /* the frame's */
}

static void silence_on_a_connection_does_not_count_where_it_is_ignored(void **state)
{
    (void)state;
    service.idle_connections = CONFIG_CONNECTIONS_IGNORE;
    assert_true(counts(.flags = SYN));
    assert_true(counts(.flags = ACK, .data = 1));
    assert_true(counts(.flags = ACK, .data = 1, .options = 12));
    assert_true(counts(.is_answer = true, .flags = ACK, .data = 1));
    assert_true(counts(.protocol = UDP));
    assert_false(counts(.flags = ACK));
    assert_false(counts(.flags = ACK, .options = 12));
    assert_false(counts(.flags = FIN | ACK));
    assert_false(counts4(.flags = ACK, .padding = 6));
    assert_false(counts(.is_answer = true, .flags = ACK));
}

static void everything_but_pings_counts_where_there_are_no_ports(void **state)
{
    (void)state;
    service.port_count = 0;
    assert_true(counts(.flags = SYN, .port = 22));
    assert_true(counts(.protocol = UDP, .port = 53));
    assert_true(counts(.protocol = SCTP));
    assert_true(counts(.is_answer = true, .flags = ACK, .data = 1, .port = 22));
    assert_false(counts(.protocol = ICMP));
    assert_false(counts(.protocol = ICMPV6));
    assert_false(counts(.protocol = IGMP));
    assert_false(counts(.is_answer = true, .protocol = SCTP));
    assert_false(counts(.flags = SYN, .destination = all_hosts));
    assert_false(counts4(.protocol = UDP, .fragment = 100));
}

static void only_clients_of_summon_from_count(void **state)
{
    (void)state;
    only_from("10.1.0.0/16");
    only_from("10.2.3.4/32");
    only_from("fd00:1::/33");
    only_from("fd00:2::5/128");
    static const char *const in[] = {"10.1.255.255", "10.2.3.4"};
    static const char *const out[] = {"10.2.0.1", "10.2.3.5", "10.0.0.99"};
    static const char *const in6[] = {"fd00:1:0::", "fd00:1:7fff:ffff::9", "fd00:2::5"};
    static const char *const out6[] = {"fd00:1:8000::", "fd00:2::4", "fd01:1::", "::5"};
    for (unsigned answer = 0; answer < 2; answer++) {
        for (unsigned i = 0; i < 2; i++)
            assert_true(counts4(.client = in[i], .is_answer = answer, .flags = ACK, .data = 1));
        for (unsigned i = 0; i < 3; i++)
            assert_false(counts4(.client = out[i], .is_answer = answer, .flags = ACK, .data = 1));
        for (unsigned i = 0; i < 3; i++)
            assert_true(counts6(.client = in6[i], .is_answer = answer, .flags = ACK, .data = 1));
        for (unsigned i = 0; i < 4; i++)
            assert_false(counts6(.client = out6[i], .is_answer = answer, .flags = ACK, .data = 1));
    }
}

static void everybody_of_a_family_may_count(void **state)
{
    (void)state;
    only_from("0.0.0.0/0");
    assert_true(counts4(.flags = SYN));
    assert_false(counts6(.flags = SYN));
}

static void the_longest_lists_fit(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CONFIG_SUMMON_FROM_MAX; i++) {
        only_from("fd00:9::/127");
        prefixes[i].address.bytes[15] = (uint8_t)(2 * i);
    }
    for (unsigned i = 0; i < CONFIG_PORTS_MAX; i++)
        ports[i].machine = (uint16_t)(1000 + i);
    service.port_count = CONFIG_PORTS_MAX;
    assert_true(counts6(.client = "fd00:9::7f", .flags = SYN, .port = 1015));
    assert_true(counts6(.client = "fd00:9::", .flags = SYN, .port = 1000));
    assert_false(counts6(.client = "fd00:9::80", .flags = SYN, .port = 1000));
    assert_false(counts6(.client = "fd00:9::7f", .flags = SYN, .port = 1016));
}

#define test(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(packets_to_its_ports_count),
        test(nobody_else_s_packets_count),
        test(what_is_not_ip_does_not_count),
        test(frames_that_are_cut_off_do_not_count),
        test(answers_with_data_count),
        test(silence_on_a_connection_does_not_count_where_it_is_ignored),
        test(everything_but_pings_counts_where_there_are_no_ports),
        test(only_clients_of_summon_from_count),
        test(everybody_of_a_family_may_count),
        test(the_longest_lists_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
