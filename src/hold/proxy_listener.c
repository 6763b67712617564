/* The listening sockets of services. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "hold/proxy_private.h"

/* Then everybody else has a turn. */
#define ACCEPTS_PER_TURN 16

static void listener_pause(struct proxy_listener *listener, enum proxy_room room)
{
    struct proxy_service *service = listener->service;
    event_del(&listener->readable);
    service->listener_paused = true;
    if (room == ROOM_NONE_IN_SERVICE) {
        listener->activity = PAUSED_FOR_SERVICE;
    } else {
        listener->activity = PAUSED_FOR_PROXY;
        TAILQ_INSERT_TAIL(&service->proxy->paused, listener, turn);
        proxy_retry_later(service->proxy);
    }
}

void proxy_listener_resume(struct proxy_listener *listener)
{
    if (listener->activity == PAUSED_FOR_PROXY)
        TAILQ_REMOVE(&listener->service->proxy->paused, listener, turn);
    listener->activity = LISTENING;
    event_add(&listener->readable, NULL);
}

void proxy_service_resume(struct proxy_service *service)
{
    struct proxy_listener *listener;
    if (!service->listener_paused)
        return;
    service->listener_paused = false;
    SLIST_FOREACH(listener, &service->listeners, of_service)
    if (listener->activity != LISTENING)
        proxy_listener_resume(listener);
}

static bool client_is_welcome(const struct proxy_service *service, const struct endpoint *client)
{
    if (service->allowed_count == 0)
        return true;
    for (uint32_t i = 0; i < service->allowed_count; i++)
        if (prefix_contains(&service->allowed[i], &client->address))
            return true;
    return false;
}

/* accept(2) failed with errno. Returns whether to try the next one at once. */
static bool listener_failed(struct proxy_listener *listener)
{
    switch (errno) {
    case EAGAIN:
        return false;
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
        return true; /* was about one connection only */
    default:
        proxy_log_shortage(listener->service->proxy, "accept a connection", &listener->endpoint);
        listener_pause(listener, ROOM_NONE_IN_PROXY);
        return false;
    }
}

/* Takes one from the backlog. Returns false when there is no more for now. */
static bool listener_accept_one(struct proxy_listener *listener)
{
    struct proxy_service *service = listener->service;
    struct proxy *proxy = service->proxy;
    enum proxy_room room = proxy_service_room(service);
    if (room != ROOM_FOR_MORE) {
        listener_pause(listener, room);
        return false;
    }

    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    struct endpoint client = {0};
    int descriptor = accept4(event_get_fd(&listener->readable), (struct sockaddr *)&from, &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor == -1)
        return listener_failed(listener);
    proxy->statistics.accepted++;
    endpoint_from_sockaddr((const struct sockaddr *)&from, &client);
    if (!client_is_welcome(service, &client) || (service->refuse && !service->ready))
        proxy_refuse(proxy, descriptor);
    else
        proxy_connection_accepted(service, descriptor, &client, listener->port);
    return true;
}

static void listener_accept(evutil_socket_t descriptor, short what, void *argument)
{
    struct proxy_listener *listener = argument;
    struct proxy *proxy = listener->service->proxy;
    (void)descriptor;
    (void)what;
    proxy->accepting = listener;
    /* The owner, told that its service is wanted, may stop it listening. */
    for (int turn = 0; turn < ACCEPTS_PER_TURN && proxy->accepting == listener; turn++)
        if (!listener_accept_one(listener))
            break;
    proxy->accepting = NULL;
}

int proxy_service_listen(struct proxy_service *service, int descriptor,
                         const struct endpoint *endpoint, uint16_t port)
{
    struct proxy_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        goto failed;
    listener->service = service;
    listener->endpoint = *endpoint;
    listener->port = port;
    /* What is accepted inherits it. */
    if (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0)
        goto failed;
    event_assign(&listener->readable, service->proxy->base, descriptor, EV_READ | EV_PERSIST,
                 listener_accept, listener);
    if (event_add(&listener->readable, NULL) != 0)
        goto failed;
    SLIST_INSERT_HEAD(&service->listeners, listener, of_service);
    return 0;

failed:
    free(listener);
    descriptor_close(&descriptor);
    return -1;
}

void proxy_service_unlisten(struct proxy_service *service)
{
    struct proxy *proxy = service->proxy;
    struct proxy_listener *listener;
    while ((listener = SLIST_FIRST(&service->listeners)) != NULL) {
        SLIST_REMOVE_HEAD(&service->listeners, of_service);
        if (listener->activity == PAUSED_FOR_PROXY)
            TAILQ_REMOVE(&proxy->paused, listener, turn);
        else if (listener->activity == LISTENING)
            event_del(&listener->readable);
        if (proxy->accepting == listener)
            proxy->accepting = NULL;
        close(event_get_fd(&listener->readable));
        free(listener);
    }
}
