/* UDP: batches of queries in, batches of responses out, each response in its query's buffer. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "dns/udp.h"

/* UDP packets handled together, and room for each: a query, then its response in its place. An odd
 * number of cache lines, so that the packets of a batch do not fall on each other in the cache. */
#define UDP_BATCH       64
#define UDP_PACKET_SIZE (21 * 64)

/* Packets handled in one wake-up, or a few more, so that other sockets get their turn. After more
 * than one query another has often come already while they were answered: looking costs less than a
 * wake-up. */
#define PACKETS_MAX 256

/* How often, and for how long each time, a full socket is waited for before responses are dropped.
 */
#define SEND_RETRIES           3
#define SEND_WAIT_MILLISECONDS 1

union control {
    struct cmsghdr header;
    char ipv4[CMSG_SPACE(sizeof(struct in_pktinfo))];
    char ipv6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* What a batch needs of one packet. headers[i] may point to any slot's: they change places. */
struct slot_memory {
    struct sockaddr_in6 address; /* or sockaddr_in */
    struct iovec part;
    union control control;
};

struct udp_socket {
    struct worker *worker;
    struct event *event;
    int descriptor;
    bool any_address; /* bound to 0.0.0.0 or ::, so responses must name their source */
    struct mmsghdr headers[UDP_BATCH];
    struct slot_memory memory[UDP_BATCH];
    struct question questions[UDP_BATCH];
    _Alignas(CACHE_LINE) uint8_t packets[UDP_BATCH][UDP_PACKET_SIZE];
};

/* Makes a header ready to receive into. */
static void reset(const struct udp_socket *socket, struct msghdr *header)
{
    header->msg_namelen = sizeof(struct sockaddr_in6);
    header->msg_iov->iov_len = UDP_PACKET_SIZE;
    header->msg_controllen = socket->any_address ? sizeof(union control) : 0;
}

/* The ancillary data of a query names the address that it was sent to and the interface it came in
 * by; sent with the response it makes that the source. The way out is the routing table's to choose
 * (but for link-local addresses, which mean nothing without their interface). */
static void release_interface(struct msghdr *header)
{
    struct cmsghdr *part = CMSG_FIRSTHDR(header);
    if (!part)
        return;
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(part);
        info->ipi_ifindex = 0;
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(part);
        if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
            info->ipi6_ifindex = 0;
    }
}

/* One response alone, which is most of them when there is little to do, costs less by sendto. */
static int try_send(int descriptor, struct mmsghdr *headers, unsigned count)
{
    const struct msghdr *first = &headers->msg_hdr;
    if (count > 1 || first->msg_controllen > 0)
        return sendmmsg(descriptor, headers, count, MSG_DONTWAIT);
    return sendto(descriptor, first->msg_iov->iov_base, first->msg_iov->iov_len, MSG_DONTWAIT,
                  first->msg_name, first->msg_namelen) < 0
               ? -1
               : 1;
}

/* Sends with patience for a full socket. Returns how many were sent; 0: not even the first. */
static int send_some(int descriptor, struct mmsghdr *headers, unsigned count)
{
    for (int retry = 0;; retry++) {
        int sent = try_send(descriptor, headers, count);
        if (sent > 0)
            return sent;
        if (errno != EINTR && errno != EAGAIN && errno != ENOBUFS)
            return 0;
        if (retry == SEND_RETRIES)
            return 0;
        struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
        poll(&wait, 1, SEND_WAIT_MILLISECONDS);
    }
}

/* Sends all; those that cannot be sent are dropped, and counted. */
static void send_all(struct udp_socket *socket, struct mmsghdr *headers, unsigned count_left)
{
    while (count_left > 0) {
        int sent = send_some(socket->descriptor, headers, count_left);
        if (sent == 0) {
            count(&socket->worker->counters.dropped);
            sent = 1;
        }
        headers += sent;
        count_left -= (unsigned)sent;
    }
}

void udp_send(const struct peer *peer, const uint8_t *packet, size_t length)
{
    struct iovec part = {.iov_base = (void *)packet, .iov_len = length};
    struct mmsghdr header = {.msg_hdr = {.msg_name = (void *)peer->address,
                                         .msg_namelen = peer->address_length,
                                         .msg_iov = &part,
                                         .msg_iovlen = 1,
                                         .msg_control = (void *)peer->control,
                                         .msg_controllen = peer->control_length}};
    send_all(peer->udp, &header, 1);
}

/* A source port of 0 cannot be answered. */
static bool has_port(const struct sockaddr *address)
{
    return ((const struct sockaddr_in *)address)->sin_port !=
           0; /* the same place in sockaddr_in6 */
}

/* Answers the query that headers[i] holds, in place. False if there is no response. */
static bool answer_one(struct udp_socket *socket, struct msghdr *header,
                       const struct question *question)
{
    if (socket->any_address)
        release_interface(header);
    struct peer peer = {.address = header->msg_name,
                        .address_length = header->msg_namelen,
                        .udp = socket,
                        .control = header->msg_control,
                        .control_length = header->msg_controllen};
    header->msg_iov->iov_len =
        worker_answer(socket->worker, question, header->msg_iov->iov_base, &peer);
    return header->msg_iov->iov_len > 0;
}

static void swap_headers(struct mmsghdr *a, struct mmsghdr *b)
{
    struct mmsghdr kept = *a;
    *a = *b;
    *b = kept;
}

