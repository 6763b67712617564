/* The hold of a bridge network: jitsud's own port on the bridge, a TAP device. For machines that
 * are not ready it answers ARP and neighbour discovery, so that their frames come here, keeps what
 * clients send, and lets it go to the machine when that is ready. It knows nothing of services'
 * states: its owner says when a machine starts, is ready, leaves, is gone, or has failed to start.
 * One event loop, no threads.
 *
 * WHERE A MACHINE'S FRAMES GO is decided by the bridge, which sends them where it has last seen the
 * machine's MAC address as a source. The port draws them by sending in the machine's name; any
 * frame of the machine's own draws them back, and then the port must be silent. It never sends to
 * the machine what the bridge would drop because it believes the machine to be here: it first waits
 * for, or asks for, a frame of the machine's own.
 *
 * THE TAP DEVICE belongs to the bridge, is up, has no address and no packet information, virtio
 * header or offloads, and its own MAC address differs from the port's: what is sent to the device's
 * would go to the host. */
#ifndef JITSU_HOLD_PORT_H
#define JITSU_HOLD_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"

struct event_base;
struct port;         /* all of one network */
struct port_service; /* what is held for one machine */

#define PORT_MAC_SIZE 6u

struct port_callbacks {
    /* A client wants a machine that is not ready, at its port (0: of a protocol without ports): its
     * frame is held. Called for each such client, and not again while it only repeats itself; for
     * the oldest again when the machine is gone or suspended. May call port_service_* for this
     * service. */
    void (*wanted)(void *owner, const struct endpoint *client, uint16_t port, uint64_t moment);
    /* The machine has shown that it is ready, in the way that was agreed; what was held is on its
     * way already, and port_service_ready() need not be called. May call port_service_*. */
    void (*ready)(void *owner, uint64_t moment);
    /* The machine has finished, as port_service_stop() asked it to, and powers off; `cut`
     * connections were reset at the deadline. May be NULL. May call port_service_*. */
    void (*stopped)(void *owner, uint32_t cut, uint64_t moment);
};

/* The memory for what all ports together hold: frames, accepted connections and their data, with
 * what it takes to keep them. Held frames, the oldest first, give way to whatever comes; what a
 * client sends to a connection that has no room is not acknowledged, so that it comes again. A
 * quarter of all is for frames only; an eighth at most is for remembering whom to tell that their
 * machine is gone. */
struct port_memory;

struct port_limits {
    size_t bytes, bytes_per_service;
    size_t frames_per_service;
    /* Connections that ports have accepted and not handed over. Beyond these, and beyond so many
     * whose client has not shown that it exists, new ones are answered with SYN cookies: they cost
     * nothing until the client answers, and are dropped then if there is still no room. */
    size_t connections_per_service, half_open_per_service, half_open;
};

struct port_memory *port_memory_new(const struct port_limits *limits); /* NULL: exhausted */
/* Other limits; frames that are too many for them are dropped. */
void port_memory_limit(struct port_memory *memory, const struct port_limits *limits);
void port_memory_free(struct port_memory *memory); /* after its ports; NULL is allowed */

/* The port's own identity on its network. */
struct port_identity {
    uint8_t mac[PORT_MAC_SIZE]; /* locally administered, nobody else's, and not the device's */
    /* An IPv4 address of the network that nobody else has, for asking machines whether they are
     * ready; family 0: none. For IPv6 the port has a link-local address. */
    struct address address;
};

/* All callbacks are called from the event loop only, never from within a function below.
 * `descriptor` is the TAP device's, non-blocking, and is taken over; `memory` is shared with other
 * ports of the same event loop. NULL, and the descriptor closed, if memory is exhausted. */
struct port *port_new(struct event_base *base, int descriptor, const struct port_identity *identity,
                      const struct port_callbacks *callbacks, struct port_memory *memory);
void port_free(struct port *port); /* after its services */

/* Its device is gone: it hears nothing any more, and another port is needed. */
bool port_is_deaf(const struct port *port);

/* How a machine shows that it is ready. */
enum port_ready {
    PORT_READY_TOLD,     /* it does not: its owner calls port_service_ready() */
    PORT_READY_ANNOUNCE, /* it says so by the conduit */
    PORT_READY_ARP,      /* it speaks ARP or neighbour discovery; it is asked until it does */
    PORT_READY_TCP,      /* it accepts a connection to `ready_port`, which the port attempts */
};

/* What becomes of TCP segments that open connections to the service's ports. */
enum port_hold {
    PORT_DELAY, /* they are held like everything else */
    /* The port accepts the connection in the machine's stead, keeps up to 64 KiB of what the client
     * sends, and hands it over by the conduit, which port_service_conduit() must have opened by the
     * time that the machine says that it is ready. */
    PORT_HANDOFF,
};

