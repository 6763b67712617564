/* The conduit: how a network's port and a unikernel talk, in Ethernet frames of their own. This is
 * its specification; conduit_link.h delivers its messages.
 *
 * Both ends compile these files: the port in jitsud, and every unikernel, where there is only a
 * part of the C library.
 *
 * WHO TALKS
 *
 * A machine's command line says `conduit=MAC token=HEX`: the port's Ethernet address and the 128
 * bits that show that a frame belongs to this boot of this machine. Frames are unicast, EtherType
 * 0x88b5 (IEEE 802 local experimental 1), from the machine's own address and from the port's. What
 * has another source, magic, version or token, or does not fit its own lengths, is dropped and
 * counted. The port's address is one of its own, not that of its TAP device: a bridge gives frames
 * for that to the host.
 *
 * A FRAME'S PAYLOAD, integers in network byte order:
 *
 *      0  magic            4  "JTSU"
 *      4  version          1  1
 *      5  type             1  enum conduit_type
 *      6  flags            1  CONDUIT_FIRST, the others 0
 *      7  reserved         1  0
 *      8  sequence         4  the message's number; 0 in an acknowledgement alone
 *     12  acknowledgement  4  the last message received whole; 0: none yet
 *     16  token           16
 *     32  body length      2  of the whole message
 *     34  piece offset     2  where in the body this frame's piece belongs
 *     36  piece length     2
 *     38  the piece           then what Ethernet pads with, which is ignored
 *
 * A body that does not fit one frame travels in several, in order, with the same sequence number;
 * all pieces but the last are CONDUIT_PIECE_MAX long.
 *
 * DELIVERY is stop-and-wait, each way by itself: a message goes out when the one before it has been
 * acknowledged, with the next number (after 2^32 - 1 comes 1). Whoever receives it whole
 * acknowledges it with the next frame that goes back, at once; with one that has no message if
 * there is none to send. What is not acknowledged is sent again, all of it, after
 * CONDUIT_PATIENCE_FIRST, then after twice that, and so on, at last every CONDUIT_PATIENCE_MOST.
 * The number just received is acknowledged again, and nothing else done; any other that is not the
 * next is dropped.
 *
 * An end that begins anew (jitsud was restarted; the machine runs on) numbers from a place of its
 * choice and sets CONDUIT_FIRST in its messages until one is acknowledged: whoever receives that
 * takes the number as it is, unless it is one of the last CONDUIT_NUMBERS_REMEMBERED. An end that
 * has received nothing yet takes any number.
 *
 * THE MACHINE'S LIFE, from the port's view:
 *
 * Starting. Nothing is sent. The port holds what comes for the machine.
 *
 * Ready: the application listens. HELLO, which is repeated until it is acknowledged. A frame of the
 * machine's own moves its address, on the bridge, from the port to the machine, so from now on
 * clients' segments may come to either. The port hands over each connection that it holds: it
 * freezes it (answers and acknowledges nothing more for it), sends TAKE, and waits for TAKEN before
 * it sends the next. From TAKEN on, only the machine answers for that connection; held frames for
 * it are passed on, before anything else is said. After the last the port says SETTLED. Until then,
 * and at most CONDUIT_SETTLING, the machine keeps segments of connections that it does not know,
 * where it would reset them else: their TAKE may be under way. Those of a connection that it has
 * just taken it keeps, too, until the port's next message: what came before them may still be with
 * the port.
 *
 * Running. LOAD, when it has changed and CONDUIT_LOAD_INTERVAL after the last at the earliest. TAKE
 * is still welcome. HELLO from a port that is new is answered with HELLO, and LOAD if there was
 * any.
 *
 * Stopping: after STOP. Segments that would open a connection are dropped, not reset, so that the
 * client's next try finds the port; TAKE is refused; idle connections are closed, others as soon as
 * their request is answered. What is open at the deadline is reset. Another STOP can bring the
 * deadline nearer.
 *
 * Stopped: all connections are closed and everything sent has been acknowledged, or the deadline
 * has passed. STOPPED; when it is acknowledged, or after CONDUIT_FAREWELL, the machine powers off.
 *
 * A MACHINE THAT DIES before TAKEN leaves the connection with the port, which keeps it for the next
 * start or resets it. */
#ifndef JITSU_COMMON_CONDUIT_H
#define JITSU_COMMON_CONDUIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/siphash.h"

#define CONDUIT_ETHERTYPE   0x88b5u
#define CONDUIT_MAGIC       0x4a545355u
#define CONDUIT_VERSION     1u
#define CONDUIT_TOKEN_SIZE  16u
#define CONDUIT_HEADER_SIZE 38u
#define CONDUIT_PAYLOAD_MAX 1500u
#define CONDUIT_PIECE_MAX   (CONDUIT_PAYLOAD_MAX - CONDUIT_HEADER_SIZE)
#define CONDUIT_BODY_MAX    65535u

