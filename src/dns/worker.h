/* One worker: a thread with an event loop, its own sockets and its own view of the table. Nothing
 * here is shared with another thread but the inbox and the counters. */
#ifndef JITSU_DNS_WORKER_H
#define JITSU_DNS_WORKER_H

#include <event2/event.h>
#include <pthread.h>
#include <sys/socket.h>

#include "dns/answer.h"
#include "dns/dns.h"
#include "dns/host.h"

/* Written by the worker alone, read by anyone: relaxed stores, no read-modify-write. */
struct counters {
    _Atomic uint64_t queries[DNS_TYPE_COUNTERS][DNS_TRANSPORTS];
    _Atomic uint64_t answers[DNS_RCODE_COUNTERS];
    _Atomic uint64_t dropped;
    _Atomic uint64_t truncated;
    _Atomic uint64_t forwarded;
    _Atomic uint64_t forward_refused;
    _Atomic uint64_t forward_unanswered;
    _Atomic uint64_t forward_strange;
};

static inline void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

struct udp_socket;
struct tcp_service;
struct tcp_connection;
struct pending;
struct forwarder;

/* Where a query came from and its response goes. */
struct peer {
    const struct sockaddr *address;
    socklen_t address_length;
    struct udp_socket *udp; /* NULL: TCP */
    const void *control;    /* UDP: ancillary data that names the address that was asked */
    size_t control_length;  /* 0: none is needed */
    struct tcp_connection *connection; /* NULL: UDP */
};

/* What other threads ask of a worker. */
enum order_type { ORDER_RELEASE, ORDER_TELL, ORDER_RETIRE, ORDER_SWAP, ORDER_STOP };
struct order {
    struct order *next;
    enum order_type type;
    struct dns_host *host;    /* ORDER_RELEASE; ORDER_TELL: the wildcard's; ORDER_RETIRE */
    bool ready;               /* ORDER_RELEASE */
    enum dns_label_fate fate; /* ORDER_TELL, and the label */
    char label[NAME_LABEL_MAX + 1];
    const struct dns_table *table; /* ORDER_SWAP */
};

struct inbox {
    pthread_mutex_t lock;
    struct order *first, **last;
    int wake; /* eventfd */
};

struct worker {
    const struct dns_table *table;
    unsigned number; /* among the server's */
    dns_unknown_function *unknown;
    dns_retired_function *retired;
    uint64_t now; /* clock_now_coarse() of this wake-up */
    struct host_observer observer;
    struct event_base *base;
    struct udp_socket **udp;
    size_t udp_count;
    struct tcp_service *tcp;
    struct pending *pending;
    struct forwarder *forwarder;
    struct event *inbox_event;
    struct inbox inbox;
    struct dns_server *server;
    pthread_t thread;
    _Alignas(CACHE_LINE) struct counters counters;
};

/* Makes worker `number`, which serves `sockets`, one for each listener, which it owns from then on,
 * also if this fails. */
struct worker *worker_new(struct dns_server *server, unsigned number,
                          const struct dns_server_options *options,
                          const struct dns_sockets *sockets, const struct dns_table *table,
                          struct error *error);

/* The worker's thread: serves until ORDER_STOP. */
void *worker_run(void *worker);

/* Frees a worker whose thread does not run (any more), and closes its sockets. */
void worker_free(struct worker *worker);

/* Gives the worker an order, from any thread. */
void worker_order(struct worker *worker, struct order order);

/* Answers a query that has been parsed, in place: there is room for response_limit() in `packet`.
 * Returns the response's length, or 0 if there is none now because the query is kept. */
size_t worker_answer(struct worker *worker, const struct question *question, uint8_t *packet,
                     const struct peer *peer);

/* What the answer's host says to the query, whose answer it may change. */
enum host_verdict worker_ask(struct worker *worker, struct answer *answer,
                             const struct question *question, const struct sockaddr *client);

/* Turns the query in `packet` into its response, in place, and counts it. Returns its length. */
size_t worker_write_answer(struct worker *worker, const struct answer *answer,
                           const struct question *question, uint8_t *packet,
                           const struct peer *peer);

/* The largest response that the client takes. */
static inline size_t response_limit(const struct question *question, const struct peer *peer)
{
    return peer->udp ? question->udp_size : UINT16_MAX;
}

#endif
