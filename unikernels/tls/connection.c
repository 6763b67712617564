/* A TLS connection: Mbed TLS between a stream and the application. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitsu/clock.h"
#include "mbedtls/ssl_internal.h"
#include "tls/identity.h"
#include "tls/problem.h"
#include "tls/tls.h"

#define HANDSHAKE_TIME (TLS_HANDSHAKE_SECONDS * CLOCK_SECOND)
#define IDLE_TIME      (30 * CLOCK_SECOND) /* once authenticated, with nothing sent or received */
#define DRAIN_TIME     (5 * CLOCK_SECOND)  /* for the other side to end the connection after us */
#define READ_SIZE      2048

enum phase {
    HANDSHAKE,
    OPEN,    /* both sides are authenticated */
    CLOSING, /* the application has closed it; there was no room for all yet */
    OVER,    /* the application has been told so; what still comes is dropped */
};

struct tls {
    struct stream *stream;
    const struct tls_handler *handler;
    void *state;
    mbedtls_ssl_context ssl;
    enum phase phase;
    const uint8_t *bytes; /* what the stream offers just now, `left` bytes */
    size_t left;
    bool is_connected;
    bool stream_ended;  /* the other side will send nothing more */
    bool wants_room;    /* the application does */
    bool said_good_bye; /* the TLS kind, which may still wait for room */
    char problem[PROBLEM_SIZE];
};

static void wait_at_most(struct tls *tls, uint64_t time)
{
    stream_deadline(tls->stream, clock_now() + time);
}

/* --- Mbed TLS's way to the stream --- */

static int send_bytes(void *argument, const unsigned char *bytes, size_t length)
{
    struct tls *tls = argument;
    size_t taken = stream_write(tls->stream, bytes, length, STREAM_COPY);

    return taken > 0 ? (int)taken : MBEDTLS_ERR_SSL_WANT_WRITE;
}

static int receive_bytes(void *argument, unsigned char *bytes, size_t size)
{
    struct tls *tls = argument;
    size_t count = tls->left < size ? tls->left : size;

    if (count == 0)
        return tls->stream_ended ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(bytes, tls->bytes, count);
    tls->bytes += count;
    tls->left -= count;
    return (int)count;
}

static bool must_wait(int result)
{
    return result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE;
}

/* --- the end --- */

/* TLS is over, and its memory free. The other side ends the connection after us, so that a reset
 * for what it may still send does not take our last bytes from it. */
static void conclude(struct tls *tls, const char *problem)
{
    tls->phase = OVER;
    tls->handler->closed(tls->state, problem);
    mbedtls_ssl_free(&tls->ssl);
    if (!tls->is_connected) {
        stream_abort(tls->stream);
        return;
    }
    stream_shutdown(tls->stream);
    if (tls->stream_ended)
        stream_close(tls->stream);
    else
        wait_at_most(tls, DRAIN_TIME);
}

/* Mbed TLS sends most alerts itself, but not for what is not TLS at all, for one. */
static void send_alert(struct tls *tls, int result)
{
    unsigned char alert = MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE;

    if (tls->ssl.out_msgtype == MBEDTLS_SSL_MSG_ALERT ||
        result == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE || result == MBEDTLS_ERR_SSL_CONN_EOF)
        return;
    if (result == MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO || result == MBEDTLS_ERR_SSL_INVALID_RECORD)
        alert = MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE;
    /* Before versions are agreed upon, say the one that we speak. */
    if (tls->ssl.major_ver == 0) {
        tls->ssl.major_ver = MBEDTLS_SSL_MAJOR_VERSION_3;
        tls->ssl.minor_ver = MBEDTLS_SSL_MINOR_VERSION_3;
    }
    mbedtls_ssl_send_alert_message(&tls->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, alert);
}

static void fail(struct tls *tls, int result)
{
    const char *problem = problem_of_connection(&tls->ssl, result, tls->problem);

    send_alert(tls, result);
    conclude(tls, problem);
}

