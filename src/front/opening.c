#include "front/opening.h"

#include <stdlib.h>
#include <string.h>

#include "common/descriptor.h"
#include "common/log.h"

/* Requests that wait for their answers at a time: enough to keep both processes busy, few enough
 * for a socket's buffer. */
#define WINDOW 128

struct opening {
    const struct opening_callbacks *callbacks;
    void *argument;
    struct opening_request *requests;
    bool *answered;
    size_t count, capacity;
    size_t next;     /* first one not asked for yet */
    size_t finished; /* how many have been answered */
    struct message_link *link;
};

struct opening *opening_new(const struct opening_callbacks *callbacks, void *argument)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (!opening)
        return NULL;
    opening->callbacks = callbacks;
    opening->argument = argument;
    return opening;
}

void opening_add(struct opening *opening, const struct opening_request *request)
{
    if (opening->count == opening->capacity) {
        size_t capacity = opening->capacity ? opening->capacity * 2 : 16;
        struct opening_request *requests =
            reallocarray(opening->requests, capacity, sizeof *requests);
        bool *answered = reallocarray(opening->answered, capacity, sizeof *answered);
        if (!requests || !answered) {
            log_error("memory is exhausted while listing what to listen on; giving up");
            abort();
        }
        opening->requests = requests;
        opening->answered = answered;
        opening->capacity = capacity;
    }
    opening->requests[opening->count] = *request;
    opening->answered[opening->count++] = false;
}

size_t opening_count(const struct opening *opening)
{
    return opening->count;
}

static void ask(struct opening *opening, size_t index)
{
    const struct opening_request *request = &opening->requests[index];
    struct message message =
        message_make(MESSAGE_LISTEN, (uint32_t)index, request->service ? request->service : NULL);
    message.listen.endpoint = request->endpoint;
    message.listen.stream = request->purpose != OPENING_DNS_UDP;
    message.listen.reuse_port = request->reuse_port;
    message_link_send(opening->link, &message, -1);
}

static void ask_more(struct opening *opening)
{
    while (opening->next < opening->count && opening->next < opening->finished + WINDOW) {
        if (!opening->answered[opening->next])
            ask(opening, opening->next);
        opening->next++;
    }
}

void opening_begin(struct opening *opening, struct message_link *link)
{
    opening->link = link;
    opening->next = 0;
    if (opening->finished == opening->count)
        opening->callbacks->done(opening->argument);
    else
        ask_more(opening);
}

void opening_answer(struct opening *opening, const struct message *message, int descriptor)
{
    size_t index = message->serial;
    if (index >= opening->count || opening->answered[index]) {
        log_warning("the keeper answered for a socket that nobody asked for; closing it");
        descriptor_close(&descriptor);
        return;
    }
    opening->answered[index] = true;
    opening->finished++;

    const char *problem = NULL;
    if (message->answer.failed || descriptor == -1)
        problem = message->answer.failed ? message->answer.text : "the keeper sent no socket";
    opening->callbacks->opened(opening->argument, &opening->requests[index], descriptor, problem);

    if (opening->finished == opening->count)
        opening->callbacks->done(opening->argument);
    else
        ask_more(opening);
}

void opening_free(struct opening *opening)
{
    if (!opening)
        return;
    free(opening->requests);
    free(opening->answered);
    free(opening);
}
