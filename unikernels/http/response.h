/* An answer in the making, for the server: its head as text, and its body. The functions with which
 * it is made are in jitsu/http.h. */
#ifndef JITSU_HTTP_RESPONSE_H
#define JITSU_HTTP_RESPONSE_H

#include "jitsu/http.h"

#define RESPONSE_TEXT_MAX 2048

struct http_response {
    int status;                   /* 0: not begun */
    bool is_whole;                /* ended by http_body() or http_no_body() */
    bool close;                   /* the connection ends after it */
    bool without_body;            /* the method is HEAD */
    char text[RESPONSE_TEXT_MAX]; /* the head, and a short body that was to be copied */
    size_t text_length;
    const uint8_t *body; /* what follows the text */
    size_t body_length;
    size_t content_length; /* of the whole body that is sent */
    void *copy;            /* owned: the body, if it was to be copied and is not short */
};

/* Before the application is asked. `close`: the connection is to end whatever the client wants. */
void response_start(struct http_response *response, const struct http_request *request, bool close);

/* Frees what it owns. */
void response_end(struct http_response *response);

#endif
