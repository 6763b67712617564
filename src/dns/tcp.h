/* TCP connections of a worker (RFC 7766). */
#ifndef JITSU_DNS_TCP_H
#define JITSU_DNS_TCP_H

#include "dns/worker.h"

/* All TCP connections of a worker. Owns the listening sockets that are added, also if that fails.
 */
struct tcp_service *tcp_service_new(struct worker *worker, unsigned connections, uint64_t idle);
int tcp_service_listen(struct tcp_service *tcp, int descriptor, struct error *error);
void tcp_service_free(struct tcp_service *tcp);

/* Says that a query of the connection is kept, or not any more. */
void tcp_hold(struct tcp_connection *connection);
void tcp_unhold(struct tcp_connection *connection);

/* Sends one response. A connection that fails is closed later, from the event loop. */
void tcp_send(struct tcp_connection *connection, const uint8_t *packet, size_t length);

#endif
