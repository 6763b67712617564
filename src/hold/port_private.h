/* What the files of the port share. port.c: life, and frames in and out of the device;
 * port_service.c: services and what their owner says; port_receive.c: what a frame from the bridge
 * means; port_memory.c: how much may be held; port_hold.c: the frames held; port_challenge.c: which
 * of them are of clients that are there; port_speak.c: what is sent in machines' names and the
 * port's own; port_machine.c: how machines become ready; port_conduit.c: what is said to
 * unikernels; port_connection.c: the connections accepted for them; port_handshake.c: what clients'
 * segments do to these; port_served.c: who has to be told when a machine is gone. */
#ifndef JITSU_HOLD_PORT_PRIVATE_H
#define JITSU_HOLD_PORT_PRIVATE_H

#include <sys/queue.h>

#include "common/conduit_link.h"
#include "common/siphash.h"
#include "hold/packet.h"
#include "hold/port.h"
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

TAILQ_HEAD(held_frame_queue, held_frame);
TAILQ_HEAD(port_service_queue, port_service);
TAILQ_HEAD(connection_queue, connection);

/* What a frame is to its machine. */
enum port_purpose {
    /* A scan, a ping, noise; or the machine's own affairs: may go in before it is ready. */
    PURPOSE_NONE,
    PURPOSE_UNWELCOME, /* of a client of the service who may not summon */
    PURPOSE_STALE,     /* of a connection to one of the service's ports that was opened earlier */
    PURPOSE_SUMMONS,   /* a client wants the machine */
};

/* A frame that waits for its machine. */
struct held_frame {
    TAILQ_ENTRY(held_frame) of_service, of_all; /* both oldest first */
    struct table_entry opening;                 /* port->openings, if `is_opening` */
    struct port_service *service;
    struct held_frame_queue *queue; /* of_service */
    uint64_t moment;                /* clock_now() when it came, or came again */
    uint16_t length;
    bool is_opening; /* a TCP segment that opens a connection */
    bool is_real;    /* whose client has shown that it is there */
    uint8_t purpose; /* enum port_purpose */
    uint8_t bytes[];
};

/* A connection that the port has accepted in its machine's stead. */
struct connection {
    struct table_entry entry;           /* port->connections */
    TAILQ_ENTRY(connection) of_service; /* oldest first */
    TAILQ_ENTRY(connection) of_port;    /* half_open, by `due`; or established, by `moment` */
    struct port_service *service;
    uint64_t moment;   /* of the last segment */
    uint64_t due;      /* half open: when SYN-ACK goes out again */
    uint64_t answered; /* when SYN-ACK went out; 0: more than once */
    struct mac client_mac;
    struct address client, machine;
    uint16_t client_port, machine_port;
    uint32_t id;
    uint32_t first;         /* sequence number of the SYN-ACK */
    uint32_t receive_start; /* number of the client's first byte */
    uint32_t receive_next;
    uint32_t send_window;
    uint16_t segment_max, round_trip; /* as TAKE has them */
    uint8_t state, flags, send_scale; /* the same */
    uint8_t attempts;                 /* how often SYN-ACK went out */
    uint8_t *data;
    size_t length, capacity;
    struct held_frame_queue late; /* came when the machine was to take it over */
};

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
    bool hands_over;            /* the port's connections, one after the other */
    struct connection *leaving; /* TAKE has been sent, TAKEN has not come */
    bool is_cut_off;            /* the bridge would drop what there is to be said */
    uint8_t *take;              /* its body, owned */
    uint32_t features;
    uint32_t stop_deadline; /* milliseconds */
    struct conduit_load load;
    uint64_t load_moment; /* when it came */
};

