#include "net/addresses4.h"

#include "common/cursor.h"
#include "lwip/etharp.h"
#include "lwip/prot/etharp.h"
#include "lwip/prot/ethernet.h"

#define IPV4_DESTINATION_AT 16u /* in the packet */
#define ARP_TARGET_AT       24u

static ip4_addr_t addresses[ADDRESSES4_MAX];
static size_t count;

bool addresses4_add(const ip4_addr_t *address)
{
    if (count == ADDRESSES4_MAX)
        return false;
    addresses[count++] = *address;
    return true;
}

bool addresses4_has(const ip4_addr_t *address)
{
    for (size_t i = 0; i < count; i++)
        if (ip4_addr_cmp(&addresses[i], address))
            return true;
    return false;
}

/* Not by netif_set_ipaddr(), which would end the connections of the other. */
static void show(struct netif *interface, const ip4_addr_t *address)
{
    ip4_addr_copy(*ip_2_ip4(&interface->ip_addr), *address);
}

void addresses4_announce(struct netif *interface)
{
    for (size_t i = 1; i < count; i++) {
        show(interface, &addresses[i]);
        etharp_gratuitous(interface);
    }
    if (count > 1)
        show(interface, &addresses[0]);
}

void addresses4_show(struct netif *interface, const struct pbuf *frame)
{
    struct reader reader = reader_over(frame->payload, frame->len);
    ip4_addr_t address;

    if (count < 2)
        return;
    reader_skip(&reader, SIZEOF_ETH_HDR - sizeof(uint16_t));
    uint16_t type = reader_u16(&reader);
    if (type != ETHTYPE_IP && type != ETHTYPE_ARP)
        return;
    reader_skip(&reader, type == ETHTYPE_IP ? IPV4_DESTINATION_AT : ARP_TARGET_AT);
    address.addr = lwip_htonl(reader_u32(&reader));
    if (!reader.failed && addresses4_has(&address))
        show(interface, &address);
}
