/* What the files of the port share. port.c: life, and frames in and out of the device;
 * port_service.c: services and what their owner says; port_receive.c: what a frame from the bridge
 * means; port_hold.c: the frames held; port_speak.c: what is sent in machines' names and the port's
 * own; port_machine.c: how machines become ready; port_conduit.c: what is said to
 * unikernels. */
#ifndef JITSU_HOLD_PORT_PRIVATE_H
#define JITSU_HOLD_PORT_PRIVATE_H

#include <sys/queue.h>

#include "common/conduit_link.h"
#include "hold/packet.h"
#include "hold/port.h"
#include "hold/siphash.h"
#include "hold/table.h"

struct event;

#define NEVER UINT64_MAX

/* Room for any frame of a bridge, jumbo frames too. */
#define PORT_FRAME_MAX 16384u

enum port_state {
    PORT_OFF,
    PORT_STARTING,
    PORT_READY,
    PORT_LEAVING, /* attracted; still there */
    PORT_SUSPENDED,
};

/* Where the bridge sends the machine's frames. */
enum port_location {
    LOCATION_UNKNOWN, /* nowhere in particular: everywhere */
    LOCATION_PORT,
    LOCATION_MACHINE,
};

struct port_address {
    struct table_entry entry; /* port->by_address */
    struct port_service *service;
    struct address address;
};

/* A frame that waits for its machine. */
struct held_frame {
    TAILQ_ENTRY(held_frame) of_service, of_port; /* both oldest first */
    struct table_entry opening;                  /* port->openings, if `is_opening` */
    struct port_service *service;
    uint64_t moment; /* clock_now() when it came, or came again */
    uint16_t length;
    bool is_opening; /* a TCP segment that opens a connection */
    bool summons;
    bool is_passing; /* not from a client of the service: may go in before it is ready */
    uint8_t bytes[];
};

TAILQ_HEAD(held_frame_queue, held_frame);
TAILQ_HEAD(port_service_queue, port_service);

/* The attempts to connect that PORT_READY_TCP makes. */
struct port_attempt {
    bool is_under_way;
    uint16_t port; /* the port's side */
    uint32_t sequence;
};

/* What a service waits for, each for itself. */
enum port_matter { MATTER_CONDUIT, MATTER_MACHINE, MATTERS };

/* The session with a machine. */
struct port_conduit {
    struct conduit_link link;
    uint8_t body[CONDUIT_SMALL_BODY_MAX]; /* of the message under way */
    bool is_open;
    bool is_greeted; /* HELLO has come */
    bool hello_due, settled_due, stop_due;
    uint32_t features;
    uint32_t stop_deadline; /* milliseconds */
    struct conduit_load load;
};

struct port_service {
    struct port *port;
    void *owner;
    struct table_entry entry;            /* port->by_mac */
    TAILQ_ENTRY(port_service) in_active; /* if `is_active` */
    uint64_t due[MATTERS];               /* when what is to be run */
    uint64_t began;                      /* to be starting, ready or leaving */
    uint64_t last_use;
    struct port_address *addresses;
    uint16_t *ports;
    struct prefix *summon_from;
    uint32_t address_count, port_count, summon_from_count;
    struct held_frame_queue frames;
    size_t frame_count, passing_count;
    struct mac mac;
    uint8_t state;    /* enum port_state */
    uint8_t location; /* enum port_location */
    uint8_t ready;    /* enum port_ready */
    bool refuse;
    bool want_due; /* the owner is to be told of the oldest that waits */
    uint16_t ready_port;
    bool is_active; /* something is due at some time */
    struct port_attempt attempt;
    struct port_conduit conduit;
};

struct port {
    int descriptor;
    struct event_base *base;
    struct event *readable, *timer;
    uint64_t (*clock)(void); /* clock_now(), but for tests */
    struct port_callbacks callbacks;
    struct port_limits limits;
    struct port_statistics statistics;
    struct siphash_key key;
    struct mac mac;
    struct address address4, address6; /* the port's own; address4 may have no family */
    struct table by_mac, by_address, openings;
    struct held_frame_queue frames; /* of all services */
    struct port_service_queue active;
    uint64_t next;                 /* when the timer fires; NEVER: it does not */
    uint64_t now;                  /* of what is being done */
    uint64_t deaf_until;           /* when the device is read again; NEVER: it is being read */
    uint8_t frame[PORT_FRAME_MAX]; /* being read */
};

