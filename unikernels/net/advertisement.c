#include "net/advertisement.h"

#include <string.h>

#include "lwip/inet_chksum.h"
#include "lwip/ip6.h"
#include "lwip/pbuf.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/icmp6.h"
#include "lwip/prot/nd6.h"

struct advertisement {
    struct na_header header;
    uint8_t option_type, option_length; /* the latter in units of eight bytes */
    uint8_t mac[ETH_HWADDR_LEN];
};

_Static_assert(sizeof(struct advertisement) == 32, "as it is on the wire");

void advertise(struct netif *interface, const ip6_addr_t *address)
{
    struct pbuf *pbuf = pbuf_alloc(PBUF_IP, sizeof(struct advertisement), PBUF_RAM);
    struct advertisement *advertisement;
    ip6_addr_t everybody;

    if (!pbuf)
        return;
    advertisement = pbuf->payload;
    memset(advertisement, 0, sizeof *advertisement);
    advertisement->header.type = ICMP6_TYPE_NA;
    advertisement->header.flags = ND6_FLAG_OVERRIDE;
    memcpy(&advertisement->header.target_address, address->addr, sizeof address->addr);
    advertisement->option_type = ND6_OPTION_TYPE_TARGET_LLADDR;
    advertisement->option_length = 1;
    memcpy(advertisement->mac, interface->hwaddr, ETH_HWADDR_LEN);
    ip6_addr_set_allnodes_linklocal(&everybody);
    ip6_addr_assign_zone(&everybody, IP6_MULTICAST, interface);
    advertisement->header.chksum =
        ip6_chksum_pseudo(pbuf, IP6_NEXTH_ICMP6, pbuf->tot_len, address, &everybody);
    ip6_output_if(pbuf, address, &everybody, ND6_HOPLIM, 0, IP6_NEXTH_ICMP6, interface);
    pbuf_free(pbuf);
}
