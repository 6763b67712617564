#include "keeper/traffic.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "keeper/traffic_filter.h"

/* What may wait to be read, while an answer is waited for; more is only counted. */
#define QUEUE_SIZE (16 * 1024)

#define FRAMES_PER_TURN      64
#define FRAMES_BEFORE_ANSWER 1024

struct machine_traffic {
    struct machine_traffic *next_unused;
    struct traffic *traffic;
    int socket;
    struct event *readable;
    unsigned seen; /* frames, since an answer is waited for */
    traffic_answered_function *answered;
    void *argument;
};

/* Closing such a socket takes the kernel many milliseconds, until no processor can be using it any
 * more; binding one to another device after its own has vanished takes none. So they are kept. */
struct traffic {
    struct event_base *base;
    struct machine_traffic *unused;
};

/* --- life --- */

struct traffic *traffic_new(struct event_base *base)
{
    struct traffic *traffic = calloc(1, sizeof *traffic);
    if (traffic)
        traffic->base = base;
    return traffic;
}

static void destroy(struct machine_traffic *machine)
{
    if (machine->readable)
        event_free(machine->readable);
    if (machine->socket != -1)
        close(machine->socket);
    free(machine);
}

void traffic_free(struct traffic *traffic)
{
    if (!traffic)
        return;
    while (traffic->unused) {
        struct machine_traffic *machine = traffic->unused;
        traffic->unused = machine->next_unused;
        destroy(machine);
    }
    free(traffic);
}

/* --- waiting for an answer --- */

static void readable(evutil_socket_t socket, short events, void *argument)
{
    (void)events;
    struct machine_traffic *machine = argument;
    struct sockaddr_ll end;
    uint8_t seen[TRAFFIC_FILTER_SEEN];

    for (unsigned i = 0; i < FRAMES_PER_TURN; i++) {
        socklen_t size = sizeof end;
        if (recvfrom(socket, seen, sizeof seen, MSG_DONTWAIT, (struct sockaddr *)&end, &size) == -1)
            return; /* or the device went down, which is told once */
        bool is_answer = end.sll_pkttype != PACKET_OUTGOING;
        if (is_answer || ++machine->seen == FRAMES_BEFORE_ANSWER)
            event_del(machine->readable);
        if (is_answer)
            machine->answered(machine->argument, clock_now());
        if (!event_pending(machine->readable, EV_READ, NULL))
            return;
    }
}

static void drain(int socket)
{
    uint8_t seen[TRAFFIC_FILTER_SEEN];
    while (recv(socket, seen, sizeof seen, MSG_DONTWAIT) != -1 || errno == ENETDOWN /* once */)
        ;
}

void traffic_await_answer(struct machine_traffic *machine)
{
    drain(machine->socket);
    machine->seen = 0;
    event_add(machine->readable, NULL);
}

/* --- counting --- */

/* One that hears nothing yet. */
static struct machine_traffic *make(struct traffic *traffic, struct error *error)
{
    const int queue_size = QUEUE_SIZE;
    struct machine_traffic *machine = calloc(1, sizeof *machine);
    if (!machine) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    machine->traffic = traffic;
    machine->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (machine->socket == -1) {
        error_set_errno(error, "cannot open a packet socket (CAP_NET_RAW)");
        destroy(machine);
        return NULL;
    }
    setsockopt(machine->socket, SOL_SOCKET, SO_RCVBUF, &queue_size, sizeof queue_size);
    machine->readable =
        event_new(traffic->base, machine->socket, EV_READ | EV_PERSIST, readable, machine);
    if (!machine->readable) {
        error_set(error, "memory is exhausted");
        destroy(machine);
        return NULL;
    }
    return machine;
}

static struct machine_traffic *take(struct traffic *traffic, struct error *error)
{
    struct machine_traffic *machine = traffic->unused;
    if (!machine)
        return make(traffic, error);
    traffic->unused = machine->next_unused;
    return machine;
}

static void put_back(struct machine_traffic *machine)
{
    machine->next_unused = machine->traffic->unused;
    machine->traffic->unused = machine;
}

static int attach(const struct machine_traffic *machine, struct sock_filter *code,
                  unsigned short length, struct error *error)
{
    const struct sock_fprog program = {.len = length, .filter = code};
    if (setsockopt(machine->socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        return error_set_errno(error, "cannot set a filter of packets");
    return 0;
}

static int listen_at(const struct machine_traffic *machine, const char *device, struct error *error)
{
    const struct sockaddr_ll end = {.sll_family = AF_PACKET,
                                    .sll_protocol = htons(ETH_P_ALL),
                                    .sll_ifindex = (int)if_nametoindex(device)};
    if (end.sll_ifindex == 0 ||
        bind(machine->socket, (const struct sockaddr *)&end, sizeof end) != 0)
        return error_set_errno(error, "cannot count the packets at network device %s", device);
    return 0;
}

struct machine_traffic *traffic_begin(struct traffic *traffic, const struct config_service *service,
                                      const char *device, const uint8_t mac[MAC_SIZE],
                                      traffic_answered_function *answered, void *argument,
                                      struct error *error)
{
    struct sock_filter code[TRAFFIC_FILTER_MAX];
    struct machine_traffic *machine = take(traffic, error);
    if (!machine)
        return NULL;
    machine->answered = answered;
    machine->argument = argument;
    drain(machine->socket);
    traffic_was_used(machine);
    /* The filter first: nothing else is ever let through. */
    if (attach(machine, code, traffic_filter_make(service, mac, code), error) != 0 ||
        listen_at(machine, device, error) != 0) {
        put_back(machine);
        return NULL;
    }
    return machine;
}

bool traffic_was_used(struct machine_traffic *machine)
{
    struct tpacket_stats count = {0};
    socklen_t size = sizeof count;
    getsockopt(machine->socket, SOL_PACKET, PACKET_STATISTICS, &count, &size);
    return count.tp_packets > 0;
}

void traffic_end(struct machine_traffic *machine)
{
    struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    struct error error;
    if (!machine)
        return;
    event_del(machine->readable);
    attach(machine, nothing, 1, &error);
    put_back(machine);
}
