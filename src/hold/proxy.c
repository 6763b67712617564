/* Services, and what all of them share: limits, queues, statistics. */
#include "hold/proxy.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "hold/proxy_private.h"

/* Then everybody else has a turn. */
#define CONTINUED_PER_TURN 64

#define SHORTAGE_RETRY     (100 * NANOSECONDS_PER_MILLISECOND)
#define SHORTAGE_LOG_PAUSE (60 * NANOSECONDS_PER_SECOND)

/* --- queues --- */

static struct proxy_connection_queue *queue_of(struct proxy *proxy, enum proxy_connection_turn turn)
{
    return turn == TURN_AGAIN ? &proxy->again : &proxy->starved;
}

void proxy_connection_queue_up(struct proxy_connection *connection, enum proxy_connection_turn turn)
{
    struct proxy *proxy = connection->service->proxy;
    if (connection->turn != TURN_NONE)
        return;
    connection->turn = (uint8_t)turn;
    TAILQ_INSERT_TAIL(queue_of(proxy, turn), connection, in_turn);
    if (turn == TURN_STARVED)
        proxy_retry_later(proxy);
    else if (proxy->again_count++ == 0)
        event_add(proxy->again_event, &(struct timeval){0, 0});
}

void proxy_connection_unqueue(struct proxy_connection *connection)
{
    struct proxy *proxy = connection->service->proxy;
    if (connection->turn == TURN_NONE)
        return;
    TAILQ_REMOVE(queue_of(proxy, connection->turn), connection, in_turn);
    if (connection->turn == TURN_AGAIN)
        proxy->again_count--;
    connection->turn = TURN_NONE;
}

/* Those that were in the queue when the turn began; who queues up again waits for the next. */
static void proxy_continue(evutil_socket_t descriptor, short what, void *argument)
{
    struct proxy *proxy = argument;
    size_t count =
        proxy->again_count < CONTINUED_PER_TURN ? proxy->again_count : CONTINUED_PER_TURN;
    (void)descriptor;
    (void)what;
    while (count-- > 0 && !TAILQ_EMPTY(&proxy->again)) {
        struct proxy_connection *connection = TAILQ_FIRST(&proxy->again);
        proxy_connection_unqueue(connection);
        proxy_connection_continue(connection);
    }
    if (!TAILQ_EMPTY(&proxy->again))
        event_add(proxy->again_event, &(struct timeval){0, 0});
}

static void starved_again(struct proxy_connection *connection)
{
    proxy_connection_unqueue(connection);
    proxy_connection_queue_up(connection, TURN_AGAIN);
}

void proxy_retry_later(struct proxy *proxy)
{
    struct timeval pause = clock_timeval(SHORTAGE_RETRY);
    if (!event_pending(proxy->shortage_event, EV_TIMEOUT, NULL))
        event_add(proxy->shortage_event, &pause);
}

/* Everybody who was turned away for want of something tries again. */
static void proxy_retry(evutil_socket_t descriptor, short what, void *argument)
{
    struct proxy *proxy = argument;
    (void)descriptor;
    (void)what;
    while (!TAILQ_EMPTY(&proxy->starved))
        starved_again(TAILQ_FIRST(&proxy->starved));
    while (!TAILQ_EMPTY(&proxy->paused))
        proxy_listener_resume(TAILQ_FIRST(&proxy->paused));
}

void proxy_freed(struct proxy *proxy)
{
    if (!TAILQ_EMPTY(&proxy->starved))
        starved_again(TAILQ_FIRST(&proxy->starved));
    else if (!TAILQ_EMPTY(&proxy->paused))
        proxy_listener_resume(TAILQ_FIRST(&proxy->paused));
}

void proxy_log_shortage(struct proxy *proxy, const char *doing, const struct endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_SIZE];
    int error = errno;
    uint64_t now = clock_now_coarse();
    if (proxy->shortage_logged && now - proxy->shortage_logged < SHORTAGE_LOG_PAUSE)
        return;
    proxy->shortage_logged = now;
    log_warning("cannot %s for %s: %s; with %zu connections open, new ones wait until some end",
                doing, endpoint_format(endpoint, text), strerror(error),
                proxy->statistics.connections);
}

/* --- limits --- */

enum proxy_room proxy_service_room(const struct proxy_service *service)
{
    const struct proxy *proxy = service->proxy;
    if (proxy->statistics.connections >= proxy->limits.connections_total ||
        !TAILQ_EMPTY(&proxy->starved))
        return ROOM_NONE_IN_PROXY;
    if (service->waiting_count >= proxy->limits.waiting_per_service)
        return ROOM_NONE_IN_SERVICE;
    if (!service->ready && proxy->statistics.waiting >= proxy->limits.waiting_total)
        return ROOM_NONE_IN_PROXY;
    return ROOM_FOR_MORE;
}

void proxy_refuse(struct proxy *proxy, int client)
{
    proxy->statistics.refused++;
    setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
               sizeof(struct linger));
    close(client);
}

