/* Each upstream is asked twice within the timeout, in turns, and each is listened to until one has
 * answered: a slow answer is as good as a quick one. An upstream that cannot be reached ends its
 * turn at once; one that answers that it failed is not asked again. */
#include "dns/forward.h"

#include <stdlib.h>

#include "common/clock.h"
#include "dns/exchange.h"
#include "dns/kept.h"

#define BUCKETS 1024
#define ROUNDS  2

#define HEADER_CD 0x10 /* in the fourth byte of a header */

/* Codes of RFC 8914, section 4. */
enum { EXTENDED_OTHER = 0, EXTENDED_NETWORK_ERROR = 23 };

static const struct extended_error too_many = {EXTENDED_OTHER, "too many queries are forwarded"};
static const struct extended_error unanswered = {EXTENDED_NETWORK_ERROR,
                                                 "no upstream resolver answered"};

/* A client's query. */
struct waiting {
    struct waiting *next;
    int place; /* of the client, see forward_rules_begin() */
    struct kept_query query;
};

/* What is asked of the upstreams, for all who wait for it. */
struct inquiry {
    struct inquiry *next; /* in its bucket */
    struct forwarder *forwarder;
    struct forward_rules *rules; /* held */
    struct question question;    /* the first client's, but in lower case */
    bool checking_disabled;
    struct waiting *waiting;
    struct event *timer;
    unsigned turns; /* that have been taken */
    uint8_t order[CONFIG_FORWARD_TO_MAX];
    bool failed[CONFIG_FORWARD_TO_MAX]; /* those upstreams answered that they cannot */
    struct exchange exchanges[];        /* by the upstream's number */
};

struct forwarder {
    struct worker *worker;
    size_t waiting; /* queries */
    struct inquiry *buckets[BUCKETS];
    uint8_t response[UINT16_MAX];
};

struct forwarder *forwarder_new(struct worker *worker)
{
    struct forwarder *forwarder = calloc(1, sizeof *forwarder);
    if (forwarder)
        forwarder->worker = worker;
    return forwarder;
}

/* --- finding --- */

static struct inquiry **bucket_of(struct forwarder *forwarder, const struct question *question)
{
    uint32_t hash = name_hash(question->folded, question->name.length, question->type);
    return &forwarder->buckets[hash % BUCKETS];
}

static bool is_same(const struct inquiry *inquiry, const struct forward_rules *rules,
                    const struct question *question, bool checking_disabled)
{
    return inquiry->rules == rules && inquiry->question.type == question->type &&
           inquiry->question.dnssec_ok == question->dnssec_ok &&
           inquiry->checking_disabled == checking_disabled &&
           name_equal(inquiry->question.name, question->name);
}

/* --- ending --- */

static void waiting_free(struct inquiry *inquiry, struct waiting *waiting)
{
    kept_query_release(&waiting->query);
    forward_rules_end(inquiry->rules, waiting->place);
    inquiry->forwarder->waiting--;
    free(waiting);
}

static void inquiry_free(struct inquiry *inquiry)
{
    while (inquiry->waiting) {
        struct waiting *waiting = inquiry->waiting;
        inquiry->waiting = waiting->next;
        waiting_free(inquiry, waiting);
    }
    for (size_t i = 0; i < inquiry->rules->upstream_count; i++)
        exchange_close(&inquiry->exchanges[i]);
    if (inquiry->timer)
        event_free(inquiry->timer);
    forward_rules_release(inquiry->rules);
    free(inquiry);
}

static void unlink_inquiry(struct inquiry *inquiry)
{
    struct inquiry **link = bucket_of(inquiry->forwarder, &inquiry->question);
    while (*link != inquiry)
        link = &(*link)->next;
    *link = inquiry->next;
}

static size_t write_response(struct forwarder *forwarder, const struct kept_query *query,
                             const struct forward_response *response)
{
    uint8_t *packet = forwarder->response;
    size_t length = forward_response_write(response, &query->question, query->packet, packet,
                                           response_limit(&query->question, &query->peer));
    count(&forwarder->worker->counters.answers[response->rcode]);
    if (answer_is_truncated(packet))
        count(&forwarder->worker->counters.truncated);
    return length;
}

static size_t write_failure(struct forwarder *forwarder, const struct kept_query *query)
{
    uint8_t *packet = forwarder->response;
    struct answer answer = {.tail_base = DNS_HEADER_SIZE};
    answer_fail(&answer, &unanswered);
    memcpy(packet, query->packet, query->question.end);
    count(&forwarder->worker->counters.forward_unanswered);
    return worker_write_answer(forwarder->worker, &answer, &query->question, packet, &query->peer);
}

