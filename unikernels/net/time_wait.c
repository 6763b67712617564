/* Connections that are over, and that TCP remembers for a while (TIME-WAIT). A client may open one
 * anew in that time, from the same port, if the sequence number of its SYN lies beyond what was
 * received (RFC 1122, section 4.2.2.13). lwIP alone would make it wait until all is forgotten. */
#include <string.h>

#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "net/network.h"

#define REMEMBERED_MAX 1024u
#define KIND_OF_SYN    (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)

/* Who opens a connection to whom. */
struct opening {
    ip_addr_t client, machine;
    struct tcp_hdr tcp; /* in network byte order */
};

/* Is the frame a SYN? It is not verified otherwise: at worst something is forgotten early. */
static bool read_opening(const uint8_t *frame, size_t length, struct opening *opening)
{
    const struct eth_hdr *ethernet = (const struct eth_hdr *)frame;
    const uint8_t *packet = frame + SIZEOF_ETH_HDR;
    size_t header_length;

    if (ethernet->type == PP_HTONS(ETHTYPE_IP) && length >= SIZEOF_ETH_HDR + IP_HLEN) {
        const struct ip_hdr *ip = (const struct ip_hdr *)packet;
        if (IPH_PROTO(ip) != IP_PROTO_TCP)
            return false;
        header_length = IPH_HL_BYTES(ip);
        ip_addr_copy_from_ip4(opening->client, ip->src);
        ip_addr_copy_from_ip4(opening->machine, ip->dest);
    } else if (ethernet->type == PP_HTONS(ETHTYPE_IPV6) && length >= SIZEOF_ETH_HDR + IP6_HLEN) {
        const struct ip6_hdr *ip = (const struct ip6_hdr *)packet;
        if (IP6H_NEXTH(ip) != IP6_NEXTH_TCP)
            return false;
        header_length = IP6_HLEN;
        ip_addr_copy_from_ip6_packed(opening->client, ip->src);
        ip_addr_copy_from_ip6_packed(opening->machine, ip->dest);
    } else {
        return false;
    }
    if (length < SIZEOF_ETH_HDR + header_length + TCP_HLEN)
        return false;
    memcpy(&opening->tcp, packet + header_length, TCP_HLEN);
    return (TCPH_FLAGS(&opening->tcp) & KIND_OF_SYN) == TCP_SYN;
}

void time_wait_make_way(const uint8_t *frame, size_t length)
{
    struct opening opening;

    if (!tcp_tw_pcbs || !read_opening(frame, length, &opening))
        return;
    u16_t port = lwip_ntohs(opening.tcp.dest), client_port = lwip_ntohs(opening.tcp.src);
    for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next) {
        if (pcb->remote_port != client_port || pcb->local_port != port ||
            !ip_addr_cmp_zoneless(&pcb->remote_ip, &opening.client) ||
            !ip_addr_cmp_zoneless(&pcb->local_ip, &opening.machine))
            continue;
        if (TCP_SEQ_GT(lwip_ntohl(opening.tcp.seqno), pcb->rcv_nxt))
            tcp_abort(pcb); /* which only forgets it, in this state */
        return;
    }
}

void time_wait_limit(void)
{
    struct tcp_pcb *pcb = tcp_tw_pcbs;

    /* The newest are first. */
    for (unsigned count = 1; pcb && count < REMEMBERED_MAX; count++)
        pcb = pcb->next;
    while (pcb && pcb->next)
        tcp_abort(pcb->next);
}
