#include "dns/pending.h"

#include <stdlib.h>

#include "common/clock.h"
#include "dns/kept.h"

#define PENDING_MAX     4096
#define PENDING_BUCKETS 1024
#define UNKNOWN_MAX     64 /* of them, for labels that are being asked about */
#define KEEP_DEFAULT    (30 * NANOSECONDS_PER_SECOND)

struct kept {
    struct kept *next; /* in its bucket */
    struct pending *pending;
    struct event *timer;
    struct dns_host *host;
    enum host_verdict until;
    struct kept_query query;
    char label[NAME_LABEL_MAX + 1]; /* of HOST_UNKNOWN */
};

struct pending {
    struct worker *worker;
    uint64_t keep; /* how long for a host */
    size_t count, unknown_count;
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
    kept->pending->unknown_count -= kept->until == HOST_UNKNOWN;
    kept_query_release(&kept->query);
}

static void find(struct kept *kept, struct answer *answer)
{
    const struct dns_table *table = kept->pending->worker->table;
    struct question *question = &kept->query.question;
    question->hash = name_hash(question->folded, question->name.length, table->seed);
    answer_find(table, question, answer);
}

/* Sends the answer and forgets the query. */
static void send_answer(struct kept **link, const struct answer *answer)
{
    struct kept *kept = *link;
    struct pending *pending = kept->pending;
    const struct question *question = &kept->query.question;

    memcpy(pending->response, kept->query.packet, question->end);
    size_t length = worker_write_answer(pending->worker, answer, question, pending->response,
                                        &kept->query.peer);
    kept_query_send(&kept->query, pending->response, length);
    unlink_kept(link);
    kept_free(kept);
}

/* Sends the answer, or a failure if there is an extended error, and forgets the query. */
static void finish(struct kept **link, const struct extended_error *extended)
{
    struct answer answer;
    find(*link, &answer);
    if (answer.is_unknown && !extended)
        extended = &host_error_gone;
    if (extended)
        answer_fail(&answer, extended);
    send_answer(link, &answer);
}

static void timer_fired(evutil_socket_t none, short what, void *argument)
{
    struct kept *kept = argument;
    struct kept **link = bucket_of(kept->pending, &kept->query.question, kept->query.packet);
    (void)none;
    (void)what;
    while (*link != kept)
        link = &(*link)->next;
    finish(link, kept->until == HOST_DELAY ? NULL : &host_error_timeout);
}

static bool start_timer(struct kept *kept)
{
    struct timeval after =
        clock_timeval(kept->until == HOST_DELAY ? kept->host->answer_delay : kept->pending->keep);
    return event_add(kept->timer, &after) == 0;
}

static void ask_about(struct kept *kept, const char *label)
{
    const struct worker *worker = kept->pending->worker;
    struct dns_want want;
    host_want(&kept->query.question, kept->query.peer.address, &want);
    kept->pending->unknown_count++;
    strcpy(kept->label, label);
    worker->unknown(worker->observer.argument, kept->host, kept->label, worker->number, &want);
}

bool pending_keep(struct pending *pending, const struct question *question, const uint8_t *packet,
                  const struct peer *peer, const struct answer *answer, enum host_verdict until)
{
    struct kept **bucket = bucket_of(pending, question, packet);
    for (const struct kept *kept = *bucket; kept; kept = kept->next)
        if (kept_query_is(&kept->query, question, packet, peer))
            return true;
    if (pending->count == PENDING_MAX ||
        (until == HOST_UNKNOWN &&
         (pending->unknown_count == UNKNOWN_MAX || !pending->worker->unknown)))
        return false;

    struct kept *kept = calloc(1, sizeof *kept);
    if (!kept)
        return false;
    kept->pending = pending;
    kept->host = answer->host;
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
    if (until == HOST_UNKNOWN)
        ask_about(kept, answer->label);
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

struct told {
    const struct dns_host *wildcard;
    const char *label;
    enum dns_label_fate fate;
};

/* The answer for a label that has got an instance; returns false if it has to wait for that. */
static bool ask_anew(struct kept *kept, struct answer *answer)
{
    struct pending *pending = kept->pending;
    if (answer->is_unknown) {
        answer_fail(answer, &host_error_gone);
        return true;
    }
    enum host_verdict verdict =
        answer->host
            ? worker_ask(pending->worker, answer, &kept->query.question, kept->query.peer.address)
            : HOST_SEND;
    if (verdict == HOST_SEND)
        return true;
    pending->unknown_count--;
    kept->until = verdict;
    kept->host = answer->host;
    if (start_timer(kept))
        return false;
    answer_fail(answer, &host_error_too_many);
    return true;
}

static bool tell_one(struct kept **link, const void *argument)
{
    const struct told *told = argument;
    struct kept *kept = *link;
    struct answer answer;
    if (kept->until != HOST_UNKNOWN || kept->host != told->wildcard ||
        strcmp(kept->label, told->label) != 0)
        return false;
    find(kept, &answer);
    if (told->fate == DNS_LABEL_ADDED && !ask_anew(kept, &answer))
        return false;
    if (told->fate == DNS_LABEL_NO_RESOURCES)
        answer_fail(&answer, &host_error_no_resources);
    if (told->fate == DNS_LABEL_MISSING && answer.is_unknown)
        answer_deny(&answer);
    send_answer(link, &answer);
    return true;
}

void pending_tell(struct pending *pending, struct dns_host *wildcard, const char *label,
                  enum dns_label_fate fate)
{
    visit_all(pending, tell_one, &(struct told){wildcard, label, fate});
}

static bool retire_one(struct kept **link, const void *instance)
{
    if ((*link)->host != instance)
        return false;
    finish(link, &host_error_gone);
    return true;
}

void pending_retire(struct pending *pending, struct dns_host *instance)
{
    visit_all(pending, retire_one, instance);
}

/* The host may be gone already: only its address is looked at. */
static bool review_one(struct kept **link, const void *argument)
{
    struct kept *kept = *link;
    struct answer answer;
    (void)argument;
    find(kept, &answer);
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
