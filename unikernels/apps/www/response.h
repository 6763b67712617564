/* What is answered to a request: a head, and a body that lies in the site. */
#ifndef JITSU_WWW_RESPONSE_H
#define JITSU_WWW_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "www/http.h"
#include "www/site.h"

#define RESPONSE_TEXT_MAX 2048

struct response {
    int status;
    bool close;                   /* the connection ends after it */
    char text[RESPONSE_TEXT_MAX]; /* the head, and the body if it is short and not of the site */
    size_t text_length;
    const uint8_t *body; /* what follows the text */
    size_t body_length;
};

/* Answers `request` from `site`. */
void response_to(const struct site *site, const struct http_request *request,
                 struct response *response);

/* Answers a request that cannot be understood with `status`, and closes. */
void response_to_error(const struct http_request *request, int status, struct response *response);

#endif
