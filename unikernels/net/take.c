/* A live connection of lwIP's from what TAKE says of it. The fields are those, and have the values,
 * that lwIP's tcp_listen_input(), tcp_process() and tcp_receive() give to a connection that the
 * machine itself accepts. */
#include "net/take.h"

#include <string.h>

#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "net/addresses4.h"
#include "net/connections.h"
#include "net/network.h"
#include "net/stop.h"

_Static_assert(TCP_WND == CONDUIT_WINDOW, "the port offers our window");
_Static_assert(TCP_RCV_SCALE == CONDUIT_WINDOW_SCALE, "and our window scale");
_Static_assert(TCP_MSS == CONDUIT_SEGMENT_MAX_IPV4, "and our segments");
_Static_assert(CONDUIT_SEGMENT_MAX_IPV4 - 20 == CONDUIT_SEGMENT_MAX_IPV6, "with IPv6's header");
_Static_assert(LWIP_TCP_SACK_OUT && !LWIP_TCP_TIMESTAMPS, "and our options");
_Static_assert(TCP_WND <= UINT16_MAX, "a connection's data fit one pbuf");

static bool is_ours(const ip_addr_t *address)
{
    if (IP_IS_V6(address))
        return network_speaks_ipv6() &&
               netif_get_ip6_addr_match(netif_default, ip_2_ip6(address)) >= 0;
    return addresses4_has(ip_2_ip4(address));
}

static bool can_be_client(const ip_addr_t *address)
{
    return !ip_addr_isany(address) && !ip_addr_ismulticast(address) &&
           !ip_addr_isbroadcast(address, netif_default) && !is_ours(address);
}

static struct tcp_pcb_listen *find_listener(uint16_t port)
{
    struct tcp_pcb_listen *listener = tcp_listen_pcbs.listen_pcbs;

    while (listener && listener->local_port != port)
        listener = listener->next;
    return listener;
}

/* What both sides have agreed on, and what the client's SYN and its last segment told. */
static void set_client(struct tcp_pcb *pcb, const struct conduit_take *take)
{
    if (take->client_segment_max > 0)
        pcb->mss = LWIP_MIN(take->client_segment_max, TCP_MSS);
    pcb->mss = tcp_eff_send_mss(pcb->mss, &pcb->local_ip, &pcb->remote_ip);
    if (take->flags & CONDUIT_SCALED) {
        tcp_set_flags(pcb, TF_WND_SCALE);
        pcb->snd_scale = take->send_scale;
        pcb->rcv_scale = take->receive_scale;
    }
    if (take->flags & CONDUIT_SACK)
        tcp_set_flags(pcb, TF_SACK);
    pcb->snd_wnd = pcb->snd_wnd_max = take->send_window;
    pcb->snd_wl1 = take->receive_next - 1; /* so that the next segment updates the window */
}

static void set_numbers(struct tcp_pcb *pcb, uint32_t send_next)
{
    pcb->snd_nxt = send_next;
    pcb->lastack = send_next;
    pcb->snd_lbb = send_next;
    pcb->snd_wl2 = send_next;
}

static void set_established(struct tcp_pcb *pcb, const struct conduit_take *take)
{
    set_numbers(pcb, take->send_next);
    pcb->state = take->flags & CONDUIT_CLIENT_ENDED ? CLOSE_WAIT : ESTABLISHED;
    pcb->rcv_wnd = (tcpwnd_size_t)(TCP_WND - take->data_length);
    pcb->rcv_ann_wnd = take->receive_window;
    pcb->rcv_ann_right_edge = take->receive_next + take->receive_window;
    pcb->sa = (s16_t)(take->round_trip / TCP_SLOW_INTERVAL << 3);
    /* The port may not have acknowledged all of it yet. */
    if (take->data_length > 0 || take->flags & CONDUIT_CLIENT_ENDED)
        tcp_set_flags(pcb, TF_ACK_DELAY);
}

