/* TCP segments (RFC 9293, section 3.1) and the options that matter to who accepts a connection. */
#ifndef JITSU_HOLD_TCP_H
#define JITSU_HOLD_TCP_H

#include "hold/ip.h"

enum tcp_flag {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_PSH = 0x08,
    TCP_ACK = 0x10,
};

#define TCP_HEADER_SIZE 20u
#define TCP_SCALE_MOST  14u /* RFC 7323, section 2.3 */

struct tcp_segment {
    uint16_t source_port, destination_port;
    uint32_t sequence, acknowledgement;
    uint8_t flags; /* enum tcp_flag */
    uint16_t window;
    /* Options. */
    uint16_t segment_max; /* 0: not there */
    bool has_scale;
    uint8_t scale; /* TCP_SCALE_MOST at most */
    bool permits_sack;
    const uint8_t *data;
    size_t data_length;
};

/* Reads the segment that is in a packet, no later fragment; it points into it. False if it does not
 * hold its own header. The checksum is not looked at. */
bool tcp_read(struct tcp_segment *segment, const struct ip_packet *packet);

/* Is its checksum right? The packet holds a TCP segment, whole. */
bool tcp_checksum_is_right(const struct ip_packet *packet);

/* Writes the IP packet; `packet` says the addresses. */
void tcp_write(struct writer *writer, const struct tcp_segment *segment,
               const struct ip_packet *packet);

/* How much of the sequence space it takes: data, SYN and FIN. */
uint32_t tcp_length(const struct tcp_segment *segment);

/* The answer to a segment of no connection (RFC 9293, section 3.5.2): a reset in the other
 * direction. False if it is a reset itself. */
bool tcp_reset_for(const struct tcp_segment *segment, struct tcp_segment *reset);

/* Does it open a connection: a SYN without ACK or RST? */
static inline bool tcp_is_opening(const struct tcp_segment *segment)
{
    return (segment->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

#endif
