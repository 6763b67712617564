#include "port_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

const struct mac world_port_mac = {{0x02, 0, 0, 0, 0, 0x01}};
const struct mac world_machine_mac = {{0x02, 0, 0, 0, 0, 0x10}};
const struct mac world_client_mac = {{0x02, 0, 0, 0, 0, 0xcc}};
const struct address world_machine4 = {AF_INET, {10, 0, 0, 10}};
const struct address world_client4 = {AF_INET, {10, 0, 0, 99}};
const struct address world_port4 = {AF_INET, {10, 0, 0, 254}};
const struct address world_nobody4 = {.family = AF_INET};
const struct address world_machine6 = {AF_INET6, {0xfd, [15] = 0x10}};
const struct address world_client6 = {AF_INET6, {0xfd, [15] = 0x99}};
const struct address world_nobody6 = {.family = AF_INET6};
const struct way world_to_machine4 = {{{0x02, 0, 0, 0, 0, 0xcc}},
                                      {{0x02, 0, 0, 0, 0, 0x10}},
                                      {AF_INET, {10, 0, 0, 99}},
                                      {AF_INET, {10, 0, 0, 10}}};
const struct way world_to_machine6 = {{{0x02, 0, 0, 0, 0, 0xcc}},
                                      {{0x02, 0, 0, 0, 0, 0x10}},
                                      {AF_INET6, {0xfd, [15] = 0x99}},
                                      {AF_INET6, {0xfd, [15] = 0x10}}};

/* --- life --- */

static uint64_t world_time;

static uint64_t clock_of_world(void)
{
    return world_time;
}

static void wanted(void *owner, const struct endpoint *client, uint16_t port, uint64_t moment)
{
    struct world *world = owner;
    assert_true(moment <= world_time);
    world->wanted++;
    world->wanted_by = *client;
    world->wanted_port = port;
    if (world->on_wanted)
        world->on_wanted(world);
}

static void ready(void *owner, uint64_t moment)
{
    struct world *world = owner;
    assert_int_equal(moment, world_time);
    world->readies++;
    if (world->on_ready)
        world->on_ready(world);
}

static void stopped(void *owner, uint32_t cut, uint64_t moment)
{
    struct world *world = owner;
    (void)cut;
    assert_int_equal(moment, world_time);
    world->stops++;
}

struct port_machine world_machine(enum port_ready kind)
{
    static const struct address addresses[] = {{AF_INET, {10, 0, 0, 10}},
                                               {AF_INET6, {0xfd, [15] = 0x10}}};
    static const uint16_t ports[] = {80};
    struct port_machine machine = {.addresses = addresses,
                                   .address_count = 2,
                                   .ports = ports,
                                   .port_count = 1,
                                   .ready = (uint8_t)kind,
                                   .ready_port = 80};
    memcpy(machine.mac, world_machine_mac.bytes, sizeof machine.mac);
    return machine;
}

void world_replace(struct world *world, const struct port_machine *machine)
{
    struct error error;
    port_service_free(world->service);
    world->service = port_service_new(world->port, world, machine, &error);
    if (!world->service)
        fail_msg("%s", error.text);
}

void world_service(struct world *world, enum port_ready kind)
{
    struct port_machine machine = world_machine(kind);
    world_replace(world, &machine);
}

void world_limit(struct world *world, const struct port_limits *limits)
{
    port_memory_limit(world->port->memory, limits);
}

int world_setup(void **state)
{
    static const struct port_callbacks callbacks = {
        .wanted = wanted, .ready = ready, .stopped = stopped};
    static const struct port_limits limits = WORLD_LIMITS;
    struct port_identity identity = {.address = world_port4};
    struct world *world = calloc(1, sizeof *world);
    int ends[2];

    assert_non_null(world);
    world_time = 1000 * SECOND;
    memcpy(identity.mac, world_port_mac.bytes, sizeof identity.mac);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
                     0);
    world->bridge = ends[1];
    world->base = event_base_new();
    world->memory = port_memory_new(&limits);
    assert_non_null(world->memory);
    world->port = port_new(world->base, ends[0], &identity, &callbacks, world->memory);
    assert_non_null(world->port);
    world->port->clock = clock_of_world;
    world_service(world, PORT_READY_TOLD);
    *state = world;
    return 0;
}

int world_teardown(void **state)
{
    struct world *world = *state;
    world_silence(world);
    port_service_free(world->service);
    struct port_statistics left = world_statistics(world);
    size_t in_use = world->memory->bytes + world->memory->connection_bytes;
    port_free(world->port);
    port_memory_free(world->memory);
    conduit_link_end(&world->link);
    event_base_free(world->base);
    close(world->bridge);
    free(world);
    assert_int_equal(left.frames, 0);
    assert_int_equal(left.bytes, 0);
    assert_int_equal(in_use, 0);
    return 0;
}