/* Parses all, then answers all: while the first are parsed, what the last need comes into the
 * cache. Responses end up in the first headers. */
static void handle_batch(struct udp_socket *socket, unsigned received)
{
    const struct dns_table *table = socket->worker->table;
    struct mmsghdr *headers = socket->headers;
    unsigned parsed = 0, responses = 0;

    for (unsigned i = 0; i < received; i++) {
        const struct msghdr *header = &headers[i].msg_hdr;
        if (!has_port(header->msg_name) ||
            !question_parse(&socket->questions[parsed], header->msg_iov->iov_base,
                            headers[i].msg_len, table->seed)) {
            count(&socket->worker->counters.dropped);
            continue;
        }
        table_prefetch_slot(table, socket->questions[parsed].hash);
        if (i != parsed)
            swap_headers(&headers[i], &headers[parsed]);
        parsed++;
    }
    for (unsigned i = 0; i < parsed; i++)
        table_prefetch_node(table, socket->questions[i].hash);
    for (unsigned i = 0; i < parsed; i++) {
        if (!answer_one(socket, &headers[i].msg_hdr, &socket->questions[i]))
            continue;
        if (i != responses)
            swap_headers(&headers[i], &headers[responses]);
        responses++;
    }
    send_all(socket, headers, responses);
    for (unsigned i = 0; i < received; i++)
        reset(socket, &headers[i].msg_hdr);
}

/* The event is edge-triggered, which saves the kernel a second look at the socket: it comes again
 * only after the socket was found empty. It was, where recvmmsg returned fewer packets than asked.
 */
static void readable(evutil_socket_t descriptor, short what, void *argument)
{
    struct udp_socket *socket = argument;
    (void)what;

    socket->worker->now = clock_now_coarse();
    for (int handled = 0; handled < PACKETS_MAX;) {
        int received = recvmmsg((int)descriptor, socket->headers, UDP_BATCH, MSG_DONTWAIT, NULL);
        if (received > 0)
            handle_batch(socket, (unsigned)received);
        else if (errno != EAGAIN && errno != EINTR)
            log_debug("DNS: receiving over UDP: %s", strerror(errno));
        if (received < 2)
            return;
        handled += received;
    }
    /* There may be more: adding the event anew has it come at once if so, after those of others. */
    if (event_del(socket->event) != 0 || event_add(socket->event, NULL) != 0)
        log_error("DNS: out of memory for a UDP socket: it serves no more");
}

/* Finds out whether the socket is bound to all addresses, and has the kernel say, then, to which a
 * query came. */
static int ask_for_addresses(struct udp_socket *socket, int family, const struct endpoint *bound)
{
    static const uint8_t any[16];
    int on = 1;
    socket->any_address = memcmp(bound->address.bytes, any, sizeof any) == 0;
    if (!socket->any_address)
        return 0;
    if (family == AF_INET)
        return setsockopt(socket->descriptor, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    return setsockopt(socket->descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

/* Responses are not fragmented (RFC 9715): they are small enough for nearly every path. What ICMP
 * says of paths is not heeded, because anyone can send it. */
static int forbid_fragments(const struct udp_socket *socket, int family)
{
    int probe = family == AF_INET ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
    if (family == AF_INET)
        return setsockopt(socket->descriptor, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
    return setsockopt(socket->descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof probe);
}

static int set_options(struct udp_socket *socket, struct error *error)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    struct endpoint bound;

    if (getsockname(socket->descriptor, (struct sockaddr *)&address, &length) != 0 ||
        endpoint_from_sockaddr((struct sockaddr *)&address, &bound) != 0)
        return error_set_errno(error, "DNS: cannot tell what a UDP socket is bound to");
    if (ask_for_addresses(socket, address.ss_family, &bound) != 0)
        return error_set_errno(error, "DNS: cannot learn which address queries are sent to");
    if (forbid_fragments(socket, address.ss_family) != 0)
        return error_set_errno(error, "DNS: cannot keep responses from being fragmented");
    return 0;
}

struct udp_socket *udp_socket_new(struct worker *worker, int descriptor, struct error *error)
{
    size_t size = (sizeof(struct udp_socket) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct udp_socket *socket = aligned_alloc(CACHE_LINE, size);
    if (!socket) {
        error_set(error, "out of memory for a DNS socket");
        close(descriptor);
        return NULL;
    }
    memset(socket, 0, size);
    socket->worker = worker;
    socket->descriptor = descriptor;
    if (set_options(socket, error) != 0)
        goto failed;
    for (size_t i = 0; i < UDP_BATCH; i++) {
        struct slot_memory *memory = &socket->memory[i];
        memory->part.iov_base = socket->packets[i];
        socket->headers[i].msg_hdr = (struct msghdr){.msg_name = &memory->address,
                                                     .msg_iov = &memory->part,
                                                     .msg_iovlen = 1,
                                                     .msg_control = &memory->control};
        reset(socket, &socket->headers[i].msg_hdr);
    }
    socket->event =
        event_new(worker->base, descriptor, EV_READ | EV_PERSIST | EV_ET, readable, socket);
    if (!socket->event || event_add(socket->event, NULL) != 0) {
        error_set(error, "out of memory for a DNS socket");
        goto failed;
    }
    return socket;
failed:
    udp_socket_free(socket);
    return NULL;
}

void udp_socket_free(struct udp_socket *socket)
{
    if (socket->event)
        event_free(socket->event);
    close(socket->descriptor);
    free(socket);
}
