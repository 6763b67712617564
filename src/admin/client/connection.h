/* jitsuctl's end of the control socket, blocking: requests out, lines in. */
#ifndef JITSU_ADMIN_CLIENT_CONNECTION_H
#define JITSU_ADMIN_CLIENT_CONNECTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct connection {
    int socket;
    char *input; /* what was received and not yet used */
    size_t length, capacity, used;
};

/* One line from jitsud. The line is valid until the next one is received, the object until the
 * caller releases it. */
struct answer {
    const char *line; /* without its line break, ended by NUL */
    json_t *object;
};

/* Connects to the socket at `path`. Returns 0, or -1 with what to do about it. */
int connection_open(struct connection *connection, const char *path, struct error *error);

/* Sends one request; takes over `request`. */
int connection_send(struct connection *connection, json_t *request, struct error *error);

/* Receives the next line. Returns 0, or -1: also at the end of the stream, which never comes before
 * a line with "ok". */
int connection_receive(struct connection *connection, struct answer *answer, struct error *error);

/* Has another line been received already? */
bool connection_has_more(const struct connection *connection);

void connection_close(struct connection *connection);

/* Is it the last line of an answer (it has "ok")? */
bool answer_is_last(const struct answer *answer);

/* Opens a connection and sends a request; reports what fails on standard error. Takes over
 * `request`. Returns 0 or -1; the caller closes the connection in both cases. */
int request_begin(struct connection *connection, const char *path, json_t *request);

/* Receives the next line and reports what fails on standard error. Returns 0 or -1. */
int request_receive(struct connection *connection, struct answer *answer);

/* A request that has one line for an answer: sends it and receives that line. With `json` the line
 * is printed. A refusal is reported on standard error (with `json`, only printed). Returns the
 * object, which the caller releases, or NULL if there is none or it says that it was refused. Takes
 * over `request`. */
json_t *request_answer(const char *path, json_t *request, bool json);

#endif