/* --- life --- */

struct proxy *proxy_new(struct event_base *base, const struct proxy_callbacks *callbacks,
                        const struct proxy_limits *limits)
{
    struct sigaction pipe_action;
    struct proxy *proxy = calloc(1, sizeof *proxy);
    if (!proxy)
        return NULL;
    proxy->base = base;
    proxy->callbacks = *callbacks;
    proxy->limits = *limits;
    TAILQ_INIT(&proxy->again);
    TAILQ_INIT(&proxy->starved);
    TAILQ_INIT(&proxy->paused);
    proxy->again_event = evtimer_new(base, proxy_continue, proxy);
    proxy->shortage_event = evtimer_new(base, proxy_retry, proxy);
    if (!proxy->again_event || !proxy->shortage_event) {
        proxy_free(proxy);
        return NULL;
    }
    splice_pool_init(&proxy->pipes);
    /* splice(2) has no way to say MSG_NOSIGNAL. */
    if (sigaction(SIGPIPE, NULL, &pipe_action) == 0 && pipe_action.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
    return proxy;
}

void proxy_free(struct proxy *proxy)
{
    if (!proxy)
        return;
    splice_pool_clear(&proxy->pipes);
    if (proxy->again_event)
        event_free(proxy->again_event);
    if (proxy->shortage_event)
        event_free(proxy->shortage_event);
    free(proxy);
}

void proxy_statistics(const struct proxy *proxy, struct proxy_statistics *statistics)
{
    *statistics = proxy->statistics;
}

/* --- services --- */

void proxy_service_own(struct proxy_service *service, void *owner)
{
    service->owner = owner;
}

struct proxy_service *proxy_service_new(struct proxy *proxy, void *owner)
{
    struct proxy_service *service = calloc(1, sizeof *service);
    if (!service)
        return NULL;
    service->proxy = proxy;
    service->owner = owner;
    SLIST_INIT(&service->listeners);
    TAILQ_INIT(&service->waiting);
    TAILQ_INIT(&service->connected);
    return service;
}

void proxy_service_allow(struct proxy_service *service, const struct prefix *prefixes, size_t count)
{
    service->allowed = prefixes;
    service->allowed_count = (uint32_t)count;
}

uint16_t proxy_service_target(const struct proxy_service *service, uint16_t port)
{
    for (size_t i = 0; i < service->target_count; i++)
        if (service->targets[i].machine == port)
            return service->targets[i].host;
    return 0;
}

static void service_forget_targets(struct proxy_service *service)
{
    free(service->targets);
    service->targets = NULL;
    service->target_count = 0;
}

void proxy_service_ready(struct proxy_service *service, const struct proxy_target *targets,
                         size_t count)
{
    assert(count <= UINT8_MAX);
    service_forget_targets(service);
    if (count > 0) {
        service->targets = calloc(count, sizeof *targets);
        if (!service->targets) {
            log_error("memory is exhausted: cannot connect clients to a machine; the process ends");
            abort();
        }
        memcpy(service->targets, targets, count * sizeof *targets);
    }
    service->target_count = (uint8_t)count;
    service->ready = true;
    service->first_byte_due = true;
    service->run++;
    proxy_service_resume(service);
    proxy_service_advance(service);
}

/* Those that were only connecting wait again, as the oldest; the owner is told that they do. */
static void service_withdraw(struct proxy_service *service)
{
    struct proxy_connection *connection, *before;
    for (connection = TAILQ_LAST(&service->connected, proxy_connection_queue); connection;
         connection = before) {
        before = TAILQ_PREV(connection, proxy_connection_queue, of_service);
        if (connection->state == CONNECTION_CONNECTING)
            proxy_connection_withdraw(connection);
    }
    connection = TAILQ_FIRST(&service->waiting);
    if (connection)
        proxy_connection_queue_up(connection, TURN_AGAIN);
}

void proxy_service_not_ready(struct proxy_service *service)
{
    service->ready = false;
    service_withdraw(service);
}

static void service_reset_all(struct proxy_connection_queue *queue)
{
    struct proxy_connection *connection;
    while ((connection = TAILQ_FIRST(queue)) != NULL)
        proxy_connection_reset(connection);
}

void proxy_service_gone(struct proxy_service *service)
{
    proxy_service_not_ready(service);
    service_reset_all(&service->connected);
}

static void service_refuse_waiting(struct proxy_service *service)
{
    service->proxy->statistics.refused += service->waiting_count;
    service_reset_all(&service->waiting);
}

void proxy_service_fail(struct proxy_service *service)
{
    proxy_service_not_ready(service);
    service_refuse_waiting(service);
}

void proxy_service_refuse(struct proxy_service *service, bool refuse)
{
    service->refuse = refuse;
    if (refuse && !service->ready)
        service_refuse_waiting(service);
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
    service_forget_targets(service);
    service_reset_all(&service->waiting);
    service_reset_all(&service->connected);
    free(service);
}
