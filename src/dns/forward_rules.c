#include "dns/forward_rules.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/log.h"
#include "dns/name.h"

/* How long an upstream that did not answer is asked only after the others. */
#define SILENT_FOR (30 * NANOSECONDS_PER_SECOND)

/* An IPv6 client has at least this many bytes of the address to itself. */
#define IPV6_CLIENT_BYTES 8

struct forward_rules *forward_rules_new(const struct config_forward *config)
{
    struct forward_rules *rules =
        calloc(1, sizeof *rules + config->to_count * sizeof rules->upstreams[0]);
    struct prefix *from = calloc(config->from_count + 1, sizeof *from);
    if (!rules || !from) {
        free(rules);
        free(from);
        return NULL;
    }
    rules->references = 1;
    rules->anyone = config->anyone;
    rules->from = from;
    rules->from_count = config->from_count;
    for (size_t i = 0; i < config->from_count; i++)
        from[i] = config->from[i];
    rules->timeout = config->timeout;
    rules->queries = config->queries;
    rules->from_a_client = config->client_queries;
    if (getrandom(&rules->seed, sizeof rules->seed, 0) != sizeof rules->seed)
        rules->seed = clock_now();
    rules->upstream_count = config->to_count;
    for (size_t i = 0; i < config->to_count; i++)
        rules->upstreams[i].endpoint = config->to[i];
    return rules;
}

struct forward_rules *forward_rules_hold(struct forward_rules *rules)
{
    atomic_fetch_add_explicit(&rules->references, 1, memory_order_relaxed);
    return rules;
}

void forward_rules_release(struct forward_rules *rules)
{
    if (!rules || atomic_fetch_sub_explicit(&rules->references, 1, memory_order_acq_rel) > 1)
        return;
    free(rules->from);
    free(rules);
}

bool forward_rules_allow(const struct forward_rules *rules, const struct sockaddr *client)
{
    struct endpoint endpoint;
    if (rules->anyone)
        return true;
    if (endpoint_from_sockaddr(client, &endpoint) != 0)
        return false;
    for (size_t i = 0; i < rules->from_count; i++)
        if (prefix_contains(&rules->from[i], &endpoint.address))
            return true;
    return false;
}

/* --- what is under way --- */

static size_t place_of(const struct forward_rules *rules, const struct sockaddr *client)
{
    struct endpoint endpoint = {0};
    uint8_t bytes[NAME_FOLDED_SIZE] = {0}; /* name_hash() reads whole words */
    endpoint_from_sockaddr(client, &endpoint);
    memcpy(bytes, endpoint.address.bytes, IPV6_CLIENT_BYTES);
    return name_hash(bytes, IPV6_CLIENT_BYTES, rules->seed) % FORWARD_CLIENTS;
}

/* One more of at most `most`, or false. */
static bool add(_Atomic unsigned *count, unsigned most)
{
    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) < most)
        return true;
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return false;
}

int forward_rules_begin(struct forward_rules *rules, const struct sockaddr *client)
{
    size_t place = place_of(rules, client);
    if (!add(&rules->by_client[place], rules->from_a_client))
        return -1;
    if (add(&rules->under_way, rules->queries))
        return (int)place;
    atomic_fetch_sub_explicit(&rules->by_client[place], 1, memory_order_relaxed);
    return -1;
}

void forward_rules_end(struct forward_rules *rules, int place)
{
    atomic_fetch_sub_explicit(&rules->by_client[place], 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&rules->under_way, 1, memory_order_relaxed);
}

/* --- which upstreams are silent --- */

void forward_rules_order(const struct forward_rules *rules, uint64_t now,
                         uint8_t order[CONFIG_FORWARD_TO_MAX])
{
    size_t count = 0;
    for (int silent = 0; silent < 2; silent++)
        for (size_t i = 0; i < rules->upstream_count; i++) {
            uint64_t until =
                atomic_load_explicit(&rules->upstreams[i].silent_until, memory_order_relaxed);
            if ((now < until) == silent)
                order[count++] = (uint8_t)i;
        }
}

void forward_rules_heard(struct forward_rules *rules, size_t number)
{
    struct forward_upstream *upstream = &rules->upstreams[number];
    char text[ENDPOINT_TEXT_SIZE];
    if (atomic_load_explicit(&upstream->silent_until, memory_order_relaxed) != 0)
        atomic_store_explicit(&upstream->silent_until, 0, memory_order_relaxed);
    if (atomic_load_explicit(&upstream->told, memory_order_relaxed) &&
        atomic_exchange_explicit(&upstream->told, false, memory_order_relaxed))
        log_info("DNS: upstream resolver %s answers again",
                 endpoint_format(&upstream->endpoint, text));
}

/* An upstream may come and go: its silence is logged at most once in SILENT_FOR. */
static bool is_news(struct forward_upstream *upstream, uint64_t now)
{
    uint64_t told_at = atomic_load_explicit(&upstream->told_at, memory_order_relaxed);
    if (told_at != 0 && now < told_at + SILENT_FOR)
        return false;
    if (atomic_exchange_explicit(&upstream->told, true, memory_order_relaxed))
        return false;
    atomic_store_explicit(&upstream->told_at, now, memory_order_relaxed);
    return true;
}

void forward_rules_missed(struct forward_rules *rules, size_t number, uint64_t waited,
                          const char *why)
{
    struct forward_upstream *upstream = &rules->upstreams[number];
    char text[ENDPOINT_TEXT_SIZE], silence[64];
    uint64_t now = clock_now();
    atomic_store_explicit(&upstream->silent_until, now + SILENT_FOR, memory_order_relaxed);
    if (!is_news(upstream, now))
        return;
    snprintf(silence, sizeof silence, "no answer within %u ms",
             (unsigned)(waited / NANOSECONDS_PER_MILLISECOND));
    log_warning("DNS: upstream resolver %s: %s; %s", endpoint_format(&upstream->endpoint, text),
                why ? why : silence,
                rules->upstream_count > 1
                    ? "the others are asked first for 30 s"
                    : "clients get SERVFAIL for names outside our zones until it answers");
}
