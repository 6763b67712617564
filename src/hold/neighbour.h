/* IPv6 neighbour discovery: solicitations and advertisements (RFC 4861, sections 4.3 and 4.4). */
#ifndef JITSU_HOLD_NEIGHBOUR_H
#define JITSU_HOLD_NEIGHBOUR_H

#include "hold/ethernet.h"
#include "hold/ip.h"

enum neighbour_type { NEIGHBOUR_SOLICITATION = 135, NEIGHBOUR_ADVERTISEMENT = 136 };

/* Flags of an advertisement. */
#define NEIGHBOUR_SOLICITED 0x40000000u
#define NEIGHBOUR_OVERRIDE  0x20000000u

struct neighbour {
    uint8_t type;          /* enum neighbour_type */
    uint32_t flags;        /* of an advertisement */
    struct address target; /* whose MAC address is asked for or told */
    bool has_mac;
    struct mac mac; /* the source's in a solicitation, the target's in an advertisement */
};

/* Reads an ICMPv6 packet. False if it is neither, or not valid (RFC 4861, sections 7.1.1, 7.1.2).
 */
bool neighbour_read(struct neighbour *neighbour, const struct ip_packet *packet);

/* Writes the IPv6 packet; `packet` says the addresses. */
void neighbour_write(struct writer *writer, const struct neighbour *neighbour,
                     const struct ip_packet *packet);

/* The group that an address's solicitations go to (RFC 4291, section 2.7.1), and any IPv6 group's
 * Ethernet address (RFC 2464, section 7). */
struct address neighbour_group(const struct address *address);
struct mac neighbour_group_mac(const struct address *group);

/* The link-local address of an interface with that MAC address (RFC 4291, appendix A). */
struct address neighbour_link_local(struct mac mac);

/* ff02::1 */
struct address neighbour_all_nodes(void);

#endif
