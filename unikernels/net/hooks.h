/* Functions of this folder that lwIP calls. */
#ifndef JITSU_NET_HOOKS_H
#define JITSU_NET_HOOKS_H

#include <stdbool.h>

#include "lwip/arch.h"
#include "lwip/err.h"
#include "lwip/ip_addr.h"

struct netif;
struct pbuf;
struct tcp_hdr;
struct tcp_pcb;

/* A TCP connection's initial sequence number (RFC 6528). */
u32_t network_initial_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                               u16_t remote_port);

/* A number for the connection that nobody outside can foresee: others' differ. */
uint64_t network_connection_hash(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                                 u16_t remote_port);

/* May a segment of no known connection go to the listener on its port, as far as connections that
 * are over are concerned? Else it has been answered. */
bool time_wait_admits(const struct tcp_hdr *header);

/* The same, as far as the conduit is concerned. Else it is dropped. */
bool network_admits(const struct tcp_hdr *header);

/* May a segment of no known connection go to the listener `pcb`? Else it is dropped, or has been
 * answered, or a connection made of it. So many bytes of its options are behind the header. */
bool half_open_admits(const struct tcp_pcb *pcb, const struct tcp_hdr *header,
                      size_t options_length, const struct pbuf *data);

/* A segment has come for a connection, and is handled after this; its header's numbers are in the
 * machine's byte order. ERR_ABRT: it is to be dropped. */
err_t network_segment_arrives(struct tcp_pcb *pcb, const struct tcp_hdr *header,
                              size_t options_length);

/* The router that the command line names for IPv6, or NULL. */
const ip6_addr_t *network_gateway6(struct netif *netif, const ip6_addr_t *destination);

#endif
