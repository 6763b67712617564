#include "keeper/traffic_filter.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>

/* Places in an Ethernet frame. */
#define DESTINATION_MAC 0
#define SOURCE_MAC      6
#define ETHER_TYPE      12
#define IP              ETH_HLEN
#define IPV4_LENGTH     (IP + 2)
#define IPV4_FRAGMENT   (IP + 6)
#define IPV4_PROTOCOL   (IP + 9)
#define IPV4_SOURCE     (IP + 12)
#define IPV6_LENGTH     (IP + 4)
#define IPV6_PROTOCOL   (IP + 6)
#define IPV6_SOURCE     (IP + 8)
/* The same of what follows an IP header of no length. */
#define SOURCE_PORT      (IP + 0)
#define DESTINATION_PORT (IP + 2)
#define TCP_OFFSET       (IP + 12)
#define TCP_FLAGS        (IP + 13)

#define IPV4_OFFSET_MASK 0x1fff
#define IPV6_HEADER_SIZE 40
#define FIN              0x01
#define SYN              0x02
#define RST              0x04
#define ACK              0x10

/* The program's variables. */
enum variable {
    CLIENT, /* its address: four words of IPv6, one of IPv4 */
    FROM_MACHINE = CLIENT + 4,
    PORT_AT, /* the machine's port, with an IP header of no length */
    PROTOCOL,
    HEADER_SIZE, /* of the IP header */
    IP_SIZE,     /* of header and content */
};

struct program {
    struct sock_filter *code;
    unsigned short count;
};

/* --- instructions --- */

/* Returns where it stands. */
static unsigned short put(struct program *program, unsigned code, uint32_t operand)
{
    if (program->count == TRAFFIC_FILTER_MAX)
        abort(); /* the lists that it is made from are bounded */
    program->code[program->count] = (struct sock_filter){.code = (uint16_t)code, .k = operand};
    return program->count++;
}

/* The instruction there continues here, if its condition holds, or if it does not. */
static void land_if(const struct program *program, unsigned short at)
{
    program->code[at].jt = (uint8_t)(program->count - at - 1);
}

static void land_unless(const struct program *program, unsigned short at)
{
    program->code[at].jf = (uint8_t)(program->count - at - 1);
}

static void land(const struct program *program, unsigned short at)
{
    program->code[at].k = (uint32_t)(program->count - at - 1);
}

static unsigned short jump(struct program *program)
{
    return put(program, BPF_JMP | BPF_JA, 0);
}

static unsigned short test_equal(struct program *program, uint32_t value)
{
    return put(program, BPF_JMP | BPF_JEQ | BPF_K, value);
}

static unsigned short test_bits(struct program *program, uint32_t bits)
{
    return put(program, BPF_JMP | BPF_JSET | BPF_K, bits);
}

static void let_through(struct program *program)
{
    put(program, BPF_RET | BPF_K, TRAFFIC_FILTER_SEEN);
}

static void drop(struct program *program)
{
    put(program, BPF_RET | BPF_K, 0);
}

static void drop_if(struct program *program, unsigned short test)
{
    drop(program);
    land_unless(program, test);
}

static void drop_unless(struct program *program, unsigned short test)
{
    drop(program);
    land_if(program, test);
}

static void let_through_if(struct program *program, unsigned short test)
{
    let_through(program);
    land_unless(program, test);
}

/* `size`: BPF_B, BPF_H or BPF_W. */
static void load(struct program *program, unsigned size, uint32_t at)
{
    put(program, BPF_LD | size | BPF_ABS, at);
}

/* From `at` bytes beyond what the index register says. */
static void load_indexed(struct program *program, unsigned size, uint32_t at)
{
    put(program, BPF_LD | size | BPF_IND, at);
}

static void recall(struct program *program, unsigned variable)
{
    put(program, BPF_LD | BPF_MEM, variable);
}

static void recall_index(struct program *program, unsigned variable)
{
    put(program, BPF_LDX | BPF_MEM, variable);
}

static void store(struct program *program, unsigned variable)
{
    put(program, BPF_ST, variable);
}

