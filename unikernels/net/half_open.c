/* Connections that somebody has begun to open, and not shown yet that he is there. When there are
 * as many as a listener may have, whoever begins another is answered with a SYN cookie: nothing is
 * kept of him, and his acknowledgement brings all back that is needed. The port's cookies, for
 * those whose handshake began before the machine was ready, are the same. */
#include "net/half_open.h"

#include <string.h>

#include "common/cookie.h"
#include "jitsu/clock.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"
#include "net/hooks.h"
#include "net/take.h"
#include "platform/platform.h"

enum { OPTION_END = 0, OPTION_NOTHING = 1, OPTION_SEGMENT_MAX = 2 };

#define SEGMENT_MAX_LENGTH 4u

/* Those of one maker. */
struct cookies {
    struct siphash_key key;
    uint64_t ahead; /* of clock_now(): the clock that they are made by */
    uint64_t until; /* when the last expires; 0: there is none */
};

static struct cookies ours, ports;

void half_open_agree(const struct siphash_key *key, uint64_t now, uint64_t expires)
{
    ports = (struct cookies){*key, now - clock_now(), expires};
}

static void put_address(uint8_t bytes[16], const ip_addr_t *address)
{
    if (IP_IS_V6(address))
        memcpy(bytes, ip_2_ip6(address)->addr, 16);
    else
        memcpy(bytes, &ip_2_ip4(address)->addr, 4);
}

static struct cookie_flow flow_of(const struct tcp_hdr *header, uint32_t client_first)
{
    struct cookie_flow flow = {
        .client_port = header->src, .machine_port = header->dest, .client_first = client_first};

    put_address(flow.client, ip_current_src_addr());
    put_address(flow.machine, ip_current_dest_addr());
    return flow;
}

/* --- opening --- */

/* The MSS option among `length` bytes of options, or 0. */
static uint16_t read_segment_max(const uint8_t *options, size_t length)
{
    for (size_t at = 0; at < length && options[at] != OPTION_END;) {
        if (options[at] == OPTION_NOTHING) {
            at++;
            continue;
        }
        if (at + 2 > length || options[at + 1] < 2 || at + options[at + 1] > length)
            return 0;
        if (options[at] == OPTION_SEGMENT_MAX && options[at + 1] == SEGMENT_MAX_LENGTH)
            return (uint16_t)(options[at + 2] << 8 | options[at + 3]);
        at += options[at + 1];
    }
    return 0;
}

static void answer_with_cookie(const struct tcp_hdr *header, size_t options_length)
{
    const ip_addr_t *machine = ip_current_dest_addr(), *client = ip_current_src_addr();
    struct cookie_flow flow = flow_of(header, header->seqno);
    uint16_t offered = IP_IS_V6(machine) ? CONDUIT_SEGMENT_MAX_IPV6 : CONDUIT_SEGMENT_MAX_IPV4;
    const uint8_t option[SEGMENT_MAX_LENGTH] = {OPTION_SEGMENT_MAX, SEGMENT_MAX_LENGTH,
                                                (uint8_t)(offered >> 8), (uint8_t)offered};
    struct pbuf *pbuf = pbuf_alloc(PBUF_IP, TCP_HLEN + SEGMENT_MAX_LENGTH, PBUF_RAM);

    if (!pbuf)
        return;
    if (ours.until == 0)
        ours.key = (struct siphash_key){{platform_random(), platform_random()}};
    ours.until = clock_now() + COOKIE_TIME;
    uint16_t segment_max = read_segment_max((const uint8_t *)(header + 1), options_length);
    struct tcp_hdr *answer = pbuf->payload;
    *answer = (struct tcp_hdr){
        .src = lwip_htons(header->dest),
        .dest = lwip_htons(header->src),
        .seqno = lwip_htonl(cookie_make(&ours.key, &flow, segment_max, clock_now())),
        .ackno = lwip_htonl(header->seqno + 1),
        .wnd = PP_HTONS(TCP_WND),
    };
    TCPH_HDRLEN_FLAGS_SET(answer, (TCP_HLEN + SEGMENT_MAX_LENGTH) / 4, TCP_SYN | TCP_ACK);
    memcpy(answer + 1, option, sizeof option);
    IF__NETIF_CHECKSUM_ENABLED(netif_default, NETIF_CHECKSUM_GEN_TCP)
    answer->chksum = ip_chksum_pseudo(pbuf, IP_PROTO_TCP, pbuf->tot_len, machine, client);
    ip_output_if(pbuf, machine, client, TCP_TTL, 0, IP_PROTO_TCP, netif_default);
    pbuf_free(pbuf);
}

/* --- open --- */

static bool is_answer(const struct cookies *cookies, const struct tcp_hdr *header,
                      uint16_t *segment_max)
{
    struct cookie_flow flow = flow_of(header, header->seqno - 1);
    uint64_t now = clock_now() + cookies->ahead;

    return now < cookies->until &&
           cookie_check(&cookies->key, &flow, header->ackno - 1, now, segment_max);
}

/* Does it answer a cookie? Then there is a connection now. */
static bool restore(const struct tcp_hdr *header, const struct pbuf *data)
{
    uint16_t segment_max;

    if (!is_answer(&ours, header, &segment_max) && !is_answer(&ports, header, &segment_max))
        return false;
    struct conduit_take take = {
        .family = IP_IS_V6(ip_current_dest_addr()) ? 6 : 4,
        .state = CONDUIT_ESTABLISHED,
        .client_segment_max = segment_max,
        .machine_port = header->dest,
        .client_port = header->src,
        .send_next = header->ackno,
        .receive_next = header->seqno + data->len,
        .send_window = header->wnd,
        .receive_window = (uint32_t)TCP_WND - data->len,
        .data = data->payload,
        .data_length = data->len,
    };
    put_address(take.machine_address, ip_current_dest_addr());
    put_address(take.client_address, ip_current_src_addr());
    /* Without room for it it is as if it had been lost: the client sends again. */
    take_connection(&take);
    return true;
}

bool half_open_admits(const struct tcp_pcb *pcb, const struct tcp_hdr *header,
                      size_t options_length, const struct pbuf *data)
{
    const struct tcp_pcb_listen *listener = (const struct tcp_pcb_listen *)pcb;

    switch (TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST)) {
    case TCP_SYN:
        if (!network_admits(header))
            return false;
        if (listener->accepts_pending < listener->backlog)
            return true;
        answer_with_cookie(header, options_length);
        return false;
    case TCP_ACK:
        return !restore(header, data) && network_admits(header);
    default:
        return network_admits(header);
    }
}
