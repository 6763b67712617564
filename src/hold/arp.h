/* ARP for IPv4 over Ethernet (RFC 826, RFC 5227). */
#ifndef JITSU_HOLD_ARP_H
#define JITSU_HOLD_ARP_H

#include "common/address.h"
#include "hold/ethernet.h"

enum arp_operation { ARP_REQUEST = 1, ARP_REPLY = 2 };

struct arp {
    uint16_t operation; /* enum arp_operation */
    struct mac sender_mac;
    struct address sender; /* 0.0.0.0 in a probe for duplicate addresses */
    struct mac target_mac;
    struct address target;
};

/* Reads a frame's payload. False if it is anything but a request or reply for IPv4 over Ethernet.
 */
bool arp_read(struct arp *arp, struct reader *reader);
void arp_write(struct writer *writer, const struct arp *arp);

/* Does the sender only ask whether somebody has the address (RFC 5227, section 2.1.1)? */
bool arp_is_probe(const struct arp *arp);

#endif
