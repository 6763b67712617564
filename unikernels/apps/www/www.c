/* www: serves the files of an archive, the machine's boot module, over HTTP/1.1; a page of its own
 * where there is none.
 *
 * Options: port=N (80), name=NAME (of the service, for the page). */
#include <stdlib.h>
#include <string.h>

#include "jitsu/application.h"
#include "jitsu/clock.h"
#include "jitsu/memory.h"
#include "jitsu/module.h"
#include "jitsu/options.h"
#include "jitsu/stream.h"
#include "www/http.h"
#include "www/page.h"
#include "www/response.h"
#include "www/site.h"

#define IDLE_TIME  (30 * CLOCK_SECOND) /* between requests */
#define HEAD_TIME  (10 * CLOCK_SECOND) /* for a request's head, from its first byte on */
#define STALL_TIME (20 * CLOCK_SECOND) /* for the client to take anything at all of an answer */
#define DRAIN_TIME (5 * CLOCK_SECOND)  /* for the client to end the connection after us */

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
    size_t unacknowledged; /* while draining: when the deadline was set */
    size_t text_sent, body_sent;
    struct response response;
};

static struct connection *least_used, *last_used;
static size_t connection_count;
static struct site *site;
static uint64_t ready_time;

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

static void wait_at_most(struct connection *connection, uint64_t time)
{
    stream_deadline(connection->stream, clock_now() + time);
}

/* The connection serves requests again. */
static void expect_request(struct connection *connection)
{
    connection->phase = READING;
    free(connection->head);
    connection->head = NULL;
    connection->head_length = 0;
    wait_at_most(connection, IDLE_TIME);
}

/* All is said. The client ends the connection after us, so that a reset for what it may still send
 * does not take our last bytes from it. */
static void drain(struct connection *connection)
{
    connection->phase = DRAINING;
    connection->unacknowledged = stream_unacknowledged(connection->stream);
    stream_shutdown(connection->stream);
    if (connection->client_ended)
        stream_close(connection->stream);
    else
        wait_at_most(connection, DRAIN_TIME);
}

/* Sends of the answer what there is room for. Returns whether that was all. */
static bool send_answer(struct connection *connection)
{
    struct response *response = &connection->response;
    struct stream *stream = connection->stream;
    size_t text_left = response->text_length - connection->text_sent;
    size_t body_left = response->body_length - connection->body_sent;

    if (text_left > 0)
        connection->text_sent +=
            stream_write(stream, response->text + connection->text_sent, text_left,
                         STREAM_COPY | (body_left > 0 ? STREAM_MORE : 0));
    if (connection->text_sent == response->text_length && body_left > 0)
        connection->body_sent += stream_write(stream, response->body + connection->body_sent,
                                              body_left, STREAM_IN_PLACE);
    if (connection->text_sent == response->text_length &&
        connection->body_sent == response->body_length)
        return true;
    connection->phase = SENDING;
    wait_at_most(connection, STALL_TIME);
    return false;
}

static void finish_answer(struct connection *connection)
{
    if (connection->response.close || connection->client_ended)
        drain(connection);
    else
        expect_request(connection);
}

/* The page, once somebody wants to see it. */
static void make_page(void)
{
    static char text[PAGE_SIZE_MAX];
    struct option name = option_get("name");
    const struct page_facts facts = {
        .name = name.value,
        .name_length = name.length,
        .boot_nanoseconds = ready_time,
        .memory = memory_free(),
    };
    const struct site_file file = {
        .name = "index.html",
        .name_length = strlen("index.html"),
        .size = page_write(text, &facts),
        .bytes = (const uint8_t *)text,
    };

    site = site_of_file(&file);
    if (!site)
        application_fail("no memory for the page");
}

/* Answers the request that `bytes` start with, if it is whole. Returns the head's length, 0 if it
 * is not whole yet. */
static size_t answer(struct connection *connection, const uint8_t *bytes, size_t length)
{
    struct http_request request;
    int head_length = http_parse(bytes, length, &request);

    if (head_length == 0)
        return 0;
    if (!site)
        make_page();
    if (head_length > 0)
        response_to(site, &request, &connection->response);
    else
        response_to_error(&request, -head_length, &connection->response);
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
        wait_at_most(connection, HEAD_TIME);
    }
    memcpy(connection->head + connection->head_length, bytes, count);
    connection->head_length += count;
    return count;
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

    connection->client_ended = true;
    if (connection->phase != SENDING)
        stream_close(stream);
}

static void expired(struct stream *stream, void *state)
{
    struct connection *connection = state;
    size_t unacknowledged = stream_unacknowledged(stream);

    if (connection->phase == READING || unacknowledged == 0) {
        stream_close(stream);
    } else if (connection->phase == DRAINING && unacknowledged < connection->unacknowledged) {
        connection->unacknowledged = unacknowledged;
        wait_at_most(connection, DRAIN_TIME);
    } else {
        stream_abort(stream);
    }
}

/* Ends the connection that has waited longest for a request. Returns false if none is waiting. */
static bool make_room(void)
{
    for (struct connection *connection = least_used; connection; connection = connection->next) {
        if (connection->phase == READING) {
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
    free(connection->head);
    free(connection);
}

static void open_site(struct boot_module module)
{
    const char *problem;
    size_t position;

    site = site_open(module.bytes, module.length, &problem, &position);
    if (!site)
        application_fail("the boot module: %s (at byte %zu of %zu)", problem, position,
                         module.length);
}

void application_main(void)
{
    static const struct stream_handler handler = {
        .opened = opened,
        .received = received,
        .ended = ended,
        .writable = writable,
        .expired = expired,
        .closed = closed,
    };
    struct boot_module module = boot_module();

    if (module.bytes)
        open_site(module);
    stream_listen((uint16_t)option_number("port", 80, 1, 65535), &handler);
    ready_time = clock_now();
    network_serve();
}
