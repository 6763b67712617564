#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "summon/parts.h"

#define KEPT     ((size_t)64 << 10) /* of one console */
#define CAPACITY (KEPT + KEPT / 2)  /* so that the oldest is moved out rarely */
#define FIRST    ((size_t)4 << 10)
#define CONSOLES 256 /* kept of services without a machine: those that printed last */

struct console {
    TAILQ_ENTRY(console) entry; /* in summoner.consoles */
    struct service *service;
    char *bytes;
    size_t length, capacity;
    struct subscription_list subscriptions;
};

static void discard(struct console *console)
{
    struct summoner *summoner = console->service->summoner;
    TAILQ_REMOVE(&summoner->consoles, console, entry);
    summoner->console_count--;
    console->service->console = NULL;
    free(console->bytes);
    free(console);
}

static void discard_oldest(struct summoner *summoner)
{
    struct console *console;
    TAILQ_FOREACH(console, &summoner->consoles, entry)
    {
        if (!console->service->run && TAILQ_EMPTY(&console->subscriptions)) {
            discard(console);
            return;
        }
    }
}

static struct console *console_of(struct service *service)
{
    struct summoner *summoner = service->summoner;
    if (service->console)
        return service->console;
    if (summoner->console_count >= CONSOLES)
        discard_oldest(summoner);
    struct console *console = calloc(1, sizeof *console);
    if (!console)
        return NULL;
    console->service = service;
    TAILQ_INIT(&console->subscriptions);
    TAILQ_INSERT_TAIL(&summoner->consoles, console, entry);
    summoner->console_count++;
    service->console = console;
    return console;
}

bool console_is_followed(const struct service *service)
{
    return service->console && !TAILQ_EMPTY(&service->console->subscriptions);
}

void console_free(struct service *service)
{
    struct console *console = service->console;
    struct subscription *subscription;
    if (!console)
        return;
    while ((subscription = TAILQ_FIRST(&console->subscriptions))) {
        TAILQ_REMOVE(&console->subscriptions, subscription, entry);
        subscription->list = NULL;
    }
    discard(console);
}

static int make_room(struct console *console, size_t length)
{
    size_t capacity = console->capacity ? console->capacity : FIRST;
    if (console->length + length > CAPACITY) {
        size_t kept = KEPT - length;
        memmove(console->bytes, console->bytes + console->length - kept, kept);
        console->length = kept;
    }
    while (capacity < console->length + length)
        capacity *= 2;
    if (capacity > CAPACITY)
        capacity = CAPACITY;
    if (capacity == console->capacity)
        return 0;
    char *bytes = realloc(console->bytes, capacity);
    if (!bytes)
        return -1;
    console->bytes = bytes;
    console->capacity = capacity;
    return 0;
}

void console_add(struct service *service, const void *bytes, size_t length)
{
    struct summoner *summoner = service->summoner;
    struct console *console = console_of(service);

    if (!console || make_room(console, length) != 0) {
        log_error("%s: memory is exhausted: %zu bytes of its console are lost",
                  service->config->name, length);
        return;
    }
    memcpy(console->bytes + console->length, bytes, length);
    console->length += length;
    TAILQ_REMOVE(&summoner->consoles, console, entry);
    TAILQ_INSERT_TAIL(&summoner->consoles, console, entry);

    struct subscription *subscription = TAILQ_FIRST(&console->subscriptions);
    for (; subscription; subscription = summoner->history.next_told) {
        summoner->history.next_told = TAILQ_NEXT(subscription, entry);
        subscription->console(subscription->argument, service, bytes, length);
    }
}

size_t service_console(const struct service *service, const char **bytes)
{
    const struct console *console = service->console;
    if (!console) {
        *bytes = "";
        return 0;
    }
    size_t length = console->length < KEPT ? console->length : KEPT;
    *bytes = console->bytes + console->length - length;
    return length;
}

struct subscription *summoner_subscribe_console(struct summoner *summoner, struct service *service,
                                                console_function *function, void *argument)
{
    (void)summoner;
    struct console *console = console_of(service);
    struct subscription *subscription = console ? calloc(1, sizeof *subscription) : NULL;
    if (!subscription)
        return NULL;
    *subscription = (struct subscription){
        .list = &console->subscriptions, .console = function, .argument = argument};
    TAILQ_INSERT_TAIL(subscription->list, subscription, entry);
    return subscription;
}
