/* Services and their listeners; who may wait, who is refused, and what happens to all connections
 * of a service at once. */
#include "hold/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "hold/parts.h"

/* Connections accepted in one turn of one listener, so that other listeners have theirs. */
#define ACCEPTS_A_TURN 32

/* How soon to look again at listeners that were paused for want of descriptors. */
#define RESUME_AFTER (100 * NANOSECONDS_PER_MILLISECOND)

static void resume(evutil_socket_t descriptor, short events, void *argument)
{
    (void)descriptor, (void)events;
    struct proxy *proxy = argument;
    while (!LIST_EMPTY(&proxy->paused)) {
        struct listener *listener = LIST_FIRST(&proxy->paused);
        LIST_REMOVE(listener, of_paused);
        listener->paused = false;
        event_add(&listener->event, NULL);
    }
}

static void pause_listener(struct listener *listener)
{
    event_del(&listener->event);
    listener->paused = true;
    LIST_INSERT_HEAD(&listener->service->proxy->paused, listener, of_paused);
}

void proxy_room(struct proxy *proxy)
{
    if (!LIST_EMPTY(&proxy->paused))
        event_active(proxy->resume, EV_TIMEOUT, 1);
}

static void pause_for_descriptors(struct listener *listener, int why)
{
    struct proxy *proxy = listener->service->proxy;
    struct timeval soon = clock_timeval(RESUME_AFTER);
    if (!proxy->exhausted)
        log_error("cannot accept connections: %s; they wait in the kernel until others have ended",
                  strerror(why));
    proxy->exhausted = true;
    pause_listener(listener);
    event_add(proxy->resume, &soon);
}

static bool room_to_wait(const struct proxy_service *service)
{
    const struct proxy *proxy = service->proxy;
    const struct proxy_statistics *now = &proxy->statistics;
    if (now->waiting + now->connections >= proxy->limits.connections_total)
        return false;
    return service->ready || (service->waiting_count < proxy->limits.waiting_per_service &&
                              now->waiting < proxy->limits.waiting_total);
}

static bool is_welcome(const struct proxy_service *service, const struct endpoint *client)
{
    for (size_t i = 0; i < service->allowed_count; i++)
        if (prefix_contains(&service->allowed[i], &client->address))
            return true;
    return service->allowed_count == 0;
}

static void refuse(struct proxy *proxy, int client)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(client);
    proxy->statistics.refused++;
}

/* The host's port for a machine's; 0: there is none. */
static uint16_t target_of(const struct proxy_service *service, uint16_t machine_port)
{
    for (unsigned i = 0; i < service->target_count; i++)
        if (service->targets[i].machine == machine_port)
            return service->targets[i].host;
    return 0;
}

static void go(struct proxy_service *service, struct connection *connection)
{
    uint16_t host = target_of(service, connection_machine_port(connection));
    if (host)
        connection_go(connection, host);
    else
        connection_reset(connection);
}

static void admit(struct listener *listener, int client, const struct endpoint *from)
{
    struct proxy_service *service = listener->service;
    struct proxy *proxy = service->proxy;

    if (!is_welcome(service, from) || (service->refuse && !service->ready)) {
        refuse(proxy, client);
        return;
    }
    struct connection *connection = connection_new(service, client, listener->machine_port);
    if (!connection)
        return;
    proxy->statistics.accepted++;
    service->last_use = clock_now_coarse();
    if (service->ready)
        go(service, connection);
    else
        proxy->callbacks.wanted(service->owner, from, listener->endpoint.port, clock_now());
}

static void acceptable(evutil_socket_t descriptor, short events, void *argument)
{
    (void)events;
    struct listener *listener = argument;
    struct proxy *proxy = listener->service->proxy;

    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage address;
        socklen_t length = sizeof address;
        struct endpoint from;
        if (!room_to_wait(listener->service)) {
            pause_listener(listener);
            return;
        }
        int client =
            accept4(descriptor, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client == -1) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_for_descriptors(listener, errno);
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            return;
        }
        proxy->exhausted = false;
        if (endpoint_from_sockaddr((struct sockaddr *)&address, &from) == 0)
            admit(listener, client, &from);
        else
            close(client);
    }
}