/* Clients whose connections the machine has, or had before it was gone. */
struct served_clients {
    struct served_client *list; /* around the end from `oldest` on, when it is as long as may be */
    size_t count, capacity, oldest;
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
    struct held_frame *first_real; /* of those, which come last; NULL: none */
    size_t frame_count, passing_count;
    struct connection_queue connections;
    size_t connection_count, half_open_count;
    size_t bytes; /* of port->memory */
    uint64_t handed_over;
    uint64_t spoke; /* port->batch when it was last spoken for, where that is of importance */
    struct siphash_key cookie_key;
    struct mac mac;
    uint8_t state;    /* enum port_state */
    uint8_t location; /* enum port_location */
    uint8_t ready;    /* enum port_ready */
    uint8_t hold;     /* enum port_hold */
    bool resumes;     /* starting from being suspended */
    bool refuse;
    bool is_crowded; /* clients are asked whether they are there */
    bool want_due;   /* the owner is to be told of the oldest that waits */
    uint16_t ready_port;
    bool is_active; /* something is due at some time */
    struct port_attempt attempt;
    struct port_conduit conduit;
    struct served_clients served;
};

struct port_memory {
    struct port_limits limits;
    size_t bytes, connection_bytes, served_bytes, half_open;
    struct held_frame_queue frames; /* of all ports, oldest first */
    struct held_frame *first_real;  /* as a service's */
};