#define CONDUIT_FIRST              1u /* flag: the sender's numbers begin here */
#define CONDUIT_NUMBERS_REMEMBERED 1024u

/* Nanoseconds. */
#define CONDUIT_PATIENCE_FIRST UINT64_C(20000000)
#define CONDUIT_PATIENCE_MOST  UINT64_C(1000000000)
#define CONDUIT_LOAD_INTERVAL  UINT64_C(1000000000)
#define CONDUIT_SETTLING       UINT64_C(10000000000)
#define CONDUIT_FAREWELL       UINT64_C(2000000000)

enum conduit_type {
    CONDUIT_ACKNOWLEDGEMENT, /* both ways: no message */
    CONDUIT_HELLO,           /* machine: ready. Port: the port is new; say HELLO */
    CONDUIT_TAKE,            /* port: a connection that it accepted */
    CONDUIT_TAKEN,           /* machine: what became of it */
    CONDUIT_LOAD,            /* machine: what it does */
    CONDUIT_STOP,            /* port: finish, and power off */
    CONDUIT_STOPPED,         /* machine: finished */
    CONDUIT_SETTLED,         /* port: everything is handed over */
};

/* WHAT THE PORT OFFERS when it accepts a connection that a unikernel will take: exactly what the
 * unikernel itself would, as the client is told only once. In its SYN-ACK: the maximum segment size
 * of the client's IP version; window scale CONDUIT_WINDOW_SCALE if the client offered scaling; SACK
 * permitted if the client offered it; no timestamps. The window is CONDUIT_WINDOW, counted from the
 * first byte after the SYN, and never moves while the port holds the connection, which bounds what
 * it buffers. The port keeps no data that comes out of order: a segment beyond the next byte is
 * acknowledged (a duplicate acknowledgement) and dropped, so no SACK blocks are sent. It sends no
 * data. unikernels/net/take.c asserts that lwIP is built for these. */
#define CONDUIT_WINDOW           64240u
#define CONDUIT_WINDOW_SCALE     0u
#define CONDUIT_SEGMENT_MAX_IPV4 1460u
#define CONDUIT_SEGMENT_MAX_IPV6 1440u

/* HELLO. */
#define CONDUIT_CAN_TAKE 1u
#define CONDUIT_CAN_STOP 2u
#define CONDUIT_CAN_LOAD 4u

struct conduit_hello {
    uint32_t features; /* of the sender's; from the port 0 */
};

/* TAKE: the connection's state as TCP (RFC 9293) has it, and what the client has sent. */
enum conduit_state {
    CONDUIT_SYN_RECEIVED = 1, /* the client has not acknowledged the SYN-ACK: no data */
    CONDUIT_ESTABLISHED = 2,
};

#define CONDUIT_SCALED 1u /* flags: both sides have sent window scale options */
#define CONDUIT_SACK   2u /* both have permitted SACK */
#define CONDUIT_CLIENT_ENDED                                                                       \
    4u /* the client's FIN came after the data (not while SYN received)                            \
        */

struct conduit_take {
    uint32_t id;    /* the port's name for the connection; TAKEN repeats it */
    uint8_t family; /* 4 or 6 */
    uint8_t state;  /* enum conduit_state */
    uint8_t flags;
    uint8_t send_scale;          /* by how much the client's windows are shifted; 0 unless SCALED */
    uint8_t receive_scale;       /* by how much ours are; 0 unless SCALED */
    uint16_t client_segment_max; /* the client's MSS option; 0: it sent none */
    uint8_t machine_address[16]; /* IPv4: the first 4 */
    uint8_t client_address[16];  /* and the others 0 */
    uint16_t machine_port;
    uint16_t client_port;
    uint32_t send_next;    /* number of the first byte that will go to the client: SYN-ACK's + 1 */
    uint32_t receive_next; /* number that the client's next byte has: beyond data and FIN */
    uint32_t send_window;  /* bytes that the client takes beyond send_next (0 to 2^30 - 1) */
    uint32_t receive_window; /* bytes beyond receive_next that the client was told it may send */
    uint16_t round_trip;     /* milliseconds from SYN-ACK to its acknowledgement; 0: not known */
    /* What the client sent, up to receive_next (or the FIN before it), the first byte after the SYN
     * first. With the window it is not more than CONDUIT_WINDOW. Points into the message read. */
    const uint8_t *data;
    size_t data_length;
};