/* --- port.c --- */

/* Handles a frame from the bridge. */
void port_receive(struct port *port, const uint8_t *frame, size_t length);
/* Does what is due. Returns when it wants to be called next, NEVER if nothing will be due. */
uint64_t port_run(struct port *port);

/* Sends a frame. Returns false if the device did not take it. */
bool port_transmit(struct port *port, const uint8_t *frame, size_t length);

/* The matter is to be run at `due`; or not any more (NEVER). */
void port_service_due(struct port_service *service, enum port_matter matter, uint64_t due);

/* Something will be due at `moment`. */
void port_wake_up(struct port *port, uint64_t moment);

/* --- port_receive.c --- */

/* May free services, by the owner. */
void port_receive_packet(struct port *port, const struct packet *packet);

struct port_service *port_service_of_mac(const struct port *port, struct mac mac);
struct port_service *port_service_of_address(const struct port *port,
                                             const struct address *address);
uint64_t port_hash_mac(const struct port *port, struct mac mac);
uint64_t port_hash_address(const struct port *port, const struct address *address);

/* --- port_hold.c --- */

/* Keeps the packet for its machine. Returns false if it was there already. */
bool port_hold(struct port_service *service, const struct packet *packet, bool summons,
               bool is_passing);

/* Sends what is held, oldest first: all, or only what is passing. */
void port_release(struct port_service *service);
void port_release_passing(struct port_service *service);

/* Sends one packet to the machine, from the port's own MAC address. */
bool port_pass_on(struct port_service *service, const uint8_t *frame, size_t length);

/* Answers what is held with resets and ICMP: all of it, or only what does not summon. */
void port_reject_held(struct port_service *service);
void port_reject_others(struct port_service *service);

void port_drop(struct held_frame *frame);
void port_drop_held(struct port_service *service);
void port_drop_old(struct port *port); /* those for whom nobody can be waiting any more */

/* --- port_speak.c --- */

/* In the machine's name, drawing its frames to the port. */
void port_answer_arp(struct port_service *service, const struct packet *question);
void port_answer_neighbour(struct port_service *service, const struct packet *question);
void port_announce(struct port_service *service); /* to everybody */
void port_draw(struct port_service *service);     /* to nobody but the bridge */
void port_reject(struct port_service *service, const struct packet *packet);

/* In the port's own name. */
void port_answer_arp_self(struct port *port, const struct packet *question);
void port_answer_neighbour_self(struct port *port, const struct packet *question);
/* Asks the machine for an answer, which shows the bridge where it is. */
void port_ask(struct port_service *service);
void port_speak_conduit(struct port_service *service, const uint8_t *payload, size_t length);
/* Opens a connection to the machine, or takes back the opening. */
void port_attempt_open(struct port_service *service);
void port_attempt_end(struct port_service *service);

/* --- port_machine.c --- */

/* A frame of the machine's own has come. May call the owner: afterwards the service may be gone,
 * and false is returned. */
bool port_machine_seen(struct port_service *service, const struct packet *packet);

/* Enters a state. */
void port_machine_starting(struct port_service *service);
void port_machine_ready(struct port_service *service);
void port_machine_leaving(struct port_service *service);
void port_machine_off(struct port_service *service, enum port_state state);

/* The machine has shown that it is ready: lets in what is held, and tells the owner. Returns false:
 * the service may be gone. */
bool port_machine_shown(struct port_service *service);

/* It is due. May call the owner. */
void port_machine_run(struct port_service *service);

/* --- port_conduit.c --- */

void port_conduit_begin(struct port_service *service, const uint8_t *token);
void port_conduit_end(struct port_service *service);

/* A frame from the machine has come. May call the owner: afterwards the service may be gone, and
 * false is returned. */
bool port_conduit_receive(struct port_service *service, const struct packet *packet);

/* The machine is ready and what was held is on its way, or its owner says that it is ready. */
void port_conduit_settle(struct port_service *service);
void port_conduit_greet(struct port_service *service);
void port_conduit_stop(struct port_service *service, uint32_t deadline);

/* It is due. */
void port_conduit_run(struct port_service *service);

#endif
