/* Connections without a network: what jitsu/stream.h promises, with a test as the client, and a
 * clock that the test moves. */
#ifndef JITSU_UNIT_STREAM_DOUBLE_H
#define JITSU_UNIT_STREAM_DOUBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jitsu/stream.h"

/* The machine that the next http_listen() finds. */
struct stream_machine {
    size_t capacity;     /* connections */
    size_t room;         /* bytes that a connection may have unacknowledged */
    const char *options; /* "idle=5 log" */
};
void machine_start(const struct stream_machine *machine);

/* Moves the clock, and has `expired` called where it is due. */
void machine_pass(double seconds);

/* What was written to the console since this was last called. */
const char *machine_console(void);

/* A client, until client_free(). */
struct client;
struct client *client_connect(void);
void client_free(struct client *client);

/* It sends bytes, or the end of them, or breaks off. What the server does not take at once is
 * offered again. */
void client_send(struct client *client, const void *bytes, size_t length);
void client_end(struct client *client);
void client_reset(struct client *client);

/* It acknowledges as much of what it was sent, at most. */
void client_acknowledge(struct client *client, size_t count);

/* What it was sent so far. */
const uint8_t *client_received(const struct client *client, size_t *length);

enum client_state {
    CLIENT_CONNECTED,
    CLIENT_SHUT,   /* the server sends no more */
    CLIENT_CLOSED, /* the server has let go of it */
    CLIENT_ABORTED,
};
enum client_state client_state(const struct client *client);

#endif
