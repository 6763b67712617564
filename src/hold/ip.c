/* What IPv4 and IPv6 share. */
#include "hold/ip.h"

#include "hold/checksum.h"

void ip_write(struct writer *writer, const struct ip_packet *packet, size_t payload_length)
{
    if (packet->source.family == AF_INET)
        ipv4_write(writer, packet, payload_length);
    else
        ipv6_write(writer, packet, payload_length);
}

uint64_t ip_pseudo_header(const struct ip_packet *packet, size_t payload_length)
{
    size_t size = ip_address_size(packet->source.family);
    uint64_t sum = checksum_add(0, packet->source.bytes, size);
    sum = checksum_add(sum, packet->destination.bytes, size);
    sum = checksum_add_u16(sum, packet->protocol);
    return checksum_add_u16(sum, (uint16_t)payload_length);
}

bool ip_is_unspecified(const struct address *address)
{
    static const uint8_t none[16];
    return memcmp(address->bytes, none, sizeof none) == 0;
}

bool ip_is_multicast(const struct address *address)
{
    if (address->family == AF_INET6)
        return address->bytes[0] == 0xff;
    return (address->bytes[0] & 0xf0) == 0xe0 || memcmp(address->bytes, "\xff\xff\xff\xff", 4) == 0;
}
