/* The port of a bridge network: frames of any kind from the bridge, to machines in any state. What
 * is sent must be well-formed, and what is held within its limits. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "hold/port_private.h"

#define LIMIT_FRAMES 8u
#define LIMIT_BYTES  4096u
#define STEP         UINT64_C(3000000)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static uint64_t now;

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
}

static struct port *new_port(struct event_base *base, int ends[2])
{
    static const struct port_callbacks callbacks = {.wanted = wanted, .ready = ready};
    static const struct port_limits limits = {LIMIT_FRAMES, LIMIT_FRAMES, LIMIT_BYTES};
    static const struct port_identity identity = {{2, 0, 0, 0, 0, 1}, {AF_INET, {10, 0, 0, 254}}};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) != 0)
        abort();
    struct port *port = port_new(base, ends[0], &identity, &callbacks, &limits);
    if (!port)
        abort();
    port->clock = clock_of_test;
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
    default:
        break;
    }
}

/* The input is a row of frames, each after two bytes with its length; the first byte's upper bits
 * say what the owner says before. */
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
    struct event_base *base = event_base_new();
    int ends[2];
    struct port *port = new_port(base, ends);
    struct port_service *service = port_service_new(port, &service, &machine, NULL);

    now = UINT64_C(1000000000);
    while (length >= 2) {
        size_t size = (size_t)(bytes[0] & 7) << 8 | bytes[1];
        say(service, bytes[0] >> 3 & 15);
        bytes += 2;
        length -= 2;
        if (size > length)
            size = length;
        uint8_t *frame = malloc(size ? size : 1);
        if (!frame)
            abort();
        memcpy(frame, bytes, size);
        port_receive(port, frame, size);
        free(frame);
        bytes += size;
        length -= size;
        now += STEP;
        port_run(port);
        check_sent(ends[1]);
        if (port->statistics.frames > LIMIT_FRAMES || port->statistics.bytes > LIMIT_BYTES)
            abort();
    }
    port_service_free(service);
    if (port->statistics.frames != 0 || port->statistics.bytes != 0)
        abort();
    port_free(port);
    event_base_free(base);
    close(ends[1]);
    return 0;
}
