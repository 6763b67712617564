/* A summoner for tests: implements what admin asks of summon.h and of the DNS server, in memory,
 * without a keeper. A test says what happens to services; or summoner_start() plays a start by the
 * service's first label: "refused" is refused, "queued" waits for its turn, "broken" fails, "stuck"
 * never gets ready, "flood" makes many transitions, and others run after a moment and then deliver
 * their first byte. */
#ifndef JITSU_TESTS_SUMMON_DOUBLE_H
#define JITSU_TESTS_SUMMON_DOUBLE_H

#include "summon/summon.h"

#define DOUBLE_FLOOD 500 /* transitions that each start of "flood" makes */

/* `base` may be NULL if nothing is started. */
struct summoner *double_new(struct event_base *base);
void double_free(struct summoner *summoner);

/* Adds a service, off, with address 127.0.1.X, ports 80 and 8443:443, and 16 MiB. */
struct service *double_add(struct summoner *summoner, const char *name);
struct service_status *double_status(struct service *service);
struct config_service *double_config(struct service *service);
void double_limits(struct summoner *summoner, const struct limits_status *limits);

/* Moves the service's machine to `to` and tells the subscribers; `details` gives what is not
 * obvious (cause, reason, client, query, phases), or is NULL. */
void double_move(struct service *service, enum machine_state to, const struct transition *details);

/* The service's console prints. */
void double_print(struct service *service, const void *bytes, size_t length);

/* What dns_server_statistics() will say, and summoner_*_statistics(). */
extern struct dns_statistics double_dns_statistics;
extern struct proxy_statistics double_proxy_statistics;
extern struct port_statistics double_port_statistics;

#endif