/* Sends the rest of what Mbed TLS has made, and the good-bye after it. */
static void go_on_closing(struct tls *tls)
{
    int result = mbedtls_ssl_flush_output(&tls->ssl);

    if (result == 0 && !tls->said_good_bye) {
        tls->said_good_bye = true;
        result = mbedtls_ssl_close_notify(&tls->ssl);
    }
    if (result == 0)
        conclude(tls, NULL);
    else if (!must_wait(result))
        fail(tls, result);
}

void tls_close(struct tls *tls)
{
    if (tls->phase == HANDSHAKE) {
        conclude(tls, "the handshake was given up");
    } else if (tls->phase == OPEN) {
        tls->phase = CLOSING;
        go_on_closing(tls);
    }
}

/* --- the handshake, then data --- */

/* A server has proved itself by then in any case, but only one that asked has been given our
 * certificate. */
static bool is_mutual(const struct tls *tls)
{
    return tls->ssl.conf->endpoint == MBEDTLS_SSL_IS_SERVER || tls->ssl.client_auth;
}

static void shake_hands(struct tls *tls)
{
    int result = mbedtls_ssl_handshake(&tls->ssl);

    if (must_wait(result))
        return;
    if (result != 0) {
        fail(tls, result);
    } else if (!is_mutual(tls)) {
        send_alert(tls, MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE_REQUEST);
        conclude(tls, "the server did not ask for our certificate");
    } else {
        tls->phase = OPEN;
        wait_at_most(tls, IDLE_TIME);
        tls->handler->authenticated(tls, tls->state);
    }
}