#define CONDUIT_TAKE_FIXED 66u /* bytes of the body before the data */
#define CONDUIT_TAKE_MAX   (CONDUIT_TAKE_FIXED + CONDUIT_WINDOW)

/* TAKEN. In all cases but CONDUIT_DONE the machine has sent nothing to the client. */
enum conduit_outcome {
    CONDUIT_DONE = 0,   /* the machine has the connection now */
    CONDUIT_HAS_IT = 1, /* it had one between these addresses and ports already */
    CONDUIT_NOBODY = 2, /* no application listens there, or it is not its address: reset it */
    CONDUIT_FULL = 3,   /* the application or its machine is at a limit */
    CONDUIT_NOT_UNDERSTOOD = 4, /* the state is not one that this machine could have made */
    CONDUIT_NO_MORE = 5,        /* it is stopping: keep it for its next start */
};

struct conduit_taken {
    uint32_t id;
    uint8_t outcome;
};

/* LOAD. */
struct conduit_load {
    uint32_t connections; /* that are open */
    uint32_t dropped;     /* frames of the conduit's that were not accepted, since the start */
    uint64_t received;    /* bytes of the clients' data, since the start */
    uint64_t sent;        /* bytes of answers to them, since the start */
};

/* STOP. */
struct conduit_stop {
    uint32_t deadline; /* milliseconds from now */
};

/* STOPPED. */
struct conduit_stopped {
    uint32_t cut; /* connections that were reset at the deadline */
};

/* SETTLED: how the SYN cookies (common/cookie.h) were made that the port has sent in the machine's
 * stead. Whoever answers one from now on answers the machine, which so knows the connection. */
struct conduit_settled {
    struct siphash_key key;
    uint64_t now;     /* by the clock they were made by, */
    uint64_t expires; /* by which they are good until then */
};

/* A frame's payload. */
struct conduit_frame {
    uint8_t type;
    uint8_t flags;
    uint32_t sequence;
    uint32_t acknowledgement;
    const uint8_t *token; /* CONDUIT_TOKEN_SIZE bytes */
    uint16_t body_length;
    uint16_t piece_offset;
    uint16_t piece_length;
    const uint8_t *piece;
};

/* Reads a payload; the frame points into it. Returns false if it is none of this version, or its
 * piece lies outside of it or of the body. The token is not looked at. */
bool conduit_read(struct conduit_frame *frame, const void *payload, size_t length);

/* Writes a payload; returns its length, CONDUIT_PAYLOAD_MAX at most. `frame` is right. */
size_t conduit_write(const struct conduit_frame *frame, uint8_t payload[CONDUIT_PAYLOAD_MAX]);

/* In the same time wherever they differ. */
bool conduit_token_equal(const uint8_t *one, const uint8_t *other);

/* Reads 32 hexadecimal digits. Returns false if the text is anything else. */
bool conduit_token_parse(uint8_t token[CONDUIT_TOKEN_SIZE], const char *text, size_t length);

/* Reading bodies: false if the length or a value is not as described above. `take` points into the
 * body. */
bool conduit_read_hello(struct conduit_hello *hello, const uint8_t *body, size_t length);
bool conduit_read_take(struct conduit_take *take, const uint8_t *body, size_t length);
bool conduit_read_taken(struct conduit_taken *taken, const uint8_t *body, size_t length);
bool conduit_read_load(struct conduit_load *load, const uint8_t *body, size_t length);
bool conduit_read_stop(struct conduit_stop *stop, const uint8_t *body, size_t length);
bool conduit_read_settled(struct conduit_settled *settled, const uint8_t *body, size_t length);
bool conduit_read_stopped(struct conduit_stopped *stopped, const uint8_t *body, size_t length);

/* Writing bodies: their length, or 0 if there is no room. CONDUIT_SMALL_BODY_MAX bytes are room for
 * all but TAKE, CONDUIT_TAKE_MAX for that. */
#define CONDUIT_SMALL_BODY_MAX 32u
size_t conduit_write_hello(const struct conduit_hello *hello, uint8_t *body, size_t room);
size_t conduit_write_take(const struct conduit_take *take, uint8_t *body, size_t room);
size_t conduit_write_taken(const struct conduit_taken *taken, uint8_t *body, size_t room);
size_t conduit_write_load(const struct conduit_load *load, uint8_t *body, size_t room);
size_t conduit_write_stop(const struct conduit_stop *stop, uint8_t *body, size_t room);
size_t conduit_write_settled(const struct conduit_settled *settled, uint8_t *body, size_t room);
size_t conduit_write_stopped(const struct conduit_stopped *stopped, uint8_t *body, size_t room);

#endif
