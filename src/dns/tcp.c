/* TCP (RFC 7766): pipelined queries, each answered as it comes; what waits for a host is answered
 * later, out of order. Everything is bounded: connections, their time, their input and output. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "dns/forward.h"
#include "dns/pending.h"
#include "dns/tcp.h"

#define CONNECTIONS_DEFAULT 256
#define IDLE_DEFAULT        (10 * NANOSECONDS_PER_SECOND)

/* A query is a few hundred bytes; whoever announces a longer message is not asking anything. */
#define QUERY_MAX 4096

/* Output that a client has not taken yet. One response always fits. */
#define OUTPUT_MAX (256u * 1024)

#define LENGTH_SIZE 2 /* before each message */

/* Responses collected before they are written together, and room for one more of any size. */
#define COLLECT_MAX 16384
#define SCRATCH     (COLLECT_MAX + LENGTH_SIZE + UINT16_MAX)

#define ACCEPTS_MAX  32 /* in one wake-up */
#define ACCEPT_PAUSE (100 * NANOSECONDS_PER_MILLISECOND)

struct tcp_connection {
    TAILQ_ENTRY(tcp_connection) link; /* the one that was active last is the last */
    struct tcp_service *tcp;
    int descriptor;
    struct event *readable, *writable, *timer;
    struct sockaddr_in6 address; /* or sockaddr_in */
    socklen_t address_length;
    unsigned held; /* queries that are kept */
    bool ended;    /* the client sends no more */
    bool broken;   /* to be closed */
    uint8_t *output;
    size_t output_length, output_sent;
    size_t input_length;
    uint8_t input[LENGTH_SIZE + QUERY_MAX];
};

struct listener {
    struct listener *next;
    struct tcp_service *tcp;
    struct event *event;
    int descriptor;
};

struct tcp_service {
    struct worker *worker;
    struct listener *listeners;
    struct event *resume; /* accepts again after a pause */
    unsigned count, limit;
    uint64_t idle;
    TAILQ_HEAD(, tcp_connection) connections;
    uint8_t scratch[SCRATCH];
};

static void connection_free(struct tcp_connection *connection)
{
    struct tcp_service *tcp = connection->tcp;
    if (connection->held > 0) {
        pending_forget(tcp->worker->pending, connection);
        forwarder_forget(tcp->worker->forwarder, connection);
    }
    TAILQ_REMOVE(&tcp->connections, connection, link);
    tcp->count--;
    if (connection->readable)
        event_free(connection->readable);
    if (connection->writable)
        event_free(connection->writable);
    if (connection->timer)
        event_free(connection->timer);
    close(connection->descriptor);
    free(connection->output);
    free(connection);
}

static bool is_writing(const struct tcp_connection *connection)
{
    return connection->output_length > 0;
}

static bool is_finished(const struct tcp_connection *connection)
{
    return connection->broken ||
           (connection->ended && connection->held == 0 && !is_writing(connection));
}

static void touch(struct tcp_connection *connection)
{
    struct timeval idle = clock_timeval(connection->tcp->idle);
    TAILQ_REMOVE(&connection->tcp->connections, connection, link);
    TAILQ_INSERT_TAIL(&connection->tcp->connections, connection, link);
    if (event_add(connection->timer, &idle) != 0)
        connection->broken = true;
}

/* --- output --- */

/* Keeps what the socket did not take, and waits until it takes more. */
static void queue_output(struct tcp_connection *connection, const uint8_t *bytes, size_t length)
{
    size_t total = connection->output_length + length;
    uint8_t *output = total <= OUTPUT_MAX ? realloc(connection->output, total) : NULL;
    if (!output || (!is_writing(connection) && event_add(connection->writable, NULL) != 0)) {
        if (output)
            connection->output = output;
        connection->broken = true;
        return;
    }
    memcpy(output + connection->output_length, bytes, length);
    connection->output = output;
    connection->output_length = total;
    event_del(connection->readable);
}

