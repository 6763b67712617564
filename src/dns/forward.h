/* Forwarding of a worker: queries of allowed clients for names that are not ours are put to an
 * upstream resolver, and its response is passed on. Nothing is cached. Equal questions that are
 * under way share one query (RFC 5452, section 5): many of them would only make guessing its id
 * easier, and one that comes back to us in a loop ends there. */
#ifndef JITSU_DNS_FORWARD_H
#define JITSU_DNS_FORWARD_H

#include "dns/forward_rules.h"
#include "dns/worker.h"

struct forwarder *forwarder_new(struct worker *worker);
void forwarder_free(struct forwarder *forwarder);

/* Forwards a query whose client is allowed by `rules`. Returns NULL if it is kept until there is an
 * answer, else the extended error to answer with. */
const struct extended_error *forward_query(struct forwarder *forwarder, struct forward_rules *rules,
                                           const struct question *question, const uint8_t *packet,
                                           const struct peer *peer);

/* Forgets the queries of a connection that is gone. */
void forwarder_forget(struct forwarder *forwarder, const struct tcp_connection *connection);

#endif
