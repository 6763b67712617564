/* UDP sockets of a worker: batches of queries in, batches of responses out. */
#ifndef JITSU_DNS_UDP_H
#define JITSU_DNS_UDP_H

#include "dns/worker.h"

/* Serves `descriptor`, which the socket owns from then on, also if this fails. */
struct udp_socket *udp_socket_new(struct worker *worker, int descriptor, struct error *error);
void udp_socket_free(struct udp_socket *socket);

/* Sends one response; one that the socket does not take is dropped and counted. */
void udp_send(const struct peer *peer, const uint8_t *packet, size_t length);

#endif
