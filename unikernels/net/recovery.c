/* Recovery from losses by selective acknowledgements (RFC 2018, RFC 6675). lwIP counts duplicate
 * acknowledgements, and only those that do not change the window, sends one segment again when
 * there are three, and leaves what else was lost in the window to the retransmission timer, a
 * second or more each time. Here, what the client's selective acknowledgements show to be lost goes
 * again at once. lwIP stays in its fast retransmission meanwhile, in which it does nothing of its
 * own. */
#include <string.h>

#include "common/cursor.h"
#include "lwip/priv/tcp_priv.h"
#include "net/hooks.h"
#include "net/network.h"

#define ARGUMENT            0 /* of lwIP's, which it keeps with a connection */
#define BLOCKS_MAX          4u
#define BLOCK_SIZE          8u
#define OPTION_END          0
#define OPTION_NOTHING      1
#define OPTION_SEGMENT_SIZE 2
#define OPTION_SACK         5
#define LOST_BEHIND         3u /* packets that came after a segment make it lost: RFC 6675's DupThresh */

/* Marks of a segment, beside lwIP's flags. */
#define LOST     0x20u
#define RECEIVED 0x40u /* the client has it, but not all that is before it */
#define RESENT   0x80u /* in this recovery */

/* What a client says it has received beyond what it acknowledges. */
struct selection {
    struct {
        uint32_t left, right;
    } blocks[BLOCKS_MAX];
    unsigned count;
};

void recovery_attach(struct recovery *recovery, struct tcp_pcb *pcb)
{
    tcp_ext_arg_set(pcb, ARGUMENT, recovery);
}

static void read_blocks(struct reader *option, struct selection *selection)
{
    while (reader_left(option) >= BLOCK_SIZE && selection->count < BLOCKS_MAX) {
        uint32_t left = reader_u32(option), right = reader_u32(option);
        if (!TCP_SEQ_LT(left, right))
            continue;
        selection->blocks[selection->count].left = left;
        selection->blocks[selection->count].right = right;
        selection->count++;
    }
}

/* Returns false if the options name a segment size, which only a SYN's may. */
static bool read_options(const uint8_t *options, size_t length, struct selection *selection)
{
    struct reader reader = reader_over(options, length);

    while (reader_left(&reader) > 0) {
        uint8_t kind = reader_u8(&reader);
        if (kind == OPTION_END)
            break;
        if (kind == OPTION_SEGMENT_SIZE)
            return false;
        if (kind == OPTION_NOTHING)
            continue;
        uint8_t size = reader_u8(&reader);
        const uint8_t *content = size < 2 ? NULL : reader_take(&reader, size - 2u);
        if (!content)
            break;
        if (kind == OPTION_SACK) {
            struct reader option = reader_over(content, size - 2u);
            read_blocks(&option, selection);
        }
    }
    return true;
}

static uint32_t first_byte(const struct tcp_seg *segment)
{
    return lwip_ntohl(segment->tcphdr->seqno);
}

static bool has_all(const struct selection *selection, const struct tcp_seg *segment)
{
    uint32_t first = first_byte(segment), end = first + TCP_TCPLEN(segment);

    for (unsigned i = 0; i < selection->count; i++)
        if (TCP_SEQ_LEQ(selection->blocks[i].left, first) &&
            TCP_SEQ_GEQ(selection->blocks[i].right, end))
            return true;
    return false;
}

/* How many bytes from `sequence` on the client has. */
static uint32_t received_from(const struct selection *selection, uint32_t sequence)
{
    uint32_t bytes = 0;

    for (unsigned i = 0; i < selection->count; i++) {
        uint32_t left = selection->blocks[i].left, right = selection->blocks[i].right;
        if (TCP_SEQ_GT(right, sequence))
            bytes += right - (TCP_SEQ_GT(left, sequence) ? left : sequence);
    }
    return bytes;
}

static void begin(struct recovery *recovery, struct tcp_pcb *pcb)
{
    recovery->running = true;
    recovery->sent = recovery->resent = pcb->snd_nxt;
    for (struct tcp_seg *segment = pcb->unacked; segment; segment = segment->next)
        segment->flags &= (u8_t)~RESENT;
    pcb->ssthresh = LWIP_MAX(LWIP_MIN(pcb->cwnd, pcb->snd_wnd) / 2, 2u * pcb->mss);
    pcb->rtime = 0;
    pcb->rttest = 0;
}

