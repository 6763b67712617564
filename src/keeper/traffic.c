#include "keeper/traffic.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "keeper/traffic_filter.h"

/* What may wait to be read, while an answer is waited for; more is only counted. */
#define QUEUE_SIZE (16 * 1024)

#define FRAMES_PER_TURN      64
#define FRAMES_BEFORE_ANSWER 1024

struct traffic {
    int socket;
    struct event *readable;
    unsigned seen; /* frames, since an answer is waited for */
    traffic_answered_function *answered;
    void *argument;
};

/* --- waiting for an answer --- */

static void end_waiting(struct traffic *traffic, uint64_t moment)
{
    event_del(traffic->readable);
    traffic->answered(traffic->argument, moment);
}

static void readable(evutil_socket_t socket, short events, void *argument)
{
    (void)events;
    struct traffic *traffic = argument;
    struct sockaddr_ll end;
    uint8_t seen[TRAFFIC_FILTER_SEEN];

    for (unsigned i = 0; i < FRAMES_PER_TURN; i++) {
        socklen_t size = sizeof end;
        if (recvfrom(socket, seen, sizeof seen, MSG_DONTWAIT, (struct sockaddr *)&end, &size) == -1)
            return; /* or the device went down, which is told once */
        bool is_answer = end.sll_pkttype != PACKET_OUTGOING;
        if (is_answer || ++traffic->seen == FRAMES_BEFORE_ANSWER) {
            end_waiting(traffic, is_answer ? clock_now() : 0);
            return;
        }
    }
}

static void drain(int socket)
{
    uint8_t seen[TRAFFIC_FILTER_SEEN];
    while (recv(socket, seen, sizeof seen, MSG_DONTWAIT) != -1 || errno == ENETDOWN /* once */)
        ;
}

void traffic_await_answer(struct traffic *traffic)
{
    drain(traffic->socket);
    traffic->seen = 0;
    event_add(traffic->readable, NULL);
}

/* --- counting --- */

static int open_socket(struct traffic *traffic, struct error *error)
{
    const int size = QUEUE_SIZE;
    traffic->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (traffic->socket == -1)
        return error_set_errno(error, "cannot open a packet socket (CAP_NET_RAW)");
    setsockopt(traffic->socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return 0;
}

static int attach(const struct traffic *traffic, const struct config_service *service,
                  const uint8_t mac[MAC_SIZE], struct error *error)
{
    struct sock_filter code[TRAFFIC_FILTER_MAX];
    struct sock_fprog program = {.len = traffic_filter_make(service, mac, code), .filter = code};
    if (setsockopt(traffic->socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        return error_set_errno(error, "cannot set a filter of packets");
    return 0;
}

static int listen_at(const struct traffic *traffic, const char *device, struct error *error)
{
    const struct sockaddr_ll end = {.sll_family = AF_PACKET,
                                    .sll_protocol = htons(ETH_P_ALL),
                                    .sll_ifindex = (int)if_nametoindex(device)};
    if (end.sll_ifindex == 0 ||
        bind(traffic->socket, (const struct sockaddr *)&end, sizeof end) != 0)
        return error_set_errno(error, "cannot count the packets at network device %s", device);
    return 0;
}

static int watch(struct traffic *traffic, struct event_base *base, struct error *error)
{
    traffic->readable = event_new(base, traffic->socket, EV_READ | EV_PERSIST, readable, traffic);
    return traffic->readable ? 0 : error_set(error, "memory is exhausted");
}

struct traffic *traffic_begin(struct event_base *base, const struct config_service *service,
                              const char *device, const uint8_t mac[MAC_SIZE],
                              traffic_answered_function *answered, void *argument,
                              struct error *error)
{
    struct traffic *traffic = malloc(sizeof *traffic);
    if (!traffic) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    *traffic = (struct traffic){.socket = -1, .answered = answered, .argument = argument};
    /* The filter first: nothing else is ever let through. */
    if (open_socket(traffic, error) != 0 || attach(traffic, service, mac, error) != 0 ||
        watch(traffic, base, error) != 0 || listen_at(traffic, device, error) != 0) {
        traffic_end(traffic);
        return NULL;
    }
    return traffic;
}

bool traffic_was_used(struct traffic *traffic)
{
    struct tpacket_stats count = {0};
    socklen_t size = sizeof count;
    getsockopt(traffic->socket, SOL_PACKET, PACKET_STATISTICS, &count, &size);
    return count.tp_packets > 0;
}

/* --- the end --- */

static void *close_socket(void *descriptor)
{
    close((int)(intptr_t)descriptor);
    return NULL;
}

/* The kernel lets go of such a socket only when no processor can be using it any more, which takes
 * it many milliseconds: nobody is to wait for that. */
static void close_aside(int descriptor)
{
    pthread_t thread;
    void *argument = (void *)(intptr_t)descriptor;
    if (pthread_create(&thread, NULL, close_socket, argument) == 0)
        pthread_detach(thread);
    else
        close_socket(argument);
}

void traffic_end(struct traffic *traffic)
{
    if (!traffic)
        return;
    if (traffic->readable)
        event_free(traffic->readable);
    if (traffic->socket != -1)
        close_aside(traffic->socket);
    free(traffic);
}
