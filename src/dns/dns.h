/* The authoritative DNS server: zones compiled into wire-format answers, served over UDP and TCP by
 * worker threads. It knows nothing of machines: it is given a struct dns_host for each service,
 * reads from it how to answer, and says through a callback that a name is wanted.
 *
 * Standards: RFC 1034, 1035, 2181, 2308 (negative answers), 3597, 4343 (case), 6891 (EDNS), 7766
 * (TCP), 8482 (ANY), 8914 (extended errors). */
#ifndef JITSU_DNS_DNS_H
#define JITSU_DNS_DNS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"
#include "config/config.h"

/* How address queries for a host are answered just now. */
enum dns_disposition {
    DNS_ANSWER,       /* with its addresses, at once */
    DNS_DELAY,        /* with its addresses, dns_host.answer_delay after the query */
    DNS_WHEN_READY,   /* keep the query until dns_server_release() */
    DNS_NO_RESOURCES, /* SERVFAIL with extended error 0 (Other), for which RFC 8914 has no code of
                         its own: "no room for another machine" (limits) */
    DNS_FAILED,       /* SERVFAIL with extended error 14 (Not Ready): "the machine did not start"
                         (backing off) */
};

/* A service as DNS sees it. Owned by the caller of dns_table_build, who sets `disposition` at any
 * time from any thread; the workers set `wanted` and `last_query`. What counts is an A or AAAA
 * query for the service's name or an alias, also by way of CNAME records, also if it has no address
 * of that family, from a client in summon_from. Other clients get its addresses whatever the
 * disposition. */
struct dns_host {
    _Atomic uint8_t disposition; /* enum dns_disposition */
    _Atomic bool wanted; /* set by a worker at the first address query; cleared by the owner */
    bool summons; /* does a query want the machine at all (summon: dns)? else it is only a use */
    const struct prefix *summon_from; /* clients that count; none: all */
    uint16_t summon_from_count;
    uint64_t answer_delay;       /* nanoseconds */
    _Atomic uint64_t last_query; /* clock_now_coarse() of the last query that counts, up to 50 ms
                                    late; 0: none yet */
    void *owner;                 /* the caller's */

    /* Of a wildcard that has a machine for each label; NULL: any other. Such a host is never
     * wanted itself; its disposition DNS_NO_RESOURCES says that no instance can be added now. */
    struct dns_instances *instances;
    bool is_sparse; /* not every label can have an instance: whether one can is always asked */
};

/* Why a host became wanted. Valid during the callback only. */
struct dns_want {
    struct endpoint client;
    char name[CONFIG_NAME_TEXT_MAX]; /* as asked, without its last dot, lower case */
    uint16_t type;                   /* 1 (A) or 28 (AAAA); others for unknown instances only */
    uint64_t moment;                 /* clock_now() when the query was read */
};

/* Called on a worker thread when a query finds `host` summoned by DNS and not wanted before (once,
 * until the owner clears `wanted`). The answer is sent after the call; it must not block. */
typedef void dns_wanted_function(void *argument, struct dns_host *host,
                                 const struct dns_want *want);

/* --- the instances of wildcards --- */

/* The instances of one wildcard, by label. One thread adds and removes them; workers find them
 * meanwhile. */
struct dns_instances;

/* For about `most` of them. NULL if memory is exhausted. */
struct dns_instances *dns_instances_new(size_t most);
/* Frees it with all that are in it; when no worker uses it any more. */
void dns_instances_free(struct dns_instances *instances);

/* An instance with the addresses and TTL of `service`, under a label in lower case: its host, all
 * of which is zero. NULL if memory is exhausted. */
struct dns_host *dns_instance_new(const struct config_service *service, const char *label);
/* Of one that was never added, or that no worker sees any more. */
void dns_instance_free(struct dns_host *instance);

/* Adds an instance whose host has been set. */
void dns_instances_add(struct dns_instances *instances, struct dns_host *instance);
/* Takes one out: no query finds it from now on. It goes to dns_server_retire(). */
void dns_instances_remove(struct dns_instances *instances, struct dns_host *instance);
/* The host of the label's instance, or NULL. For the thread that adds and removes. */
struct dns_host *dns_instances_find(const struct dns_instances *instances, const char *label);

/* Called on worker number `worker` when a query finds that `wildcard` has no instance of that label
 * and might get one: for A and AAAA, and if the host is sparse for any type. The query is kept
 * until dns_server_tell() is called for it. Not called while too many wait for that already. Must
 * not block. */
typedef void dns_unknown_function(void *argument, struct dns_host *wildcard, const char *label,
                                  unsigned worker, const struct dns_want *want);

/* Called on any thread: no worker sees the instance any more, or will say that it is wanted. */
typedef void dns_retired_function(void *argument, struct dns_host *instance);

enum dns_label_fate {
    DNS_LABEL_ADDED,        /* there is an instance now: the query is answered anew */
    DNS_LABEL_EMPTY,        /* it could have one, but not for this query: no such data */
    DNS_LABEL_MISSING,      /* it can have none: there is no such name */
    DNS_LABEL_NO_RESOURCES, /* SERVFAIL, as for DNS_NO_RESOURCES */
};

