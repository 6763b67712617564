/* The hold of a user network: listens on a service's own addresses and ports, accepts at once,
 * connects through to the machine when it is ready, and splices both ways without copying into user
 * space (splice(2)). It knows nothing of services' states: its owner says when a machine is ready,
 * gone, or has failed to start. One event loop, no threads. */
#ifndef JITSU_HOLD_PROXY_H
#define JITSU_HOLD_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"

struct event_base;
struct proxy;         /* all of it */
struct proxy_service; /* the listeners and connections of one service */

struct proxy_callbacks {
    /* A client connected to `port` of the machine while that was not ready: it waits. Called at
     * each one, and again for the oldest that waits when the machine stops being ready. May call
     * proxy_service_* for this service. */
    void (*wanted)(void *owner, const struct endpoint *client, uint16_t port, uint64_t moment);
    /* The first byte from the machine went to a client, first time since proxy_service_ready().
     * `accepted` is when that client's connection was accepted; both are clock_now(). Must not call
     * proxy_service_*. */
    void (*first_byte)(void *owner, uint64_t moment, uint64_t accepted);
};

struct proxy_limits {
    size_t waiting_per_service; /* connections accepted and waiting; beyond it they stay in the
                                   kernel's backlog */
    size_t waiting_total;
    size_t connections_total;
};

/* Both callbacks are called from the event loop only, never from within a function below. The
 * process ignores SIGPIPE from then on, unless it handles it. NULL if memory is exhausted. */
struct proxy *proxy_new(struct event_base *base, const struct proxy_callbacks *callbacks,
                        const struct proxy_limits *limits);
void proxy_free(struct proxy *proxy); /* after its services */

/* A service whose `owner` is given to the callbacks, not ready at first. NULL if memory is
 * exhausted. */
struct proxy_service *proxy_service_new(struct proxy *proxy, void *owner);

/* Gives it to another owner, who is told from now on; NULL: to nobody, while it refuses all. */
void proxy_service_own(struct proxy_service *service, void *owner);

/* Listens: takes over `descriptor`, a listening non-blocking TCP socket; what it accepts goes to
 * the machine's `port`. `endpoint` is for log lines. Returns 0, or -1 with errno; the descriptor is
 * closed then. */
int proxy_service_listen(struct proxy_service *service, int descriptor,
                         const struct endpoint *endpoint, uint16_t port);

/* Stops listening on all; connections go on. */
void proxy_service_unlisten(struct proxy_service *service);

/* Clients for whom a connection neither summons nor counts as use are refused with a reset
 * (summon-from); none: all are welcome. `prefixes` must stay valid. */
struct prefix;
void proxy_service_allow(struct proxy_service *service, const struct prefix *prefixes,
                         size_t count);

/* The machine takes traffic: port `machine` of it is at 127.0.0.1:`host`. What waits is connected
 * now; what waits for a port that is not among the `count` (at most 255) is reset. */
struct proxy_target {
    uint16_t machine;
    uint16_t host;
};
void proxy_service_ready(struct proxy_service *service, const struct proxy_target *targets,
                         size_t count);

/* The machine does not take traffic any more. New connections wait and want it; open ones go on
 * until they end. */
void proxy_service_not_ready(struct proxy_service *service);

/* There will be no machine soon: what waits is closed with a reset at once; the next connection
 * wants it again. */
void proxy_service_fail(struct proxy_service *service);

/* The machine is gone: what was connected to it is reset. What waits goes on waiting. */
void proxy_service_gone(struct proxy_service *service);

/* Refuses (resets at once) or accepts connections while not ready, those that wait already too: for
 * a service that is backing off or over the limits. */
void proxy_service_refuse(struct proxy_service *service, bool refuse);

/* Open connections of the service: waiting and connected. */
size_t proxy_service_connections(const struct proxy_service *service);

/* clock_now() of the last byte, or beginning or end of a connection; 0: never. */
uint64_t proxy_service_last_use(const struct proxy_service *service);

/* Resets all its connections, stops listening, frees it. */
void proxy_service_free(struct proxy_service *service);

/* For metrics: connections waiting now and bytes passed since the start, over all services. */
struct proxy_statistics {
    size_t waiting, connections;
    uint64_t accepted; /* all that ever were, the refused ones too */
    uint64_t refused;  /* reset by summon-from, _refuse() or _fail(), or since the machine did */
    uint64_t bytes_to_machines, bytes_to_clients;
};
void proxy_statistics(const struct proxy *proxy, struct proxy_statistics *statistics);

#endif