static void set(struct program *program, unsigned variable, uint32_t value)
{
    put(program, BPF_LD | BPF_IMM, value);
    store(program, variable);
}

static void to_index(struct program *program)
{
    put(program, BPF_MISC | BPF_TAX, 0);
}

static void calculate(struct program *program, unsigned operation, uint32_t operand)
{
    put(program, BPF_ALU | operation | BPF_K, operand);
}

static void add_index(struct program *program)
{
    put(program, BPF_ALU | BPF_ADD | BPF_X, 0);
}

/* --- what is asked --- */

static void find_direction(struct program *program, const uint8_t mac[MAC_SIZE])
{
    uint32_t high =
        (uint32_t)mac[0] << 24 | (uint32_t)mac[1] << 16 | (uint32_t)mac[2] << 8 | mac[3];
    uint32_t low = (uint32_t)mac[4] << 8 | mac[5];

    load(program, BPF_W, DESTINATION_MAC);
    unsigned short high_test = test_equal(program, high);
    load(program, BPF_H, DESTINATION_MAC + 4);
    unsigned short low_test = test_equal(program, low);
    set(program, FROM_MACHINE, false);
    set(program, PORT_AT, DESTINATION_PORT);
    unsigned short to_machine = jump(program);

    land_unless(program, high_test);
    land_unless(program, low_test);
    load(program, BPF_B, DESTINATION_MAC);
    drop_if(program, test_bits(program, 1)); /* broadcast, multicast */
    load(program, BPF_W, SOURCE_MAC);
    drop_unless(program, test_equal(program, high));
    load(program, BPF_H, SOURCE_MAC + 4);
    drop_unless(program, test_equal(program, low));
    set(program, FROM_MACHINE, true);
    set(program, PORT_AT, SOURCE_PORT);
    land(program, to_machine);
}

/* The words of an address that begins at `source`, or behind that as the client's. */
static void find_client(struct program *program, uint32_t source, unsigned words)
{
    recall(program, FROM_MACHINE);
    calculate(program, BPF_MUL, 4 * words);
    to_index(program);
    for (unsigned i = 0; i < words; i++) {
        load_indexed(program, BPF_W, source + 4 * i);
        store(program, CLIENT + i);
    }
}

