#include "dns/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "dns/forward.h"
#include "dns/instances.h"
#include "dns/pending.h"
#include "dns/server.h"
#include "dns/tcp.h"
#include "dns/udp.h"

#define HEADER_RD 0x01 /* in the third byte of a header */
#define HEADER_RA 0x80 /* in the fourth */

/* --- answering --- */

static enum dns_type_counter type_counter(uint16_t type)
{
    switch (type) {
    case DNS_TYPE_A:
        return DNS_COUNT_A;
    case DNS_TYPE_AAAA:
        return DNS_COUNT_AAAA;
    case DNS_TYPE_SOA:
        return DNS_COUNT_SOA;
    case DNS_TYPE_NS:
        return DNS_COUNT_NS;
    case DNS_TYPE_ANY:
        return DNS_COUNT_ANY;
    default:
        return DNS_COUNT_OTHER;
    }
}

/* Do we find out for this client what other servers say (RFC 1035, 4.1.1: RA)? Who does not desire
 * that need not know. */
static bool is_recursion_available(const struct worker *worker, const uint8_t *packet,
                                   const struct peer *peer)
{
    const struct forward_rules *rules = worker->table->forward;
    return rules && packet[2] & HEADER_RD && forward_rules_allow(rules, peer->address);
}

static inline size_t write_answer(struct worker *worker, const struct answer *answer,
                                  const struct question *question, uint8_t *packet,
                                  const struct peer *peer)
{
    size_t length = answer_write(answer, question, packet, response_limit(question, peer));
    if (is_recursion_available(worker, packet, peer))
        packet[3] |= HEADER_RA;
    count(&worker->counters.answers[answer->rcode]);
    if (answer_is_truncated(packet))
        count(&worker->counters.truncated);
    return length;
}

size_t worker_write_answer(struct worker *worker, const struct answer *answer,
                           const struct question *question, uint8_t *packet,
                           const struct peer *peer)
{
    return write_answer(worker, answer, question, packet, peer);
}

enum host_verdict worker_ask(struct worker *worker, struct answer *answer,
                             const struct question *question, const struct sockaddr *client)
{
    if (answer->is_unknown)
        return host_ask_unknown(answer, question, client);
    return host_ask(answer, question, client, worker->now, &worker->observer);
}

size_t worker_answer(struct worker *worker, const struct question *question, uint8_t *packet,
                     const struct peer *peer)
{
    struct answer answer;
    count(&worker->counters.queries[type_counter(question->type)][peer->udp ? DNS_UDP : DNS_TCP]);
    answer_find(worker->table, question, &answer);
    if (answer.host) {
        enum host_verdict verdict = worker_ask(worker, &answer, question, peer->address);
        if (verdict != HOST_SEND) {
            if (pending_keep(worker->pending, question, packet, peer, &answer, verdict))
                return 0;
            answer_fail(&answer, &host_error_too_many);
        }
    } else if (answer.outside && is_recursion_available(worker, packet, peer)) {
        const struct extended_error *problem =
            forward_query(worker->forwarder, worker->table->forward, question, packet, peer);
        if (!problem)
            return 0;
        answer_fail(&answer, problem);
    }
    return write_answer(worker, &answer, question, packet, peer);
}

/* --- orders --- */

void worker_order(struct worker *worker, struct order order)
{
    struct order *queued = malloc(sizeof *queued);
    if (!queued) {
        log_error("out of memory for an order to a DNS worker: giving up");
        abort();
    }
    *queued = order;
    queued->next = NULL;
    pthread_mutex_lock(&worker->inbox.lock);
    *worker->inbox.last = queued;
    worker->inbox.last = &queued->next;
    pthread_mutex_unlock(&worker->inbox.lock);
    if (eventfd_write(worker->inbox.wake, 1) != 0)
        log_error("cannot wake a DNS worker: %s", strerror(errno));
}

static struct order *take_orders(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    struct order *first = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->lock);
    return first;
}

static void retire(const struct worker *worker, struct dns_host *instance)
{
    if (instance_unuse(instance_of(instance)))
        worker->retired(worker->observer.argument, instance);
}

static void obey(struct worker *worker, const struct order *order)
{
    switch (order->type) {
    case ORDER_RELEASE:
        pending_release(worker->pending, order->host, order->ready);
        break;
    case ORDER_TELL:
        pending_tell(worker->pending, order->host, order->label, order->fate);
        break;
    case ORDER_RETIRE:
        pending_retire(worker->pending, order->host);
        retire(worker, order->host);
        break;
    case ORDER_SWAP:
        worker->table = order->table;
        pending_review(worker->pending);
        server_swapped(worker->server);
        break;
    case ORDER_STOP:
        event_base_loopbreak(worker->base);
        break;
    }
}

