/* TLS 1.2 over streams (jitsu/stream.h), with both sides authenticated: neither sends nor is given
 * a byte before each has proved who it is by a certificate that descends from one trust anchor.
 *
 * Called from application_main() or from a handler's functions. None of the functions waits, but
 * the arithmetic of a handshake holds everything else up for some milliseconds. */
#ifndef JITSU_TLS_TLS_H
#define JITSU_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jitsu/stream.h"

#define TLS_HANDSHAKE_SECONDS 10          /* from the connection on, at most */
#define TLS_MEMORY            (96 * 1024) /* bytes that a connection may take at its peak */

/* Who this machine is, and whom it trusts. */
struct tls_identity;

/* What an identity is made of, each in PEM: one certificate of an authority; our certificate with
 * those between it and the authority, if any; its private key, not encrypted. */
enum tls_part { TLS_AUTHORITY, TLS_CERTIFICATE, TLS_KEY, TLS_PARTS };

struct tls_text {
    const uint8_t *bytes;
    size_t length;
};

/* Makes an identity; the texts are not needed afterwards. Returns NULL with `*part` and `*problem`
 * saying what is wrong with which of them, as the end of a sentence that begins with the part. */
struct tls_identity *tls_identity_open(const struct tls_text texts[TLS_PARTS], enum tls_part *part,
                                       const char **problem);

/* Why others will refuse the identity's own certificate as of now, as far as its times and its
 * issuer's name tell, or NULL. The clock must have been told the time (clock_wall()). */
const char *tls_identity_doubt(const struct tls_identity *identity);

struct tls;

/* What the application does with a connection. `state` is what it gave to tls_accept() or
 * tls_connect(). */
struct tls_handler {
    /* Both sides have proved who they are. */
    void (*authenticated)(struct tls *tls, void *state);

    /* `length` > 0 bytes have come. */
    void (*received)(struct tls *tls, void *state, const uint8_t *bytes, size_t length);

    /* There is room again after tls_write() had taken less than it was given. */
    void (*writable)(struct tls *tls, void *state);

    /* It is over, and `tls` not to be used any more; also while one of the functions here is
     * running, if that calls tls_close(). `problem` says why, as the end of a sentence; it is NULL
     * if one of the sides has closed the connection as TLS wants it, and all that tls_write() took
     * has been sent. */
    void (*closed)(void *state, const char *problem);
};

enum tls_side { TLS_SERVER, TLS_CLIENT };

/* For `opened` of a struct stream_handler: starts TLS on a connection that was accepted. Returns
 * what `opened` is to return: the stream's state, or NULL if there is no memory (and nothing is
 * called). The handler's other functions must be TLS_STREAM_FUNCTIONS. */
struct tls *tls_accept(struct stream *stream, const struct tls_identity *identity,
                       enum tls_side side, const struct tls_handler *handler, void *state);

/* Connects, and starts TLS as the client. Returns NULL, and nothing is called, if there is no
 * memory or no way there. */
struct tls *tls_connect(const struct stream_address *address, const struct tls_identity *identity,
                        const struct tls_handler *handler, void *state);

/* Sends bytes once both sides are authenticated. Returns how many were taken. */
size_t tls_write(struct tls *tls, const void *bytes, size_t length);

/* Sends what was written, then the end. */
void tls_close(struct tls *tls);

/* Writes the subject of the other side's certificate, "CN=...", once authenticated, what is not
 * printable in it replaced; or that it has none, or one too long. Returns `text`. */
const char *tls_peer_subject(const struct tls *tls, char *text, size_t size);

#define TLS_STREAM_FUNCTIONS                                                                       \
    .received = tls_stream_received, .ended = tls_stream_ended, .writable = tls_stream_writable,   \
    .expired = tls_stream_expired, .stopping = tls_stream_stopping, .closed = tls_stream_closed

size_t tls_stream_received(struct stream *stream, void *state, const uint8_t *bytes, size_t length);
void tls_stream_ended(struct stream *stream, void *state);
void tls_stream_writable(struct stream *stream, void *state);
void tls_stream_expired(struct stream *stream, void *state);
void tls_stream_stopping(struct stream *stream, void *state);
void tls_stream_closed(void *state);

#endif
