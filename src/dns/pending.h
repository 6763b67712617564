/* Queries of a worker that are kept, to be answered later. */
#ifndef JITSU_DNS_PENDING_H
#define JITSU_DNS_PENDING_H

#include "dns/worker.h"

/* The queries of a worker that wait: for a host to be released (at most `keep` nanoseconds; 0: 30
 * s), or for its answer_delay. */
struct pending *pending_new(struct worker *worker, uint64_t keep);
void pending_free(struct pending *pending);

/* Keeps a query, unless it is there already (a retransmission), for the host of its answer; for one
 * that is unknown it asks what becomes of the label. False: there is no room. */
bool pending_keep(struct pending *pending, const struct question *question, const uint8_t *packet,
                  const struct peer *peer, const struct answer *answer, enum host_verdict until);

/* Answers those that wait to know of the wildcard's label, or has them wait for its instance. */
void pending_tell(struct pending *pending, struct dns_host *wildcard, const char *label,
                  enum dns_label_fate fate);

/* Answers those that are kept for an instance that has been removed. */
void pending_retire(struct pending *pending, struct dns_host *instance);

/* Answers those that wait for the host. */
void pending_release(struct pending *pending, struct dns_host *host, bool ready);

/* Answers those whose host is not the one of their name in the worker's table, which is new. */
void pending_review(struct pending *pending);

/* Forgets those of a connection that is gone. */
void pending_forget(struct pending *pending, const struct tcp_connection *connection);

#endif