static uint32_t word_of(const struct prefix *prefix, unsigned number)
{
    const uint8_t *bytes = prefix->address.bytes + 4 * number;
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Returns the jump that is made if the client is in the prefix. */
static unsigned short compare(struct program *program, const struct prefix *prefix)
{
    unsigned short tests[4], count = 0;
    for (unsigned bits = prefix->length; bits > 0; count++) {
        unsigned part = bits < 32 ? bits : 32;
        recall(program, CLIENT + count);
        if (part < 32)
            calculate(program, BPF_AND, UINT32_MAX << (32 - part));
        tests[count] = test_equal(program, word_of(prefix, count));
        bits -= part;
    }
    unsigned short matched = jump(program);
    while (count > 0)
        land_unless(program, tests[--count]);
    return matched;
}

static void check_client(struct program *program, const struct config_service *service,
                         uint8_t family)
{
    unsigned short matched[CONFIG_SUMMON_FROM_MAX], count = 0;
    if (service->summon_from_count == 0)
        return;
    for (unsigned i = 0; i < service->summon_from_count; i++)
        if (service->summon_from[i].address.family == family)
            matched[count++] = compare(program, &service->summon_from[i]);
    drop(program);
    while (count > 0)
        land(program, matched[--count]);
}

static void read_ipv4(struct program *program, const struct config_service *service)
{
    find_client(program, IPV4_SOURCE, 1);
    check_client(program, service, AF_INET);
    load(program, BPF_H, IPV4_FRAGMENT);
    drop_if(program, test_bits(program, IPV4_OFFSET_MASK)); /* nothing tells its port */
    load(program, BPF_B, IPV4_PROTOCOL);
    store(program, PROTOCOL);
    load(program, BPF_H, IPV4_LENGTH);
    store(program, IP_SIZE);
    put(program, BPF_LDX | BPF_B | BPF_MSH, IP);
    put(program, BPF_STX, HEADER_SIZE);
}

static void read_ipv6(struct program *program, const struct config_service *service)
{
    find_client(program, IPV6_SOURCE, 4);
    check_client(program, service, AF_INET6);
    load(program, BPF_B, IPV6_PROTOCOL);
    store(program, PROTOCOL);
    load(program, BPF_H, IPV6_LENGTH);
    calculate(program, BPF_ADD, IPV6_HEADER_SIZE);
    store(program, IP_SIZE);
    set(program, HEADER_SIZE, IPV6_HEADER_SIZE);
}

static void read_ip(struct program *program, const struct config_service *service)
{
    load(program, BPF_H, ETHER_TYPE);
    unsigned short is_ipv4 = test_equal(program, ETH_P_IP);
    unsigned short otherwise = jump(program);
    land_if(program, is_ipv4);
    read_ipv4(program, service);
    unsigned short done = jump(program);
    land(program, otherwise);
    drop_unless(program, test_equal(program, ETH_P_IPV6));
    read_ipv6(program, service);
    land(program, done);
}

/* Neither TCP nor UDP: where there are no ports, what comes is use, whatever it is. */
static void decide_others(struct program *program, const struct config_service *service)
{
    if (service->port_count == 0) {
        drop_if(program, test_equal(program, IPPROTO_ICMP));
        drop_if(program, test_equal(program, IPPROTO_ICMPV6));
        drop_if(program, test_equal(program, IPPROTO_IGMP));
        recall(program, FROM_MACHINE);
        let_through_if(program, test_equal(program, false));
    }
    drop(program);
}

static void check_port(struct program *program, const struct config_service *service)
{
    unsigned short matched[CONFIG_PORTS_MAX];
    if (service->port_count == 0)
        return;
    recall(program, PORT_AT);
    recall_index(program, HEADER_SIZE);
    add_index(program);
    to_index(program);
    load_indexed(program, BPF_H, 0);
    for (unsigned i = 0; i < service->port_count; i++)
        matched[i] = test_equal(program, service->ports[i].machine);
    drop(program);
    for (unsigned i = 0; i < service->port_count; i++)
        land_if(program, matched[i]);
}

/* A segment has data if there is more of the packet than its headers. */
static void decide_by_data(struct program *program)
{
    load_indexed(program, BPF_B, TCP_OFFSET);
    calculate(program, BPF_AND, 0xf0);
    calculate(program, BPF_RSH, 2);
    add_index(program);
    to_index(program);
    recall(program, IP_SIZE);
    let_through_if(program, put(program, BPF_JMP | BPF_JGT | BPF_X, 0));
    drop(program);
}

static void decide_tcp(struct program *program, const struct config_service *service)
{
    recall_index(program, HEADER_SIZE);
    load_indexed(program, BPF_B, TCP_FLAGS);
    calculate(program, BPF_AND, FIN | SYN | RST | ACK);
    drop_if(program, test_bits(program, RST));
    drop_if(program, test_equal(program, SYN | ACK));
    if (service->idle_connections == CONFIG_CONNECTIONS_IGNORE) {
        let_through_if(program, test_equal(program, SYN));
    } else {
        unsigned short is_end = test_bits(program, FIN);
        recall(program, FROM_MACHINE);
        let_through_if(program, test_equal(program, false));
        land_if(program, is_end);
    }
    decide_by_data(program);
}

unsigned short traffic_filter_make(const struct config_service *service,
                                   const uint8_t mac[MAC_SIZE],
                                   struct sock_filter code[TRAFFIC_FILTER_MAX])
{
    struct program program = {.code = code};
    find_direction(&program, mac);
    read_ip(&program, service);
    recall(&program, PROTOCOL);
    unsigned short is_tcp = test_equal(&program, IPPROTO_TCP);
    unsigned short is_udp = test_equal(&program, IPPROTO_UDP);
    decide_others(&program, service);
    land_if(&program, is_tcp);
    land_if(&program, is_udp);
    check_port(&program, service);
    recall(&program, PROTOCOL);
    let_through_if(&program, test_equal(&program, IPPROTO_UDP));
    decide_tcp(&program, service);
    return program.count;
}
