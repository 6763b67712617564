/* IP packets, IPv4 (RFC 791) and IPv6 (RFC 8200), as what both have in common. */
#ifndef JITSU_HOLD_IP_H
#define JITSU_HOLD_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/cursor.h"

enum ip_protocol {
    IP_PROTOCOL_ICMP = 1,
    IP_PROTOCOL_TCP = 6,
    IP_PROTOCOL_UDP = 17,
    IP_PROTOCOL_ICMPV6 = 58,
};

#define IP_HOP_LIMIT 64u

struct ip_packet {
    struct address source, destination;
    uint8_t protocol; /* of the payload, behind all extension headers */
    uint8_t hop_limit;
    bool is_later_fragment; /* the payload is not the beginning of what was sent */
    bool is_fragment;
    const uint8_t *bytes; /* the whole packet, without what Ethernet pads with */
    size_t length;
    const uint8_t *payload;
    size_t payload_length;
};

/* Reads a packet from a frame's payload: lengths, IPv4's header checksum and the addresses are
 * right (the source is one that could be answered, or IPv6's unspecified), or false. */
bool ipv4_read(struct ip_packet *packet, const uint8_t *bytes, size_t length);
bool ipv6_read(struct ip_packet *packet, const uint8_t *bytes, size_t length);

/* Writes the header, of the addresses' version, for a payload of that length, which follows. Uses
 * of `packet` the addresses, the protocol and the hop limit. */
void ip_write(struct writer *writer, const struct ip_packet *packet, size_t payload_length);
void ipv4_write(struct writer *writer, const struct ip_packet *packet, size_t payload_length);
void ipv6_write(struct writer *writer, const struct ip_packet *packet, size_t payload_length);

/* What TCP's, UDP's and ICMPv6's checksums cover besides the payload, as a sum for checksum.h. */
uint64_t ip_pseudo_header(const struct ip_packet *packet, size_t payload_length);

bool ip_is_unspecified(const struct address *address);
bool ip_is_multicast(const struct address *address); /* or IPv4's broadcast */

static inline size_t ip_address_size(int family)
{
    return family == AF_INET ? 4 : 16;
}

static inline struct address reader_address(struct reader *reader, uint8_t family)
{
    struct address address = {.family = family};
    const uint8_t *bytes = reader_take(reader, ip_address_size(family));
    if (bytes)
        memcpy(address.bytes, bytes, ip_address_size(family));
    return address;
}

static inline void writer_address(struct writer *writer, const struct address *address)
{
    writer_bytes(writer, address->bytes, ip_address_size(address->family));
}

#endif
