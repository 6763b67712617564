/* TLS connections over a stream that delivers, takes, stalls and ends as the input says.
 *
 * The input is a byte that says which side we are on, then steps: a byte that says what happens,
 * the length of what comes with it (two bytes, big-endian), and that. Time stands still and random
 * numbers are always the same ones, so that a recorded handshake can be replayed to its end. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cursor.h"
#include "jitsu/clock.h"
#include "jitsu/random.h"
#include "jitsu/stream.h"
#include "tls/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

enum role { ACCEPTS_AS_SERVER, ACCEPTS_AS_CLIENT, CONNECTS, ROLES };
enum step { RECEIVED, ROOM, EXPIRED, ENDED, STOPPING, STEPS };

#define NOW         INT64_C(1800000000) /* seconds since the epoch, when the certificates are valid */
#define SECRET_SIZE 40000u

/* Of an authority and a certificate made for this test, and that one's key. */
static const char authority[] = "-----BEGIN CERTIFICATE-----\n"
                                "MIIBiDCCAS+gAwIBAgIUWoyNyk6qxamZt2NqUiEnF6D24TcwCgYIKoZIzj0EAwIw\n"
                                "ETEPMA0GA1UEAwwGYW5jaG9yMCAXDTI2MTEyMTA3NDc0NVoYDzIxMjYxMDI4MDc0\n"
                                "NzQ1WjARMQ8wDQYDVQQDDAZhbmNob3IwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
                                "AASlTPEA6AWdbwd0/bRfkmRpVh7zhlenCGPDVAtDrm5bU6NQlBTv+yGndEUwQq7+\n"
                                "DeoI2WNMQymznb+HNUv8Z1KFo2MwYTAdBgNVHQ4EFgQUAH0axPkEI2usEYzBRmns\n"
                                "m59s6EMwHwYDVR0jBBgwFoAUAH0axPkEI2usEYzBRmnsm59s6EMwDwYDVR0TAQH/\n"
                                "BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAgQwCgYIKoZIzj0EAwIDRwAwRAIgLa40bs1K\n"
                                "oKkqDS2+B1x39wxzM63UPvPKyI0KnOYOqWICIBwA+QYAhWOagWwc3JFvCiTTtoaa\n"
                                "UeRKy69KX1CxvyEI\n"
                                "-----END CERTIFICATE-----\n";

static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBdDCCARqgAwIBAgIUI3DCFrbYA/uK1PNOup1IKuuxaXMwCgYIKoZIzj0EAwIw\n"
    "ETEPMA0GA1UEAwwGYW5jaG9yMCAXDTIwMDEwMTAwMDAwMFoYDzIwOTkxMjMxMjM1\n"
    "OTU5WjASMRAwDgYDVQQDDAdtYWNoaW5lMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD\n"
    "QgAEEOAxFMXDSjPdBc9OzG5BKjo4ohEwQ0i1bnRuoL4FpmyOaAepyBCBROGOS/cS\n"
    "oebKGSY+7vucl+OK9wWEybavqaNNMEswCQYDVR0TBAIwADAdBgNVHQ4EFgQUaC/v\n"
    "+Vp4DESPY4JPSN/hE0ChfjUwHwYDVR0jBBgwFoAUAH0axPkEI2usEYzBRmnsm59s\n"
    "6EMwCgYIKoZIzj0EAwIDSAAwRQIgKnRTk4hVE2LLuVPAEb6PQMb/sbA9Z84uqI+T\n"
    "cLSXdasCIQCKL56OEKasph8vnilSX7A3TpXaiVaIYJB4Yv7zg0rT7w==\n"
    "-----END CERTIFICATE-----\n";

static const char private_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmxcthczzY38aM53w\n"
    "zaOdeP1hbC6Bnus6eIaVZ5D8m7ShRANCAAQQ4DEUxcNKM90Fz07MbkEqOjiiETBD\n"
    "SLVudG6gvgWmbI5oB6nIEIFE4Y5L9xKh5soZJj7u+5yX44r3BYTJtq+p\n"
    "-----END PRIVATE KEY-----\n";

/* --- the doubles --- */

struct stream {
    size_t room;
    bool shut, gone; /* gone: stream_close() or stream_abort() has been called */
};

static struct stream stream;
static uint64_t random_state;
static unsigned closed_count;
static size_t sent;
static bool is_authenticated;

uint64_t clock_now(void)
{
    return CLOCK_SECOND;
}

bool clock_wall(int64_t *seconds)
{
    *seconds = NOW;
    return true;
}

void random_bytes(void *buffer, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)buffer)[i] = (uint8_t)(random_state >> 56);
    }
}

struct stream *stream_connect(const struct stream_address *address,
                              const struct stream_handler *handler, void *state)
{
    (void)address;
    (void)handler;
    (void)state;
    return &stream;
}