static enum conduit_outcome give_to_application(struct tcp_pcb *pcb,
                                                const struct conduit_take *take)
{
    struct pbuf *data = NULL;

    if (take->data_length > 0) {
        data = pbuf_alloc(PBUF_RAW, (u16_t)take->data_length, PBUF_RAM);
        if (!data)
            return CONDUIT_FULL;
        pbuf_take(data, take->data, (u16_t)take->data_length);
    }
    if (stream_take(pcb, data, take->flags & CONDUIT_CLIENT_ENDED))
        return CONDUIT_DONE;
    if (data)
        pbuf_free(data);
    return CONDUIT_FULL;
}

/* The SYN-ACK goes out again, and lwIP sees to it from there on. */
static enum conduit_outcome continue_handshake(struct tcp_pcb *pcb, const struct conduit_take *take)
{
    struct tcp_pcb_listen *listener = pcb->listener;

    if (listener->accepts_pending >= listener->backlog)
        return CONDUIT_FULL;
    set_numbers(pcb, take->send_next - 1);
    pcb->state = SYN_RCVD;
    pcb->rcv_ann_right_edge = pcb->rcv_nxt;
    if (tcp_enqueue_flags(pcb, TCP_SYN | TCP_ACK) != ERR_OK)
        return CONDUIT_FULL;
    listener->accepts_pending++;
    tcp_set_flags(pcb, TF_BACKLOGPEND);
    tcp_output(pcb);
    return CONDUIT_DONE;
}

static enum conduit_outcome rebuild(struct tcp_pcb_listen *listener,
                                    const struct conduit_take *take, const struct ends *ends)
{
    struct tcp_pcb *pcb = tcp_alloc(listener->prio);
    enum conduit_outcome outcome;

    if (!pcb)
        return CONDUIT_FULL;
    ip_addr_copy(pcb->local_ip, ends->machine);
    ip_addr_copy(pcb->remote_ip, ends->client);
    pcb->local_port = ends->machine_port;
    pcb->remote_port = ends->client_port;
    pcb->rcv_nxt = take->receive_next;
    pcb->callback_arg = listener->callback_arg;
    pcb->listener = listener;
    pcb->so_options = listener->so_options & SOF_INHERITED;
    pcb->netif_idx = listener->netif_idx;
    set_client(pcb, take);
    pcb->state = SYN_RCVD;
    TCP_REG_ACTIVE(pcb);
    if (take->state == CONDUIT_SYN_RECEIVED) {
        outcome = continue_handshake(pcb, take);
    } else {
        set_established(pcb, take);
        outcome = give_to_application(pcb, take);
    }
    if (outcome != CONDUIT_DONE)
        tcp_abandon(pcb, 0);
    return outcome;
}

struct ends take_ends(const struct conduit_take *take)
{
    size_t size = take->family == 4 ? 4 : 16;

    return (struct ends){.machine = connections_address(take->machine_address, size),
                         .client = connections_address(take->client_address, size),
                         .machine_port = take->machine_port,
                         .client_port = take->client_port};
}

enum conduit_outcome take_connection(const struct conduit_take *take)
{
    struct ends ends = take_ends(take);

    if (stop_is_under_way())
        return CONDUIT_NO_MORE;
    if (take->flags & CONDUIT_SCALED && take->receive_scale != TCP_RCV_SCALE)
        return CONDUIT_NOT_UNDERSTOOD;
    if (!is_ours(&ends.machine))
        return CONDUIT_NOBODY;
    if (!can_be_client(&ends.client))
        return CONDUIT_NOT_UNDERSTOOD;
    struct tcp_pcb_listen *listener = find_listener(take->machine_port);
    if (!listener)
        return CONDUIT_NOBODY;
    if (connections_find(tcp_active_pcbs, &ends))
        return CONDUIT_HAS_IT;
    /* The client has opened it anew. */
    struct tcp_pcb *ended = connections_find(tcp_tw_pcbs, &ends);
    if (ended)
        tcp_abort(ended);
    return rebuild(listener, take, &ends);
}
