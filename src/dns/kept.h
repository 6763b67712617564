/* A query that is answered later: a copy of its question, and of where the response goes. Of the
 * query's packet only header and question are needed: they are what a response is written around.
 */
#ifndef JITSU_DNS_KEPT_H
#define JITSU_DNS_KEPT_H

#include "dns/worker.h"

#define KEPT_PACKET_MAX (DNS_HEADER_SIZE + NAME_WIRE_MAX + 4)

struct kept_query {
    struct question question;
    struct peer peer; /* points to the two below */
    struct sockaddr_in6 address;
    uint8_t control[64];
    uint8_t packet[KEPT_PACKET_MAX]; /* question.end bytes */
};

/* Copies a query, whose connection is held from then on (tcp.h). False if its peer's address is of
 * no size that there is room for. */
bool kept_query_take(struct kept_query *kept, const struct question *question,
                     const uint8_t *packet, const struct peer *peer);

/* Lets the connection go. */
void kept_query_release(struct kept_query *kept);

/* Is the query a retransmission of the one that is kept? */
bool kept_query_is(const struct kept_query *kept, const struct question *question,
                   const uint8_t *packet, const struct peer *peer);

/* Sends its response. */
void kept_query_send(const struct kept_query *kept, const uint8_t *response, size_t length);

#endif
