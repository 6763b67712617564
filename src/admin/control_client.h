/* One client of the control socket: shared by control.c, which reads lines and writes answers, and
 * control_commands.c, which knows what they mean. */
#ifndef JITSU_ADMIN_CONTROL_CLIENT_H
#define JITSU_ADMIN_CONTROL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "admin/control.h"
#include "admin/control_request.h"

struct bufferevent;
struct event;
struct evconnlistener;

/* A stream whose client leaves more than this unread, besides what it began with, is ended. */
#define CONTROL_BACKLOG_MAX (1024 * 1024)

/* What a client's connection is doing. One thing at a time: requests that come meanwhile wait. */
enum activity {
    ACTIVITY_NONE,
    ACTIVITY_STATUS,  /* an answer that is made piece by piece, as the client reads it */
    ACTIVITY_EVENTS,  /* following */
    ACTIVITY_CONSOLE, /* following */
    ACTIVITY_WAIT,    /* for a state */
    ACTIVITY_RELOAD,  /* for its end */
    ACTIVITY_CLOSING, /* as soon as what is queued has been written */
};

struct control_client {
    LIST_ENTRY(control_client) entry;
    struct control *control;
    struct bufferevent *bufferevent;
    struct event *turn; /* made active to go on from the event loop rather than at once */
    bool input_ended;
    uint64_t active; /* clock_now() of the last request */
    enum activity activity;
    size_t backlog_limit; /* of a stream, in bytes */
    union {
        struct {
            size_t next; /* index of the service that comes next */
        } status;
        struct {
            struct subscription *subscription;
            size_t held_length; /* bytes of a UTF-8 sequence that the next piece completes */
            char held[3];
        } console;
        struct {
            struct event *timer; /* NULL: no limit */
            enum machine_state state;
            char service[CONFIG_NAME_TEXT_MAX];
        } wait;
    };
};

LIST_HEAD(control_clients, control_client);

struct control {
    struct control_options options;
    struct evconnlistener *listener;
    struct event *accept_again; /* after the process ran out of descriptors */
    struct subscription *subscription;
    struct control_clients clients;
    size_t client_count;
    bool reloading;
    struct control_client *reloader; /* who waits for its end; NULL: gone */
    uint64_t started;
};

/* --- control.c --- */

/* Queues one line, or a part of one; takes over the value. NULL (memory exhausted) ends the
 * connection; client_send_json() then returns false. */
void client_send(struct control_client *client, json_t *line);
bool client_send_json(struct control_client *client, json_t *value);
/* Queues bytes as they are. */
void client_send_bytes(struct control_client *client, const void *bytes, size_t length);
/* Bytes queued and not yet taken by the client. */
size_t client_backlog(const struct control_client *client);

/* Ends what the client's connection is doing, now that the last line of its answer is queued. The
 * next request is then taken up from the event loop. */
void client_end(struct control_client *client);
/* The same after having queued that last line: an object with "ok" and whatever more; takes over
 * `line`. */
void client_finish(struct control_client *client, json_t *line);
/* The same with {"ok": false, "error": ...}. */
void client_refuse(struct control_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Sends a last line like client_refuse() and closes the connection once that is written. */
void client_close(struct control_client *client, const char *error);

/* --- control_commands.c --- */

/* Begins to answer a request. */
void command_begin(struct control_client *client, const struct control_request *request);
/* The client has read all that was queued: an answer that is made piece by piece goes on. */
void command_continue(struct control_client *client);
/* Forgets what the connection was doing; its activity is none afterwards. */
void command_abandon(struct control_client *client);
/* A machine changed its state: tells those who follow or wait. */
transition_function command_transition; /* argument: struct control */

#endif