/* Answers all who wait; without a response, that there is none. */
static void finish(struct inquiry *inquiry, const struct forward_response *response)
{
    struct forwarder *forwarder = inquiry->forwarder;
    unlink_inquiry(inquiry);
    for (struct waiting *waiting = inquiry->waiting; waiting; waiting = waiting->next) {
        size_t length = response ? write_response(forwarder, &waiting->query, response)
                                 : write_failure(forwarder, &waiting->query);
        kept_query_send(&waiting->query, forwarder->response, length);
    }
    inquiry_free(inquiry);
}

/* --- asking --- */

static uint64_t turn_time(const struct inquiry *inquiry)
{
    return inquiry->rules->timeout / (ROUNDS * inquiry->rules->upstream_count);
}

/* The upstream whose turn is the last that was taken. */
static size_t last_asked(const struct inquiry *inquiry)
{
    return inquiry->order[(inquiry->turns - 1) % inquiry->rules->upstream_count];
}

static bool is_asked(const struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->rules->upstream_count; i++)
        if (exchange_is_open(&inquiry->exchanges[i]))
            return true;
    return false;
}

/* Asks an upstream, once more if that is under way. False: it cannot be asked. */
static bool ask(struct inquiry *inquiry, size_t upstream)
{
    struct exchange *exchange = &inquiry->exchanges[upstream];
    const char *why;
    if (exchange_is_open(exchange)) {
        exchange_repeat(exchange);
        return true;
    }
    if (exchange_begin(exchange, &why) == 0)
        return true;
    forward_rules_missed(inquiry->rules, upstream, 0, why);
    return false;
}

/* Takes the next turn; when there is none left waits for those that are asked, until the time is up
 * (`is_late`). May end the inquiry. */
static void next_turn(struct inquiry *inquiry, bool is_late)
{
    struct timeval turn = clock_timeval(turn_time(inquiry));
    size_t upstreams = inquiry->rules->upstream_count;
    while (inquiry->turns < ROUNDS * upstreams) {
        inquiry->turns++;
        size_t upstream = last_asked(inquiry);
        if (inquiry->failed[upstream] || !ask(inquiry, upstream))
            continue;
        if (event_add(inquiry->timer, &turn) == 0)
            return;
        is_late = true;
        break;
    }
    if (is_late || !is_asked(inquiry))
        finish(inquiry, NULL);
}

/* Also called before the first turn: what ends an inquiry at once must not do so while a batch of
 * queries is being answered. */
static void turn_is_over(evutil_socket_t none, short what, void *argument)
{
    struct inquiry *inquiry = argument;
    bool is_first = inquiry->turns == 0;
    (void)none;
    (void)what;
    if (!is_first && exchange_is_open(&inquiry->exchanges[last_asked(inquiry)]))
        forward_rules_missed(inquiry->rules, last_asked(inquiry), turn_time(inquiry), NULL);
    next_turn(inquiry, !is_first);
}

/* Those that mean that another resolver may know better. */
static bool is_failure(const struct forward_response *response)
{
    return response->rcode == DNS_SERVFAIL || response->rcode == DNS_REFUSED ||
           response->rcode == DNS_FORMERR || response->rcode == DNS_NOTIMP ||
           response->rcode > UINT8_C(15);
}

static bool all_failed(const struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->rules->upstream_count; i++)
        if (!inquiry->failed[i])
            return false;
    return true;
}

static void exchange_done(void *argument, struct exchange *exchange,
                          const struct forward_response *response, const char *why)
{
    struct inquiry *inquiry = argument;
    size_t upstream = (size_t)(exchange - inquiry->exchanges);
    bool in_turn = upstream == last_asked(inquiry);
    if (!response) {
        forward_rules_missed(inquiry->rules, upstream, 0, why);
    } else {
        forward_rules_heard(inquiry->rules, upstream);
        inquiry->failed[upstream] = is_failure(response);
        if (!inquiry->failed[upstream] ||
            (all_failed(inquiry) && response->rcode < DNS_RCODE_COUNTERS - 1)) {
            finish(inquiry, response);
            return;
        }
    }
    if (in_turn || !is_asked(inquiry))
        next_turn(inquiry, false);
}

/* --- beginning --- */

