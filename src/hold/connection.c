/* One client's connection: it waits, is connected through to the machine, and is spliced both ways
 * until both sides have ended. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "hold/parts.h"

/* What one splice moves at most, and what one connection moves before others have their turn. */
#define CHUNK ((size_t)256 * 1024)
#define TURN  ((size_t)1024 * 1024)

/* One way through a connection. */
struct direction {
    int from, to; /* copies of the connection's descriptors */
    struct pipe_ends pipe;
    size_t buffered; /* in the pipe */
    bool ended;      /* `from` has sent its end */
    bool finished;   /* and `to` has been told */
};

struct connection {
    struct proxy_service *service;
    TAILQ_ENTRY(connection) siblings;
    struct event client_event, machine_event;
    int client, machine;
    bool connected; /* on its way to the machine; else it waits */
    uint16_t machine_port;
    uint64_t accepted;
    struct direction up, down; /* to the machine, to the client */
};

enum moved { MOVED_NOTHING, MOVED_SOME, MOVED_BROKEN };

static void close_with_reset(int descriptor)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(descriptor);
}

static void connection_end(struct connection *connection, bool reset)
{
    struct proxy_service *service = connection->service;
    struct proxy *proxy = service->proxy;

    event_del(&connection->client_event);
    if (connection->connected) {
        event_del(&connection->machine_event);
        TAILQ_REMOVE(&service->connected, connection, siblings);
        service->connected_count--;
        proxy->statistics.connections--;
    } else {
        TAILQ_REMOVE(&service->waiting, connection, siblings);
        service->waiting_count--;
        proxy->statistics.waiting--;
    }
    int sockets[] = {connection->client, connection->machine};
    for (size_t i = 0; i < 2; i++)
        if (sockets[i] != -1) {
            if (reset)
                close_with_reset(sockets[i]);
            else
                close(sockets[i]);
        }
    pipes_give(&proxy->pipes, &connection->up.pipe, connection->up.buffered == 0);
    pipes_give(&proxy->pipes, &connection->down.pipe, connection->down.buffered == 0);
    service->last_use = clock_now_coarse();
    free(connection);
    proxy_room(proxy);
}

