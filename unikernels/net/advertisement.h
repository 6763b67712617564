/* Unsolicited neighbour advertisements (RFC 4861, section 7.2.6), which lwIP does not send: who
 * knows the address already learns where it is now. */
#ifndef JITSU_NET_ADVERTISEMENT_H
#define JITSU_NET_ADVERTISEMENT_H

#include "lwip/ip6_addr.h"
#include "lwip/netif.h"

void advertise(struct netif *interface, const ip6_addr_t *address);

#endif
