/* One client's connection: waits, is connected to the machine, and then has its bytes moved both
 * ways until both sides have ended or one is reset.
 *
 * Both sockets' events are edge-triggered and stay added for reading and writing all the time: a
 * reset is noticed whatever the connection waits for, and no system calls are spent on changing
 * what is waited for. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "hold/proxy_private.h"

/* Bytes that one direction moves before everybody else has a turn. */
#define BUDGET ((size_t)256 << 10)

/* Connections of one service that are connecting at a time. The rest waits: a machine whose backlog
 * is short (QEMU's user network has one of 1) would drop their SYNs. */
#define CONNECTING_MAX 4

/* On loopback a connection is established at once, or its SYN was dropped for a full backlog. The
 * kernel would send it again after a second; this is how long we wait before we connect anew. It
 * doubles with every 8 attempts, up to 2^6 times. */
#define RETRY_FIRST        NANOSECONDS_PER_MILLISECOND
#define ATTEMPTS_TO_DOUBLE 8
#define RETRY_DOUBLED_MAX  6

#define EDGES (EV_READ | EV_WRITE | EV_ET | EV_PERSIST)

/* The error that the kernel keeps for the socket, which it then forgets; 0: none. */
static int socket_error(int descriptor)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

/* Has nobody answered its SYN yet? */
static bool socket_is_connecting(int descriptor)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    return getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
           info.tcpi_state == TCP_SYN_SENT;
}

static void socket_reset_on_close(int descriptor)
{
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
               sizeof(struct linger));
}

/* --- waiting and connected --- */

static void wait_begin(struct proxy_connection *connection)
{
    connection->state = CONNECTION_WAITING;
    connection->service->waiting_count++;
    connection->service->proxy->statistics.waiting++;
}

static void wait_end(struct proxy_connection *connection)
{
    struct proxy_service *service = connection->service;
    TAILQ_REMOVE(&service->waiting, connection, of_service);
    service->waiting_count--;
    service->proxy->statistics.waiting--;
    proxy_service_resume(service);
    proxy_freed(service->proxy);
}

static void connecting_end(struct proxy_connection *connection)
{
    connection->service->connecting--;
    event_remove_timer(&connection->machine_event);
    connection->state = CONNECTION_OPEN;
}

static void leave_machine(struct proxy_connection *connection)
{
    struct proxy_service *service = connection->service;
    if (connection->state == CONNECTION_CONNECTING)
        service->connecting--;
    TAILQ_REMOVE(&service->connected, connection, of_service);
    service->connected_count--;
    event_del(&connection->machine_event);
    close(connection->machine);
    connection->machine = -1;
}

static void connection_close(struct proxy_connection *connection)
{
    struct proxy *proxy = connection->service->proxy;
    connection->service->last_use = clock_now_coarse(); /* an open connection is in use */
    proxy_connection_unqueue(connection);
    event_del(&connection->client_event);
    close(connection->client);
    if (connection->state == CONNECTION_WAITING)
        wait_end(connection);
    else
        leave_machine(connection);
    splice_flow_clear(&connection->request, &proxy->pipes);
    splice_flow_clear(&connection->response, &proxy->pipes);
    free(connection);
    proxy->statistics.connections--;
    proxy_freed(proxy);
}

void proxy_connection_reset(struct proxy_connection *connection)
{
    socket_reset_on_close(connection->client);
    if (connection->state != CONNECTION_WAITING)
        socket_reset_on_close(connection->machine);
    connection_close(connection);
}

static void connection_refuse(struct proxy_connection *connection)
{
    connection->service->proxy->statistics.refused++;
    proxy_connection_reset(connection);
}

void proxy_connection_withdraw(struct proxy_connection *connection)
{
    leave_machine(connection);
    wait_begin(connection);
    TAILQ_INSERT_HEAD(&connection->service->waiting, connection, of_service);
}

/* --- moving bytes --- */

/* All of these return whether the connection is still there. */

static bool flow_ended(struct proxy_connection *connection, struct splice_flow *flow)
{
    bool is_request = flow == &connection->request;
    int source = is_request ? connection->client : connection->machine;
    int sink = is_request ? connection->machine : connection->client;
    if (socket_error(source) != 0) { /* an end, and a reset after it */
        proxy_connection_reset(connection);
        return false;
    }
    if (connection->request.ended && connection->response.ended) {
        connection_close(connection);
        return false;
    }
    /* One that is only connecting would be given up by shutdown(2). */
    if (connection->state == CONNECTION_OPEN)
        shutdown(sink, SHUT_WR);
    return true;
}

