/* lwIP's connections by their ends. */
#ifndef JITSU_NET_CONNECTIONS_H
#define JITSU_NET_CONNECTIONS_H

#include <stdint.h>

#include "lwip/ip_addr.h"

struct tcp_pcb;

/* The machine's end, and the client's. */
struct ends {
    ip_addr_t machine, client;
    uint16_t machine_port, client_port;
};

/* An address of the network's, as it is on the wire: of 4 bytes, or of 16. */
ip_addr_t connections_address(const uint8_t *bytes, size_t size);

/* The one of the list that is between these ends, or NULL. */
struct tcp_pcb *connections_find(struct tcp_pcb *list, const struct ends *ends);

#endif
