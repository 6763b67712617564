/* The metrics listener: GET /metrics in Prometheus' text format, and a status page for people at /.
 * HTTP by libevent's evhttp, on the main loop. */
#ifndef JITSU_ADMIN_METRICS_H
#define JITSU_ADMIN_METRICS_H

#include "common/error.h"
#include "dns/dns.h"
#include "summon/summon.h"

struct event_base;
struct metrics;

/* Takes over `descriptor`, a listening non-blocking TCP socket. */
struct metrics *metrics_new(struct event_base *base, int descriptor, struct summoner *summoner,
                            struct dns_server *dns, struct error *error);
void metrics_free(struct metrics *metrics);

#endif
