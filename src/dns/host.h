/* What a query for a host's addresses means: is the host wanted, and is the answer sent now? */
#ifndef JITSU_DNS_HOST_H
#define JITSU_DNS_HOST_H

#include <sys/socket.h>

#include "dns/answer.h"

enum host_verdict {
    HOST_SEND,       /* send the answer, which may have become a failure */
    HOST_DELAY,      /* send it after the host's answer_delay */
    HOST_WHEN_READY, /* keep the query until the host is released */
    HOST_UNKNOWN,    /* keep it until it is known what becomes of the label */
};

/* Whom to tell that a host is wanted. */
struct host_observer {
    dns_wanted_function *wanted;
    void *argument;
};

/* For an answer with a host. `now` is clock_now_coarse() or a little earlier. */
enum host_verdict host_ask(struct answer *answer, const struct question *question,
                           const struct sockaddr *client, uint64_t now,
                           const struct host_observer *observer);

/* For one with a wildcard that has no instance of its label. */
enum host_verdict host_ask_unknown(struct answer *answer, const struct question *question,
                                   const struct sockaddr *client);

/* The extended error for a failing host, by its disposition; for one that is not failing, that of
 * DNS_FAILED. */
const struct extended_error *host_error(const struct dns_host *host);

/* Extended errors of queries that could not be kept, not long enough, or for a host that is gone.
 */
extern const struct extended_error host_error_too_many, host_error_timeout, host_error_gone;

/* No room for another machine. */
extern const struct extended_error host_error_no_resources;

/* Who wants what: for the observer. */
void host_want(const struct question *question, const struct sockaddr *client,
               struct dns_want *want);

#endif