struct port {
    int descriptor;
    struct event_base *base;
    struct event *readable, *timer;
    uint64_t (*clock)(void); /* clock_now(), but for tests */
    struct port_callbacks callbacks;
    struct port_memory *memory;
    struct port_statistics statistics;
    struct siphash_key key;
    struct mac mac;
    struct address address4, address6; /* the port's own; address4 may have no family */
    struct table by_mac, by_address, openings, connections;
    struct connection_queue half_open, established;
    uint64_t cookies_until; /* when the last cookie that was sent expires */
    uint32_t last_id;
    /* Between two times that the device had nothing more to read is a batch. */
    uint64_t batch;
    bool is_drained; /* the device had nothing more, and nothing has been read since */
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

/* --- port_memory.c --- */

/* Room for a frame of that length: the oldest give way to it. Returns false if there is none. */
bool port_memory_for_frame(struct port_service *service, size_t length);
/* Room for so many bytes more of connections, likewise. */
bool port_memory_for_connection(struct port_service *service, size_t bytes);

/* Room for remembering clients in so many bytes more? Nobody gives way to that. */
bool port_memory_for_served(const struct port_service *service, size_t bytes);

/* What a frame of that length takes, and a connection without data. */
size_t port_memory_of_frame(size_t length);
size_t port_memory_of_connection(void);

/* They are in use, or no longer. */
void port_memory_take(struct port_service *service, size_t bytes);
void port_memory_give(struct port_service *service, size_t bytes);
void port_memory_take_for_connection(struct port_service *service, size_t bytes);
void port_memory_give_of_connection(struct port_service *service, size_t bytes);
void port_memory_take_for_served(struct port_service *service, size_t bytes);
void port_memory_give_of_served(struct port_service *service, size_t bytes);

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
bool port_hold(struct port_service *service, const struct packet *packet,
               enum port_purpose purpose);
/* The same behind those in `queue`, which is of one connection. */
void port_hold_late(struct port_service *service, const struct packet *packet,
                    struct held_frame_queue *queue);

/* The held segment that opened the same connection, or NULL. */
struct held_frame *port_find_opening(struct port *port, const struct packet *packet);

/* Its client is there: it gives way only when nothing else is left to. */
void port_hold_as_real(struct held_frame *frame);

/* Forgets the held segment that opened the same connection. */
void port_drop_opening(struct port *port, const struct packet *packet);

/* Sends what is held, oldest first: all, or only what is passing, or what is in one queue. */
void port_release(struct port_service *service);
void port_release_passing(struct port_service *service);
void port_release_queue(struct held_frame_queue *queue);

/* Sends one packet to the machine, from the port's own MAC address. */
bool port_pass_on(struct port_service *service, const uint8_t *frame, size_t length);

/* Answers what is held with resets and ICMP: all of it, or only what does not summon. */
void port_reject_held(struct port_service *service);
void port_reject_others(struct port_service *service);

void port_drop(struct held_frame *frame);
void port_drop_queue(struct held_frame_queue *queue);
void port_drop_old(struct port *port); /* those for whom nobody can be waiting any more */

/* --- port_challenge.c --- */

/* A segment that opens a connection is held: is its client there? Asks, if there may not be room
 * for everybody. */
void port_challenge(struct port_service *service, const struct packet *packet);

/* Is it the answer? */
bool port_challenge_answered(struct port_service *service, const struct packet *packet);

/* --- port_speak.c --- */

/* In the machine's name, drawing its frames to the port. */
void port_answer_arp(struct port_service *service, const struct packet *question);
void port_answer_neighbour(struct port_service *service, const struct packet *question);
void port_announce(struct port_service *service); /* to everybody */
void port_draw(struct port_service *service);     /* to nobody but the bridge */
void port_reject(struct port_service *service, const struct packet *packet);

/* A TCP segment, to a client. */
void port_speak_segment(struct port_service *service, struct mac client_mac,
                        const struct ip_packet *packet, const struct tcp_segment *segment);

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

/* May it have connections of its own? Be it that it is suspended. */
bool port_machine_is_there(const struct port_service *service);

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

/* --- port_connection.c --- */

/* The port's connection that a TCP segment belongs to, or NULL. */
struct connection *port_connection_find(const struct port_service *service,
                                        const struct packet *packet);

/* A new one, half open, that the segment opens; or, from a cookie that has come back, `first`,
 * established. NULL if it is one too many, or memory is exhausted. */
struct connection *port_connection_new(struct port_service *service, const struct packet *packet);
struct connection *port_connection_restore(struct port_service *service,
                                           const struct packet *packet, uint32_t first,
                                           uint16_t segment_max);

/* The client has answered. */
void port_connection_establish(struct connection *connection);

/* Keeps more of the client's data. Returns false if there is no room. */
bool port_connection_append(struct connection *connection, const uint8_t *data, size_t length);

/* Segments to the client. */
void port_connection_answer(struct connection *connection); /* SYN-ACK */
void port_connection_acknowledge(const struct connection *connection);

void port_connection_reset(struct connection *connection); /* and frees it */
void port_connection_free(struct connection *connection);
void port_connections_reset(struct port_service *service);

/* SYN-ACKs again; those whom nobody can be waiting for any more are forgotten. */
void port_connections_run(struct port *port);

/* Key and hash of the connection that a segment from a client belongs to. */
uint64_t port_flow_hash(const struct port *port, const struct packet *packet);

/* --- port_handshake.c --- */

/* A segment of a client that opens a connection: accepts it. */
void port_handshake_open(struct port_service *service, const struct packet *packet);

/* A segment of a client for one of the port's connections, which may be gone afterwards. */
void port_handshake_receive(struct connection *connection, const struct packet *packet);

/* A segment of no connection: does it answer a cookie? Then there is one now. */
bool port_handshake_restore(struct port_service *service, const struct packet *packet);

/* --- port_served.c --- */

/* The machine has the connection of that hash (port_flow_hash()) now; `mac` is where the client is
 * reached. */
void port_served_add(struct port_service *service, struct mac mac, uint64_t connection,
                     const struct endpoint *client, const struct endpoint *machine);
/* None of them is open any more, or they are of an earlier machine. */
void port_served_forget(struct port_service *service);
/* The machine is to be stopped: only those are remembered that are known to be connected still. */
void port_served_leave(struct port_service *service);
/* The machine is gone: has its clients find out. */
void port_served_tell(struct port_service *service);
/* Is the segment of one of them? */
bool port_served_is(const struct port_service *service, const struct packet *packet);

/* --- port_conduit.c --- */

void port_conduit_begin(struct port_service *service, const uint8_t *token);
void port_conduit_end(struct port_service *service);

/* A frame from the machine has come. May call the owner: afterwards the service may be gone, and
 * false is returned. */
bool port_conduit_receive(struct port_service *service, const struct packet *packet);

/* The machine is ready, and what was held is on its way: hands over the port's connections. */
void port_conduit_settle(struct port_service *service);
/* Its owner says that it is ready: makes the port known to it. */
void port_conduit_greet(struct port_service *service);
void port_conduit_stop(struct port_service *service, uint32_t deadline);

/* A frame of the machine's own has come: what is sent to it arrives. */
void port_conduit_reach(struct port_service *service);

/* It is due. */
void port_conduit_run(struct port_service *service);

#endif
