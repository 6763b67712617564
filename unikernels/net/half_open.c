/* Connections that somebody has begun to open, and not shown yet that he is there. When there are
 * as many as a listener may have, the oldest makes way for a new one: a client that answers within
 * the time in which a flood begins so many gets in, where lwIP alone would hear nobody. */
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"
#include "net/hooks.h"

#define KIND_OF_SYN (TCP_SYN | TCP_ACK | TCP_RST)

void half_open_make_way(const struct tcp_pcb *pcb, const struct tcp_hdr *header)
{
    const struct tcp_pcb_listen *listener = (const struct tcp_pcb_listen *)pcb;
    struct tcp_pcb *oldest = NULL;

    if (listener->accepts_pending < listener->backlog ||
        (TCPH_FLAGS(header) & KIND_OF_SYN) != TCP_SYN)
        return;
    /* New ones are put first. */
    for (struct tcp_pcb *other = tcp_active_pcbs; other; other = other->next)
        if (other->state == SYN_RCVD && other->listener == listener)
            oldest = other;
    if (oldest)
        tcp_abandon(oldest, 0);
}
