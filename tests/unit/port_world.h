/* The world of a port under test: a socket pair in the place of its TAP device, a clock that the
 * tests set, one service and its machine. Tests are the bridge: they give frames to the port, and
 * take what it sends, every frame of it. */
#ifndef JITSU_TESTS_UNIT_PORT_WORLD_H
#define JITSU_TESTS_UNIT_PORT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "hold/port_private.h"

#define MILLISECOND NANOSECONDS_PER_MILLISECOND
#define SECOND      NANOSECONDS_PER_SECOND

struct event_base;

struct world {
    struct event_base *base;
    struct port_memory *memory;
    struct port *port;
    struct port_service *service; /* 10.0.0.10 and fd00::10, port 80 */
    int bridge;                   /* the other end of the port's device */

    /* What the callbacks said, and what else they are to do. */
    unsigned wanted, readies, stops;
    struct endpoint wanted_by;
    uint16_t wanted_port;
    void (*on_wanted)(struct world *world);
    void (*on_ready)(struct world *world);

    struct conduit_link link;               /* the machine's end of the conduit */
    struct conduit_message conduit_message; /* the last that came to it */

    /* The last frame that world_next() took. */
    uint8_t frame[PORT_FRAME_MAX];
    struct packet packet;
};

extern const struct mac world_port_mac, world_machine_mac, world_client_mac;
extern const struct address world_machine4, world_machine6, world_client4, world_client6,
    world_port4, world_nobody4, world_nobody6;

/* cmocka setup and teardown: the teardown checks that every frame sent was taken, that nothing is
 * left held, and every descriptor closed. */
int world_setup(void **state);
int world_teardown(void **state);

/* Makes the service anew. */
void world_service(struct world *world, enum port_ready ready);
struct port_machine world_machine(enum port_ready ready); /* as it does */
void world_replace(struct world *world, const struct port_machine *machine);
/* Those that it has at first. */
#define WORLD_LIMITS                                                                               \
    {                                                                                              \
        .bytes = 100000000, .bytes_per_service = 100000000, .frames_per_service = 1000,            \
        .connections_per_service = 1000, .half_open_per_service = 1000, .half_open = 1000          \
    }
void world_limit(struct world *world, const struct port_limits *limits);

/* The clock goes on, and what is due then is done. */
void world_pass(struct world *world, uint64_t time);

/* --- to the port --- */

void world_give(struct world *world, const void *frame, size_t length);

/* A packet's addresses on both layers. */
struct way {
    struct mac from_mac, to_mac;
    struct address from, to;
};
extern const struct way world_to_machine4, world_to_machine6;

/* Frames; their lengths. */
size_t frame_arp(uint8_t *frame, struct mac destination, const struct arp *arp);
size_t frame_neighbour(uint8_t *frame, const struct way *way, const struct neighbour *neighbour);
size_t frame_tcp(uint8_t *frame, const struct way *way, const struct tcp_segment *segment);
size_t frame_ip(uint8_t *frame, const struct way *way, uint8_t protocol, const void *payload,
                size_t length);
size_t frame_udp(uint8_t *frame, const struct way *way, uint16_t port, const char *data);

/* And given to the port: what clients do. */
void client_asks4(struct world *world); /* ARP */
void client_asks6(struct world *world); /* neighbour solicitation */
void client_opens(struct world *world, uint16_t client_port, uint16_t port, uint32_t sequence);
void client_segment(struct world *world, const struct way *way, const struct tcp_segment *segment);
void client_sends(struct world *world, uint16_t client_port, uint16_t port, uint8_t flags);
void client_datagram(struct world *world, uint16_t port, const char *data);

/* What the machine does. */
void machine_announces(struct world *world); /* gratuitous ARP */
void machine_answers(struct world *world);   /* to the port's ARP request */
void machine_accepts(struct world *world, const struct packet *attempt);
void machine_refuses(struct world *world, const struct packet *attempt);

/* Its end of the conduit: starts it on both sides, says something, and takes what the port has
 * sent, which includes a message of that type, and is a frame of the conduit each. */
void machine_connects(struct world *world);
void machine_says(struct world *world, enum conduit_type type, const void *body, size_t length);
void machine_hello(struct world *world);
void machine_hears(struct world *world, enum conduit_type type);
/* TAKE; and what to answer. */
struct conduit_take machine_is_offered(struct world *world);
void machine_takes(struct world *world, uint32_t id, enum conduit_outcome outcome);

/* --- from the port --- */

/* Takes the next frame that it sent; fails the test if there is none. */
const struct packet *world_next(struct world *world);
void world_silence(struct world *world); /* it has sent nothing more */

/* The next frame is this. */
void expect_arp_answer(struct world *world, struct mac mac, const struct address *address);
void expect_announcement(struct world *world); /* of both addresses */
void expect_draw(struct world *world);
void expect_question(struct world *world); /* who has the machine's address? */
const struct packet *expect_attempt(struct world *world);
void expect_opening(struct world *world, uint16_t client_port); /* a client's SYN, released */
void expect_reset(struct world *world, uint16_t client_port);

struct port_statistics world_statistics(const struct world *world);

#endif