size_t stream_write(struct stream *to, const void *bytes, size_t length, unsigned flags)
{
    size_t taken = length < to->room ? length : to->room;

    (void)bytes;
    (void)flags;
    if (to->gone)
        return length;
    if (to->shut)
        abort();
    to->room -= taken;
    return taken;
}

void stream_read(struct stream *from)
{
    (void)from;
}

void stream_shutdown(struct stream *to)
{
    to->shut = true;
}

void stream_close(struct stream *which)
{
    which->gone = true;
}

void stream_abort(struct stream *which)
{
    which->gone = true;
}

void stream_deadline(struct stream *which, uint64_t deadline)
{
    (void)which;
    (void)deadline;
}

size_t stream_unacknowledged(const struct stream *which)
{
    return which->room == 0;
}

/* --- the application --- */

static void give(struct tls *tls, void *state)
{
    static const uint8_t secret[SECRET_SIZE];

    (void)state;
    if (!is_authenticated || closed_count > 0)
        abort();
    sent += tls_write(tls, secret + sent, SECRET_SIZE - sent);
    if (closed_count == 0 && sent == SECRET_SIZE)
        tls_close(tls);
}

static void authenticated(struct tls *tls, void *state)
{
    char subject[64];

    if (is_authenticated ||
        strcmp(tls_peer_subject(tls, subject, sizeof subject), "CN=friend") != 0)
        abort();
    is_authenticated = true;
    give(tls, state);
}

static void received(struct tls *tls, void *state, const uint8_t *bytes, size_t length)
{
    static uint8_t copy[32768];

    (void)tls;
    (void)state;
    if (length == 0 || length > sizeof copy || closed_count > 0)
        abort();
    memcpy(copy, bytes, length);
}

static void closed(void *state, const char *problem)
{
    (void)state;
    closed_count++;
    if (problem ? strlen(problem) == 0 : !is_authenticated)
        abort();
}

static const struct tls_handler handler = {
    .authenticated = authenticated, .received = received, .writable = give, .closed = closed};

static const struct tls_identity *identity(void)
{
    static struct tls_identity *made;
    enum tls_part part;
    const char *problem;
    const struct tls_text texts[TLS_PARTS] = {
        [TLS_AUTHORITY] = {(const uint8_t *)authority, sizeof authority - 1},
        [TLS_CERTIFICATE] = {(const uint8_t *)certificate, sizeof certificate - 1},
        [TLS_KEY] = {(const uint8_t *)private_key, sizeof private_key - 1},
    };

    if (made)
        return made;
    made = tls_identity_open(texts, &part, &problem);
    if (!made || tls_identity_doubt(made))
        abort();
    return made;
}

static struct tls *open_connection(enum role role)
{
    static const struct stream_address address;
    const struct tls_identity *own = identity();

    stream = (struct stream){.room = SECRET_SIZE / 2};
    random_state = 1;
    closed_count = 0;
    sent = 0;
    is_authenticated = false;
    if (role == CONNECTS)
        return tls_connect(&address, own, &handler, NULL);
    return tls_accept(&stream, own, role == ACCEPTS_AS_SERVER ? TLS_SERVER : TLS_CLIENT, &handler,
                      NULL);
}

/* Offers bytes as a stream does: what is not taken is offered again once, after room was made. */
static void deliver(struct tls *tls, const uint8_t *bytes, size_t length)
{
    size_t taken = tls_stream_received(&stream, tls, bytes, length);

    if (taken > length)
        abort();
    if (taken < length && !stream.gone) {
        stream.room += SECRET_SIZE;
        tls_stream_writable(&stream, tls);
        if (!stream.gone)
            tls_stream_received(&stream, tls, bytes + taken, length - taken);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct reader reader = reader_over(bytes, length);
    struct tls *tls = open_connection(reader_u8(&reader) % ROLES);
    bool has_ended = false;

    if (!tls)
        abort();
    while (reader_left(&reader) >= 3 && !stream.gone) {
        enum step step = reader_u8(&reader) % STEPS;
        size_t size = reader_u16(&reader);
        if (step == RECEIVED && !has_ended) {
            if (size > reader_left(&reader))
                size = reader_left(&reader);
            if (size > 0)
                deliver(tls, reader_take(&reader, size), size);
        } else if (step == ROOM) {
            stream.room += size;
            tls_stream_writable(&stream, tls);
        } else if (step == EXPIRED) {
            tls_stream_expired(&stream, tls);
        } else if (step == ENDED && !has_ended) {
            has_ended = true;
            tls_stream_ended(&stream, tls);
        } else if (step == STOPPING) {
            tls_stream_stopping(&stream, tls);
        }
    }
    tls_stream_closed(tls);
    if (closed_count != 1)
        abort();
    return 0;
}
