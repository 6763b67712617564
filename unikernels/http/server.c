/* The server of jitsu/http.h: connections, one after the other's requests, and their time limits.
 */
#include <stdlib.h>
#include <string.h>

#include "http/access_log.h"
#include "http/request.h"
#include "http/response.h"
#include "jitsu/application.h"
#include "jitsu/clock.h"
#include "jitsu/console.h"
#include "jitsu/http.h"
#include "jitsu/options.h"
#include "jitsu/stream.h"

/* Seconds that a client may keep us waiting. The option idle= sets the first; the others are never
 * longer. */
#define IDLE_TIME      30 /* between requests */
#define IDLE_TIME_MOST 3600
#define HEAD_TIME      10 /* for the rest of a request's head, from its first byte on */
#define STALL_TIME     20 /* for taking anything at all of an answer */
#define DRAIN_TIME     5  /* for ending the connection after us */

enum phase {
    READING,  /* a request's head, or waiting for one */
    SENDING,  /* an answer, more than there is room for */
    DRAINING, /* what still comes is dropped */
};

struct connection {
    struct connection *previous, *next; /* by last use, the one unused longest first */
    struct stream *stream;
    enum phase phase;
    uint8_t *head; /* the part of a head that has come, HTTP_HEAD_MAX bytes; NULL: none */
    size_t head_length;
    bool client_ended;
    size_t unacknowledged; /* when the deadline was set */
    size_t text_sent, body_sent;
    struct http_response response;
};

static struct connection *least_used, *last_used;
static size_t connection_count;
static http_answer *answer_request;
static uint64_t idle_time;
static bool is_logging;
static bool is_stopping; /* each connection ends with its next answer */

static void list_remove(struct connection *connection)
{
    *(connection->previous ? &connection->previous->next : &least_used) = connection->next;
    *(connection->next ? &connection->next->previous : &last_used) = connection->previous;
}

static void list_append(struct connection *connection)
{
    connection->previous = last_used;
    connection->next = NULL;
    *(last_used ? &last_used->next : &least_used) = connection;
    last_used = connection;
}

static uint64_t limit(const struct connection *connection)
{
    uint64_t time = connection->phase == SENDING    ? STALL_TIME * CLOCK_SECOND
                    : connection->phase == DRAINING ? DRAIN_TIME * CLOCK_SECOND
                    : connection->head              ? HEAD_TIME * CLOCK_SECOND
                                                    : idle_time;
    return time < idle_time ? time : idle_time;
}

/* From now on the client keeps us waiting. */
static void wait_for_client(struct connection *connection)
{
    connection->unacknowledged = stream_unacknowledged(connection->stream);
    stream_deadline(connection->stream, clock_now() + limit(connection));
}

static void forget_head(struct connection *connection)
{
    free(connection->head);
    connection->head = NULL;
    connection->head_length = 0;
}

static void expect_request(struct connection *connection)
{
    connection->phase = READING;
    wait_for_client(connection);
}

/* All is said. The client ends the connection after us, so that a reset for what it may still send
 * does not take our last bytes from it; or it has ended its half, and the connection is over once
 * it has got all. */
static void drain(struct connection *connection)
{
    connection->phase = DRAINING;
    stream_shutdown(connection->stream);
    wait_for_client(connection);
}

/* Sends of the answer what there is room for. Returns whether that was all. */
static bool send_answer(struct connection *connection)
{
    struct http_response *response = &connection->response;
    struct stream *stream = connection->stream;
    size_t text_left = response->text_length - connection->text_sent;
    size_t body_left = response->body_length - connection->body_sent;
    size_t text_count = 0, body_count = 0;

    if (text_left > 0)
        text_count = stream_write(stream, response->text + connection->text_sent, text_left,
                                  STREAM_COPY | (body_left > 0 ? STREAM_MORE : 0));
    /* The copy that the answer owns goes before the client has acknowledged all of it. */
    if (text_count == text_left && body_left > 0)
        body_count = stream_write(stream, response->body + connection->body_sent, body_left,
                                  response->copy ? STREAM_COPY : STREAM_IN_PLACE);
    connection->text_sent += text_count;
    connection->body_sent += body_count;
    if (text_count == text_left && body_count == body_left)
        return true;
    if (connection->phase != SENDING || text_count + body_count > 0) {
        connection->phase = SENDING;
        wait_for_client(connection);
    }
    return false;
}

static void finish_answer(struct connection *connection)
{
    response_end(&connection->response);
    if (connection->response.close || connection->client_ended || is_stopping)
        drain(connection);
    else
        expect_request(connection);
}

/* `error`: the status of a request that could not be understood, 0 if it was. Such a request closes
 * the connection, as nobody knows where the next would begin. */
static void make_response(struct http_response *response, const struct http_request *request,
                          int error)
{
    response_start(response, request, error != 0 || is_stopping);
    if (error)
        http_error(response, error);
    else
        answer_request(request, response);
    if (!response->is_whole)
        application_fail("no answer was made to a request");
}

static void log_answer(const struct connection *connection, const struct http_request *request)
{
    struct stream_address client = stream_peer(connection->stream);
    char line[ACCESS_LOG_LINE_MAX];

    console_write(line, access_log_line(&client, request, &connection->response, line));
}

/* Answers the request that `bytes` start with, if it is whole. Returns the head's length, 0 if it
 * is not whole yet. */
