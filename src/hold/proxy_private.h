/* What the files of the proxy share. proxy.c: services and limits; proxy_listener.c: listening and
 * accepting; proxy_connection.c: a client and its machine. */
#ifndef JITSU_HOLD_PROXY_PRIVATE_H
#define JITSU_HOLD_PROXY_PRIVATE_H

#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/address.h"
#include "hold/proxy.h"
#include "hold/splice.h"

struct proxy_listener {
    struct event readable;
    struct proxy_service *service;
    SLIST_ENTRY(proxy_listener) of_service;
    TAILQ_ENTRY(proxy_listener) turn; /* in proxy->paused */
    struct endpoint endpoint;
    uint16_t port;                                                     /* the machine's */
    enum { LISTENING, PAUSED_FOR_SERVICE, PAUSED_FOR_PROXY } activity; /* accepts, or why not */
};

SLIST_HEAD(proxy_listener_list, proxy_listener);
TAILQ_HEAD(proxy_listener_queue, proxy_listener);
TAILQ_HEAD(proxy_connection_queue, proxy_connection);

struct proxy_service {
    struct proxy *proxy;
    void *owner;
    uint64_t last_use;
    const struct prefix *allowed;
    struct proxy_target *targets;
    struct proxy_listener_list listeners;
    struct proxy_connection_queue waiting;   /* oldest first */
    struct proxy_connection_queue connected; /* connecting or open */
    uint32_t allowed_count;
    uint32_t waiting_count;
    uint32_t connected_count;
    uint32_t run;        /* counts calls of proxy_service_ready() */
    uint16_t connecting; /* how many of those in `connected` are only connecting */
    uint8_t target_count;
    bool ready : 1;
    bool refuse : 1;          /* new connections while not ready */
    bool first_byte_due : 1;  /* to be reported */
    bool listener_paused : 1; /* at least one */
};

enum proxy_connection_state {
    CONNECTION_WAITING,    /* accepted; no socket to the machine yet */
    CONNECTION_CONNECTING, /* has one, not known to be connected */
    CONNECTION_OPEN,
};

/* Queues of the proxy that a connection may be in, one at a time. */
enum proxy_connection_turn {
    TURN_NONE,
    TURN_AGAIN,   /* goes on in the next turn of the loop */
    TURN_STARVED, /* goes on when descriptors are free */
};

struct proxy_connection {
    TAILQ_ENTRY(proxy_connection) of_service; /* in waiting or connected */
    TAILQ_ENTRY(proxy_connection) in_turn;    /* in proxy->again or proxy->starved */
    struct proxy_service *service;
    uint64_t accepted; /* clock_now() */
    int client, machine;
    struct splice_flow request, response;
    uint32_t run;     /* service->run when it was connected */
    uint16_t port;    /* the machine's */
    uint8_t state;    /* enum proxy_connection_state */
    uint8_t turn;     /* enum proxy_connection_turn */
    uint8_t attempts; /* to connect */
    struct event client_event, machine_event;
};

struct proxy {
    struct event_base *base;
    struct proxy_callbacks callbacks;
    struct proxy_limits limits;
    struct proxy_statistics statistics;
    struct splice_pool pipes;
    struct proxy_connection_queue again, starved;
    size_t again_count;
    struct proxy_listener_queue paused;
    struct proxy_listener *accepting; /* its handler is running; NULL once it is freed */
    struct event *again_event;        /* takes up `again` */
    struct event *shortage_event;     /* takes up `starved` and `paused` from time to time */
    uint64_t shortage_logged;
};

/* --- proxy.c --- */

/* May a listener of the service accept one more, and if not, whose limit forbids it? */
enum proxy_room { ROOM_FOR_MORE, ROOM_NONE_IN_SERVICE, ROOM_NONE_IN_PROXY };
enum proxy_room proxy_service_room(const struct proxy_service *service);

/* Where the machine's `port` is on 127.0.0.1; 0: it has none. */
uint16_t proxy_service_target(const struct proxy_service *service, uint16_t port);

/* Puts a connection into one of the queues, if it is in none; takes it out of the one it is in. */
void proxy_connection_queue_up(struct proxy_connection *connection,
                               enum proxy_connection_turn turn);
void proxy_connection_unqueue(struct proxy_connection *connection);

/* Descriptors, pipes or room have come free: one who waits for them gets a chance. */
void proxy_freed(struct proxy *proxy);

/* Sees to it that proxy->starved and proxy->paused are tried again after a while at the latest. */
void proxy_retry_later(struct proxy *proxy);

/* Logs, once in a while, that descriptors or memory for sockets have run out (errno) in `doing`
 * something for `endpoint`. */
void proxy_log_shortage(struct proxy *proxy, const char *doing, const struct endpoint *endpoint);

/* Resets a client that is not wanted, or will not be served, and counts it. */
void proxy_refuse(struct proxy *proxy, int client);

/* --- proxy_listener.c --- */

/* Makes a paused listener accept again; it pauses itself when it finds that it must not yet. */
void proxy_listener_resume(struct proxy_listener *listener);

/* The same for all paused ones of a service, whose connections wait less now. */
void proxy_service_resume(struct proxy_service *service);

/* --- proxy_connection.c --- */

/* A client was accepted: takes over `client`. The service's machine is connected to if it is ready,
 * else the owner is told. Connection and service may be gone afterwards. */
void proxy_connection_accepted(struct proxy_service *service, int client,
                               const struct endpoint *from, uint16_t port);

/* Its turn has come. Connection and service may be gone afterwards. */
void proxy_connection_continue(struct proxy_connection *connection);

/* Connects what waits, in order, as far as it may be done at once. */
void proxy_service_advance(struct proxy_service *service);

/* Back to waiting from connecting. */
void proxy_connection_withdraw(struct proxy_connection *connection);

/* Resets both sides and frees it. */
void proxy_connection_reset(struct proxy_connection *connection);

#endif