/* Compiled answers; immutable. */
struct dns_table;

/* Compiles zones, zone files (through ldns) and services. hosts[i] belongs to config->services[i]
 * and must outlive the table. Everything wrong is reported (zone files as FILE:LINE: ...), and NULL
 * is returned if there was anything. `config` is not needed afterwards.
 *
 * A zone file must have SOA and NS records and may have any others but addresses at a service's
 * name; DNAME and $INCLUDE are refused. A zone without one has the records ZONE SOA ns.ZONE
 * hostmaster.ZONE (serial: the time of loading; minimum: the zone's ttl) ZONE NS ns.ZONE and, at
 * ns.ZONE, the addresses that are listened on: none for 0.0.0.0 and ::, those of the loopback only
 * if there are no others. If ns.ZONE is a service it has the service's addresses instead. */
struct dns_table *dns_table_build(const struct config *config, struct dns_host *const *hosts,
                                  config_error_function *report, void *argument);

/* A zone's file that has been read already. */
struct dns_zone_text {
    const char *text; /* NULL: the zone has no file */
    size_t length;
};

/* The same with the content of the zones' files: texts[i] of config->zones[i]. */
struct dns_table *dns_table_build_from(const struct config *config, struct dns_host *const *hosts,
                                       const struct dns_zone_text *texts,
                                       config_error_function *report, void *argument);

void dns_table_free(struct dns_table *table);

/* One address to serve, with the sockets for one worker. The server owns them from dns_server_start
 * on. */
struct dns_sockets {
    int udp; /* bound, non-blocking */
    int tcp; /* bound and listening, non-blocking */
};

struct dns_server;

struct dns_server_options {
    unsigned workers;
    size_t listen_count;
    const struct dns_sockets *sockets; /* workers * listen_count: those of worker 0 first */
    dns_wanted_function *wanted;
    dns_unknown_function *unknown; /* NULL: no host has instances */
    dns_retired_function *retired; /* likewise */
    void *argument;                /* for all of them */
    unsigned tcp_connections;      /* at most, for each worker; 0: 256 */
    uint64_t tcp_idle; /* close a silent TCP connection after this; 0: 10 s (RFC 7766, 6.2.3) */
    uint64_t keep;     /* give up on a query that is kept for a host after this; 0: 30 s */
};

/* Starts the worker threads. The sockets belong to the server in any case; the table does once it
 * has started. NULL if it could not. */
struct dns_server *dns_server_start(const struct dns_server_options *options,
                                    struct dns_table *table, struct error *error);

/* Swaps in a new table, waiting for each worker to do so between two batches of queries. When this
 * returns no worker uses the old one any more and it has been freed; hosts that are not in the new
 * one are not looked at again (queries kept for them have been answered with SERVFAIL). From one
 * thread at a time. */
void dns_server_swap(struct dns_server *server, struct dns_table *table);

/* Answers the queries that are kept for `host` (DNS_WHEN_READY): with its addresses (after its
 * answer_delay, counted from now) if `ready`, else with SERVFAIL and the extended error for its
 * disposition. Set the disposition first, so that no query is kept afterwards. From any thread;
 * returns at once. */
void dns_server_release(struct dns_server *server, struct dns_host *host, bool ready);

/* Answers the queries of a worker that are kept for an unknown label. From any thread; returns at
 * once. */
void dns_server_tell(struct dns_server *server, unsigned worker, struct dns_host *wildcard,
                     const char *label, enum dns_label_fate fate);

/* Calls `retired` for an instance that has been removed, once no worker sees it any more; queries
 * that are still kept for it are answered with SERVFAIL. At the latest when the server stops. */
void dns_server_retire(struct dns_server *server, struct dns_host *instance);

/* Stops the workers, closes the sockets, frees everything. */
void dns_server_stop(struct dns_server *server);

/* Counters since the start, summed over the workers. */
enum dns_type_counter {
    DNS_COUNT_A,
    DNS_COUNT_AAAA,
    DNS_COUNT_SOA,
    DNS_COUNT_NS,
    DNS_COUNT_ANY,
    DNS_COUNT_OTHER,
    DNS_TYPE_COUNTERS
};
enum dns_transport { DNS_UDP, DNS_TCP, DNS_TRANSPORTS };
#define DNS_RCODE_COUNTERS 17 /* 0 to 15 by value, 16 for BADVERS */
struct dns_statistics {
    uint64_t queries[DNS_TYPE_COUNTERS][DNS_TRANSPORTS];
    uint64_t answers[DNS_RCODE_COUNTERS];
    uint64_t dropped;   /* not answered: no DNS header, a response, from port 0; or not taken by the
                           socket */
    uint64_t truncated; /* answered with TC */
    uint64_t forwarded; /* queries put to an upstream resolver */
    uint64_t forward_unanswered; /* those of them that none answered */
    uint64_t forward_refused;    /* not put to one, because too many were under way */
    uint64_t forward_strange;    /* packets from upstreams that were no response to our query */
};
void dns_server_statistics(const struct dns_server *server, struct dns_statistics *statistics);

#endif
