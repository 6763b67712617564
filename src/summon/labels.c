/* Labels that DNS workers found no instance of: gets one made, or says why not, or that there is
 * nothing to make one of. The queries wait meanwhile; how many can is for the workers to bound. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/parts.h"

/* Seen to at a time; then the loop's other events have their turn. */
#define AT_A_TIME 32

struct label_question {
    struct label_question *next;
    struct dns_host *wildcard;
    unsigned worker;
    struct dns_want want;
    char label[CONFIG_LABEL_MAX + 1];
};

/* Instances that no worker sees any more. */
struct retired {
    struct dns_host **hosts;
    size_t count;
};

/* --- from the DNS workers --- */

/* With the lock held. */
static void add(struct label_queue *queue, struct label_question *question)
{
    if (!queue->first)
        eventfd_write(queue->wake_up, 1);
    *queue->last = question;
    queue->last = &question->next;
}

void summoner_dns_unknown(void *argument, struct dns_host *wildcard, const char *label,
                          unsigned worker, const struct dns_want *want)
{
    struct summoner *summoner = argument;
    struct label_queue *queue = &summoner->labels;
    struct label_question *question = calloc(1, sizeof *question);
    if (!question) {
        log_error("%s: memory is exhausted: its query is not answered in time", want->name);
        return;
    }
    question->wildcard = wildcard;
    question->worker = worker;
    question->want = *want;
    strncpy(question->label, label, sizeof question->label - 1);
    pthread_mutex_lock(&queue->lock);
    add(queue, question);
    pthread_mutex_unlock(&queue->lock);
}

void summoner_dns_retired(void *argument, struct dns_host *instance)
{
    struct summoner *summoner = argument;
    struct label_queue *queue = &summoner->labels;
    pthread_mutex_lock(&queue->lock);
    if (queue->retired_count == queue->retired_capacity) {
        size_t capacity = queue->retired_capacity ? queue->retired_capacity * 2 : 16;
        struct dns_host **retired = reallocarray(queue->retired, capacity, sizeof *retired);
        if (!retired) {
            log_error("memory is exhausted for an instance to be forgotten; giving up, machines go "
                      "on running");
            abort();
        }
        queue->retired = retired;
        queue->retired_capacity = capacity;
    }
    queue->retired[queue->retired_count++] = instance;
    pthread_mutex_unlock(&queue->lock);
    eventfd_write(queue->wake_up, 1);
}

static struct label_question *take(struct label_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct label_question *question = queue->first;
    if (question)
        queue->first = question->next;
    if (!queue->first)
        queue->last = &queue->first;
    pthread_mutex_unlock(&queue->lock);
    return question;
}

/* --- what becomes of a label --- */

/* Does what its machine would be made of certainly not exist? Where that cannot be seen from here,
 * the start tells. */