static void inbox_readable(evutil_socket_t wake, short what, void *argument)
{
    struct worker *worker = argument;
    eventfd_t wakes;
    (void)what;
    eventfd_read((int)wake, &wakes);
    worker->now = clock_now_coarse();
    for (struct order *order = take_orders(&worker->inbox); order;) {
        struct order *next = order->next;
        obey(worker, order);
        free(order);
        order = next;
    }
}

/* --- life --- */

static int open_inbox(struct worker *worker, struct error *error)
{
    struct inbox *inbox = &worker->inbox;
    inbox->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (inbox->wake < 0)
        return error_set_errno(error, "cannot make an eventfd for a DNS worker");
    worker->inbox_event =
        event_new(worker->base, inbox->wake, EV_READ | EV_PERSIST, inbox_readable, worker);
    if (!worker->inbox_event || event_add(worker->inbox_event, NULL) != 0)
        return error_set(error, "out of memory for a DNS worker");
    return 0;
}

static int serve(struct worker *worker, const struct dns_sockets *sockets, struct error *error)
{
    int status = tcp_service_listen(worker->tcp, sockets->tcp, error);
    struct udp_socket *udp = udp_socket_new(worker, sockets->udp, error);
    if (!udp)
        return -1;
    worker->udp[worker->udp_count++] = udp;
    return status;
}

/* An event loop for one thread: no locks, even if the program uses libevent from several. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    return base;
}

/* All that a worker is made of but its sockets. */
static int assemble(struct worker *worker, const struct dns_server_options *options,
                    struct error *error)
{
    worker->base = new_base();
    worker->udp = calloc(options->listen_count, sizeof(struct udp_socket *));
    worker->pending = worker->base ? pending_new(worker, options->keep) : NULL;
    worker->forwarder = forwarder_new(worker);
    worker->tcp =
        worker->base ? tcp_service_new(worker, options->tcp_connections, options->tcp_idle) : NULL;
    if (!worker->base || !worker->udp || !worker->pending || !worker->forwarder || !worker->tcp)
        return error_set(error, "out of memory for a DNS worker");
    return open_inbox(worker, error);
}

static void close_sockets(const struct dns_sockets *sockets, size_t from, size_t count)
{
    for (size_t i = from; i < count; i++) {
        close(sockets[i].udp);
        close(sockets[i].tcp);
    }
}

struct worker *worker_new(struct dns_server *server, unsigned number,
                          const struct dns_server_options *options,
                          const struct dns_sockets *sockets, const struct dns_table *table,
                          struct error *error)
{
    size_t served = 0;
    struct worker *worker = aligned_alloc(CACHE_LINE, sizeof *worker);
    if (!worker) {
        error_set(error, "out of memory for a DNS worker");
        close_sockets(sockets, 0, options->listen_count);
        return NULL;
    }
    memset(worker, 0, sizeof *worker);
    worker->table = table;
    worker->server = server;
    worker->number = number;
    worker->unknown = options->unknown;
    worker->retired = options->retired;
    worker->observer = (struct host_observer){options->wanted, options->argument};
    worker->inbox.wake = -1;
    worker->inbox.last = &worker->inbox.first;
    pthread_mutex_init(&worker->inbox.lock, NULL);

    int status = assemble(worker, options, error);
    while (status == 0 && served < options->listen_count)
        status = serve(worker, &sockets[served++], error);
    if (status == 0)
        return worker;
    close_sockets(sockets, served, options->listen_count);
    worker_free(worker);
    return NULL;
}

void *worker_run(void *argument)
{
    struct worker *worker = argument;
    if (event_base_dispatch(worker->base) < 0)
        log_error("a DNS worker's event loop failed: %s", strerror(errno));
    return NULL;
}

void worker_free(struct worker *worker)
{
    if (worker->pending)
        pending_free(worker->pending);
    if (worker->forwarder)
        forwarder_free(worker->forwarder);
    for (size_t i = 0; i < worker->udp_count; i++)
        udp_socket_free(worker->udp[i]);
    free(worker->udp);
    if (worker->tcp)
        tcp_service_free(worker->tcp);
    if (worker->inbox_event)
        event_free(worker->inbox_event);
    descriptor_close(&worker->inbox.wake);
    for (struct order *order = take_orders(&worker->inbox); order;) {
        struct order *next = order->next;
        if (order->type == ORDER_RETIRE)
            retire(worker, order->host);
        free(order);
        order = next;
    }
    pthread_mutex_destroy(&worker->inbox.lock);
    if (worker->base)
        event_base_free(worker->base);
    free(worker);
}
