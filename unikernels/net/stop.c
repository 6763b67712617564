/* The end of the machine's connections. */
#include "net/stop.h"

#include "lwip/priv/tcp_priv.h"
#include "net/network.h"

static enum { RUNNING, STOPPING, DONE } phase;
static uint64_t end;
static uint32_t cut;

void stop_begin(uint64_t deadline)
{
    if (phase == RUNNING) {
        phase = STOPPING;
        end = deadline;
        streams_stop();
    } else if (deadline < end) {
        end = deadline;
    }
}

bool stop_is_under_way(void)
{
    return phase != RUNNING;
}

bool stop_is_done(void)
{
    return phase == DONE;
}

uint32_t stop_cut(void)
{
    return cut;
}

/* Not if the client has acknowledged all data and their end: what it may still say is not heard. */
static bool is_open(const struct tcp_pcb *pcb)
{
    return pcb->state != FIN_WAIT_2;
}

static bool any_open(void)
{
    const struct tcp_pcb *pcb = tcp_active_pcbs;

    while (pcb && !is_open(pcb))
        pcb = pcb->next;
    return pcb;
}

static void reset_all(void)
{
    struct tcp_pcb *pcb = tcp_active_pcbs;

    while (pcb) {
        if (is_open(pcb)) {
            tcp_abort(pcb);
            cut++;
            pcb = tcp_active_pcbs; /* which others may have left too */
        } else {
            pcb = pcb->next;
        }
    }
}

uint64_t stop_run(uint64_t now)
{
    if (phase != STOPPING)
        return UINT64_MAX;
    if (now >= end)
        reset_all();
    if (!any_open())
        phase = DONE;
    return phase == DONE ? now : end;
}
