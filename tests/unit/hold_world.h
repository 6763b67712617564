/* The world of a proxy under test: it, one service, and the service's machine, all on loopback in
 * one process and one event loop. Clients and the machine's side of connections are non-blocking
 * sockets that the tests handle themselves. */
#ifndef JITSU_TESTS_UNIT_HOLD_WORLD_H
#define JITSU_TESTS_UNIT_HOLD_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/address.h"
#include "common/clock.h"
#include "hold/proxy.h"

/* The port of the machine that tests use. */
#define WORLD_PORT 80

struct event_base;

struct world {
    struct event_base *base;
    struct proxy *proxy;
    struct proxy_service *service;
    struct endpoint endpoint; /* where the service listens */
    int machine;              /* the machine's listening socket */
    uint16_t machine_port;    /* on 127.0.0.1 */
    int descriptors;          /* open before the world was made */

    /* What the callbacks said, and what else they are to do. */
    unsigned wanted, first_bytes;
    struct endpoint wanted_by;
    uint16_t wanted_port;
    uint64_t wanted_moment, first_byte_moment, first_byte_accepted;
    void (*on_wanted)(struct world *world);
};

/* cmocka setup and teardown; the teardown checks that no descriptor is left open. Limits are out of
 * the way; world_limit() makes the proxy anew with these. */
int world_setup(void **state);
int world_teardown(void **state);
void world_limit(struct world *world, const struct proxy_limits *limits);

/* A listening loopback socket, non-blocking; `endpoint` becomes where. */
int world_listen(struct endpoint *endpoint, int backlog);

/* Makes the service's machine ready, not ready. */
void world_ready(struct world *world);

/* One turn of the loop, which does not wait long. */
void world_turn(struct world *world);

/* Turns until `condition` holds; fails the test if it never does. */
#define WORLD_PATIENCE (60 * NANOSECONDS_PER_SECOND)
#define world_until(world, condition)                                                              \
    do {                                                                                           \
        uint64_t until_ = clock_now() + WORLD_PATIENCE;                                            \
        while (!(condition)) {                                                                     \
            if (clock_now() > until_)                                                              \
                fail_msg("waited in vain until %s", #condition);                                   \
            world_turn(world);                                                                     \
        }                                                                                          \
    } while (0)

/* Turns a few times, for what must not happen to have its chance to. */
void world_idle(struct world *world);

/* A client connected to the service; at the kernel's level, the proxy may not have accepted. */
int world_client(struct world *world);
/* The same, accepted by the proxy. */
int world_waiting_client(struct world *world);
/* The next connection that the machine gets. */
int world_accept(struct world *world);
/* A client and the machine's side of its connection; the machine must be ready. */
void world_connect(struct world *world, int *client, int *server);

void world_send(struct world *world, int descriptor, const char *text);
/* The next bytes that come are exactly these. */
void world_expect(struct world *world, int descriptor, const char *text);
/* Nothing comes, an end comes, a reset comes (also if bytes come before it). */
void world_expect_silence(struct world *world, int descriptor);
void world_expect_end(struct world *world, int descriptor);
void world_expect_reset(struct world *world, int descriptor);

/* Closes it with a reset. */
void world_reset(int descriptor);

struct proxy_statistics world_statistics(const struct world *world);

/* How many descriptors this process has open. */
int world_count_descriptors(void);

#endif
