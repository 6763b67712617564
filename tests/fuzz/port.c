/* The port of a bridge network: frames of any kind from the bridge, to machines in any state. What
 * is sent must be well-formed, and what is held within its limits. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "hold/checksum.h"
#include "hold/port_private.h"

#define LIMIT_FRAMES      8u
#define LIMIT_BYTES       8192u
#define LIMIT_CONNECTIONS 4u
#define LIMIT_HALF_OPEN   2u
#define STEP              UINT64_C(3000000)

#define TOKEN_AT           (ETHERNET_HEADER_SIZE + 16u)
#define IPV4_TCP_AT        (ETHERNET_HEADER_SIZE + 20u)
#define ACKNOWLEDGEMENT_AT (IPV4_TCP_AT + 8u)
#define CHECKSUM_AT        (IPV4_TCP_AT + 16u)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static const uint8_t token[CONDUIT_TOKEN_SIZE] = "0123456789abcde";
static uint64_t now;
static uint32_t offered; /* the last SYN-ACK's number */

static uint64_t clock_of_test(void)
{
    return now;
}

static void wanted(void *owner, const struct endpoint *client, uint16_t port, uint64_t moment)
{
    struct port_service **service = owner;
    (void)client;
    (void)moment;
    if (port & 1)
        port_service_refuse(*service, true);
}

static void ready(void *owner, uint64_t moment)
{
    (void)owner;
    (void)moment;
}

static void check_sent(int bridge)
{
    uint8_t frame[PORT_FRAME_MAX];
    struct packet packet;
    ssize_t length;
    while ((length = recv(bridge, frame, sizeof frame, 0)) > 0)
        if (!packet_read(&packet, frame, (size_t)length))
            abort();
        else if (packet.kind == PACKET_TCP && packet.tcp.flags == (TCP_SYN | TCP_ACK))
            offered = packet.tcp.sequence;
}

/* What nobody could know who does not talk with the port: the token, and numbers of its own. */
static void complete(uint8_t *frame, size_t length)
{
    struct packet packet;
    if (length >= TOKEN_AT + sizeof token && frame[12] == 0x88 && frame[13] == 0xb5)
        memcpy(frame + TOKEN_AT, token, sizeof token);
    if (!packet_read(&packet, frame, length) || packet.kind != PACKET_TCP ||
        packet.ip.source.family != AF_INET || packet.ip.payload != frame + IPV4_TCP_AT)
        return;
    struct writer writer = writer_over(frame + ACKNOWLEDGEMENT_AT, 4);
    writer_u32(&writer, offered + 1);
    memset(frame + CHECKSUM_AT, 0, 2);
    uint64_t sum = ip_pseudo_header(&packet.ip, packet.ip.payload_length);
    writer = writer_over(frame + CHECKSUM_AT, 2);
    writer_u16(&writer,
               checksum_finish(checksum_add(sum, packet.ip.payload, packet.ip.payload_length)));
}

static struct port *new_port(struct event_base *base, int ends[2])
{
    static const struct port_callbacks callbacks = {.wanted = wanted, .ready = ready};
    static const struct port_limits limits = {.bytes = LIMIT_BYTES,
                                              .bytes_per_service = LIMIT_BYTES,
                                              .frames_per_service = LIMIT_FRAMES,
                                              .connections_per_service = LIMIT_CONNECTIONS,
                                              .half_open_per_service = LIMIT_HALF_OPEN,
                                              .half_open = LIMIT_HALF_OPEN};
    static const struct port_identity identity = {{2, 0, 0, 0, 0, 1}, {AF_INET, {10, 0, 0, 254}}};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) != 0)
        abort();
    struct port_memory *memory = port_memory_new(&limits);
    struct port *port = memory ? port_new(base, ends[0], &identity, &callbacks, memory) : NULL;
    if (!port)
        abort();
    port->clock = clock_of_test;
    port->key = (struct siphash_key){{1, 2}};
    return port;
}

static void say(struct port_service *service, unsigned what)
{
    switch (what) {
    case 0:
        port_service_starting(service);
        break;
    case 1:
        port_service_ready(service);
        break;
    case 2:
        port_service_attract(service);
        break;
    case 3:
        port_service_gone(service);
        break;
    case 4:
        port_service_suspended(service);
        break;
    case 5:
        port_service_fail(service);
        break;
    case 6:
        port_service_refuse(service, false);
        break;
    case 7:
        port_service_conduit(service, token);
        port_service_starting(service);
        break;
    case 8:
        port_service_stop(service, 1000);
        break;
    default:
        break;
    }
}

static void check_limits(const struct port *port)
{
    const struct port_statistics *statistics = &port->statistics;
    const struct port_memory *memory = port->memory;
    if (statistics->frames > LIMIT_FRAMES || statistics->bytes > LIMIT_BYTES ||
        statistics->bytes != memory->bytes || memory->connection_bytes > memory->bytes ||
        statistics->half_open != memory->half_open || statistics->connections > LIMIT_CONNECTIONS ||
        statistics->half_open > LIMIT_HALF_OPEN)
        abort();
}

/* The input is a byte about the machine, and a row of frames, each after two bytes with its length;
 * the first byte's upper bits say what the owner says before, and whether the frame is completed.
 */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const struct address addresses[] = {{AF_INET, {10, 0, 0, 10}},
                                               {AF_INET6, {0xfd, [15] = 0x10}}};
    static const uint16_t ports[] = {80, 81};
    struct port_machine machine = {.mac = {2, 0, 0, 0, 0, 0x10},
                                   .addresses = addresses,
                                   .address_count = 2,
                                   .ports = ports,
                                   .port_count = 2,
                                   .ready = PORT_READY_TCP,
                                   .ready_port = 80};
    if (length > 0) {
        machine.ready = bytes[0] & 3;
        machine.hold = bytes[0] >> 2 & 1;
        bytes++;
        length--;
    }
    struct event_base *base = event_base_new();
    int ends[2];
    struct port *port = new_port(base, ends);
    struct port_service *service = port_service_new(port, &service, &machine, NULL);

    now = UINT64_C(1000000000);
    while (length >= 2) {
        size_t size = (size_t)(bytes[0] & 7) << 8 | bytes[1];
        bool is_completed = bytes[0] >> 7;
        say(service, bytes[0] >> 3 & 15);
        bytes += 2;
        length -= 2;
        if (size > length)
            size = length;
        uint8_t *frame = malloc(size ? size : 1);
        if (!frame)
            abort();
        memcpy(frame, bytes, size);
        if (is_completed)
            complete(frame, size);
        port_receive(port, frame, size);
        free(frame);
        bytes += size;
        length -= size;
        now += STEP;
        port_run(port);
        check_sent(ends[1]);
        check_limits(port);
    }
    port_service_free(service);
    if (port->statistics.frames != 0 || port->statistics.bytes != 0 ||
        port->statistics.connections != 0)
        abort();
    struct port_memory *memory = port->memory;
    port_free(port);
    port_memory_free(memory);
    event_base_free(base);
    close(ends[1]);
    return 0;
}
