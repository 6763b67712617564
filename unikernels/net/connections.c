#include "net/connections.h"

#include <string.h>

#include "lwip/netif.h"
#include "lwip/tcp.h"

ip_addr_t connections_address(const uint8_t *bytes, size_t size)
{
    ip_addr_t address = {0};

    if (size == sizeof ip_2_ip4(&address)->addr) {
        memcpy(&ip_2_ip4(&address)->addr, bytes, size);
        IP_SET_TYPE_VAL(address, IPADDR_TYPE_V4);
    } else {
        memcpy(ip_2_ip6(&address)->addr, bytes, sizeof ip_2_ip6(&address)->addr);
        IP_SET_TYPE_VAL(address, IPADDR_TYPE_V6);
        ip6_addr_assign_zone(ip_2_ip6(&address), IP6_UNICAST, netif_default);
    }
    return address;
}

struct tcp_pcb *connections_find(struct tcp_pcb *list, const struct ends *ends)
{
    while (list &&
           !(list->remote_port == ends->client_port && list->local_port == ends->machine_port &&
             ip_addr_cmp(&list->remote_ip, &ends->client) &&
             ip_addr_cmp(&list->local_ip, &ends->machine)))
        list = list->next;
    return list;
}
