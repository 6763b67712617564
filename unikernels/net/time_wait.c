/* Connections that are over, and that TCP remembers for a while (TIME-WAIT). lwIP would keep them
 * in a list through which every SYN goes, and make a client wait that opens one anew from the same
 * port; so what has to be known of them is kept here, found by a hash, and lwIP forgets them. It
 * asks here about each segment that goes to no connection it knows. */
#include <stdlib.h>
#include <string.h>

#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"
#include "net/hooks.h"
#include "net/network.h"

#define REMEMBERED_MAX 1024u /* the oldest are forgotten where there are more; a power of two */
#define KIND_OF_SYN    (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)
#define LIFETIME       (2 * TCP_MSL / TCP_SLOW_INTERVAL)
#define NONE           UINT16_MAX

struct ended {
    uint64_t connection;     /* its hash */
    uint32_t sent, received; /* the sequence numbers after all that was */
    uint32_t since;          /* tcp_ticks */
    uint16_t next;           /* with the same lowest bits of the hash, or NONE */
    bool forgotten;
};

/* The oldest is at `first`, each after it at the next place, around the end. */
static struct {
    struct ended ended[REMEMBERED_MAX];
    uint16_t newest[REMEMBERED_MAX]; /* by the lowest bits of the hash, or NONE */
} * table;
static uint32_t first, end;

static uint16_t *place_of(uint64_t connection)
{
    return &table->newest[connection % REMEMBERED_MAX];
}

static void forget(struct ended *ended)
{
    uint16_t *at = place_of(ended->connection);

    while (&table->ended[*at] != ended)
        at = &table->ended[*at].next;
    *at = ended->next;
    ended->forgotten = true;
}

static void forget_oldest(void)
{
    struct ended *oldest = &table->ended[first++ % REMEMBERED_MAX];

    if (!oldest->forgotten)
        forget(oldest);
}

static struct ended *find(uint64_t connection)
{
    uint16_t at = *place_of(connection);

    while (at != NONE && table->ended[at].connection != connection)
        at = table->ended[at].next;
    return at == NONE ? NULL : &table->ended[at];
}

static void remember(const struct tcp_pcb *pcb)
{
    uint64_t connection =
        network_connection_hash(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port);
    uint16_t *place = place_of(connection);

    if (end - first == REMEMBERED_MAX)
        forget_oldest();
    uint16_t at = end++ % REMEMBERED_MAX;
    table->ended[at] = (struct ended){
        .connection = connection,
        .sent = pcb->snd_nxt,
        .received = pcb->rcv_nxt,
        .since = tcp_ticks,
        .next = *place,
    };
    *place = at;
}

void time_wait_collect(void)
{
    struct tcp_pcb *next;

    if (!tcp_tw_pcbs)
        return;
    if (!table && (table = malloc(sizeof *table)))
        memset(table->newest, 0xff, sizeof table->newest);
    for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb && table; pcb = next) {
        next = pcb->next;
        /* Segments for others that are over do not come to a listener; and some have a stream
         * still. */
        if (!pcb->listener || pcb->callback_arg)
            continue;
        remember(pcb);
        tcp_abort(pcb); /* which only forgets it, in this state */
    }
}

bool time_wait_is_needed(void)
{
    return first != end;
}

void time_wait_run(void)
{
    while (first != end && tcp_ticks - table->ended[first % REMEMBERED_MAX].since >= LIFETIME)
        forget_oldest();
    if (first == end) {
        free(table);
        table = NULL;
    }
}

/* The client has not heard that we know of its end, or has sent something old (RFC 9293, section
 * 3.10.7.4). */
static void acknowledge(const struct ended *ended, const struct tcp_hdr *header)
{
    struct tcp_pcb pcb = {
        .local_ip = *ip_current_dest_addr(),
        .remote_ip = *ip_current_src_addr(),
        .local_port = header->dest,
        .remote_port = header->src,
        .ttl = TCP_TTL,
        .snd_nxt = ended->sent,
        .rcv_nxt = ended->received,
        .rcv_ann_wnd = TCP_WND,
    };

    tcp_send_empty_ack(&pcb);
}

bool time_wait_admits(const struct tcp_hdr *header)
{
    if (first == end)
        return true;
    struct ended *ended = find(network_connection_hash(ip_current_dest_addr(), header->dest,
                                                       ip_current_src_addr(), header->src));
    if (!ended)
        return true;
    /* It may be opened anew, beyond what was received (RFC 9293, section 3.6.1). */
    if ((TCPH_FLAGS(header) & KIND_OF_SYN) == TCP_SYN &&
        TCP_SEQ_GT(header->seqno, ended->received)) {
        forget(ended);
        return true;
    }
    if (!(TCPH_FLAGS(header) & TCP_RST))
        acknowledge(ended, header);
    return false;
}