static struct inquiry *inquiry_new(struct forwarder *forwarder, struct forward_rules *rules,
                                   const struct question *question, bool checking_disabled)
{
    struct worker *worker = forwarder->worker;
    struct inquiry *inquiry =
        calloc(1, sizeof *inquiry + rules->upstream_count * sizeof inquiry->exchanges[0]);
    if (!inquiry)
        return NULL;
    inquiry->timer = evtimer_new(worker->base, turn_is_over, inquiry);
    if (!inquiry->timer) {
        free(inquiry);
        return NULL;
    }
    inquiry->forwarder = forwarder;
    inquiry->rules = forward_rules_hold(rules);
    inquiry->question = *question;
    inquiry->question.name.wire = inquiry->question.folded;
    inquiry->checking_disabled = checking_disabled;
    forward_rules_order(rules, clock_now(), inquiry->order);
    for (size_t i = 0; i < rules->upstream_count; i++)
        inquiry->exchanges[i] = (struct exchange){.base = worker->base,
                                                  .upstream = &rules->upstreams[i].endpoint,
                                                  .question = &inquiry->question,
                                                  .checking_disabled = checking_disabled,
                                                  .done = exchange_done,
                                                  .argument = inquiry,
                                                  .strange = &worker->counters.forward_strange};
    struct inquiry **bucket = bucket_of(forwarder, question);
    inquiry->next = *bucket;
    *bucket = inquiry;
    return inquiry;
}

/* Has the client's query wait for the inquiry's end. False: it may not, or memory is exhausted. */
static bool wait_for(struct inquiry *inquiry, const struct question *question,
                     const uint8_t *packet, const struct peer *peer)
{
    int place = forward_rules_begin(inquiry->rules, peer->address);
    struct waiting *waiting = place < 0 ? NULL : calloc(1, sizeof *waiting);
    if (!waiting || !kept_query_take(&waiting->query, question, packet, peer)) {
        if (place >= 0)
            forward_rules_end(inquiry->rules, place);
        free(waiting);
        return false;
    }
    waiting->place = place;
    waiting->next = inquiry->waiting;
    inquiry->waiting = waiting;
    inquiry->forwarder->waiting++;
    return true;
}

const struct extended_error *forward_query(struct forwarder *forwarder, struct forward_rules *rules,
                                           const struct question *question, const uint8_t *packet,
                                           const struct peer *peer)
{
    bool checking_disabled = packet[3] & HEADER_CD, is_new = false;
    struct inquiry *inquiry = *bucket_of(forwarder, question);
    while (inquiry && !is_same(inquiry, rules, question, checking_disabled))
        inquiry = inquiry->next;
    if (inquiry)
        for (const struct waiting *waiting = inquiry->waiting; waiting; waiting = waiting->next)
            if (kept_query_is(&waiting->query, question, packet, peer))
                return NULL;
    if (!inquiry) {
        inquiry = inquiry_new(forwarder, rules, question, checking_disabled);
        is_new = true;
    }
    if (!inquiry || !wait_for(inquiry, question, packet, peer)) {
        count(&forwarder->worker->counters.forward_refused);
        if (inquiry && is_new) {
            unlink_inquiry(inquiry);
            inquiry_free(inquiry);
        }
        return &too_many;
    }
    count(&forwarder->worker->counters.forwarded);
    if (is_new)
        event_active(inquiry->timer, EV_TIMEOUT, 0);
    return NULL;
}

/* --- forgetting --- */

static void forget(struct inquiry *inquiry, const struct tcp_connection *connection)
{
    for (struct waiting **link = &inquiry->waiting; *link;) {
        struct waiting *waiting = *link;
        if (waiting->query.peer.connection != connection) {
            link = &waiting->next;
            continue;
        }
        *link = waiting->next;
        waiting_free(inquiry, waiting);
    }
}

/* What nobody waits for any more ends: nothing would bound how many sockets are open for such. */
void forwarder_forget(struct forwarder *forwarder, const struct tcp_connection *connection)
{
    for (size_t i = 0; i < BUCKETS && forwarder->waiting > 0; i++)
        for (struct inquiry **link = &forwarder->buckets[i]; *link;) {
            struct inquiry *inquiry = *link;
            forget(inquiry, connection);
            if (inquiry->waiting) {
                link = &inquiry->next;
                continue;
            }
            *link = inquiry->next;
            inquiry_free(inquiry);
        }
}

void forwarder_free(struct forwarder *forwarder)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (forwarder->buckets[i]) {
            struct inquiry *inquiry = forwarder->buckets[i];
            forwarder->buckets[i] = inquiry->next;
            inquiry_free(inquiry);
        }
    free(forwarder);
}