static bool flow_settle(struct proxy_connection *connection, struct splice_flow *flow,
                        enum splice_result result)
{
    switch (result) {
    case SPLICE_IDLE:
    case SPLICE_BLOCKED:
        return true;
    case SPLICE_MORE:
        proxy_connection_queue_up(connection, TURN_AGAIN);
        return true;
    case SPLICE_STARVED:
        proxy_connection_queue_up(connection, TURN_STARVED);
        return true;
    case SPLICE_ENDED:
        return flow_ended(connection, flow);
    case SPLICE_FAILED:
        break;
    }
    if (connection->state == CONNECTION_CONNECTING && errno == ECONNREFUSED)
        connection_refuse(connection);
    else
        proxy_connection_reset(connection);
    return false;
}

static void report_first_byte(struct proxy_connection *connection)
{
    struct proxy_service *service = connection->service;
    if (!service->first_byte_due || connection->run != service->run)
        return;
    service->first_byte_due = false;
    service->proxy->callbacks.first_byte(service->owner, clock_now(), connection->accepted);
}

static enum splice_result flow_move(struct proxy_connection *connection, struct splice_flow *flow)
{
    struct proxy_service *service = connection->service;
    struct proxy *proxy = service->proxy;
    uint64_t moved = 0;
    enum splice_result result;
    if (flow == &connection->request) {
        result = splice_flow_move(flow, &proxy->pipes, connection->client, connection->machine,
                                  BUDGET, &moved);
        proxy->statistics.bytes_to_machines += moved;
    } else {
        result = splice_flow_move(flow, &proxy->pipes, connection->machine, connection->client,
                                  BUDGET, &moved);
        proxy->statistics.bytes_to_clients += moved;
    }
    if (moved == 0)
        return result;
    int error = errno;
    service->last_use = clock_now_coarse();
    if (connection->state == CONNECTION_CONNECTING)
        connecting_end(connection); /* bytes went to it, so it is connected */
    if (flow == &connection->response)
        report_first_byte(connection);
    errno = error;
    return result;
}

static bool flow_pump(struct proxy_connection *connection, struct splice_flow *flow)
{
    struct proxy *proxy = connection->service->proxy;
    if (flow->ended)
        return true;
    bool there = flow_settle(connection, flow, flow_move(connection, flow));
    if (proxy->pipes.count > 0 && !TAILQ_EMPTY(&proxy->starved))
        proxy_freed(proxy);
    return there;
}

/* An event came for one side: `inward` flows from it, `outward` to it. */
static bool side_event(struct proxy_connection *connection, int descriptor, short what,
                       struct splice_flow *inward, struct splice_flow *outward)
{
    bool read = (what & EV_READ) && inward->held == 0 && !inward->ended;
    bool write = (what & EV_WRITE) && outward->held > 0;
    if (!read && !write && socket_error(descriptor) != 0) {
        proxy_connection_reset(connection);
        return false;
    }
    return (!read || flow_pump(connection, inward)) && (!write || flow_pump(connection, outward));
}

static void client_event(evutil_socket_t descriptor, short what, void *argument)
{
    struct proxy_connection *connection = argument;
    struct proxy_service *service = connection->service;
    if (connection->state == CONNECTION_OPEN) {
        side_event(connection, descriptor, what, &connection->request, &connection->response);
    } else if (socket_error(descriptor) != 0) {
        proxy_connection_reset(connection);
        proxy_service_advance(service);
    }
}

/* --- connecting --- */

static void machine_event(evutil_socket_t descriptor, short what, void *argument)
{
    struct proxy_connection *connection = argument;
    struct proxy_service *service = connection->service;
    if (connection->state == CONNECTION_OPEN) {
        side_event(connection, descriptor, what, &connection->response, &connection->request);
        return;
    }
    if (what == EV_TIMEOUT && socket_is_connecting(descriptor)) {
        proxy_connection_withdraw(connection); /* and connect again, by advancing */
    } else if ((what & EV_READ) && socket_error(descriptor) != 0) {
        connection_refuse(connection);
    } else {
        connecting_end(connection);
        if (connection->request.ended)
            shutdown(connection->machine, SHUT_WR);
        if (flow_pump(connection, &connection->request) && (what & EV_READ))
            flow_pump(connection, &connection->response);
    }
    proxy_service_advance(service);
}

/* Returns 0 if the connection's client has its event, -1 if there is no memory for one. */
static int watch_client(struct proxy_connection *connection)
{
    if (event_pending(&connection->client_event, EV_READ, NULL))
        return 0;
    return event_add(&connection->client_event, NULL);
}

