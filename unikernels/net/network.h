/* The parts of the network: lwIP between a device's driver below and the applications' streams
 * above. */
#ifndef JITSU_NET_NETWORK_H
#define JITSU_NET_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pbuf;
struct tcp_pcb;

/* interface.c: lwIP's interface on the platform's network device, with the addresses of the command
 * line. network_start() may be called often; only the first call does anything. Ends the machine if
 * there is no device or no address. */
void network_start(void);

/* What the device has for us goes up, what waits for it goes down. Returns whether there was
 * anything. */
bool network_poll(void);

/* Tells the device of everything sent since. */
void network_flush(void);

/* Has the machine an IPv6 address? If not, it does not speak IPv6 at all. */
bool network_speaks_ipv6(void);

/* Asks for an interrupt when there is something to poll. Returns false if there is already. */
bool network_arm(void *unused);

/* Gives a frame that was received to lwIP; its TCP checksum may be known to be good. */
void network_input(struct pbuf *frame, bool checksum_good);

/* Sends a frame of a protocol of its own; it may be lost. */
void network_send(const uint8_t destination[6], uint16_t type, const void *payload, size_t length);

/* stream.c: gives the application a connection that was established elsewhere, with the data (or
 * NULL) that have come, and their end. `pcb` is complete and registered; its argument is the
 * stream_handler, as it is its listener's. Returns false, and owns neither, if the application does
 * not want it or there is no memory. */
bool stream_take(struct tcp_pcb *pcb, struct pbuf *data, bool client_ended);

/* Tells all streams that the machine is to finish. */
void streams_stop(void);

/* Bytes of all connections since the start: taken from clients, and sent to them. */
void streams_bytes(uint64_t *received, uint64_t *sent);

/* time_wait.c: takes the connections that are over from lwIP; forgets those that have been over for
 * long enough, while it has any. */
void time_wait_collect(void);
void time_wait_run(void);
bool time_wait_is_needed(void);

/* closing.c: resets the oldest of too many connections that the application has let go of. */
void closing_limit(void);

/* How many bytes of TCP's data a frame carries; and how many a segment that the device cuts itself
 * may have, 0 if it does not. */
size_t network_segment_size(bool ipv6);
size_t network_segment_max(void);

/* segments.c: how long a connection's segments are, where the device cuts them. All zeroes at
 * first. To be told before anything is sent (as often as is convenient), and of all that is
 * acknowledged.
 */
struct tcp_pcb;
struct segments {
    uint16_t packet;    /* what the network carries at once, or 0: not known yet */
    size_t undisturbed; /* bytes acknowledged since the last loss */
    size_t window;      /* of congestion, then */
};
void segments_begin(struct segments *segments, struct tcp_pcb *pcb);
void segments_adapt(struct segments *segments, struct tcp_pcb *pcb, size_t acknowledged);

/* recovery.c: sends again what was lost on the connection that it is attached to, until it is
 * detached (NULL), which it must be before it goes. All zeroes at first. */
struct recovery {
    bool running;
    uint32_t sent;   /* up to this sequence number, when the loss was noticed */
    uint32_t resent; /* the same, when a segment went again */
};
void recovery_attach(struct recovery *recovery, struct tcp_pcb *pcb);

/* Is a segment waiting to be sent again, behind which lwIP would put what is written now, as if it
 * were the last? */
bool recovery_is_waiting(const struct tcp_pcb *pcb);

/* timers.c: runs what is due, and tells when (clock_now()) the next will be. */
uint64_t timers_run(void);

#endif
