/* The machine's IPv4 addresses. An interface of lwIP's has one: it is shown the one that a frame is
 * for, before it gets the frame. What else it does with its own address is right with any. */
#ifndef JITSU_NET_ADDRESSES4_H
#define JITSU_NET_ADDRESSES4_H

#include <stdbool.h>

#include "lwip/ip4_addr.h"
#include "lwip/netif.h"

#define ADDRESSES4_MAX 8u

/* One more. Returns false if there are too many. */
bool addresses4_add(const ip4_addr_t *address);

bool addresses4_has(const ip4_addr_t *address);

/* The interface is up, with the first: tells everybody of the others. */
void addresses4_announce(struct netif *interface);

/* `frame` has come, an Ethernet frame in one piece. */
void addresses4_show(struct netif *interface, const struct pbuf *frame);

#endif
