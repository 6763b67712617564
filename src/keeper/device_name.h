/* What the network devices of machines and ports are called, and their MAC addresses: the same at
 * every start, so that ARP caches, firewalls and people can rely on them. Pure.
 *
 * A machine's MAC address is 02 and 40 bits that are computed from the names of its network and its
 * service (of an instance of a wildcard, its first address takes the place of the name); that of
 * jitsud's port on a network comes from the network's name alone. Both are locally administered, as
 * are those of the host's devices. A bridge without an address of its own takes the lowest among
 * its devices, and another one whenever a lower one comes or goes: so the device of the port, which
 * stays, is lower than those of machines, and both are higher than hardware's.
 *
 * A device's name is "jm-" for a machine's or "jp-" for a port's, and 48 bits in hexadecimal that
 * are computed from jitsud's run directory and what the device belongs to, so that several jitsud
 * do not meet. */
#ifndef JITSU_KEEPER_DEVICE_NAME_H
#define JITSU_KEEPER_DEVICE_NAME_H

#include <net/if.h>
#include <stdint.h>

#include "config/config.h"

#define MAC_SIZE      6
#define MAC_TEXT_SIZE 18

/* Of the machine of `service` (its configured name) on `network`. */
void device_machine_mac(const char *network, const char *service, uint8_t mac[MAC_SIZE]);

/* Of the machine of a configured service, or of an instance of a wildcard. An instance has the MAC
 * addresses of its place: what its clients and neighbours know of its addresses stays true when
 * another one takes its place. */
void device_service_mac(const struct config_service *service, uint8_t mac[MAC_SIZE]);
void device_service_host_mac(const struct config_service *service, uint8_t mac[MAC_SIZE]);

/* Of jitsud's port on `network`. */
void device_port_mac(const char *network, uint8_t mac[MAC_SIZE]);

/* Of the host's devices: the ends of the wires to a machine and to the port, and a bridge that
 * jitsud makes. */
void device_machine_host_mac(const char *network, const char *service, uint8_t mac[MAC_SIZE]);
void device_port_host_mac(const char *network, uint8_t mac[MAC_SIZE]);
void device_bridge_mac(const char *network, uint8_t mac[MAC_SIZE]);

/* "02:00:5e:10:00:01"; returns `text`. */
const char *mac_format(const uint8_t mac[MAC_SIZE], char text[MAC_TEXT_SIZE]);

/* `record` is the name of the machine's directory in the run directory: a spare has one, too. */
void device_machine_name(const char *run_directory, const char *record, char name[IF_NAMESIZE]);
void device_port_name(const char *run_directory, const char *network, char name[IF_NAMESIZE]);

#endif