/* Returns how much of it was sent; a failure marks the connection. */
static size_t send_some(struct tcp_connection *connection, const uint8_t *bytes, size_t length)
{
    ssize_t sent = send(connection->descriptor, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        return (size_t)sent;
    if (errno != EAGAIN && errno != EINTR)
        connection->broken = true;
    return 0;
}

static void write_out(struct tcp_connection *connection, const uint8_t *bytes, size_t length)
{
    size_t sent = 0;
    if (connection->broken || length == 0)
        return;
    if (!is_writing(connection))
        sent = send_some(connection, bytes, length);
    if (sent < length && !connection->broken)
        queue_output(connection, bytes + sent, length - sent);
}

static void put_length(uint8_t *at, size_t length)
{
    at[0] = (uint8_t)(length >> 8);
    at[1] = (uint8_t)length;
}

/* Has the timer's callback close the connection, if it is time: here its owner is not the caller.
 */
static void close_later(struct tcp_connection *connection)
{
    if (is_finished(connection))
        event_active(connection->timer, EV_TIMEOUT, 0);
}

void tcp_send(struct tcp_connection *connection, const uint8_t *packet, size_t length)
{
    uint8_t *scratch = connection->tcp->scratch;
    put_length(scratch, length);
    memcpy(scratch + LENGTH_SIZE, packet, length);
    write_out(connection, scratch, LENGTH_SIZE + length);
    if (!connection->broken)
        touch(connection);
    close_later(connection);
}

void tcp_hold(struct tcp_connection *connection)
{
    connection->held++;
}

void tcp_unhold(struct tcp_connection *connection)
{
    connection->held--;
    close_later(connection);
}

/* --- input --- */

/* Answers one query into `room`, which takes any response. Returns the bytes written, with the
 * length before them. */
static size_t answer_one(struct tcp_connection *connection, const uint8_t *query, size_t length,
                         uint8_t *room)
{
    struct worker *worker = connection->tcp->worker;
    struct question question;
    struct peer peer = {.address = (struct sockaddr *)&connection->address,
                        .address_length = connection->address_length,
                        .connection = connection};

    if (!question_parse(&question, query, length, worker->table->seed)) {
        count(&worker->counters.dropped);
        return 0;
    }
    memcpy(room + LENGTH_SIZE, query, question.end);
    size_t response = worker_answer(worker, &question, room + LENGTH_SIZE, &peer);
    put_length(room, response);
    return response > 0 ? LENGTH_SIZE + response : 0;
}

/* Answers the whole queries in the input, as long as their responses are taken. */
static void answer_input(struct tcp_connection *connection)
{
    uint8_t *scratch = connection->tcp->scratch;
    struct reader reader = reader_over(connection->input, connection->input_length);
    size_t collected = 0, answered = 0;

    while (!is_writing(connection) && !connection->broken) {
        size_t length = reader_u16(&reader);
        if (!reader.failed && length > QUERY_MAX)
            connection->broken = true;
        const uint8_t *query = reader_take(&reader, length);
        if (!query)
            break;
        collected += answer_one(connection, query, length, scratch + collected);
        answered = reader.position;
        if (collected > COLLECT_MAX) {
            write_out(connection, scratch, collected);
            collected = 0;
        }
    }
    write_out(connection, scratch, collected);
    if (answered == 0)
        return;
    connection->input_length -= answered;
    memmove(connection->input, connection->input + answered, connection->input_length);
    if (!connection->broken)
        touch(connection);
}

static void connection_readable(evutil_socket_t descriptor, short what, void *argument)
{
    struct tcp_connection *connection = argument;
    (void)what;
    ssize_t length = recv((int)descriptor, connection->input + connection->input_length,
                          sizeof connection->input - connection->input_length, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    connection->tcp->worker->now = clock_now_coarse();
    if (length > 0) {
        connection->input_length += (size_t)length;
        answer_input(connection);
    } else if (length == 0) {
        connection->ended = true;
        event_del(connection->readable);
    } else {
        connection->broken = true;
    }
    if (is_finished(connection))
        connection_free(connection);
}

static void connection_writable(evutil_socket_t descriptor, short what, void *argument)
{
    struct tcp_connection *connection = argument;
    (void)descriptor;
    (void)what;
    connection->tcp->worker->now = clock_now_coarse();
    connection->output_sent += send_some(connection, connection->output + connection->output_sent,
                                         connection->output_length - connection->output_sent);
    if (connection->output_sent == connection->output_length) {
        connection->output_length = connection->output_sent = 0;
        event_del(connection->writable);
        touch(connection);
        answer_input(connection);
        if (!is_writing(connection) && !connection->ended &&
            event_add(connection->readable, NULL) != 0)
            connection->broken = true;
    }
    if (is_finished(connection))
        connection_free(connection);
}

static void connection_timer(evutil_socket_t none, short what, void *argument)
{
    struct tcp_connection *connection = argument;
    (void)none;
    (void)what;
    if (is_finished(connection) || connection->held == 0)
        connection_free(connection);
    else
        touch(connection);
}

/* --- connections --- */

/* Closes the connection that has been silent for longest and waits for nothing. False: none is. */
static bool close_oldest(struct tcp_service *tcp)
{
    struct tcp_connection *connection;
    TAILQ_FOREACH(connection, &tcp->connections, link)
    {
        if (connection->held > 0 || is_writing(connection))
            continue;
        connection_free(connection);
        return true;
    }
    return false;
}

/* Takes over the descriptor. */
static void connection_new(struct tcp_service *tcp, int descriptor,
                           const struct sockaddr_in6 *address, socklen_t address_length)
{
    struct tcp_connection *connection = malloc(sizeof *connection);
    if (!connection) {
        close(descriptor);
        return;
    }
    memset(connection, 0, offsetof(struct tcp_connection, input));
    connection->tcp = tcp;
    connection->descriptor = descriptor;
    connection->address = *address;
    connection->address_length = address_length;
    TAILQ_INSERT_TAIL(&tcp->connections, connection, link);
    tcp->count++;

    struct event_base *base = tcp->worker->base;
    connection->readable =
        event_new(base, descriptor, EV_READ | EV_PERSIST, connection_readable, connection);
    connection->writable =
        event_new(base, descriptor, EV_WRITE | EV_PERSIST, connection_writable, connection);
    connection->timer = evtimer_new(base, connection_timer, connection);
    if (connection->readable && connection->writable && connection->timer &&
        event_add(connection->readable, NULL) == 0)
        touch(connection);
    else
        connection->broken = true;
    if (connection->broken)
        connection_free(connection);
}

static void pause_accepting(struct tcp_service *tcp)
{
    struct timeval pause = clock_timeval(ACCEPT_PAUSE);
    if (event_add(tcp->resume, &pause) != 0)
        return;
    for (struct listener *listener = tcp->listeners; listener; listener = listener->next)
        event_del(listener->event);
}

static void resume_accepting(evutil_socket_t none, short what, void *argument)
{
    struct tcp_service *tcp = argument;
    (void)none;
    (void)what;
    for (struct listener *listener = tcp->listeners; listener; listener = listener->next)
        event_add(listener->event, NULL);
}

static void acceptable(evutil_socket_t descriptor, short what, void *argument)
{
    struct tcp_service *tcp = ((struct listener *)argument)->tcp;
    (void)what;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_in6 address;
        socklen_t length = sizeof address;
        int accepted = accept4((int)descriptor, (struct sockaddr *)&address, &length,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0 && tcp->count >= tcp->limit && !close_oldest(tcp))
            close(accepted);
        else if (accepted >= 0)
            connection_new(tcp, accepted, &address, length);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warning("DNS: cannot accept a TCP connection (%s); trying again in 0.1 s",
                        strerror(errno));
            close_oldest(tcp);
            pause_accepting(tcp);
            return;
        } else if (errno == EAGAIN)
            return;
    }
}