static int watch_machine(struct proxy_connection *connection)
{
    unsigned doubled = connection->attempts / ATTEMPTS_TO_DOUBLE;
    if (doubled > RETRY_DOUBLED_MAX)
        doubled = RETRY_DOUBLED_MAX;
    struct timeval retry = clock_timeval(RETRY_FIRST << doubled);
    if (connection->attempts < UINT8_MAX)
        connection->attempts++;
    event_assign(&connection->machine_event, connection->service->proxy->base, connection->machine,
                 EDGES, machine_event, connection);
    return event_add(&connection->machine_event,
                     connection->state == CONNECTION_CONNECTING ? &retry : NULL);
}

/* A socket that connects, or has connected, to 127.0.0.1:`port`. */
static int socket_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor == -1)
        return -1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0 &&
        errno != EINPROGRESS) {
        int error = errno;
        close(descriptor);
        errno = error;
        return -1;
    }
    return descriptor;
}

/* Connects one that waits, and sends what the client has sent before anything else is done.
 * Returns false if that must wait for descriptors; it is queued then. The connection may be gone
 * afterwards. */
static bool connection_connect(struct proxy_connection *connection)
{
    struct proxy_service *service = connection->service;
    uint16_t port = proxy_service_target(service, connection->port);
    int descriptor = port ? socket_connect(port) : -1;
    if (port == 0 || (descriptor == -1 && errno == ECONNREFUSED)) {
        connection_refuse(connection);
        return true;
    }
    if (descriptor == -1) {
        struct endpoint machine = {.address = {AF_INET, {127, 0, 0, 1}}, .port = port};
        proxy_log_shortage(service->proxy, "connect to a machine", &machine);
        proxy_connection_queue_up(connection, TURN_STARVED);
        if (watch_client(connection) != 0)
            connection_refuse(connection);
        return false;
    }
    wait_end(connection);
    connection->state = CONNECTION_CONNECTING;
    connection->machine = descriptor;
    connection->run = service->run;
    TAILQ_INSERT_TAIL(&service->connected, connection, of_service);
    service->connected_count++;
    service->connecting++;

    enum splice_result result = SPLICE_IDLE;
    event_assign(&connection->machine_event, service->proxy->base, descriptor, EDGES, machine_event,
                 connection);
    if (!connection->request.ended)
        result = flow_move(connection, &connection->request);
    if (watch_machine(connection) != 0 || watch_client(connection) != 0) {
        connection_refuse(connection);
        return true;
    }
    flow_settle(connection, &connection->request, result);
    return true;
}

void proxy_service_advance(struct proxy_service *service)
{
    struct proxy_connection *connection;
    for (int turn = 0; (connection = TAILQ_FIRST(&service->waiting)) != NULL; turn++) {
        if (!service->ready || service->connecting >= CONNECTING_MAX)
            return;
        if (turn == CONNECTING_MAX) {
            proxy_connection_queue_up(connection, TURN_AGAIN);
            return;
        }
        if (!connection_connect(connection))
            return;
    }
}

/* --- life --- */

static void connection_wanted(struct proxy_connection *connection, const struct endpoint *client)
{
    struct proxy_service *service = connection->service;
    service->proxy->callbacks.wanted(service->owner, client, connection->port,
                                     connection->accepted);
}

void proxy_connection_accepted(struct proxy_service *service, int client,
                               const struct endpoint *from, uint16_t port)
{
    struct proxy *proxy = service->proxy;
    struct proxy_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        proxy_refuse(proxy, client);
        return;
    }
    connection->service = service;
    connection->client = client;
    connection->machine = -1;
    connection->port = port;
    connection->accepted = service->last_use = clock_now();
    event_assign(&connection->client_event, proxy->base, client, EDGES, client_event, connection);
    proxy->statistics.connections++;
    wait_begin(connection);
    TAILQ_INSERT_TAIL(&service->waiting, connection, of_service);

    if (service->ready && service->waiting_count == 1 && service->connecting < CONNECTING_MAX)
        connection_connect(connection);
    else if (watch_client(connection) != 0)
        connection_refuse(connection);
    else if (!service->ready)
        connection_wanted(connection, from);
}

void proxy_connection_continue(struct proxy_connection *connection)
{
    struct proxy_service *service = connection->service;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    struct endpoint client = {0};
    if (connection->state == CONNECTION_OPEN) {
        if (flow_pump(connection, &connection->request))
            flow_pump(connection, &connection->response);
    } else if (service->ready) {
        proxy_service_advance(service);
    } else if (connection->state == CONNECTION_WAITING) {
        if (getpeername(connection->client, (struct sockaddr *)&address, &length) == 0)
            endpoint_from_sockaddr((struct sockaddr *)&address, &client);
        connection_wanted(connection, &client);
    }
}