static size_t answer(struct connection *connection, const uint8_t *bytes, size_t length)
{
    struct http_request request;
    int head_length = http_parse(bytes, length, &request);

    if (head_length == 0)
        return 0;
    make_response(&connection->response, &request, head_length < 0 ? -head_length : 0);
    if (is_logging)
        log_answer(connection, &request);
    forget_head(connection);
    connection->text_sent = connection->body_sent = 0;
    list_remove(connection);
    list_append(connection);
    if (send_answer(connection))
        finish_answer(connection);
    return head_length > 0 ? (size_t)head_length : length;
}

/* Keeps the part of a head that has come. Returns how many bytes were taken. */
static size_t keep_head(struct connection *connection, const uint8_t *bytes, size_t length)
{
    size_t room = HTTP_HEAD_MAX - connection->head_length;
    size_t count = length < room ? length : room;

    if (!connection->head) {
        connection->head = malloc(HTTP_HEAD_MAX);
        if (!connection->head) {
            connection->phase = DRAINING;
            stream_abort(connection->stream);
            return 0;
        }
        wait_for_client(connection);
    }
    memcpy(connection->head + connection->head_length, bytes, count);
    connection->head_length += count;
    return count;
}

/* Before a line has ended, or is broken, in these bytes or right after the first of them, there is
 * nothing new to say: a client that sends byte by byte does not have us read its whole head again
 * each time. */
static bool has_control(const uint8_t *bytes, size_t length)
{
    size_t i = 0;

    while (i < length && bytes[i] >= ' ' && bytes[i] != 0x7f)
        i++;
    return i < length;
}

/* A head may begin in earlier bytes. Returns how many of these were taken. */
static size_t take_head(struct connection *connection, const uint8_t *bytes, size_t length)
{
    size_t before = connection->head_length;

    if (before == 0) {
        size_t head_length = answer(connection, bytes, length);
        return head_length ? head_length : keep_head(connection, bytes, length);
    }
    size_t kept = keep_head(connection, bytes, length);
    if (!has_control(connection->head + before - 1, kept + 1) &&
        connection->head_length < HTTP_HEAD_MAX)
        return kept;
    size_t head_length = answer(connection, connection->head, connection->head_length);
    return head_length ? head_length - before : kept;
}

static size_t received(struct stream *stream, void *state, const uint8_t *bytes, size_t length)
{
    struct connection *connection = state;
    size_t taken = 0;

    (void)stream;
    while (taken < length && connection->phase == READING)
        taken += take_head(connection, bytes + taken, length - taken);
    return connection->phase == DRAINING ? length : taken;
}

static void writable(struct stream *stream, void *state)
{
    struct connection *connection = state;

    if (connection->phase != SENDING || !send_answer(connection))
        return;
    finish_answer(connection);
    stream_read(stream);
}

static void ended(struct stream *stream, void *state)
{
    struct connection *connection = state;
    bool has_all = stream_unacknowledged(stream) == 0;

    connection->client_ended = true;
    if (connection->phase == DRAINING || (connection->phase == READING && has_all))
        stream_close(stream);
    else if (connection->phase == READING)
        drain(connection);
}

/* A client that takes what it was sent, however slowly, is not ended; one that does not send the
 * request it has begun is. */
static void expired(struct stream *stream, void *state)
{
    struct connection *connection = state;
    size_t unacknowledged = stream_unacknowledged(stream);

    if (unacknowledged == 0 && connection->phase != SENDING)
        stream_close(stream);
    else if (unacknowledged < connection->unacknowledged && !connection->head)
        wait_for_client(connection);
    else
        stream_abort(stream);
}

/* A head that has begun to come is a request: it is answered. */
static void stopping(struct stream *stream, void *state)
{
    const struct connection *connection = state;

    is_stopping = true;
    if (connection->phase == READING && connection->head_length == 0)
        stream_close(stream);
}

/* Ends the connection that has waited longest for a request, having taken all it was sent. Returns
 * false if there is none. */
static bool make_room(void)
{
    for (struct connection *connection = least_used; connection; connection = connection->next) {
        if (connection->phase == READING && stream_unacknowledged(connection->stream) == 0) {
            stream_close(connection->stream);
            return true;
        }
    }
    return false;
}

static void *opened(struct stream *stream)
{
    if (connection_count >= stream_capacity() && !make_room())
        return NULL;
    struct connection *connection = malloc(sizeof *connection);
    if (!connection)
        return NULL;
    connection->stream = stream;
    connection->head = NULL;
    connection->head_length = 0;
    connection->client_ended = false;
    expect_request(connection);
    list_append(connection);
    connection_count++;
    return connection;
}

static void closed(void *state)
{
    struct connection *connection = state;

    list_remove(connection);
    connection_count--;
    if (connection->phase == SENDING)
        response_end(&connection->response);
    free(connection->head);
    free(connection);
}

void http_listen(uint16_t port, http_answer *answer_function)
{
    static const struct stream_handler handler = {
        .opened = opened,
        .received = received,
        .ended = ended,
        .writable = writable,
        .expired = expired,
        .stopping = stopping,
        .closed = closed,
    };

    answer_request = answer_function;
    idle_time = option_number("idle", IDLE_TIME, 1, IDLE_TIME_MOST) * CLOCK_SECOND;
    is_logging = option_get("log").value;
    stream_listen(port, &handler);
}
