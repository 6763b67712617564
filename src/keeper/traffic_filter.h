/* Programs for the kernel's packet filter (classic BPF) that let through what is use of a machine,
 * of all that passes its network device in the host. Pure.
 *
 * Let through are IP packets sent to the machine's MAC address from clients whom summon-from lets
 * count: TCP segments and UDP datagrams to the machine's side of one of the service's ports, or,
 * where it lists none, everything but ICMP and IGMP. Of TCP not those that reset or end a
 * connection, or answer one; with idle-connections: ignore only those that open one or carry data,
 * so that what keeps a silent connection alive does not keep the machine. Let through
 * in the other direction are TCP segments with data and UDP datagrams from these ports to such
 * clients. Not ARP and neighbour discovery, pings, scans of other ports, broadcasts and multicasts,
 * and what is not IP. IPv6 extension headers are not looked through: nobody puts TCP or UDP behind
 * them. */
#ifndef JITSU_KEEPER_TRAFFIC_FILTER_H
#define JITSU_KEEPER_TRAFFIC_FILTER_H

#include <linux/filter.h>
#include <stdint.h>

#include "config/config.h"
#include "keeper/device_name.h"

/* Room for the longest that a service can need: its ports and the prefixes of summon-from are
 * bounded. */
#define TRAFFIC_FILTER_MAX 1024

/* Of every frame that is let through so many bytes may be read: nothing of what is said. */
#define TRAFFIC_FILTER_SEEN 1

/* Writes the program for a machine of `service` that has the MAC address `mac`; returns its length
 * in instructions. */
unsigned short traffic_filter_make(const struct config_service *service,
                                   const uint8_t mac[MAC_SIZE],
                                   struct sock_filter code[TRAFFIC_FILTER_MAX]);

#endif