/* Finds what the client has and what is lost. Returns whether anything is. */
static bool mark(const struct tcp_pcb *pcb, const struct selection *selection)
{
    const uint32_t lost_behind = LOST_BEHIND * LWIP_MIN(pcb->mss, TCP_MSS);
    bool any = false;

    for (struct tcp_seg *segment = pcb->unacked; segment; segment = segment->next) {
        if (has_all(selection, segment))
            segment->flags |= RECEIVED;
        else if (!(segment->flags & RECEIVED) &&
                 received_from(selection, first_byte(segment)) >= lost_behind)
            segment->flags |= LOST;
        any = any || (segment->flags & (LOST | RECEIVED)) == LOST;
    }
    return any;
}

/* One that the device has not read yet must stay as it is. */
static bool goes_again(const struct tcp_pcb *pcb, const struct tcp_seg *segment)
{
    return (segment->flags & (LOST | RECEIVED | RESENT)) == LOST && segment->p->ref == 1 &&
           first_byte(segment) - pcb->lastack + segment->len <= LWIP_MIN(pcb->cwnd, pcb->snd_wnd);
}

/* lwIP's queues are in order. */
static void insert(struct tcp_seg **at, struct tcp_seg *segment)
{
    while (*at && TCP_SEQ_LT(first_byte(*at), first_byte(segment)))
        at = &(*at)->next;
    segment->next = *at;
    *at = segment;
}

/* What could not go, for lack of memory: lwIP must not take it for the last segment of all. */
static void take_back(struct tcp_pcb *pcb)
{
    while (pcb->unsent && pcb->unsent->flags & RESENT) {
        struct tcp_seg *segment = pcb->unsent;
        pcb->unsent = segment->next;
        segment->flags &= (u8_t)~RESENT;
        insert(&pcb->unacked, segment);
    }
}

static void send_lost(struct recovery *recovery, struct tcp_pcb *pcb)
{
    bool any = false;

    for (struct tcp_seg **at = &pcb->unacked; *at;) {
        struct tcp_seg *segment = *at;
        if (goes_again(pcb, segment)) {
            *at = segment->next;
            segment->flags |= RESENT;
            insert(&pcb->unsent, segment);
            any = true;
        } else {
            at = &segment->next;
        }
    }
    if (any) {
        recovery->resent = pcb->snd_nxt;
        tcp_output(pcb);
        take_back(pcb);
    }
}

err_t network_segment_arrives(struct tcp_pcb *pcb, const struct tcp_hdr *header,
                              size_t options_length)
{
    struct recovery *recovery = tcp_ext_arg_get(pcb, ARGUMENT);
    struct selection selection = {.count = 0};

    if (TCPH_FLAGS(header) & TCP_SYN)
        return ERR_OK;
    /* lwIP would heed the size, and fail where longer segments wait already. */
    if (!read_options((const uint8_t *)(header + 1), options_length, &selection))
        return ERR_ABRT;
    if (!recovery)
        return ERR_OK;
    if (pcb->flags & TF_RTO || TCP_SEQ_GEQ(header->ackno, recovery->sent))
        recovery->running = false;
    bool lost = selection.count > 0 && !(pcb->flags & TF_RTO) && mark(pcb, &selection);
    /* Does the client have what was sent after the lost segments had gone again? Again they were.
     */
    bool again = recovery->running && received_from(&selection, recovery->resent) >=
                                          LOST_BEHIND * LWIP_MIN(pcb->mss, TCP_MSS);
    if (lost && (!recovery->running || again))
        begin(recovery, pcb);
    if (!recovery->running)
        return ERR_OK;
    tcp_set_flags(pcb, TF_INFR);
    /* What the client has is not under way any more. */
    pcb->cwnd = pcb->ssthresh + received_from(&selection, pcb->lastack);
    if (lost)
        send_lost(recovery, pcb);
    return ERR_OK;
}

bool recovery_is_waiting(const struct tcp_pcb *pcb)
{
    const struct tcp_seg *last = pcb->unsent;

    if (!last)
        return false;
    while (last->next)
        last = last->next;
    return first_byte(last) + TCP_TCPLEN(last) != pcb->snd_lbb;
}
