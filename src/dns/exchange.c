#include "dns/exchange.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define LENGTH_SIZE 2

/* Somebody who sends so many wrong responses to one socket is guessing: then we ask over TCP, where
 * it would be much harder. */
#define STRANGE_MAX 8

/* Larger than what we say that we take; what is larger still is cut and not looked at. */
#define UDP_RESPONSE_MAX 4096

void exchange_close(struct exchange *exchange)
{
    if (!exchange->event)
        return;
    event_free(exchange->event);
    exchange->event = NULL;
    close(exchange->socket);
    free(exchange->response);
    exchange->response = NULL;
}

static void fail(struct exchange *exchange, const char *why)
{
    exchange_close(exchange);
    exchange->done(exchange->argument, exchange, NULL, why);
}

/* The response's memory stays until the owner has had it. */
static void succeed(struct exchange *exchange, const struct forward_response *response)
{
    uint8_t *memory = exchange->response;
    exchange->response = NULL;
    exchange_close(exchange);
    exchange->done(exchange->argument, exchange, response, NULL);
    free(memory);
}

/* --- opening --- */

static int write_query(struct exchange *exchange, const char **why)
{
    if (getrandom(&exchange->id, sizeof exchange->id, 0) != sizeof exchange->id) {
        *why = strerror(errno);
        return -1;
    }
    exchange->query_length = forward_query_write(exchange->question, exchange->checking_disabled,
                                                 exchange->id, exchange->query + LENGTH_SIZE);
    exchange->query[0] = (uint8_t)(exchange->query_length >> 8);
    exchange->query[1] = (uint8_t)exchange->query_length;
    return 0;
}

/* Opens and connects the socket, and waits for `events` on it. */
static int open_socket(struct exchange *exchange, int type, short events,
                       event_callback_fn callback, const char **why)
{
    struct sockaddr_storage address;
    socklen_t length = endpoint_to_sockaddr(exchange->upstream, &address);
    int descriptor = socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        *why = strerror(errno);
        return -1;
    }
    if (connect(descriptor, (struct sockaddr *)&address, length) != 0 && errno != EINPROGRESS) {
        *why = strerror(errno);
        close(descriptor);
        return -1;
    }
    struct event *event =
        event_new(exchange->base, descriptor, events | EV_PERSIST, callback, exchange);
    if (!event || event_add(event, NULL) != 0) {
        *why = "memory is exhausted";
        if (event)
            event_free(event);
        close(descriptor);
        return -1;
    }
    exchange->socket = descriptor;
    exchange->event = event;
    return 0;
}

static bool is_transient(int error)
{
    return error == EAGAIN || error == EINTR;
}

/* --- TCP --- */

static void stream_ready(evutil_socket_t descriptor, short what, void *argument);

static int begin_stream(struct exchange *exchange, const char **why)
{
    exchange->stream = true;
    exchange->query_sent = exchange->received = 0;
    return write_query(exchange, why) != 0
               ? -1
               : open_socket(exchange, SOCK_STREAM, EV_WRITE, stream_ready, why);
}

static void turn_to_stream(struct exchange *exchange)
{
    const char *why;
    exchange_close(exchange);
    if (begin_stream(exchange, &why) != 0)
        exchange->done(exchange->argument, exchange, NULL, why);
}

/* Waits for the response instead of for room. */
static void wait_for_response(struct exchange *exchange)
{
    event_del(exchange->event);
    if (event_assign(exchange->event, exchange->base, exchange->socket, EV_READ | EV_PERSIST,
                     stream_ready, exchange) != 0 ||
        event_add(exchange->event, NULL) != 0)
        fail(exchange, "memory is exhausted");
}

static void write_stream(struct exchange *exchange)
{
    size_t length = LENGTH_SIZE + exchange->query_length;
    ssize_t sent = send(exchange->socket, exchange->query + exchange->query_sent,
                        length - exchange->query_sent, MSG_NOSIGNAL);
    if (sent < 0) {
        if (!is_transient(errno))
            fail(exchange, strerror(errno));
        return;
    }
    exchange->query_sent += (size_t)sent;
    if (exchange->query_sent == length)
        wait_for_response(exchange);
}

/* Reads what is there of `room` bytes. True when they are all there. */
static bool read_bytes(struct exchange *exchange, uint8_t *bytes, size_t room)
{
    ssize_t length =
        recv(exchange->socket, bytes + exchange->received, room - exchange->received, 0);
    if (length > 0) {
        exchange->received += (size_t)length;
        return exchange->received == room;
    }
    if (length == 0)
        fail(exchange, "it closed the connection");
    else if (!is_transient(errno))
        fail(exchange, strerror(errno));
    return false;
}

static void read_stream(struct exchange *exchange)
{
    struct forward_response response;
    if (!exchange->response) {
        if (!read_bytes(exchange, exchange->length_bytes, LENGTH_SIZE))
            return;
        exchange->response_length =
            (size_t)exchange->length_bytes[0] << 8 | exchange->length_bytes[1];
        exchange->received = 0;
        exchange->response = malloc(exchange->response_length + 1);
        if (!exchange->response)
            fail(exchange, "memory is exhausted");
        else if (exchange->response_length == 0)
            fail(exchange, "its response is empty");
        return;
    }
    if (!read_bytes(exchange, exchange->response, exchange->response_length))
        return;
    if (!forward_response_read(&response, exchange->response, exchange->response_length,
                               exchange->id, exchange->question) ||
        response.truncated)
        fail(exchange, "its response is not one to our query");
    else
        succeed(exchange, &response);
}

static void stream_ready(evutil_socket_t descriptor, short what, void *argument)
{
    struct exchange *exchange = argument;
    (void)descriptor;
    if (what & EV_WRITE)
        write_stream(exchange);
    else
        read_stream(exchange);
}

/* --- UDP --- */

static void datagram_readable(evutil_socket_t descriptor, short what, void *argument)
{
    struct exchange *exchange = argument;
    struct forward_response response;
    uint8_t packet[UDP_RESPONSE_MAX];
    (void)what;
    ssize_t length = recv((int)descriptor, packet, sizeof packet, 0);
    if (length < 0) {
        if (!is_transient(errno))
            fail(exchange, strerror(errno));
        return;
    }
    if (!forward_response_read(&response, packet, (size_t)length, exchange->id,
                               exchange->question)) {
        atomic_store_explicit(exchange->strange,
                              atomic_load_explicit(exchange->strange, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        if (++exchange->strange_here == STRANGE_MAX)
            turn_to_stream(exchange);
    } else if (response.truncated) {
        turn_to_stream(exchange);
    } else {
        succeed(exchange, &response);
    }
}

static int send_datagram(const struct exchange *exchange)
{
    return send(exchange->socket, exchange->query + LENGTH_SIZE, exchange->query_length,
                MSG_NOSIGNAL) < 0 &&
                   !is_transient(errno)
               ? -1
               : 0;
}

int exchange_begin(struct exchange *exchange, const char **why)
{
    exchange->stream = false;
    exchange->strange_here = 0;
    if (write_query(exchange, why) != 0 ||
        open_socket(exchange, SOCK_DGRAM, EV_READ, datagram_readable, why) != 0)
        return -1;
    if (send_datagram(exchange) == 0)
        return 0;
    *why = strerror(errno);
    exchange_close(exchange);
    return -1;
}

/* What goes wrong is heard of with the next event on the socket, or by silence. */
void exchange_repeat(struct exchange *exchange)
{
    if (!exchange->stream)
        (void)send_datagram(exchange);
}
