/* The control socket: one JSON object a line each way over a UNIX stream socket. jitsuctl(1) is its
 * client. */
#ifndef JITSU_ADMIN_CONTROL_H
#define JITSU_ADMIN_CONTROL_H

#include "common/error.h"
#include "dns/dns.h"
#include "summon/summon.h"

struct event_base;
struct control;

struct control_options {
    struct event_base *base;
    int descriptor; /* the listening socket, non-blocking; owned by control from then on */
    struct summoner *summoner;
    struct dns_server *dns;
    /* Begins a reload; `done` is called once, with NULL or what was wrong (lines of text), but not
     * after control_free(). */
    void (*reload)(void *argument, void (*done)(void *done_argument, const char *problem),
                   void *done_argument);
    void *argument;
};

/* Serves clients from the event loop on. At most 64 at a time: one more takes the place of the one
 * that has been idle for longest, or is refused. `descriptor` is closed if this fails. */
struct control *control_new(const struct control_options *options, struct error *error);
/* Tells clients that wait or follow that it ends, as far as their sockets take it, and closes
 * everything; NULL is allowed. Before summoner_free(). */
void control_free(struct control *control);

#endif
