/* Connections that the application has let go of, and whose last bytes or end TCP still delivers.
 * A client that has vanished would have it try for minutes; how many there may be is limited. */
#include "jitsu/stream.h"
#include "lwip/priv/tcp_priv.h"
#include "net/network.h"

#define SEGMENTS_EACH 16u /* that wait, on the average */

static bool is_closing(const struct tcp_pcb *pcb)
{
    return !pcb->callback_arg && (pcb->state == FIN_WAIT_1 || pcb->state == FIN_WAIT_2 ||
                                  pcb->state == CLOSING || pcb->state == LAST_ACK);
}

void closing_limit(void)
{
    size_t most = stream_capacity(), count = 0, segments = 0;

    /* Those that were heard from last are first: lwIP moves them there. */
    for (struct tcp_pcb *pcb = tcp_active_pcbs, *next; pcb; pcb = next) {
        next = pcb->next;
        if (!is_closing(pcb))
            continue;
        count++;
        segments += pcb->snd_queuelen;
        if (count > most || segments > most * SEGMENTS_EACH)
            tcp_abort(pcb);
    }
}