static bool has_no_files(const struct service *service, const char *label)
{
    struct error error;
    struct config_service *instance = config_instance_new(service->config, label, 0, &error);
    if (!instance)
        return true;
    const char *const files[] = {instance->image, instance->ramdisk};
    bool missing = false;
    for (size_t i = 0; i < 2; i++)
        missing |= files[i] && access(files[i], F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
    free(instance);
    return missing;
}

static bool is_for_address(const struct dns_want *want)
{
    return want->type == 1 || want->type == 28;
}

/* Wants the machine of an instance that has just been made, so that no second query has to. */
static void want_first(struct service *instance, const struct dns_want *asked)
{
    if (!instance->host->summons)
        return;
    struct want *want =
        want_new(instance, CAUSE_DNS, asked->moment, &asked->client, asked->name, asked->type);
    if (!want)
        return; /* the query, which is answered anew, does */
    atomic_store(&instance->host->wanted, true);
    service_want(instance, want);
}

/* Only where there is no place left would it be the same with any other label. */
static void turn_away(struct service *service, const struct label_question *question,
                      const struct error *why)
{
    if (instances_known(service) == service->config->places->count)
        instances_refuse(service, why);
    else
        log_debug("%s: its query gets SERVFAIL: %s", question->want.name, why->text);
}

static enum dns_label_fate decide(struct service *service, const struct label_question *question)
{
    struct error error;
    struct service *instance = instances_find(service, question->label);
    if (instance)
        return DNS_LABEL_ADDED;
    if (service->host->is_sparse && has_no_files(service, question->label))
        return DNS_LABEL_MISSING;
    if (!is_for_address(&question->want))
        return DNS_LABEL_EMPTY;
    if (service->summoner->stopping_all)
        return DNS_LABEL_NO_RESOURCES;
    if (service->host->summons && !start_queue_has_room(service)) {
        start_queue_explain(service, &error);
        instances_refuse(service, &error);
        return DNS_LABEL_NO_RESOURCES;
    }
    instance = instances_make(service, question->label, -1, &error);
    if (!instance) {
        turn_away(service, question, &error);
        return DNS_LABEL_NO_RESOURCES;
    }
    want_first(instance, &question->want);
    return DNS_LABEL_ADDED;
}

static struct retired take_retired(struct label_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct retired retired = {queue->retired, queue->retired_count};
    queue->retired = NULL;
    queue->retired_count = queue->retired_capacity = 0;
    pthread_mutex_unlock(&queue->lock);
    return retired;
}

static void bury(struct retired retired)
{
    for (size_t i = 0; i < retired.count; i++)
        instances_bury(retired.hosts[i]->owner);
    free(retired.hosts);
}

static void bury_retired(struct summoner *summoner)
{
    struct retired retired = take_retired(&summoner->labels);
    if (retired.count > 0)
        wants_run(summoner); /* those of the retired among them: there are no more to come */
    bury(retired);
}

/* Before the keeper has said which machines it has, their places are not known: questions wait. */
void labels_run(struct summoner *summoner)
{
    struct label_queue *queue = &summoner->labels;
    struct label_question *question;
    bury_retired(summoner);
    for (unsigned i = 0; summoner->kept_are_started && i < AT_A_TIME; i++) {
        question = take(queue);
        if (!question)
            return;
        enum dns_label_fate fate = decide(question->wildcard->owner, question);
        dns_server_tell(summoner->dns, question->worker, question->wildcard, question->label, fate);
        free(question);
    }
    if (summoner->kept_are_started)
        eventfd_write(queue->wake_up, 1);
}

void labels_want_forgotten(struct service *forgotten, struct want *want)
{
    struct error error;
    char label[CONFIG_LABEL_MAX + 1];
    const char *name = forgotten->config->name;
    struct service *service = summoner_wildcard_of(forgotten->summoner, name, label);
    struct service *instance = service ? instances_find(service, label) : NULL;
    if (service && !instance)
        instance = instances_make(service, label, (long)forgotten->place, &error);
    if (instance)
        service_want(instance, want);
    else
        free(want);
}

/* --- life --- */

static void woken(evutil_socket_t descriptor, short events, void *argument)
{
    eventfd_t count;
    (void)events;
    eventfd_read(descriptor, &count);
    labels_run(argument);
}

int labels_new(struct summoner *summoner)
{
    struct label_queue *queue = &summoner->labels;
    queue->last = &queue->first;
    if (pthread_mutex_init(&queue->lock, NULL) != 0)
        return -1;
    queue->wake_up = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    queue->event = event_new(summoner->base, queue->wake_up, EV_READ | EV_PERSIST, woken, summoner);
    if (queue->wake_up != -1 && queue->event && event_add(queue->event, NULL) == 0)
        return 0;
    labels_free(summoner);
    return -1;
}

void labels_drop_old(struct summoner *summoner)
{
    struct label_queue *queue = &summoner->labels;
    pthread_mutex_lock(&queue->lock);
    struct label_question *question = queue->first;
    queue->first = NULL;
    queue->last = &queue->first;
    while (question) {
        struct label_question *next = question->next;
        const struct service *service = question->wildcard->owner;
        question->next = NULL;
        if (service->claimed && (!service->next_host || service->next_host == question->wildcard))
            add(queue, question);
        else
            free(question); /* its query has been answered when the answers were replaced */
        question = next;
    }
    pthread_mutex_unlock(&queue->lock);
}

void labels_free(struct summoner *summoner)
{
    struct label_queue *queue = &summoner->labels;
    struct label_question *question;
    if (!queue->last)
        return;
    bury(take_retired(queue)); /* and nothing is started for those who still want one */
    while ((question = take(queue)))
        free(question);
    if (queue->event)
        event_free(queue->event);
    if (queue->wake_up != -1)
        close(queue->wake_up);
    pthread_mutex_destroy(&queue->lock);
    queue->last = NULL;
}