static void read_all(struct tls *tls)
{
    uint8_t bytes[READ_SIZE];

    while (tls->phase == OPEN) {
        int result = mbedtls_ssl_read(&tls->ssl, bytes, sizeof bytes);
        if (must_wait(result))
            return;
        if (result > 0)
            tls->handler->received(tls, tls->state, bytes, (size_t)result);
        else if (result == 0 || result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
            tls_close(tls);
        else
            fail(tls, result);
    }
}

static void go_on(struct tls *tls)
{
    if (tls->phase == HANDSHAKE)
        shake_hands(tls);
    if (tls->phase == OPEN)
        read_all(tls);
}

size_t tls_write(struct tls *tls, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    size_t left = length;
    int most = mbedtls_ssl_get_max_out_record_payload(&tls->ssl);

    if (tls->phase != OPEN)
        return length;
    while (left > 0) {
        if (mbedtls_ssl_flush_output(&tls->ssl) != 0) {
            tls->wants_room = true;
            break;
        }
        size_t count = left < (size_t)most ? left : (size_t)most;
        int result = mbedtls_ssl_write(&tls->ssl, at, count);
        if (result < 0 && !must_wait(result)) {
            stream_abort(tls->stream);
            return length;
        }
        /* What waits for room is encrypted already. */
        at += count;
        left -= count;
    }
    return length - left;
}

const char *tls_peer_subject(const struct tls *tls, char *text, size_t size)
{
    const mbedtls_x509_crt *certificate = mbedtls_ssl_get_peer_cert(&tls->ssl);

    int length = certificate ? mbedtls_x509_dn_gets(text, size, &certificate->subject) : 0;

    if (length <= 0)
        snprintf(text, size, "%s", length < 0 ? "a long name" : "no name");
    return text;
}

/* --- what the stream tells --- */

size_t tls_stream_received(struct stream *stream, void *state, const uint8_t *bytes, size_t length)
{
    struct tls *tls = state;

    (void)stream;
    if (tls->phase == OVER || tls->phase == CLOSING)
        return length;
    tls->bytes = bytes;
    tls->left = length;
    if (tls->phase == OPEN)
        wait_at_most(tls, IDLE_TIME);
    go_on(tls);
    size_t taken = tls->phase == OVER || tls->phase == CLOSING ? length : length - tls->left;
    tls->left = 0;
    return taken;
}

void tls_stream_ended(struct stream *stream, void *state)
{
    struct tls *tls = state;

    tls->stream_ended = true;
    if (tls->phase == OVER)
        stream_close(stream);
    else
        go_on(tls);
}

void tls_stream_writable(struct stream *stream, void *state)
{
    struct tls *tls = state;

    tls->is_connected = true;
    if (tls->phase == CLOSING)
        go_on_closing(tls);
    if (tls->phase == OPEN) {
        wait_at_most(tls, IDLE_TIME);
        if (mbedtls_ssl_flush_output(&tls->ssl) == 0 && tls->wants_room) {
            tls->wants_room = false;
            tls->handler->writable(tls, tls->state);
        }
    }
    if (tls->phase == HANDSHAKE) {
        go_on(tls);
        stream_read(stream);
    }
}

void tls_stream_expired(struct stream *stream, void *state)
{
    struct tls *tls = state;

    if (tls->phase == HANDSHAKE)
        conclude(tls, tls->is_connected ? "the handshake took too long" : "nobody answers");
    else if (tls->phase != OVER)
        conclude(tls, "the connection was idle for too long");
    else if (stream_unacknowledged(stream) > 0)
        stream_abort(stream);
    else
        stream_close(stream);
}

/* A handshake that has begun, and what follows it, is an open request, with time limits of its own.
 */
void tls_stream_stopping(struct stream *stream, void *state)
{
    struct tls *tls = state;

    if (tls->phase == OVER)
        stream_close(stream);
}

void tls_stream_closed(void *state)
{
    struct tls *tls = state;

    if (tls->phase != OVER) {
        tls->phase = OVER;
        tls->handler->closed(tls->state, tls->is_connected ? "the connection was reset"
                                                           : "nobody accepts the connection");
        mbedtls_ssl_free(&tls->ssl);
    }
    free(tls);
}

/* --- the beginning --- */

static struct tls *tls_new(const struct tls_identity *identity, enum tls_side side,
                           const struct tls_handler *handler, void *state)
{
    struct tls *tls = calloc(1, sizeof *tls);

    if (!tls)
        return NULL;
    tls->handler = handler;
    tls->state = state;
    mbedtls_ssl_init(&tls->ssl);
    if (mbedtls_ssl_setup(&tls->ssl, identity_settings(identity, side)) != 0) {
        mbedtls_ssl_free(&tls->ssl);
        free(tls);
        return NULL;
    }
    mbedtls_ssl_set_bio(&tls->ssl, tls, send_bytes, receive_bytes, NULL);
    return tls;
}

struct tls *tls_accept(struct stream *stream, const struct tls_identity *identity,
                       enum tls_side side, const struct tls_handler *handler, void *state)
{
    struct tls *tls = tls_new(identity, side, handler, state);

    if (!tls)
        return NULL;
    tls->stream = stream;
    tls->is_connected = true;
    wait_at_most(tls, HANDSHAKE_TIME);
    go_on(tls);
    return tls;
}

static void *never_opened(struct stream *stream)
{
    (void)stream;
    return NULL;
}

struct tls *tls_connect(const struct stream_address *address, const struct tls_identity *identity,
                        const struct tls_handler *handler, void *state)
{
    static const struct stream_handler stream_handler = {.opened = never_opened,
                                                         TLS_STREAM_FUNCTIONS};
    struct tls *tls = tls_new(identity, TLS_CLIENT, handler, state);

    if (!tls)
        return NULL;
    tls->stream = stream_connect(address, &stream_handler, tls);
    if (!tls->stream) {
        mbedtls_ssl_free(&tls->ssl);
        free(tls);
        return NULL;
    }
    wait_at_most(tls, HANDSHAKE_TIME);
    return tls;
}