void world_pass(struct world *world, uint64_t time)
{
    world_time += time;
    port_run(world->port);
}

struct port_statistics world_statistics(const struct world *world)
{
    struct port_statistics statistics;
    port_statistics(world->port, &statistics);
    return statistics;
}

/* --- to the port --- */

void world_give(struct world *world, const void *frame, size_t length)
{
    /* Exactly as long, so that a read past its end is noticed. */
    uint8_t *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, frame, length);
    port_receive(world->port, copy, length);
    free(copy);
}

static struct writer begin(uint8_t *frame, struct mac to, struct mac from, uint16_t type)
{
    struct writer writer = writer_over(frame, ETHERNET_FRAME_MAX);
    struct ethernet_header header = {to, from, type};
    ethernet_write(&writer, &header);
    return writer;
}

static struct writer begin_ip(uint8_t *frame, const struct way *way)
{
    return begin(frame, way->to_mac, way->from_mac,
                 way->from.family == AF_INET ? ETHERNET_IPV4 : ETHERNET_IPV6);
}

static struct ip_packet header_of(const struct way *way, uint8_t protocol)
{
    return (struct ip_packet){
        .source = way->from, .destination = way->to, .protocol = protocol, .hop_limit = 64};
}

static size_t end(const struct writer *writer)
{
    assert_false(writer->failed);
    return writer->position;
}

size_t frame_arp(uint8_t *frame, struct mac destination, const struct arp *arp)
{
    struct writer writer = begin(frame, destination, arp->sender_mac, ETHERNET_ARP);
    arp_write(&writer, arp);
    return end(&writer);
}

size_t frame_neighbour(uint8_t *frame, const struct way *way, const struct neighbour *neighbour)
{
    struct writer writer = begin_ip(frame, way);
    struct ip_packet header = header_of(way, IP_PROTOCOL_ICMPV6);
    neighbour_write(&writer, neighbour, &header);
    return end(&writer);
}

size_t frame_tcp(uint8_t *frame, const struct way *way, const struct tcp_segment *segment)
{
    struct writer writer = begin_ip(frame, way);
    struct ip_packet header = header_of(way, IP_PROTOCOL_TCP);
    tcp_write(&writer, segment, &header);
    return end(&writer);
}

size_t frame_ip(uint8_t *frame, const struct way *way, uint8_t protocol, const void *payload,
                size_t length)
{
    struct writer writer = begin_ip(frame, way);
    struct ip_packet header = header_of(way, protocol);
    ip_write(&writer, &header, length);
    writer_bytes(&writer, payload, length);
    return end(&writer);
}

size_t frame_udp(uint8_t *frame, const struct way *way, uint16_t port, const char *data)
{
    uint8_t datagram[ETHERNET_PAYLOAD_MAX];
    struct writer writer = writer_over(datagram, sizeof datagram);
    writer_u16(&writer, 5353);
    writer_u16(&writer, port);
    writer_u16(&writer, (uint16_t)(8 + strlen(data)));
    writer_u16(&writer, 0);
    writer_bytes(&writer, data, strlen(data));
    return frame_ip(frame, way, IP_PROTOCOL_UDP, datagram, end(&writer));
}

void client_asks4(struct world *world)
{
    struct arp arp = {.operation = ARP_REQUEST,
                      .sender_mac = world_client_mac,
                      .sender = world_client4,
                      .target = world_machine4};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_arp(frame, MAC_BROADCAST, &arp));
}

void client_asks6(struct world *world)
{
    struct address group = neighbour_group(&world_machine6);
    struct way way = {world_client_mac, neighbour_group_mac(&group), world_client6, group};
    struct neighbour neighbour = {.type = NEIGHBOUR_SOLICITATION,
                                  .target = world_machine6,
                                  .has_mac = true,
                                  .mac = world_client_mac};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_neighbour(frame, &way, &neighbour));
}

void client_segment(struct world *world, const struct way *way, const struct tcp_segment *segment)
{
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_tcp(frame, way, segment));
}

void client_opens(struct world *world, uint16_t client_port, uint16_t port, uint32_t sequence)
{
    struct tcp_segment segment = {.source_port = client_port,
                                  .destination_port = port,
                                  .sequence = sequence,
                                  .flags = TCP_SYN,
                                  .window = 64240,
                                  .segment_max = 1460,
                                  .has_scale = true,
                                  .scale = 7,
                                  .permits_sack = true};
    client_segment(world, &world_to_machine4, &segment);
}

