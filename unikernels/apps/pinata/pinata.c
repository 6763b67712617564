/* pinata: holds a secret, and gives it to whoever proves by a certificate of its trust anchor that
 * it is theirs, over TLS. It can be hit in three ways, on a port each:
 *
 *     10000  it is the server
 *     10001  it connects back, to port 40001 of whoever connects, and is the client there
 *     10002  it is the client, over the connection that was made to it
 *
 * The boot module, a cpio or tar archive, holds ca.pem, cert.pem, key.pem and secret, and possibly
 * seed (jitsu/random.h). Options: time=SECONDS (jitsu/clock.h), port=N (80) of its web page. */
#include <stdbool.h>
#include <stdlib.h>

#include "jitsu/application.h"
#include "jitsu/clock.h"
#include "jitsu/console.h"
#include "jitsu/memory.h"
#include "jitsu/random.h"
#include "jitsu/stream.h"
#include "pinata/contents.h"
#include "pinata/page.h"
#include "tls/tls.h"

#define SERVER_PORT    10000
#define BACK_PORT      10001
#define BACK_PEER_PORT 40001
#define CLIENT_PORT    10002
#define ATTEMPTS_MOST  256
#define SUBJECT_SIZE   100

/* Somebody's attempt at the secret. */
struct attempt {
    struct stream_address peer;
    unsigned port; /* of ours, that was connected to */
    size_t sent;   /* of the secret */
    bool is_authentic;
    char subject[SUBJECT_SIZE];
};

static struct contents contents;
static size_t attempts, attempts_most;

static void report(const struct stream_address *peer, unsigned port, const char *outcome,
                   const char *detail)
{
    char address[STREAM_ADDRESS_TEXT_SIZE];

    console_print("pinata: port %u, %s port %u: %s%s\n", port, stream_address_text(peer, address),
                  peer->port, outcome, detail);
}

static void give(struct tls *tls, void *state)
{
    struct attempt *attempt = state;
    const struct tls_text *secret = &contents.secret;

    attempt->sent += tls_write(tls, secret->bytes + attempt->sent, secret->length - attempt->sent);
    if (attempt->sent == secret->length)
        tls_close(tls);
}

static void authenticated(struct tls *tls, void *state)
{
    struct attempt *attempt = state;

    attempt->is_authentic = true;
    tls_peer_subject(tls, attempt->subject, sizeof attempt->subject);
    give(tls, state);
}

/* Nobody has anything to say to it. */
static void received(struct tls *tls, void *state, const uint8_t *bytes, size_t length)
{
    (void)tls;
    (void)state;
    (void)bytes;
    (void)length;
}

static void closed(void *state, const char *problem)
{
    struct attempt *attempt = state;

    if (!problem && attempt->sent < contents.secret.length)
        problem = "the connection was ended";
    if (!attempt->is_authentic)
        report(&attempt->peer, attempt->port, "refused: ", problem);
    else if (problem)
        report(&attempt->peer, attempt->port, "authenticated, but ", problem);
    else
        report(&attempt->peer, attempt->port, "the secret was sent to ", attempt->subject);
    attempts--;
    free(attempt);
}

static const struct tls_handler handler = {
    .authenticated = authenticated,
    .received = received,
    .writable = give,
    .closed = closed,
};

/* NULL, with a line for the console, if there is no room for one more. */
static struct attempt *attempt_new(const struct stream_address *peer, unsigned port)
{
    struct attempt *attempt = attempts < attempts_most ? calloc(1, sizeof *attempt) : NULL;

    if (!attempt) {
        report(peer, port, "refused: ", "there are too many at the same time");
        return NULL;
    }
    attempt->peer = *peer;
    attempt->port = port;
    attempts++;
    return attempt;
}

static void attempt_drop(struct attempt *attempt, const char *why)
{
    report(&attempt->peer, attempt->port, "refused: ", why);
    attempts--;
    free(attempt);
}

static void *accept_as(struct stream *stream, enum tls_side side, unsigned port)
{
    struct stream_address peer = stream_peer(stream);
    struct attempt *attempt = attempt_new(&peer, port);
    struct tls *tls =
        attempt ? tls_accept(stream, contents.identity, side, &handler, attempt) : NULL;

    if (attempt && !tls)
        attempt_drop(attempt, "there is no memory");
    return tls;
}

static void *server_opened(struct stream *stream)
{
    return accept_as(stream, TLS_SERVER, SERVER_PORT);
}

static void *client_opened(struct stream *stream)
{
    return accept_as(stream, TLS_CLIENT, CLIENT_PORT);
}

/* --- connections to the port that connects back: they end at once --- */

static void *back_opened(struct stream *stream)
{
    static bool state;
    struct stream_address peer = stream_peer(stream);

    peer.port = BACK_PEER_PORT;
    struct attempt *attempt = attempt_new(&peer, BACK_PORT);
    if (attempt && !tls_connect(&peer, contents.identity, &handler, attempt))
        attempt_drop(attempt, "there is no memory or no way there");
    stream_close(stream);
    return &state;
}

static size_t back_received(struct stream *stream, void *state, const uint8_t *bytes, size_t length)
{
    (void)stream;
    (void)state;
    (void)bytes;
    return length;
}

static void back_nothing(struct stream *stream, void *state)
{
    (void)stream;
    (void)state;
}

static void back_closed(void *state)
{
    (void)state;
}

/* --- the start --- */

static void listen_all(void)
{
    static const struct stream_handler server = {.opened = server_opened, TLS_STREAM_FUNCTIONS};
    static const struct stream_handler client = {.opened = client_opened, TLS_STREAM_FUNCTIONS};
    static const struct stream_handler back = {
        .opened = back_opened,
        .received = back_received,
        .ended = back_nothing,
        .writable = back_nothing,
        .expired = back_nothing,
        .stopping = back_nothing,
        .closed = back_closed,
    };

    stream_listen(SERVER_PORT, &server);
    stream_listen(BACK_PORT, &back);
    stream_listen(CLIENT_PORT, &client);
    page_listen(&contents);
}

void application_main(void)
{
    int64_t now;
    uint8_t number;

    if (!clock_wall(&now))
        application_fail("nobody tells the time, and certificates cannot be judged without it: "
                         "option time=SECONDS (since the epoch) is missing");
    random_bytes(&number, sizeof number); /* better to end now than when the first client comes */
    contents_open(&contents);
    listen_all();
    attempts_most = memory_free() / TLS_MEMORY;
    if (attempts_most > ATTEMPTS_MOST)
        attempts_most = ATTEMPTS_MOST;
    network_serve();
}
