#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "summon/parts.h"

struct want *want_new(struct service *service, enum cause cause, uint64_t moment,
                      const struct endpoint *client, const char *name, uint16_t type)
{
    size_t length = name ? strlen(name) : 0;
    struct want *want = malloc(sizeof *want + length + 1);
    if (!want)
        return NULL;
    *want = (struct want){
        .service = service, .moment = moment, .cause = cause, .type = name ? type : 0};
    if (client) {
        want->has_client = true;
        want->client = *client;
    }
    memcpy(want->name, name ? name : "", length + 1);
    return want;
}

/* --- from the DNS workers --- */

void summoner_dns_wanted(void *argument, struct dns_host *host, const struct dns_want *asked)
{
    struct summoner *summoner = argument;
    struct want_queue *queue = &summoner->wants;
    struct want *want =
        want_new(host->owner, CAUSE_DNS, asked->moment, &asked->client, asked->name, asked->type);
    if (!want) {
        log_error("%s: memory is exhausted: not started for this query; the next one tries again",
                  asked->name);
        atomic_store(&host->wanted, false);
        return;
    }
    pthread_mutex_lock(&queue->lock);
    bool was_empty = !queue->newest;
    want->next = queue->newest;
    queue->newest = want;
    pthread_mutex_unlock(&queue->lock);
    if (was_empty)
        eventfd_write(queue->wake_up, 1);
}

static struct want *take_all(struct want_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct want *newest = queue->newest;
    queue->newest = NULL;
    pthread_mutex_unlock(&queue->lock);

    struct want *oldest = NULL;
    while (newest) {
        struct want *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void wants_run(struct summoner *summoner)
{
    struct want *want = take_all(&summoner->wants);
    while (want) {
        struct want *next = want->next;
        service_want(want->service, want);
        want = next;
    }
}

static void woken(evutil_socket_t descriptor, short events, void *argument)
{
    eventfd_t count;
    (void)events;
    eventfd_read(descriptor, &count);
    wants_run(argument);
}

int wants_new(struct summoner *summoner)
{
    struct want_queue *queue = &summoner->wants;
    if (pthread_mutex_init(&queue->lock, NULL) != 0)
        return -1;
    queue->wake_up = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->wake_up == -1) {
        pthread_mutex_destroy(&queue->lock);
        return -1;
    }
    queue->event = event_new(summoner->base, queue->wake_up, EV_READ | EV_PERSIST, woken, summoner);
    if (!queue->event || event_add(queue->event, NULL) != 0) {
        wants_free(summoner);
        return -1;
    }
    return 0;
}

void wants_free(struct summoner *summoner)
{
    struct want_queue *queue = &summoner->wants;
    struct want *want = take_all(queue);
    while (want) {
        struct want *next = want->next;
        free(want);
        want = next;
    }
    if (queue->event)
        event_free(queue->event);
    queue->event = NULL;
    close(queue->wake_up);
    pthread_mutex_destroy(&queue->lock);
}

/* --- from elsewhere --- */

void wants_from_hold(void *owner, const struct endpoint *client, uint16_t port, uint64_t moment)
{
    struct service *service = owner;
    (void)port;
    if (!(service->config->summon & CONFIG_SUMMON_PACKET))
        return;
    struct want *want = want_new(service, CAUSE_CONNECTION, moment, client, NULL, 0);
    if (want) {
        service_want(service, want);
    } else {
        log_error("%s: memory is exhausted: resetting the connections that wait for it",
                  service->config->name);
        holding_turn_away(service);
    }
}

void service_keep(struct service *service)
{
    if (service->config->keep != CONFIG_KEEP_ALWAYS || service->stopped_by_command)
        return;
    struct want *want = want_new(service, CAUSE_KEEP, clock_now(), NULL, NULL, 0);
    if (want)
        service_want(service, want);
    else
        log_error("%s: memory is exhausted: not started, although it is to be kept always; the "
                  "next query or connection tries again",
                  service->config->name);
}

/* --- what becomes of them --- */

void service_want(struct service *service, struct want *want)
{
    bool wait = false;
    if (service->forgotten) {
        labels_want_forgotten(service, want);
        return;
    }
    instance_hold(service);
    if (!service->summoner->stopping_all && !service->departed) {
        switch ((enum machine_state)service->state) {
        case MACHINE_STOPPING:
            wait = !service->pending;
            break;
        case MACHINE_OFF:
        case MACHINE_SUSPENDED:
        case MACHINE_FAILED:
            if (service->queued || service->refused || service->backing_off)
                break;
            if (service->run && service->run->leaving) {
                wait = !service->pending;
                break;
            }
            if (start_queue_has_room(service))
                start_queue_add(service, want);
            else
                start_queue_refuse(service, want);
            return;
        default:
            break;
        }
    }
    if (!wait) {
        free(want);
        return;
    }
    service->pending = want;
    service_publish(service);
}

/* Marked since the stop began: then the want is on its way from a DNS worker. */
static bool is_marked(const struct service *service)
{
    return (service->host->summons && atomic_load(&service->host->wanted)) ||
           (service->next_host && service->next_host->summons &&
            atomic_load(&service->next_host->wanted));
}

void wants_look_for_missed(struct service *service)
{
    uint64_t last_query = service_last_query(service);
    if (service->host->summons && last_query != service->earlier_query && !service->pending &&
        !is_marked(service))
        service->pending = want_new(service, CAUSE_DNS, last_query, NULL, NULL, 0);
}

void service_rest(struct service *service)
{
    struct want *want = service->pending;
    if (!service->run)
        holding_rest(service);
    if (want) {
        service->pending = NULL;
        service_want(service, want);
        return;
    }
    service_publish(service);
    if (is_marked(service) || holding_is_wanted(service))
        return;
    service_turn_away(service);
    service_keep(service);
}