struct proxy *proxy_new(struct event_base *base, const struct proxy_callbacks *callbacks,
                        const struct proxy_limits *limits)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    if (!proxy)
        return NULL;
    proxy->base = base;
    proxy->callbacks = *callbacks;
    proxy->limits = *limits;
    LIST_INIT(&proxy->paused);
    proxy->resume = event_new(base, -1, 0, resume, proxy);
    if (!proxy->resume) {
        free(proxy);
        return NULL;
    }
    return proxy;
}

void proxy_free(struct proxy *proxy)
{
    if (!proxy)
        return;
    event_free(proxy->resume);
    pipes_close_all(&proxy->pipes);
    free(proxy);
}

struct proxy_service *proxy_service_new(struct proxy *proxy, void *owner)
{
    struct proxy_service *service = calloc(1, sizeof *service);
    if (!service)
        return NULL;
    service->proxy = proxy;
    service->owner = owner;
    LIST_INIT(&service->listeners);
    TAILQ_INIT(&service->waiting);
    TAILQ_INIT(&service->connected);
    return service;
}

int proxy_service_listen(struct proxy_service *service, int descriptor,
                         const struct endpoint *endpoint, uint16_t port)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener || event_assign(&listener->event, service->proxy->base, descriptor,
                                  EV_READ | EV_PERSIST, acceptable, listener) != 0) {
        close(descriptor);
        free(listener);
        return -1;
    }
    listener->service = service;
    listener->endpoint = *endpoint;
    listener->descriptor = descriptor;
    listener->machine_port = port;
    LIST_INSERT_HEAD(&service->listeners, listener, of_service);
    event_add(&listener->event, NULL);
    return 0;
}

void proxy_service_unlisten(struct proxy_service *service)
{
    while (!LIST_EMPTY(&service->listeners)) {
        struct listener *listener = LIST_FIRST(&service->listeners);
        LIST_REMOVE(listener, of_service);
        if (listener->paused)
            LIST_REMOVE(listener, of_paused);
        event_del(&listener->event);
        close(listener->descriptor);
        free(listener);
    }
}

void proxy_service_allow(struct proxy_service *service, const struct prefix *prefixes, size_t count)
{
    service->allowed = prefixes;
    service->allowed_count = count;
}

void proxy_service_ready(struct proxy_service *service, const struct proxy_target *targets,
                         size_t count)
{
    struct proxy_target *copy = malloc(count ? count * sizeof *copy : 1);
    if (!copy) {
        log_error("memory is exhausted: connections that wait are reset");
        proxy_service_fail(service);
        return;
    }
    memcpy(copy, targets, count * sizeof *copy);
    free(service->targets);
    service->targets = copy;
    service->target_count = (uint16_t)count;
    service->ready = true;
    service->refuse = false;
    service->first_byte_due = true;
    struct connection *next;
    for (struct connection *c = TAILQ_FIRST(&service->waiting); c; c = next) {
        next = connection_next(c);
        go(service, c);
    }
    proxy_room(service->proxy);
}

void proxy_service_not_ready(struct proxy_service *service)
{
    service->ready = false;
}

static void reset_all(struct connection_list *list)
{
    while (!TAILQ_EMPTY(list))
        connection_reset(TAILQ_FIRST(list));
}

void proxy_service_fail(struct proxy_service *service)
{
    service->ready = false;
    reset_all(&service->waiting);
}

void proxy_service_gone(struct proxy_service *service)
{
    service->ready = false;
    reset_all(&service->connected);
}

void proxy_service_refuse(struct proxy_service *service, bool refused)
{
    service->refuse = refused;
    if (refused)
        reset_all(&service->waiting);
}

size_t proxy_service_connections(const struct proxy_service *service)
{
    return service->waiting_count + service->connected_count;
}

uint64_t proxy_service_last_use(const struct proxy_service *service)
{
    return service->last_use;
}

void proxy_service_free(struct proxy_service *service)
{
    if (!service)
        return;
    proxy_service_unlisten(service);
    reset_all(&service->waiting);
    reset_all(&service->connected);
    free(service->targets);
    free(service);
}

void proxy_statistics(const struct proxy *proxy, struct proxy_statistics *statistics)
{
    *statistics = proxy->statistics;
}
