/* The port of a bridge network by itself, told what to do by lines on its standard input: for tests
 * on real bridges with real machines. lab-port DEVICE HOLD READY, with HOLD and READY as numbers
 * of enum port_hold and enum port_ready. What the port reports is a line each. */
#include <err.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/conduit.h"
#include "hold/port.h"

#define STOP_DEADLINE 2000

static struct event_base *base;
static struct port *port;
static struct port_service *service;

static void wanted(void *owner, const struct endpoint *client, uint16_t to, uint64_t moment)
{
    char text[ENDPOINT_TEXT_SIZE];
    (void)owner;
    (void)moment;
    printf("wanted %s %u\n", endpoint_format(client, text), to);
}

static void ready(void *owner, uint64_t moment)
{
    (void)owner;
    (void)moment;
    printf("ready\n");
}

static void stopped(void *owner, uint32_t cut, uint64_t moment)
{
    (void)owner;
    (void)moment;
    printf("stopped %u\n", cut);
}

static void open_conduit(const char *digits)
{
    uint8_t token[CONDUIT_TOKEN_SIZE];
    if (!conduit_token_parse(token, digits, strlen(digits)))
        errx(1, "no token: %s", digits);
    port_service_conduit(service, token);
}

static void print_statistics(void)
{
    struct port_statistics statistics;
    port_statistics(port, &statistics);
    printf("statistics %zu %zu %llu %llu\n", statistics.frames, statistics.connections,
           (unsigned long long)statistics.handed_over, (unsigned long long)statistics.dropped);
}

static void obey(const char *line)
{
    static const struct {
        const char *word;
        void (*function)(struct port_service *service);
    } words[] = {
        {"starting", port_service_starting},   {"ready", port_service_ready},
        {"attract", port_service_attract},     {"gone", port_service_gone},
        {"suspended", port_service_suspended}, {"fail", port_service_fail},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(line, words[i].word) == 0) {
            words[i].function(service);
            return;
        }
    if (strncmp(line, "conduit ", 8) == 0)
        open_conduit(line + 8);
    else if (strcmp(line, "stop") == 0)
        port_service_stop(service, STOP_DEADLINE);
    else if (strcmp(line, "statistics") == 0)
        print_statistics();
    else
        errx(1, "unknown: %s", line);
}

static void readable(evutil_socket_t descriptor, short what, void *argument)
{
    char lines[512];
    ssize_t length = read(descriptor, lines, sizeof lines - 1);
    (void)what;
    (void)argument;
    if (length <= 0) {
        event_base_loopbreak(base);
        return;
    }
    lines[length] = '\0';
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"))
        obey(line);
}

static int open_device(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (descriptor == -1 || ioctl(descriptor, TUNSETIFF, &request) != 0)
        err(1, "%s", name);
    return descriptor;
}

/* As tests/lab/ethernet.py has them. */
static void make_service(enum port_hold hold, enum port_ready kind)
{
    static const uint16_t ports[] = {80};
    struct address addresses[2];
    struct port_machine machine = {.mac = {0x52, 0x54, 0x00, 0x0a, 0x0b, 0x0c},
                                   .addresses = addresses,
                                   .address_count = 2,
                                   .ports = ports,
                                   .port_count = 1,
                                   .ready = (uint8_t)kind,
                                   .hold = (uint8_t)hold,
                                   .ready_port = 80};
    struct error error;
    address_parse("10.9.0.2", &addresses[0]);
    address_parse("fd09::2", &addresses[1]);
    service = port_service_new(port, NULL, &machine, &error);
    if (!service)
        errx(1, "%s", error.text);
}

int main(int argument_count, char **arguments)
{
    static const struct port_callbacks callbacks = {wanted, ready, stopped};
    static const struct port_limits limits = {.bytes = 64 << 20,
                                              .bytes_per_service = 64 << 20,
                                              .frames_per_service = 1000,
                                              .connections_per_service = 2048,
                                              .half_open_per_service = 256,
                                              .half_open = 256};
    static const struct port_identity identity = {{0x52, 0x54, 0x00, 0x70, 0x6f, 0x72},
                                                  {AF_INET, {10, 9, 0, 254}}};
    if (argument_count != 4)
        errx(2, "usage: %s DEVICE HOLD READY", arguments[0]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    base = event_base_new();
    struct port_memory *memory = port_memory_new(&limits);
    port = memory ? port_new(base, open_device(arguments[1]), &identity, &callbacks, memory) : NULL;
    if (!port)
        errx(1, "no memory");
    make_service((enum port_hold)atoi(arguments[2]), (enum port_ready)atoi(arguments[3]));
    struct event *input = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, readable, NULL);
    event_add(input, NULL);
    printf("open\n");
    event_base_dispatch(base);
    event_free(input);
    port_service_free(service);
    port_free(port);
    port_memory_free(memory);
    event_base_free(base);
    return 0;
}