/* --- the service --- */

struct tcp_service *tcp_service_new(struct worker *worker, unsigned connections, uint64_t idle)
{
    struct tcp_service *tcp = malloc(sizeof *tcp);
    if (!tcp)
        return NULL;
    memset(tcp, 0, offsetof(struct tcp_service, scratch));
    tcp->worker = worker;
    tcp->limit = connections ? connections : CONNECTIONS_DEFAULT;
    tcp->idle = idle ? idle : IDLE_DEFAULT;
    TAILQ_INIT(&tcp->connections);
    tcp->resume = evtimer_new(worker->base, resume_accepting, tcp);
    if (!tcp->resume) {
        free(tcp);
        return NULL;
    }
    return tcp;
}

int tcp_service_listen(struct tcp_service *tcp, int descriptor, struct error *error)
{
    struct listener *listener = malloc(sizeof *listener);
    if (!listener) {
        close(descriptor);
        return error_set(error, "out of memory for a DNS socket");
    }
    *listener = (struct listener){.next = tcp->listeners, .tcp = tcp, .descriptor = descriptor};
    tcp->listeners = listener;

    /* Accepted sockets inherit it: a response never waits for the acknowledgement of another. */
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    listener->event =
        event_new(tcp->worker->base, descriptor, EV_READ | EV_PERSIST, acceptable, listener);
    if (!listener->event || event_add(listener->event, NULL) != 0)
        return error_set(error, "out of memory for a DNS socket");
    return 0;
}

void tcp_service_free(struct tcp_service *tcp)
{
    struct tcp_connection *connection;
    while ((connection = TAILQ_FIRST(&tcp->connections)))
        connection_free(connection);
    while (tcp->listeners) {
        struct listener *listener = tcp->listeners;
        tcp->listeners = listener->next;
        if (listener->event)
            event_free(listener->event);
        close(listener->descriptor);
        free(listener);
    }
    event_free(tcp->resume);
    free(tcp);
}
