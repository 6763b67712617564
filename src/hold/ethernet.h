/* Ethernet frames without VLAN tag (IEEE 802.3, Ethernet II). */
#ifndef JITSU_HOLD_ETHERNET_H
#define JITSU_HOLD_ETHERNET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/cursor.h"

#define ETHERNET_ADDRESS_SIZE 6u
#define ETHERNET_HEADER_SIZE  14u
#define ETHERNET_PAYLOAD_MAX  1500u
#define ETHERNET_FRAME_MAX    (ETHERNET_HEADER_SIZE + ETHERNET_PAYLOAD_MAX)

enum ethernet_type {
    ETHERNET_IPV4 = 0x0800,
    ETHERNET_ARP = 0x0806,
    ETHERNET_IPV6 = 0x86dd,
};

struct mac {
    uint8_t bytes[ETHERNET_ADDRESS_SIZE];
};

#define MAC_BROADCAST ((struct mac){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})

static inline bool mac_equal(struct mac a, struct mac b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

/* Broadcast or multicast? */
static inline bool mac_is_group(struct mac mac)
{
    return mac.bytes[0] & 1;
}

struct ethernet_header {
    struct mac destination, source;
    uint16_t type; /* enum ethernet_type, CONDUIT_ETHERTYPE or any other */
};

/* Reads the header; the payload follows in `reader`. False if the frame is too short, its source is
 * a group address, or it is no Ethernet II frame. */
bool ethernet_read(struct ethernet_header *header, struct reader *reader);
void ethernet_write(struct writer *writer, const struct ethernet_header *header);

static inline struct mac reader_mac(struct reader *reader)
{
    struct mac mac = {{0}};
    const uint8_t *bytes = reader_take(reader, sizeof mac.bytes);
    if (bytes)
        memcpy(mac.bytes, bytes, sizeof mac.bytes);
    return mac;
}

static inline void writer_mac(struct writer *writer, struct mac mac)
{
    writer_bytes(writer, mac.bytes, sizeof mac.bytes);
}

#endif
