#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/parts.h"

#define LOG_TEXT_SIZE 1024

int history_new(struct summoner *summoner)
{
    summoner->history.ring = calloc(HISTORY_LENGTH, sizeof(struct transition));
    return summoner->history.ring ? 0 : -1;
}

void history_free(struct summoner *summoner)
{
    struct subscription *subscription;
    while ((subscription = TAILQ_FIRST(&summoner->history.subscriptions))) {
        TAILQ_REMOVE(&summoner->history.subscriptions, subscription, entry);
        subscription->list = NULL;
    }
    free(summoner->history.ring);
}

/* --- subscriptions --- */

struct subscription *summoner_subscribe(struct summoner *summoner, transition_function *function,
                                        void *argument)
{
    struct subscription *subscription = calloc(1, sizeof *subscription);
    if (!subscription)
        return NULL;
    *subscription = (struct subscription){
        .list = &summoner->history.subscriptions, .function = function, .argument = argument};
    TAILQ_INSERT_TAIL(subscription->list, subscription, entry);
    return subscription;
}

void summoner_unsubscribe(struct summoner *summoner, struct subscription *subscription)
{
    if (!subscription)
        return;
    if (summoner->history.next_told == subscription)
        summoner->history.next_told = TAILQ_NEXT(subscription, entry);
    if (subscription->list)
        TAILQ_REMOVE(subscription->list, subscription, entry);
    free(subscription);
}

static void tell(struct summoner *summoner, const struct transition *transition)
{
    struct history *history = &summoner->history;
    for (struct subscription *subscription = TAILQ_FIRST(&history->subscriptions); subscription;
         subscription = history->next_told) {
        history->next_told = TAILQ_NEXT(subscription, entry);
        subscription->function(subscription->argument, transition);
    }
}

void summoner_history(struct summoner *summoner, transition_function *function, void *argument)
{
    const struct history *history = &summoner->history;
    uint64_t number = history->count > HISTORY_LENGTH ? history->count - HISTORY_LENGTH : 0;
    for (; number < history->count; number++)
        function(argument, &history->ring[number % HISTORY_LENGTH]);
}

/* --- log lines --- */

static double milliseconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / (double)NANOSECONDS_PER_MILLISECOND;
}

static const char *describe_phases(char *text, size_t size, const struct start_phases *phases)
{
    int length = 0;
    text[0] = '\0';
    if (phases->spawned)
        length = snprintf(text, size, " (spawned %.1f", milliseconds(phases->spawned));
    if (phases->entered)
        length += snprintf(text + length, size - (size_t)length, "%sentered %.1f",
                           length ? ", " : " (", milliseconds(phases->entered));
    if (length)
        snprintf(text + length, size - (size_t)length, ")");
    return text;
}

/* "query A from 127.0.0.1@40000", "connection from ...", or just the cause. */
static const char *describe_cause(char *text, size_t size, const struct transition *t)
{
    char client[ENDPOINT_TEXT_SIZE + 6] = "";
    char query[sizeof t->query + 6] = "";

    if (t->has_client) {
        memcpy(client, " from ", 7);
        endpoint_format(&t->client, client + 6);
    }
    if (t->query[0]) {
        size_t name = strlen(t->service);
        bool own = strncmp(t->query, t->service, name) == 0 && t->query[name] == ' ';
        snprintf(query, sizeof query, "query %s", own ? t->query + name + 1 : t->query);
    }
    snprintf(text, size, "%s%s", query[0] ? query : t->cause, client);
    return text;
}

static void log_start(const struct transition *t)
{
    char cause[LOG_TEXT_SIZE];
    log_info("%s: %s -> %s (%s)", t->service, machine_state_name(t->from),
             machine_state_name(t->to), describe_cause(cause, sizeof cause, t));
}

static void log_ready(const struct transition *t, const struct service *service)
{
    char phases[128];
    if (t->phases.ready)
        log_info("%s: ready after %.1f ms%s", t->service, milliseconds(t->phases.ready),
                 describe_phases(phases, sizeof phases, &t->phases));
    else
        log_info("%s: %s -> %s (%s, process %d)", t->service, machine_state_name(t->from),
                 machine_state_name(t->to), t->cause, service->run->pid);
}

static void log_failure(const struct transition *t, const struct service *service)
{
    uint64_t now = clock_now();
    uint64_t wait = service->deadline > now ? service->deadline - now : 0;
    log_warning("%s: %s -> failed (%s: %s); queries get SERVFAIL and connections are reset for "
                "%.0f s, then it is tried again %s",
                t->service, machine_state_name(t->from), t->cause, t->reason,
                (double)wait / (double)NANOSECONDS_PER_SECOND,
                service->config->keep == CONFIG_KEEP_ALWAYS ? "by itself" : "when it is wanted");
}

static void log_idle(const struct transition *t, const struct service *service)
{
    log_info("%s: running -> stopping (idle for %.4g s; %s)", t->service,
             (double)service->config->idle / (double)NANOSECONDS_PER_SECOND,
             config_stop_name(service->run->stop_mode));
}

static void log_transition(const struct transition *t, enum cause cause,
                           const struct service *service)
{
    if (cause == CAUSE_FIRST_BYTE)
        log_info("%s: first byte to a client after %.1f ms", t->service,
                 milliseconds(t->phases.first_byte));
    else if (t->to == MACHINE_STARTING)
        log_start(t);
    else if (t->to == MACHINE_RUNNING)
        log_ready(t, service);
    else if (t->to == MACHINE_FAILED)
        log_failure(t, service);
    else if (cause == CAUSE_IDLE)
        log_idle(t, service);
    else
        log_info("%s: %s -> %s (%s%s%s)", t->service, machine_state_name(t->from),
                 machine_state_name(t->to), t->cause, t->reason[0] ? ": " : "", t->reason);
}

/* --- recording --- */

static void copy_want(struct transition *transition, const struct want *want)
{
    transition->has_client = want->has_client;
    transition->client = want->client;
    if (want->type == 1 || want->type == 28)
        snprintf(transition->query, sizeof transition->query, "%s %s", want->name,
                 want->type == 1 ? "A" : "AAAA");
    else if (want->type)
        snprintf(transition->query, sizeof transition->query, "%s TYPE%u", want->name, want->type);
}

void history_add(struct service *service, enum machine_state from, enum machine_state to,
                 enum cause cause, const struct want *want, const char *reason)
{
    struct summoner *summoner = service->summoner;
    struct history *history = &summoner->history;
    struct transition *transition = &history->ring[history->count % HISTORY_LENGTH];

    *transition = (struct transition){
        .number = ++history->count, .time = clock_wall(), .from = from, .to = to};
    strncpy(transition->service, service->config->name, sizeof transition->service - 1);
    transition->is_of_instance = service->of != NULL;
    strncpy(transition->cause, cause_name(cause), sizeof transition->cause - 1);
    if (reason)
        strncpy(transition->reason, reason, sizeof transition->reason - 1);
    if (want)
        copy_want(transition, want);
    if (service->run && to != MACHINE_STOPPING)
        transition->phases = service->run->phases;
    log_transition(transition, cause, service);
    tell(summoner, transition);
}
