#include "dns/pending.h"

#include <stdlib.h>

#include "common/clock.h"
#include "dns/kept.h"

#define PENDING_MAX     4096
#define PENDING_BUCKETS 1024
#define KEEP_DEFAULT    (30 * NANOSECONDS_PER_SECOND)

struct kept {
    struct kept *next; /* in its bucket */
    struct pending *pending;
    struct event *timer;
    struct dns_host *host;
    enum host_verdict until;
    struct kept_query query;
};

struct pending {
    struct worker *worker;
    uint64_t keep; /* how long for a host */
    size_t count;
    struct kept *buckets[PENDING_BUCKETS];
    uint8_t response[UINT16_MAX];
};

struct pending *pending_new(struct worker *worker, uint64_t keep)
{
    struct pending *pending = calloc(1, sizeof *pending);
    if (!pending)
        return NULL;
    pending->worker = worker;
    pending->keep = keep ? keep : KEEP_DEFAULT;
    return pending;
}

static void kept_free(struct kept *kept)
{
    if (kept->timer)
        event_free(kept->timer);
    free(kept);
}

/* Where the query is, or would be, linked. */
static struct kept **bucket_of(struct pending *pending, const struct question *question,
                               const uint8_t *packet)
{
    uint64_t id = (uint64_t)packet[0] << 8 | packet[1];
    uint32_t hash = name_hash(question->folded, question->name.length, id);
    return &pending->buckets[hash % PENDING_BUCKETS];
}

/* Takes it out of its bucket, and away from its connection. */
static void unlink_kept(struct kept **link)
{
    struct kept *kept = *link;
    *link = kept->next;
    kept->pending->count--;
    kept_query_release(&kept->query);
}

/* Sends the answer, or a failure if there is an extended error, and forgets the query. */
static void finish(struct kept **link, const struct extended_error *extended)
{
    struct kept *kept = *link;
    struct pending *pending = kept->pending;
    struct worker *worker = pending->worker;
    struct question *question = &kept->query.question;
    struct answer answer;

    question->hash = name_hash(question->folded, question->name.length, worker->table->seed);
    answer_find(worker->table, question, &answer);
    if (extended)
        answer_fail(&answer, extended);
    memcpy(pending->response, kept->query.packet, question->end);
    size_t length =
        worker_write_answer(worker, &answer, question, pending->response, &kept->query.peer);
    kept_query_send(&kept->query, pending->response, length);
    unlink_kept(link);
    kept_free(kept);
}

static void timer_fired(evutil_socket_t none, short what, void *argument)
{
    struct kept *kept = argument;
    struct kept **link = bucket_of(kept->pending, &kept->query.question, kept->query.packet);
    (void)none;
    (void)what;
    while (*link != kept)
        link = &(*link)->next;
    finish(link, kept->until == HOST_WHEN_READY ? &host_error_timeout : NULL);
}

static bool start_timer(struct kept *kept)
{
    struct timeval after =
        clock_timeval(kept->until == HOST_DELAY ? kept->host->answer_delay : kept->pending->keep);
    return event_add(kept->timer, &after) == 0;
}

bool pending_keep(struct pending *pending, const struct question *question, const uint8_t *packet,
                  const struct peer *peer, struct dns_host *host, enum host_verdict until)
{
    struct kept **bucket = bucket_of(pending, question, packet);
    for (const struct kept *kept = *bucket; kept; kept = kept->next)
        if (kept_query_is(&kept->query, question, packet, peer))
            return true;
    if (pending->count == PENDING_MAX)
        return false;

    struct kept *kept = calloc(1, sizeof *kept);
    if (!kept)
        return false;
    kept->pending = pending;
    kept->host = host;
    kept->until = until;
    kept->timer = evtimer_new(pending->worker->base, timer_fired, kept);
    if (!kept->timer || !start_timer(kept) ||
        !kept_query_take(&kept->query, question, packet, peer)) {
        kept_free(kept);
        return false;
    }
    kept->next = *bucket;
    *bucket = kept;
    pending->count++;
    return true;
}

/* Calls `visit` for each kept query; it may take that one out, and says whether it did. */
typedef bool visit_function(struct kept **link, const void *argument);
static void visit_all(struct pending *pending, visit_function *visit, const void *argument)
{
    for (size_t i = 0; i < PENDING_BUCKETS && pending->count > 0; i++)
        for (struct kept **link = &pending->buckets[i]; *link;)
            if (!visit(link, argument))
                link = &(*link)->next;
}

struct release {
    const struct dns_host *host;
    bool ready;
};

static bool release_one(struct kept **link, const void *argument)
{
    const struct release *release = argument;
    struct kept *kept = *link;
    if (kept->host != release->host || kept->until != HOST_WHEN_READY)
        return false;
    if (release->ready && kept->host->answer_delay > 0) {
        kept->until = HOST_DELAY;
        if (start_timer(kept))
            return false;
    }
    finish(link, release->ready ? NULL : host_error(kept->host));
    return true;
}

void pending_release(struct pending *pending, struct dns_host *host, bool ready)
{
    visit_all(pending, release_one, &(struct release){host, ready});
}

/* The host may be gone already: only its address is looked at. */
static bool review_one(struct kept **link, const void *argument)
{
    struct kept *kept = *link;
    const struct dns_table *table = kept->pending->worker->table;
    struct question *question = &kept->query.question;
    struct answer answer;
    (void)argument;
    question->hash = name_hash(question->folded, question->name.length, table->seed);
    answer_find(table, question, &answer);
    if (answer.host == kept->host)
        return false;
    finish(link, &host_error_gone);
    return true;
}

void pending_review(struct pending *pending)
{
    visit_all(pending, review_one, NULL);
}

static bool forget_one(struct kept **link, const void *connection)
{
    struct kept *kept = *link;
    if (kept->query.peer.connection != connection)
        return false;
    unlink_kept(link);
    kept_free(kept);
    return true;
}

void pending_forget(struct pending *pending, const struct tcp_connection *connection)
{
    visit_all(pending, forget_one, connection);
}

static bool drop_one(struct kept **link, const void *argument)
{
    struct kept *kept = *link;
    (void)argument;
    unlink_kept(link);
    kept_free(kept);
    return true;
}

void pending_free(struct pending *pending)
{
    visit_all(pending, drop_one, NULL);
    free(pending);
}
