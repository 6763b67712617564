/* One upstream resolver asked one question: over UDP, and over TCP if the response is cut there.
 * The socket, with a source port of the kernel's random choice, is connected and used for nothing
 * else, and the id is random (RFC 5452): only who sees the query can answer it. */
#ifndef JITSU_DNS_EXCHANGE_H
#define JITSU_DNS_EXCHANGE_H

#include <event2/event.h>

#include "common/address.h"
#include "dns/forward_message.h"

struct exchange;

/* Called once unless the exchange is closed before: with the response, which is valid during the
 * call, or with NULL and why there is none. The exchange has been closed. */
typedef void exchange_done_function(void *argument, struct exchange *exchange,
                                    const struct forward_response *response, const char *why);

struct exchange {
    /* Set by the owner. */
    struct event_base *base;
    const struct endpoint *upstream;
    const struct question *question;
    bool checking_disabled;
    exchange_done_function *done;
    void *argument;
    _Atomic uint64_t *strange; /* counts responses that were not to our query */

    /* Private. All zeroes but for the above, at first. */
    struct event *event; /* NULL: closed */
    int socket;
    bool stream;
    uint16_t id;
    unsigned strange_here;
    size_t query_length, query_sent;
    size_t response_length, received; /* over TCP */
    uint8_t *response;                /* the same, owned; NULL: its length is not known yet */
    uint8_t length_bytes[2];
    uint8_t query[2 + FORWARD_QUERY_MAX]; /* with the length that goes before it over TCP */
};

/* Sends the query. Returns 0, or -1 with `why` it could not. Of a closed exchange only. */
int exchange_begin(struct exchange *exchange, const char **why);

/* Over UDP sends it once more. */
void exchange_repeat(struct exchange *exchange);

/* Closes it; may be called at any time. */
void exchange_close(struct exchange *exchange);

static inline bool exchange_is_open(const struct exchange *exchange)
{
    return exchange->event != NULL;
}

#endif
