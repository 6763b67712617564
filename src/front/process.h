/* The front process as its own files see it. */
#ifndef JITSU_FRONT_PROCESS_H
#define JITSU_FRONT_PROCESS_H

#include <event2/event.h>

#include "admin/control.h"
#include "admin/metrics.h"
#include "dns/dns.h"
#include "front/front.h"
#include "front/opening.h"
#include "summon/summon.h"

struct reload;
struct port_request;

struct front {
    const struct front_options *options;
    struct config *config;
    struct event_base *base;
    struct summoner *summoner;
    struct dns_table *table; /* until the server takes it over */
    struct dns_server *dns;
    struct control *control;
    struct metrics *metrics;
    struct message_link *link;
    bool link_lost; /* the link above is closed and waits to be replaced */

    struct opening *opening;         /* at the start; reloads have their own */
    struct dns_sockets *dns_sockets; /* workers * listen_count */
    int metrics_socket;
    size_t listener_count; /* of services, opened so far */
    struct port_request *port_requests;
    uint32_t last_port_serial;
    char problem[MESSAGE_TEXT_MAX]; /* the first thing that makes the start fail; "" if nothing */

    struct event *supervisor_event, *terminate_event, *reload_event;
    struct reload *reload; /* one at a time; NULL: none under way */
    int status;            /* of the process */
};

/* Adds requests for every service's port that has no socket yet. */
void front_add_missing_listeners(struct front *front, struct opening *opening);

/* Hands a service's socket to the summoner, or logs why there is none. */
void front_service_opened(struct front *front, const struct opening_request *request,
                          int descriptor, const char *problem);

/* Asks the keeper for the port of every bridge network that has none; forgets what was asked
 * before.
 */
void front_ask_for_ports(struct front *front);
void front_forget_port_requests(struct front *front);
/* The keeper says that the network has none, and can have one. */
void front_port_missing(struct front *front, const char *network);
/* A PORT_OPENED message; takes over `descriptor`. */
void front_port_opened(struct front *front, const struct message *message, int descriptor);

void front_tell_supervisor(struct front *front, enum front_note_kind kind, uint64_t digest);

/* Begins to read the configuration again. `done` is called once, with NULL or what was wrong, one
 * line each; a second reload while one is under way is refused that way. */
void reload_begin(struct front *front, void (*done)(void *argument, const char *problem),
                  void *argument);
void reload_opened(struct reload *reload, const struct message *message, int descriptor);
void reload_file_opened(struct reload *reload, const struct message *message, int descriptor);
void reload_answered(struct reload *reload, const struct message *message, int descriptor);
void reload_keeper_lost(struct reload *reload);
void reload_free(struct reload *reload); /* NULL is allowed */

#endif
