/* For tests of forwarding: upstream resolvers that the tests play themselves. */
#ifndef TESTS_UNIT_DNS_UPSTREAM_H
#define TESTS_UNIT_DNS_UPSTREAM_H

#include "dns_fixture.h"

#include <netinet/in.h>

#include "common/address.h"

struct upstream {
    int udp, tcp;
    struct endpoint endpoint;
};

/* A query as an upstream got it. */
struct received {
    uint8_t packet[512];
    size_t length;
    struct sockaddr_in6 client; /* or sockaddr_in */
    socklen_t client_length;
};

/* Sockets at that address ("127.0.0.1"), on a port that is free for both. */
void upstream_open(struct upstream *upstream, const char *address);
void upstream_close(struct upstream *upstream);

/* Binds UDP alone where it was before it was closed. */
void upstream_open_again(struct upstream *upstream);

/* The next query over UDP; is there none? */
struct received upstream_receive(const struct upstream *upstream);
bool upstream_has_nothing(const struct upstream *upstream);

/* Turns a query into its response with that RCODE, and `answers` TXT records of 200 bytes each, or
 * if there are none and the RCODE is NOERROR one A record, 192.0.2.7. AA, RA and AD are set.
 * Returns its length. */
size_t upstream_respond(const struct received *query, uint8_t *packet, uint8_t rcode,
                        unsigned answers);

/* Sends what a query gets. */
void upstream_send(const struct upstream *upstream, const struct received *query,
                   const uint8_t *packet, size_t length);
void upstream_answer(const struct upstream *upstream, const struct received *query, uint8_t rcode);

/* Takes the next query over TCP and answers it, in pieces as TCP may. */
void upstream_answer_stream(const struct upstream *upstream, unsigned answers);

#endif
