#include "dns/server.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "dns/instances.h"
#include "dns/worker.h"

struct dns_server {
    const struct dns_table *table;
    struct worker **workers;
    unsigned worker_count; /* made */
    unsigned running;      /* threads */
    pthread_mutex_t lock;
    pthread_cond_t swapped;
    unsigned to_swap; /* workers that still use the old table */
};

/* Starts a thread that takes no signals: they are for the main loop. */
static int start_thread(struct dns_server *server, unsigned i, struct error *error)
{
    struct worker *worker = server->workers[i];
    sigset_t all, before;
    char name[16];

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&worker->thread, NULL, worker_run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return error_set(error, "cannot start a DNS worker: %s", strerror(failure));
    server->running++;
    snprintf(name, sizeof name, "dns-%u", i);
    pthread_setname_np(worker->thread, name);
    return 0;
}

/* Closes the sockets of the workers that were not made. */
static void close_rest(const struct dns_server_options *options, unsigned made)
{
    for (size_t i = made * options->listen_count; i < options->workers * options->listen_count;
         i++) {
        close(options->sockets[i].udp);
        close(options->sockets[i].tcp);
    }
}

static int start(struct dns_server *server, const struct dns_server_options *options,
                 struct error *error)
{
    for (unsigned i = 0; i < options->workers; i++) {
        struct worker *worker = worker_new(
            server, i, options, options->sockets + i * options->listen_count, server->table, error);
        if (!worker) {
            close_rest(options, i + 1);
            return -1;
        }
        server->workers[server->worker_count++] = worker;
    }
    for (unsigned i = 0; i < options->workers; i++)
        if (start_thread(server, i, error) != 0)
            return -1;
    return 0;
}

struct dns_server *dns_server_start(const struct dns_server_options *options,
                                    struct dns_table *table, struct error *error)
{
    struct dns_server *server = calloc(1, sizeof *server);
    struct worker **workers = calloc(options->workers, sizeof(struct worker *));
    if (!server || !workers) {
        error_set(error, "out of memory for the DNS server");
        close_rest(options, 0);
        free(workers);
        free(server);
        return NULL;
    }
    server->table = table;
    server->workers = workers;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->swapped, NULL);
    if (start(server, options, error) == 0)
        return server;
    server->table = NULL;
    dns_server_stop(server);
    return NULL;
}

void server_swapped(struct dns_server *server)
{
    pthread_mutex_lock(&server->lock);
    if (--server->to_swap == 0)
        pthread_cond_signal(&server->swapped);
    pthread_mutex_unlock(&server->lock);
}

void dns_server_swap(struct dns_server *server, struct dns_table *table)
{
    pthread_mutex_lock(&server->lock);
    server->to_swap = server->worker_count;
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_order(server->workers[i], (struct order){.type = ORDER_SWAP, .table = table});
    while (server->to_swap > 0)
        pthread_cond_wait(&server->swapped, &server->lock);
    pthread_mutex_unlock(&server->lock);
    dns_table_free((struct dns_table *)server->table);
    server->table = table;
}

void dns_server_release(struct dns_server *server, struct dns_host *host, bool ready)
{
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_order(server->workers[i],
                     (struct order){.type = ORDER_RELEASE, .host = host, .ready = ready});
}

void dns_server_tell(struct dns_server *server, unsigned worker, struct dns_host *wildcard,
                     const char *label, enum dns_label_fate fate)
{
    struct order order = {.type = ORDER_TELL, .host = wildcard, .fate = fate};
    strncpy(order.label, label, sizeof order.label - 1);
    worker_order(server->workers[worker], order);
}

void dns_server_retire(struct dns_server *server, struct dns_host *host)
{
    atomic_store(&instance_of(host)->users, server->worker_count);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_order(server->workers[i], (struct order){.type = ORDER_RETIRE, .host = host});
}

void dns_server_stop(struct dns_server *server)
{
    if (!server)
        return;
    for (unsigned i = 0; i < server->running; i++)
        worker_order(server->workers[i], (struct order){.type = ORDER_STOP});
    for (unsigned i = 0; i < server->running; i++)
        pthread_join(server->workers[i]->thread, NULL);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_free(server->workers[i]);
    dns_table_free((struct dns_table *)server->table);
    pthread_cond_destroy(&server->swapped);
    pthread_mutex_destroy(&server->lock);
    free(server->workers);
    free(server);
}

/* --- statistics --- */

static void add(uint64_t *sum, const _Atomic uint64_t *counter)
{
    *sum += atomic_load_explicit(counter, memory_order_relaxed);
}

void dns_server_statistics(const struct dns_server *server, struct dns_statistics *statistics)
{
    *statistics = (struct dns_statistics){0};
    for (unsigned i = 0; i < server->worker_count; i++) {
        const struct counters *counters = &server->workers[i]->counters;
        for (size_t type = 0; type < DNS_TYPE_COUNTERS; type++)
            for (size_t transport = 0; transport < DNS_TRANSPORTS; transport++)
                add(&statistics->queries[type][transport], &counters->queries[type][transport]);
        for (size_t rcode = 0; rcode < DNS_RCODE_COUNTERS; rcode++)
            add(&statistics->answers[rcode], &counters->answers[rcode]);
        add(&statistics->dropped, &counters->dropped);
        add(&statistics->truncated, &counters->truncated);
        add(&statistics->forwarded, &counters->forwarded);
        add(&statistics->forward_unanswered, &counters->forward_unanswered);
        add(&statistics->forward_refused, &counters->forward_refused);
        add(&statistics->forward_strange, &counters->forward_strange);
    }
}
