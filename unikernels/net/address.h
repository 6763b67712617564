/* Addresses of jitsu/stream.h and of lwIP. */
#ifndef JITSU_NET_ADDRESS_H
#define JITSU_NET_ADDRESS_H

#include <stdint.h>

#include "jitsu/stream.h"
#include "lwip/ip_addr.h"

struct stream_address network_address(const ip_addr_t *address, uint16_t port);
ip_addr_t network_lwip_address(const struct stream_address *address);

#endif
