/* How lwIP is built: the raw interface, one thread, one network device, TCP over IPv4 and IPv6. */
#ifndef JITSU_NET_LWIPOPTS_H
#define JITSU_NET_LWIPOPTS_H

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_TIMERS          0 /* timers.c */
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_SINGLE_NETIF    1
#define LWIP_HAVE_LOOPIF     0
#define LWIP_NETIF_LOOPBACK  0
#define LWIP_STATS           0
#define LWIP_HOOK_FILENAME   "net/hooks.h"

/* Everything comes from the machine's heap. */
#define MEM_LIBC_MALLOC              1
#define MEMP_MEM_MALLOC              1
#define MEM_ALIGNMENT                8
#define LWIP_SUPPORT_CUSTOM_PBUF     1
#define PBUF_LINK_ENCAPSULATION_HLEN 16 /* for the driver's header */

/* The protocols. Nothing here sends or needs fragments. */
#define LWIP_IPV4                     1
#define LWIP_IPV6                     1
#define LWIP_TCP                      1
#define LWIP_UDP                      0
#define LWIP_RAW                      0
#define LWIP_DHCP                     0
#define LWIP_DNS                      0
#define LWIP_IGMP                     0
#define IP_REASSEMBLY                 0
#define IP_FRAG                       0
#define LWIP_IPV6_FRAG                0
#define LWIP_IPV6_REASS               0
#define LWIP_IPV6_MLD                 1
#define LWIP_IPV6_AUTOCONFIG          0
#define LWIP_IPV6_DHCP6               0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0 /* the addresses are assigned: they are valid at once */
#define LWIP_IPV6_NUM_ADDRESSES       9 /* the first is link-local */
#define MEMP_NUM_MLD6_GROUP           8
#define ARP_TABLE_SIZE                64
#define ARP_QUEUEING                  1
#define LWIP_ND6_NUM_NEIGHBORS        64
#define LWIP_ND6_NUM_DESTINATIONS     64
#define LWIP_ND6_QUEUEING             1

/* Connections that are taken over send before it is known where to. */
#define ARP_QUEUE_LEN 1024

/* A device may complete checksums on the way out and have verified them on the way in. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM                  network_checksum
#define LWIP_CHKSUM_ALGORITHM        0

/* TCP. A connection's share of the send buffer is set by stream.c from the machine's memory. */
#define TCP_MSS                        1460
#define LWIP_WND_SCALE                 1
#define TCP_RCV_SCALE                  0
#define TCP_WND                        (44 * TCP_MSS) /* what one pbuf chain can hold */
#define TCP_SND_BUF                    (512 * 1024)
#define TCP_SND_QUEUELEN               2048
#define TCP_SNDLOWAT                   (16 * TCP_MSS)
#define TCP_OVERSIZE                   0
#define TCP_LISTEN_BACKLOG             1
#define TCP_QUEUE_OOSEQ                1
#define TCP_OOSEQ_MAX_BYTES            TCP_WND
#define LWIP_TCP_PCB_NUM_EXT_ARGS      1 /* recovery.c */
#define LWIP_TCP_SACK_OUT              1
#define TCP_MSL                        10000
#define TCP_TMR_INTERVAL               50 /* milliseconds: retransmissions are timed by twice as much */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1 /* they are about pools that are not used */

#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port)                                  \
    network_initial_sequence(local, local_port, remote, remote_port)
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, all, in_first, second, segment)                    \
    ((pcb)->state != LISTEN ? network_segment_arrives(pcb, header, in_first)                       \
     : time_wait_admits(header) && half_open_admits(pcb, header, in_first, segment) ? ERR_OK       \
                                                                                    : ERR_ABRT)
#define LWIP_HOOK_ND6_GET_GW(netif, destination) network_gateway6(netif, destination)

#endif
