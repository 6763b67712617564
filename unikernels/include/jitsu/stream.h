/* TCP connections: those that clients open, and those that the machine opens itself.
 *
 * All functions here are called from application_main() or from a handler's functions, never at the
 * same time as another: there is one thread. None of them waits. */
#ifndef JITSU_STREAM_H
#define JITSU_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream;

/* What the application does with its connections. All functions must be given. `state` is what
 * `opened` returned. */
struct stream_handler {
    /* A client has connected. Returns the application's state for it, or NULL to reset it. */
    void *(*opened)(struct stream *stream);

    /* `length` > 0 bytes have come. Returns how many of them are taken; the others, and what comes
     * after them, are offered again after stream_read(), and the client is slowed down meanwhile.
     */
    size_t (*received)(struct stream *stream, void *state, const uint8_t *bytes, size_t length);

    /* The client will send nothing more; all its bytes have been taken. It may still receive. */
    void (*ended)(struct stream *stream, void *state);

    /* There is room to write again, after stream_write() had taken less than it was given. */
    void (*writable)(struct stream *stream, void *state);

    /* The time set by stream_deadline() has passed. */
    void (*expired)(struct stream *stream, void *state);

    /* The machine is to finish: the application ends this connection as soon as its open request is
     * answered, at once if there is none. */
    void (*stopping)(struct stream *stream, void *state);

    /* The connection is over, whoever ended it; `stream` is gone, and no function is called for it
     * again. `state` is the application's to free. */
    void (*closed)(void *state);
};

/* Accepts connections to `port` on every address of the machine. A failure ends the machine. */
void stream_listen(uint16_t port, const struct stream_handler *handler);

/* An end of a connection. */
struct stream_address {
    uint8_t bytes[16]; /* IPv6; an IPv4 address is mapped: ::ffff:A.B.C.D (RFC 4291, 2.5.5.2) */
    uint32_t scope;    /* which link a link-local address is on, as the platform counts; else 0 */
    uint16_t port;
};

/* The other end of the connection; all zero if that has been lost already. */
struct stream_address stream_peer(const struct stream *stream);

/* Writes the address, without the port, as people do (RFC 5952). Returns `text`. */
#define STREAM_ADDRESS_TEXT_SIZE 46
const char *stream_address_text(const struct stream_address *address,
                                char text[STREAM_ADDRESS_TEXT_SIZE]);

/* Opens a connection to `address`. Instead of `opened`, which is not called, `writable` is called
 * once it is open; `state` (not NULL) is the application's state for it. If it cannot be opened,
 * only `closed` is called, later; a deadline bounds how long that may take. Returns NULL, and
 * nothing is called, if there is no memory or no way to that address. */
struct stream *stream_connect(const struct stream_address *address,
                              const struct stream_handler *handler, void *state);

/* How stream_write() treats the bytes it is given: it copies them, or, where they stay as they are
 * as long as the machine runs, sends them from where they lie. MORE: more bytes will follow at
 * once. */
#define STREAM_COPY     0u
#define STREAM_IN_PLACE 1u
#define STREAM_MORE     2u

/* Sends bytes, in order. Returns how many were taken: all, or fewer if there is no room, in which
 * case `writable` is called once there is. */
size_t stream_write(struct stream *stream, const void *bytes, size_t length, unsigned flags);

/* Offers again what `received` did not take, at once if there is any. */
void stream_read(struct stream *stream);

/* Sends the end of the stream after what was written. The client may go on sending; if it has ended
 * too, the connection may be over once it has all, without a call of stream_close(). */
void stream_shutdown(struct stream *stream);

/* Lets go of the connection: what was written is still sent, then the end; what still comes is
 * dropped. `closed` is called once the handler's functions that are running for it have returned,
 * at once if none is; until then the other functions here do nothing for it. */
void stream_close(struct stream *stream);

/* The same, but resets the connection. */
void stream_abort(struct stream *stream);

/* Calls `expired` when clock_now() has passed `deadline` (with a grain of half a second); 0: never.
 * Replaces an earlier one. */
void stream_deadline(struct stream *stream, uint64_t deadline);

/* Bytes that were written and not acknowledged by the client yet. */
size_t stream_unacknowledged(const struct stream *stream);

/* How a client came: to the machine itself, or to the network's port, which held the connection
 * while the machine started. */
enum stream_origin { STREAM_ACCEPTED, STREAM_HANDED_OVER };

/* The connections that clients have opened since the start. */
struct stream_arrivals {
    uint64_t count;
    uint64_t first_time; /* clock_now() when the first of them came to the machine */
    enum stream_origin first_origin;
};
struct stream_arrivals stream_arrivals(void);

/* How many connections the machine's memory is good for. */
size_t stream_capacity(void);

/* How many connections are open now. */
size_t stream_count(void);

/* Announces that the machine is ready, then serves its network for ever. */
_Noreturn void network_serve(void);

#endif