void connection_reset(struct connection *connection)
{
    connection_end(connection, true);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

static enum moved fill_pipe(struct direction *direction)
{
    if (direction->ended)
        return MOVED_NOTHING;
    ssize_t moved = splice(direction->from, NULL, direction->pipe.write, NULL, CHUNK,
                           SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved > 0) {
        direction->buffered += (size_t)moved;
        return MOVED_SOME;
    }
    if (moved == 0) {
        direction->ended = true;
        return MOVED_SOME;
    }
    return would_block() ? MOVED_NOTHING : MOVED_BROKEN;
}

static enum moved drain_pipe(struct direction *direction, uint64_t *counter)
{
    if (direction->buffered == 0)
        return MOVED_NOTHING;
    unsigned flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE;
    ssize_t moved =
        splice(direction->pipe.read, NULL, direction->to, NULL, direction->buffered, flags);
    if (moved < 0)
        return would_block() ? MOVED_NOTHING : MOVED_BROKEN;
    direction->buffered -= (size_t)moved;
    *counter += (uint64_t)moved;
    return moved > 0 ? MOVED_SOME : MOVED_NOTHING;
}

/* Moves what can be moved now. Returns -1 if a side is broken, 1 if there is more to move than one
 * turn allows, else 0. */
static int pump(struct direction *direction, uint64_t *counter)
{
    uint64_t begin = *counter;
    for (;;) {
        enum moved filled = fill_pipe(direction);
        enum moved drained = drain_pipe(direction, counter);
        if (filled == MOVED_BROKEN || drained == MOVED_BROKEN)
            return -1;
        if (direction->ended && direction->buffered == 0) {
            if (!direction->finished) {
                direction->finished = true;
                shutdown(direction->to, SHUT_WR);
            }
            return 0;
        }
        if (filled == MOVED_NOTHING && drained == MOVED_NOTHING)
            return 0;
        if (*counter - begin >= TURN)
            return 1;
    }
}

static void note_first_byte(struct connection *connection)
{
    struct proxy_service *service = connection->service;
    if (service->first_byte_due) {
        service->first_byte_due = false;
        service->proxy->callbacks.first_byte(service->owner, clock_now(), connection->accepted);
    }
}

static void pump_both(struct connection *connection)
{
    struct proxy_statistics *statistics = &connection->service->proxy->statistics;
    uint64_t to_client = statistics->bytes_to_clients;
    uint64_t to_machine = statistics->bytes_to_machines;

    int down = pump(&connection->down, &statistics->bytes_to_clients);
    int up = down < 0 ? down : pump(&connection->up, &statistics->bytes_to_machines);
    if (statistics->bytes_to_clients != to_client)
        note_first_byte(connection);
    if (statistics->bytes_to_clients != to_client || statistics->bytes_to_machines != to_machine)
        connection->service->last_use = clock_now_coarse();

    if (down < 0 || up < 0)
        connection_end(connection, true);
    else if (connection->down.finished && connection->up.finished)
        connection_end(connection, false);
    else if (down > 0 || up > 0)
        event_active(&connection->client_event, EV_READ, 1);
}

/* A client that waits may send and half-close, which is no news; a reset or a full close is. */
static void look_at_waiting(struct connection *connection)
{
    char byte;
    if (recv(connection->client, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && !would_block())
        connection_end(connection, true);
}

static void socket_event(evutil_socket_t descriptor, short events, void *argument)
{
    (void)descriptor, (void)events;
    struct connection *connection = argument;
    if (connection->connected)
        pump_both(connection);
    else
        look_at_waiting(connection);
}

/* Edge-triggered: a descriptor is registered once, and the pump runs until it would block. */
static int watch(struct connection *connection, struct event *event, int descriptor)
{
    short events = EV_READ | EV_WRITE | EV_ET | EV_PERSIST;
    if (event_assign(event, connection->service->proxy->base, descriptor, events, socket_event,
                     connection) != 0)
        return -1;
    return event_add(event, NULL);
}

struct connection *connection_new(struct proxy_service *service, int client, uint16_t machine_port)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        close_with_reset(client);
        return NULL;
    }
    connection->service = service;
    connection->client = client;
    connection->machine = -1;
    connection->machine_port = machine_port;
    connection->accepted = clock_now();
    connection->up.pipe = connection->down.pipe = (struct pipe_ends){-1, -1};
    int on = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (watch(connection, &connection->client_event, client) != 0) {
        close_with_reset(client);
        free(connection);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&service->waiting, connection, siblings);
    service->waiting_count++;
    service->proxy->statistics.waiting++;
    return connection;
}

static int connect_machine(uint16_t host)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(host), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor == -1)
        return -1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0 &&
        errno != EINPROGRESS) {
        int saved = errno;
        close(descriptor);
        errno = saved;
        return -1;
    }
    return descriptor;
}

void connection_go(struct connection *connection, uint16_t host)
{
    struct proxy_service *service = connection->service;
    struct proxy *proxy = service->proxy;

    connection->machine = connect_machine(host);
    if (connection->machine == -1 || pipes_take(&proxy->pipes, &connection->up.pipe) != 0 ||
        pipes_take(&proxy->pipes, &connection->down.pipe) != 0 ||
        watch(connection, &connection->machine_event, connection->machine) != 0) {
        log_warning("cannot connect a client through to its machine: %s; the client is reset",
                    strerror(errno));
        connection_end(connection, true);
        return;
    }
    TAILQ_REMOVE(&service->waiting, connection, siblings);
    service->waiting_count--;
    proxy->statistics.waiting--;
    connection->connected = true;
    TAILQ_INSERT_TAIL(&service->connected, connection, siblings);
    service->connected_count++;
    proxy->statistics.connections++;

    connection->up.from = connection->down.to = connection->client;
    connection->up.to = connection->down.from = connection->machine;
    pump_both(connection);
}

uint16_t connection_machine_port(const struct connection *connection)
{
    return connection->machine_port;
}

struct connection *connection_next(const struct connection *connection)
{
    return TAILQ_NEXT(connection, siblings);
}
