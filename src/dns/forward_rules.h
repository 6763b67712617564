/* What the configuration says of forwarding, and what all workers share of it: how much is under
 * way, and which upstreams are silent. It belongs to the table that it came with and to the queries
 * that were forwarded by it, which may outlive that. */
#ifndef JITSU_DNS_FORWARD_RULES_H
#define JITSU_DNS_FORWARD_RULES_H

#include <stdatomic.h>

#include "config/config.h"

/* Clients are counted in so many places, chosen by a hash that nobody can foresee: two of them that
 * fall on one share what one may have. */
#define FORWARD_CLIENTS 4096

struct forward_upstream {
    struct endpoint endpoint;
    _Atomic uint64_t silent_until; /* clock_now(): until then the others are asked first; 0: no */
    _Atomic bool told;             /* its silence has been logged, and not that it is over */
    _Atomic uint64_t told_at;      /* clock_now() of the last such line; 0: none yet */
};

struct forward_rules {
    _Atomic unsigned references;
    bool anyone; /* any client may ask */
    struct prefix *from;
    size_t from_count;
    uint64_t timeout;                /* of a query, nanoseconds */
    unsigned queries, from_a_client; /* under way at most */
    uint64_t seed;
    _Atomic unsigned under_way;
    _Atomic unsigned by_client[FORWARD_CLIENTS];
    size_t upstream_count;
    struct forward_upstream upstreams[];
};

/* From the configuration; NULL if memory is exhausted. The caller has the one reference. */
struct forward_rules *forward_rules_new(const struct config_forward *config);

/* The last to let go frees it. NULL is allowed. */
struct forward_rules *forward_rules_hold(struct forward_rules *rules);
void forward_rules_release(struct forward_rules *rules);

/* May this client ask for names that are not ours? */
bool forward_rules_allow(const struct forward_rules *rules, const struct sockaddr *client);

/* Begins a query of that client's. Returns its place among the clients, to be given back at the
 * end, or -1 if it would be one too many. */
int forward_rules_begin(struct forward_rules *rules, const struct sockaddr *client);
void forward_rules_end(struct forward_rules *rules, int place);

/* The upstreams in the order in which they are to be asked: as configured, those that were silent
 * lately last. */
void forward_rules_order(const struct forward_rules *rules, uint64_t now,
                         uint8_t order[CONFIG_FORWARD_TO_MAX]);

/* The upstream has answered; or not, for so long (nanoseconds) or because of `why` (not NULL). */
void forward_rules_heard(struct forward_rules *rules, size_t upstream);
void forward_rules_missed(struct forward_rules *rules, size_t upstream, uint64_t waited,
                          const char *why);

#endif
