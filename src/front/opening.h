/* Sockets to listen on are opened by the keeper, which may; this asks for them, many at a time, and
 * gives out what comes. */
#ifndef JITSU_FRONT_OPENING_H
#define JITSU_FRONT_OPENING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "keeper/message.h"

/* What a socket is for. */
enum opening_purpose { OPENING_DNS_UDP, OPENING_DNS_TCP, OPENING_METRICS, OPENING_SERVICE };

struct opening_request {
    enum opening_purpose purpose;
    struct endpoint endpoint;
    bool reuse_port;
    size_t slot;           /* the caller's */
    const char *service;   /* OPENING_SERVICE: its name, which must stay valid */
    uint16_t machine_port; /* OPENING_SERVICE */
};

struct opening_callbacks {
    /* The socket for `request`, owned by the callee; or -1 and why not. */
    void (*opened)(void *argument, const struct opening_request *request, int descriptor,
                   const char *problem);
    /* All requests have been answered. May free the opening. */
    void (*done)(void *argument);
};

struct opening;

/* NULL if memory is exhausted. */
struct opening *opening_new(const struct opening_callbacks *callbacks, void *argument);

/* Adds one. Before opening_begin(). */
void opening_add(struct opening *opening, const struct opening_request *request);

/* How many there are. */
size_t opening_count(const struct opening *opening);

/* Begins asking over `link`; with nothing to ask for `done` is called at once. Called again with a
 * new link after the keeper was lost, it asks anew for what was not answered. */
void opening_begin(struct opening *opening, struct message_link *link);

/* A LISTENING message; takes over `descriptor`. */
void opening_answer(struct opening *opening, const struct message *message, int descriptor);

void opening_free(struct opening *opening);

#endif
