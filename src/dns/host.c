#include "dns/host.h"

#include "common/clock.h"

/* A finer last_query would have every query for a busy name write to its host's cache line. */
#define LAST_QUERY_GRAIN (50 * NANOSECONDS_PER_MILLISECOND)

/* Codes of RFC 8914, section 4; it has none for a lack of resources. */
enum { EXTENDED_OTHER = 0, EXTENDED_NOT_READY = 14, EXTENDED_PROHIBITED = 18 };

const struct extended_error host_error_no_resources = {EXTENDED_OTHER,
                                                       "no room for another machine"};
static const struct extended_error prohibited = {EXTENDED_PROHIBITED,
                                                 "not known, and not for this client to start"};
static const struct extended_error failed = {EXTENDED_NOT_READY, "the machine did not start"};
const struct extended_error host_error_too_many = {EXTENDED_OTHER, "too many queries are waiting"};
const struct extended_error host_error_timeout = {EXTENDED_NOT_READY, "the machine is not ready"};
const struct extended_error host_error_gone = {EXTENDED_OTHER, "the configuration has changed"};

const struct extended_error *host_error(const struct dns_host *host)
{
    uint8_t disposition = atomic_load_explicit(&host->disposition, memory_order_acquire);
    return disposition == DNS_NO_RESOURCES ? &host_error_no_resources : &failed;
}

/* Does summon_from let this client count? */
static bool counts(const struct dns_host *host, const struct sockaddr *client)
{
    if (host->summon_from_count == 0)
        return true;
    struct endpoint endpoint;
    if (endpoint_from_sockaddr(client, &endpoint) != 0)
        return false;
    for (uint16_t i = 0; i < host->summon_from_count; i++)
        if (prefix_contains(&host->summon_from[i], &endpoint.address))
            return true;
    return false;
}

void host_want(const struct question *question, const struct sockaddr *client,
               struct dns_want *want)
{
    *want = (struct dns_want){.type = question->type, .moment = clock_now()};
    endpoint_from_sockaddr(client, &want->client);
    name_to_text(question->name, want->name, sizeof want->name);
}

static void want(struct dns_host *host, const struct question *question,
                 const struct sockaddr *client, const struct host_observer *observer)
{
    if (atomic_exchange_explicit(&host->wanted, true, memory_order_acq_rel))
        return;
    struct dns_want want;
    host_want(question, client, &want);
    observer->wanted(observer->argument, host, &want);
}

enum host_verdict host_ask(struct answer *answer, const struct question *question,
                           const struct sockaddr *client, uint64_t now,
                           const struct host_observer *observer)
{
    struct dns_host *host = answer->host;
    if (!counts(host, client))
        return HOST_SEND;

    uint64_t last = atomic_load_explicit(&host->last_query, memory_order_relaxed);
    if (now >= last + LAST_QUERY_GRAIN)
        atomic_store_explicit(&host->last_query, now, memory_order_relaxed);
    if (host->summons && !atomic_load_explicit(&host->wanted, memory_order_relaxed))
        want(host, question, client, observer);

    switch ((enum dns_disposition)atomic_load_explicit(&host->disposition, memory_order_acquire)) {
    case DNS_ANSWER:
        return HOST_SEND;
    case DNS_DELAY:
        return HOST_DELAY;
    case DNS_WHEN_READY:
        return HOST_WHEN_READY;
    case DNS_NO_RESOURCES:
    case DNS_FAILED:
        answer_fail(answer, host_error(host));
        return HOST_SEND;
    }
    return HOST_SEND;
}

enum host_verdict host_ask_unknown(struct answer *answer, const struct question *question,
                                   const struct sockaddr *client)
{
    const struct dns_host *host = answer->host;
    bool is_address = question->type == DNS_TYPE_A || question->type == DNS_TYPE_AAAA;
    if (!counts(host, client)) {
        answer_fail(answer, &prohibited);
        return HOST_SEND;
    }
    if (is_address &&
        atomic_load_explicit(&host->disposition, memory_order_acquire) == DNS_NO_RESOURCES) {
        answer_fail(answer, &host_error_no_resources);
        return HOST_SEND;
    }
    return HOST_UNKNOWN;
}
