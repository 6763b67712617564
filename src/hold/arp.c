#include "hold/arp.h"

#include "hold/ip.h"

#define HARDWARE_ETHERNET 1
#define IPV4_SIZE         4

bool arp_read(struct arp *arp, struct reader *reader)
{
    bool is_ours = reader_u16(reader) == HARDWARE_ETHERNET;
    is_ours &= reader_u16(reader) == ETHERNET_IPV4;
    is_ours &= reader_u8(reader) == ETHERNET_ADDRESS_SIZE;
    is_ours &= reader_u8(reader) == IPV4_SIZE;
    arp->operation = reader_u16(reader);
    arp->sender_mac = reader_mac(reader);
    arp->sender = reader_address(reader, AF_INET);
    arp->target_mac = reader_mac(reader);
    arp->target = reader_address(reader, AF_INET);
    return is_ours && !reader->failed &&
           (arp->operation == ARP_REQUEST || arp->operation == ARP_REPLY);
}

void arp_write(struct writer *writer, const struct arp *arp)
{
    writer_u16(writer, HARDWARE_ETHERNET);
    writer_u16(writer, ETHERNET_IPV4);
    writer_u8(writer, ETHERNET_ADDRESS_SIZE);
    writer_u8(writer, IPV4_SIZE);
    writer_u16(writer, arp->operation);
    writer_mac(writer, arp->sender_mac);
    writer_address(writer, &arp->sender);
    writer_mac(writer, arp->target_mac);
    writer_address(writer, &arp->target);
}

bool arp_is_probe(const struct arp *arp)
{
    return arp->operation == ARP_REQUEST && ip_is_unspecified(&arp->sender);
}
