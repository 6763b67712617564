/* The proxy as its own files see it. */
#ifndef JITSU_HOLD_PARTS_H
#define JITSU_HOLD_PARTS_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

#include "hold/pipes.h"
#include "hold/proxy.h"

struct connection;
TAILQ_HEAD(connection_list, connection);

/* A listening socket of a service. */
struct listener {
    struct event event;
    struct proxy_service *service;
    struct endpoint endpoint;
    int descriptor;
    uint16_t machine_port;
    bool paused;
    LIST_ENTRY(listener) of_service;
    LIST_ENTRY(listener) of_paused;
};
LIST_HEAD(listener_list, listener);

struct proxy_service {
    struct proxy *proxy;
    void *owner;
    struct listener_list listeners;
    struct connection_list waiting, connected;
    size_t waiting_count, connected_count;
    const struct prefix *allowed;
    size_t allowed_count;
    struct proxy_target *targets;
    uint64_t last_use;
    uint16_t target_count;
    bool ready;
    bool refuse;
    bool first_byte_due; /* nothing has come back from the machine since it is ready */
};

struct proxy {
    struct event_base *base;
    struct proxy_callbacks callbacks;
    struct proxy_limits limits;
    struct proxy_statistics statistics;
    struct pipes pipes;
    struct listener_list paused;
    struct event *resume; /* looks again at what is paused */
    bool exhausted;       /* out of descriptors, and said so */
};

/* Takes over `client`, which has just connected; it waits until connection_go(). NULL: closed, out
 * of memory or descriptors. */
struct connection *connection_new(struct proxy_service *service, int client, uint16_t machine_port);

/* Connects a waiting one through to 127.0.0.1:`host`, or resets it if that is not possible. */
void connection_go(struct connection *connection, uint16_t host);

/* Ends it with a reset to both sides. */
void connection_reset(struct connection *connection);

uint16_t connection_machine_port(const struct connection *connection);

/* The next one of the same list, for walks during which the current one may end. */
struct connection *connection_next(const struct connection *connection);

/* Something was freed: listeners that were paused may go on. */
void proxy_room(struct proxy *proxy);

#endif