struct port_machine {
    uint8_t mac[PORT_MAC_SIZE];
    const struct address *addresses; /* at least one */
    size_t address_count;
    /* TCP segments that open a connection to one of these, and datagrams to them, summon; none:
     * those to any, and IP packets that are not TCP, ICMP or fragments. */
    const uint16_t *ports;
    size_t port_count;
    /* Who may summon, and whose packets count as use; none: everybody. */
    const struct prefix *summon_from;
    size_t summon_from_count;
    uint8_t ready; /* enum port_ready */
    uint8_t hold;  /* enum port_hold */
    uint16_t ready_port;
};

/* A service whose machine is off at first; `owner` is given to the callbacks. Everything in
 * `machine` is copied. NULL with the reason in `error`: another service has the MAC or an IP
 * address, PORT_READY_TCP cannot be tried without an address of the machine's IP version, or memory
 * is exhausted. */
struct port_service *port_service_new(struct port *port, void *owner,
                                      const struct port_machine *machine, struct error *error);

/* How the machine shows that it is ready from its next start on, where that is not known before.
 * Returns 0, or -1 with the reason as above; then nothing has changed. */
int port_service_expect(struct port_service *service, enum port_ready ready, uint16_t ready_port,
                        struct error *error);

/* How to talk to the machine of this boot: its 16 bytes of token (common/conduit.h). Called before
 * port_service_starting(), or, for a machine that runs already, before port_service_ready(), which
 * then makes the port known to it. Without it there is no conduit. Forgotten when the machine is
 * gone. */
void port_service_conduit(struct port_service *service, const uint8_t *token);

/* The machine starts, or resumes: everything that comes for it is held from now on, and it is asked
 * whether it is ready. */
void port_service_starting(struct port_service *service);

/* The machine takes traffic: what is held goes in, once the machine is where the bridge believes it
 * to be. From now on the port is silent. */
void port_service_ready(struct port_service *service);

/* Asks the machine, by the conduit, to finish its connections within `deadline` milliseconds and to
 * power off. Returns false if there is none that it could be asked by. */
bool port_service_stop(struct port_service *service, uint32_t deadline);

/* The machine is about to be stopped: draws its frames to the port. Everything that comes is held
 * until the next of the calls below. */
void port_service_attract(struct port_service *service);

/* The machine is off. Connections that it had are reset when the client next sends; whoever wants
 * it now is held, as before. */
void port_service_gone(struct port_service *service);

/* The machine is suspended: as gone, but it keeps its connections, whose packets are held and want
 * it again. */
void port_service_suspended(struct port_service *service);

/* There will be no machine soon: what is held is answered with TCP resets and ICMP unreachable at
 * once; the machine is off. */
void port_service_fail(struct port_service *service);

/* While not ready, answers like port_service_fail() at once, and what is held already too; or holds
 * again: for a service that is backing off or over the limits. The connections of a machine that is
 * suspended, or may be about to be, are not reset. */
void port_service_refuse(struct port_service *service, bool refuse);

/* Does a client wait for the machine? */
bool port_service_is_wanted(const struct port_service *service);

/* clock_now() of the last frame that would summon, or of the last time that the machine told that
 * its connections had done something; 0: never. */
uint64_t port_service_last_use(const struct port_service *service);

/* Open connections: the port's, and the machine's as it told last, at most a second ago (none
 * without a conduit). */
size_t port_service_connections(const struct port_service *service);

/* Connections that machines of the service have taken over, ever. */
uint64_t port_service_handed_over(const struct port_service *service);

/* Drops what is held, resets the port's connections, frees it. */
void port_service_free(struct port_service *service);

/* For metrics, over all services. */
struct port_statistics {
    size_t frames;                 /* held now */
    size_t bytes;                  /* of memory, for these and the connections */
    size_t connections, half_open; /* the port's now; those whose client has not answered yet */
    uint64_t accepted;             /* connections whose client has answered, ever */
    uint64_t handed_over;
    uint64_t cookies;    /* sent */
    uint64_t challenges; /* clients that were asked whether they are there */
    uint64_t held;       /* frames that ever were */
    uint64_t repeated;   /* TCP segments that opened a connection once more: not held again */
    uint64_t released;   /* frames that went to machines */
    uint64_t dropped;    /* held frames that never did: over the limits, or too old */
    uint64_t refused;    /* answered with a reset or ICMP */
    uint64_t not_sent;   /* frames that the device did not take */
    uint64_t strange;    /* frames of the conduit that were not of a machine's */
};
void port_statistics(const struct port *port, struct port_statistics *statistics);

#endif