void client_sends(struct world *world, uint16_t client_port, uint16_t port, uint8_t flags)
{
    struct tcp_segment segment = {.source_port = client_port,
                                  .destination_port = port,
                                  .sequence = 1000,
                                  .acknowledgement = 2000,
                                  .flags = flags,
                                  .window = 500,
                                  .data = (const uint8_t *)"data",
                                  .data_length = 4};
    client_segment(world, &world_to_machine4, &segment);
}

void client_datagram(struct world *world, uint16_t port, const char *data)
{
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_udp(frame, &world_to_machine4, port, data));
}

void machine_announces(struct world *world)
{
    struct arp arp = {.operation = ARP_REQUEST,
                      .sender_mac = world_machine_mac,
                      .sender = world_machine4,
                      .target = world_machine4};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_arp(frame, MAC_BROADCAST, &arp));
}

void machine_answers(struct world *world)
{
    struct arp arp = {.operation = ARP_REPLY,
                      .sender_mac = world_machine_mac,
                      .sender = world_machine4,
                      .target_mac = world_port_mac,
                      .target = world_port4};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_arp(frame, world_port_mac, &arp));
}

static void machine_replies(struct world *world, const struct packet *attempt, uint8_t flags)
{
    struct way way = {attempt->ethernet.destination, attempt->ethernet.source,
                      attempt->ip.destination, attempt->ip.source};
    struct tcp_segment segment = {.source_port = attempt->tcp.destination_port,
                                  .destination_port = attempt->tcp.source_port,
                                  .acknowledgement = attempt->tcp.sequence + 1,
                                  .flags = flags};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_tcp(frame, &way, &segment));
}

void machine_accepts(struct world *world, const struct packet *attempt)
{
    machine_replies(world, attempt, TCP_SYN | TCP_ACK);
}

void machine_refuses(struct world *world, const struct packet *attempt)
{
    machine_replies(world, attempt, TCP_RST | TCP_ACK);
}

/* --- the machine's end of the conduit --- */

static void expect_way(const struct packet *packet, struct mac from, struct mac to)
{
    assert_memory_equal(packet->ethernet.source.bytes, from.bytes, sizeof from.bytes);
    assert_memory_equal(packet->ethernet.destination.bytes, to.bytes, sizeof to.bytes);
}

static void transmit(void *owner, const uint8_t *payload, size_t length)
{
    uint8_t frame[ETHERNET_FRAME_MAX];
    struct writer writer = begin(frame, world_port_mac, world_machine_mac, CONDUIT_ETHERTYPE);
    writer_bytes(&writer, payload, length);
    world_give(owner, frame, end(&writer));
}

void machine_connects(struct world *world)
{
    static const uint8_t token[CONDUIT_TOKEN_SIZE] = "0123456789abcde";
    conduit_link_end(&world->link);
    conduit_link_start(&world->link, token, 1, transmit, world);
    port_service_conduit(world->service, token);
}

void machine_says(struct world *world, enum conduit_type type, const void *body, size_t length)
{
    conduit_link_send(&world->link, (uint8_t)type, body, length, world_time);
}

void machine_hello(struct world *world)
{
    static uint8_t body[CONDUIT_SMALL_BODY_MAX];
    const struct conduit_hello hello = {CONDUIT_CAN_TAKE | CONDUIT_CAN_STOP | CONDUIT_CAN_LOAD};
    machine_says(world, CONDUIT_HELLO, body, conduit_write_hello(&hello, body, sizeof body));
}

void machine_hears(struct world *world, enum conduit_type type)
{
    for (;;) {
        const struct packet *packet = world_next(world);
        assert_int_equal(packet->kind, PACKET_CONDUIT);
        if (mac_equal(packet->ethernet.source, world_machine_mac))
            fail_msg("the port has drawn the machine's frames");
        expect_way(packet, world_port_mac, world_machine_mac);
        if (conduit_link_receive(&world->link, packet->conduit.payload, packet->conduit.length,
                                 &world->conduit_message)) {
            conduit_link_accept(&world->link);
            assert_int_equal(world->conduit_message.type, type);
            if (type != CONDUIT_TAKE) /* which TAKEN acknowledges */
                conduit_link_flush(&world->link);
            return;
        }
        if (type == CONDUIT_ACKNOWLEDGEMENT)
            return;
    }
}

