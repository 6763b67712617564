/* One end of a conduit: sends messages until they are acknowledged, and puts together those that
 * come. It does no I/O and has no clock: frames leave by `transmit`, those that came are given to
 * conduit_link_receive(), and conduit_link_run() is called when a frame is due again. */
#ifndef JITSU_COMMON_CONDUIT_LINK_H
#define JITSU_COMMON_CONDUIT_LINK_H

#include "common/conduit.h"

struct conduit_message {
    uint8_t type; /* may be one that this version does not know */
    const uint8_t *body;
    size_t length;
};

struct conduit_link {
    /* Sends a frame's payload; may lose it. */
    void (*transmit)(void *owner, const uint8_t *payload, size_t length);
    void *owner;
    uint8_t token[CONDUIT_TOKEN_SIZE];

    /* Read only: for whoever wonders. */
    uint32_t dropped;    /* frames that were not of this conduit, or out of turn */
    uint32_t duplicates; /* messages that came again */
    uint32_t sent_again; /* messages that were sent again */

    /* Private. */
    struct conduit_message message; /* under way */
    bool is_busy;                   /* it is */
    bool is_first;                  /* none of ours has been acknowledged */
    uint32_t sequence;              /* of the message under way, or the next one */
    uint64_t due, patience;         /* when to send it again; and how long to wait then */
    bool has_received;
    uint32_t received; /* number of the last message received */
    uint8_t *pieces;   /* of a message that is not whole yet, owned; NULL: there are none */
    uint32_t pieces_sequence;
    uint8_t pieces_type;
    size_t pieces_received, pieces_total;
    uint32_t offered; /* number of the message that conduit_link_receive() returned */
    bool owes_acknowledgement;
};

/* `sequence` is the first number: not 0, and not near any that an earlier end of this conduit has
 * used. */
void conduit_link_start(struct conduit_link *link, const uint8_t *token, uint32_t sequence,
                        void (*transmit)(void *owner, const uint8_t *payload, size_t length),
                        void *owner);

/* Frees what it owns. */
void conduit_link_end(struct conduit_link *link);

/* Is a message under way? */
bool conduit_link_is_busy(const struct conduit_link *link);

/* Sends a message; none is under way. The body, at most CONDUIT_BODY_MAX bytes, must stay until the
 * message is acknowledged. `now` is nanoseconds of any clock that does not go back. */
void conduit_link_send(struct conduit_link *link, uint8_t type, const uint8_t *body, size_t length,
                       uint64_t now);

/* Takes a frame's payload. Afterwards a message that was under way may be acknowledged (see
 * conduit_link_is_busy()). Returns whether a message has come whole: it is valid until the next
 * call here, and counts as received, which the other end is told, after conduit_link_accept();
 * without that it will come again. */
bool conduit_link_receive(struct conduit_link *link, const void *payload, size_t length,
                          struct conduit_message *message);
void conduit_link_accept(struct conduit_link *link);

/* Sends an acknowledgement if one is owed and no frame has carried it: after what there was to do
 * for a frame received. */
void conduit_link_flush(struct conduit_link *link);

/* Sends again what is due. Returns when (`now`'s clock) it wants to be called next, UINT64_MAX if
 * nothing is under way. */
uint64_t conduit_link_run(struct conduit_link *link, uint64_t now);

#endif
