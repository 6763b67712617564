/* Long segments, which the device cuts: TCP's work for many packets is then done once.
 *
 * lwIP's segments grow with what has been acknowledged since the last loss, so that there are
 * always several in a window, and a loss makes them as short as the network's packets again: what
 * is sent again is a whole segment. lwIP is told of their length as the connection's maximum
 * segment size, which may never be less than that of a segment that it still has. */
#include "lwip/priv/tcp_priv.h"
#include "net/network.h"

#define SEGMENTS_A_WINDOW 8u
#define PACKETS_AT_FIRST  10u /* RFC 6928 */

static bool all_at_most(const struct tcp_seg *segment, size_t length)
{
    for (; segment; segment = segment->next)
        if (segment->len > length)
            return false;
    return true;
}

void segments_begin(struct segments *segments, struct tcp_pcb *pcb)
{
    if (segments->packet != 0)
        return;
    segments->packet = pcb->mss;
    if (pcb->cwnd < PACKETS_AT_FIRST * pcb->mss)
        pcb->cwnd = PACKETS_AT_FIRST * pcb->mss;
}

void segments_adapt(struct segments *segments, struct tcp_pcb *pcb, size_t acknowledged)
{
    size_t most = network_segment_max();

    if (most == 0)
        return;
    if (segments->packet < network_segment_size(IP_IS_V6(&pcb->remote_ip)))
        return;
    if (pcb->cwnd < segments->window || pcb->flags & TF_RTO)
        segments->undisturbed = 0;
    segments->window = pcb->cwnd;
    if (segments->undisturbed < pcb->cwnd)
        segments->undisturbed += acknowledged;

    size_t length = LWIP_MIN(segments->undisturbed, pcb->cwnd) / SEGMENTS_A_WINDOW;
    length = LWIP_MIN(length, LWIP_MIN(pcb->snd_wnd_max / 2, most));
    length = LWIP_MAX(length / segments->packet, 1) * segments->packet;
    if (length >= pcb->mss ||
        (all_at_most(pcb->unacked, length) && all_at_most(pcb->unsent, length)))
        pcb->mss = (u16_t)length;
}