struct conduit_take machine_is_offered(struct world *world)
{
    struct conduit_take take;
    machine_hears(world, CONDUIT_TAKE);
    assert_true(
        conduit_read_take(&take, world->conduit_message.body, world->conduit_message.length));
    return take;
}

void machine_takes(struct world *world, uint32_t id, enum conduit_outcome outcome)
{
    static uint8_t body[CONDUIT_SMALL_BODY_MAX];
    const struct conduit_taken taken = {id, (uint8_t)outcome};
    machine_says(world, CONDUIT_TAKEN, body, conduit_write_taken(&taken, body, sizeof body));
}

/* --- from the port --- */

const struct packet *world_next(struct world *world)
{
    ssize_t length = recv(world->bridge, world->frame, sizeof world->frame, 0);
    if (length < 0)
        fail_msg("a frame from the port is missing");
    if (!packet_read(&world->packet, world->frame, (size_t)length))
        fail_msg("a frame from the port is malformed");
    return &world->packet;
}

void world_silence(struct world *world)
{
    ssize_t length = recv(world->bridge, world->frame, sizeof world->frame, 0);
    if (length < 0) {
        assert_int_equal(errno, EAGAIN);
        return;
    }
    packet_read(&world->packet, world->frame, (size_t)length);
    fail_msg("a frame too many from the port: type 0x%04x, kind %d, %zd bytes",
             world->packet.ethernet.type, world->packet.kind, length);
}

void expect_arp_answer(struct world *world, struct mac mac, const struct address *address)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_ARP);
    expect_way(packet, mac, world_client_mac);
    assert_int_equal(packet->arp.operation, ARP_REPLY);
    assert_true(mac_equal(packet->arp.sender_mac, mac));
    assert_true(address_equal(&packet->arp.sender, address));
    assert_true(mac_equal(packet->arp.target_mac, world_client_mac));
    assert_true(address_equal(&packet->arp.target, &world_client4));
}

void expect_announcement(struct world *world)
{
    const struct packet *packet = world_next(world);
    struct address all = neighbour_all_nodes();
    assert_int_equal(packet->kind, PACKET_ARP);
    expect_way(packet, world_machine_mac, MAC_BROADCAST);
    assert_true(mac_equal(packet->arp.sender_mac, world_machine_mac));
    assert_true(address_equal(&packet->arp.sender, &world_machine4));
    assert_true(address_equal(&packet->arp.target, &world_machine4));

    packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_NEIGHBOUR);
    expect_way(packet, world_machine_mac, neighbour_group_mac(&all));
    assert_int_equal(packet->neighbour.type, NEIGHBOUR_ADVERTISEMENT);
    assert_int_equal(packet->neighbour.flags, NEIGHBOUR_OVERRIDE);
    assert_true(address_equal(&packet->neighbour.target, &world_machine6));
    assert_true(packet->neighbour.has_mac);
    assert_true(mac_equal(packet->neighbour.mac, world_machine_mac));
}

void expect_draw(struct world *world)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_CONDUIT);
    expect_way(packet, world_machine_mac, world_port_mac);
}

void expect_question(struct world *world)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_ARP);
    expect_way(packet, world_port_mac, MAC_BROADCAST);
    assert_int_equal(packet->arp.operation, ARP_REQUEST);
    assert_true(address_equal(&packet->arp.target, &world_machine4));
    assert_true(address_equal(&packet->arp.sender, &world_port4));
}

const struct packet *expect_attempt(struct world *world)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_TCP);
    expect_way(packet, world_port_mac, world_machine_mac);
    assert_true(tcp_checksum_is_right(&packet->ip));
    assert_true(address_equal(&packet->ip.source, &world_port4));
    assert_int_equal(packet->tcp.flags, TCP_SYN);
    assert_int_equal(packet->tcp.destination_port, 80);
    return packet;
}

void expect_opening(struct world *world, uint16_t client_port)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_TCP);
    expect_way(packet, world_port_mac, world_machine_mac);
    assert_true(tcp_checksum_is_right(&packet->ip));
    assert_true(address_equal(&packet->ip.source, &world_client4));
    assert_int_equal(packet->tcp.flags, TCP_SYN);
    assert_int_equal(packet->tcp.source_port, client_port);
}

void expect_reset(struct world *world, uint16_t client_port)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_TCP);
    expect_way(packet, world_machine_mac, world_client_mac);
    assert_true(tcp_checksum_is_right(&packet->ip));
    assert_true(packet->tcp.flags & TCP_RST);
    assert_int_equal(packet->tcp.destination_port, client_port);
    assert_true(address_equal(&packet->ip.source, &world_machine4));
    assert_true(address_equal(&packet->ip.destination, &world_client4));
}
