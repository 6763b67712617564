#include "platform/xen/store.h"

#include <stdio.h>
#include <string.h>

#include "jitsu/clock.h"
#include "platform/pvh/machine.h"
#include "platform/xen/events.h"
#include "platform/xen/interface.h"
#include "platform/xen/store_message.h"
#include "platform/xen/xen.h"

#define PATIENCE    (30 * CLOCK_SECOND)
#define WATCHES_MAX 8u
#define REQUEST_MAX (2 * STORE_PATH_MAX + STORE_VALUE_MAX)

static struct xen_store *ring;
static uint32_t port;
static uint32_t asked, answered; /* requests, as numbered */
static bool untold;              /* xenstored has not been woken for requests that were written */
static struct store_message message;
static struct watch {
    void (*changed)(void);
    bool is_set; /* as xenstore says by an event, too, which is not of a change */
    bool fired;
} watches[WATCHES_MAX];

void store_start(void)
{
    ring = xen_parameter_page(XEN_PARAM_STORE_FRAME);
    port = (uint32_t)xen_parameter(XEN_PARAM_STORE_PORT);
    message.length = 0;
    answered = asked;
    memset(watches, 0, sizeof watches);
}

uint32_t store_port(void)
{
    return port;
}

_Noreturn static void broken(void)
{
    machine_fatal("xenstore's ring is broken");
}

static void note_change(const struct store_answer *change)
{
    uint32_t token;

    if (!store_message_token(change, &token) || token >= WATCHES_MAX)
        return;
    if (watches[token].is_set)
        watches[token].fired = true;
    watches[token].is_set = true;
}

/* Takes bytes for the message under way. Returns how many. */
static size_t take(void)
{
    uint32_t given = __atomic_load_n(&ring->answers_given, __ATOMIC_ACQUIRE);
    uint32_t before = ring->answers_taken, taken = before;
    size_t count = store_ring_take(ring->answers, sizeof ring->answers, &taken, given,
                                   message.bytes + message.length, store_message_lacks(&message));

    if (count == SIZE_MAX)
        broken();
    message.length += count;
    __atomic_store_n(&ring->answers_taken, taken, __ATOMIC_RELEASE);
    /* Xenstored waits if it has found the ring full before it could see this. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    given = __atomic_load_n(&ring->answers_given, __ATOMIC_RELAXED);
    if (count > 0 && given - before >= sizeof ring->answers)
        events_send(port);
    return count;
}

/* Takes what has come, up to the end of a message. Returns whether there is an answer. */
static bool receive(struct store_answer *answer)
{
    for (;;) {
        size_t count = take();
        enum store_progress progress = store_message_progress(&message);
        if (progress == STORE_BROKEN)
            broken();
        if (progress == STORE_PARTLY && count == 0)
            return false;
        if (progress == STORE_PARTLY)
            continue;
        *answer = store_message_answer(&message);
        message.length = 0;
        if (answer->type != XEN_STORE_CHANGED)
            return true;
        note_change(answer);
    }
}

static void wait(uint64_t deadline)
{
    if (clock_now() >= deadline)
        machine_fatal("xenstore does not answer");
    events_wait(&port, 1, deadline);
}

static void send(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t deadline = clock_now() + PATIENCE;

    for (;;) {
        events_clear(port);
        uint32_t given = ring->requests_given;
        size_t count = store_ring_give(ring->requests, sizeof ring->requests,
                                       __atomic_load_n(&ring->requests_taken, __ATOMIC_ACQUIRE),
                                       &given, at, length);
        if (count == SIZE_MAX)
            broken();
        __atomic_store_n(&ring->requests_given, given, __ATOMIC_RELEASE);
        at += count;
        length -= count;
        untold = true;
        if (length == 0)
            return;
        events_send(port);
        wait(deadline);
    }
}

/* Sends a request: a path, a NUL, and then `rest`. */
static void ask(enum xen_store_type type, const char *directory, const char *name, const char *rest,
                size_t rest_length)
{
    char body[REQUEST_MAX];
    int length = snprintf(body, sizeof body, "%s/%s", directory, name);

    if (length < 0 || (size_t)length + 1 + rest_length > sizeof body)
        machine_fatal("too long a name for xenstore: %s/%s", directory, name);
    memcpy(body + length + 1, rest, rest_length);
    const struct xen_store_header header = {
        .type = type,
        .id = ++asked,
        .length = (uint32_t)((size_t)length + 1 + rest_length),
    };
    send(&header, sizeof header);
    send(body, header.length);
}

void store_ask_read(const char *directory, const char *name)
{
    ask(XEN_STORE_READ, directory, name, "", 0);
}

void store_ask_write(const char *directory, const char *name, const char *value)
{
    ask(XEN_STORE_WRITE, directory, name, value, strlen(value));
}

void store_ask_watch(const char *directory, const char *name, void (*changed)(void))
{
    char token[12];
    unsigned i = 0;

    while (i < WATCHES_MAX && watches[i].changed && watches[i].changed != changed)
        i++;
    if (i == WATCHES_MAX)
        machine_fatal("too many watches of xenstore");
    watches[i].changed = changed;
    int length = snprintf(token, sizeof token, "%u", i);
    ask(XEN_STORE_WATCH, directory, name, token, (size_t)length + 1);
}

static struct store_answer next_answer(void)
{
    uint64_t deadline = clock_now() + PATIENCE;
    struct store_answer answer;

    answered++;
    if (untold)
        events_send(port);
    untold = false;
    for (;;) {
        events_clear(port);
        if (receive(&answer))
            break;
        wait(deadline);
    }
    if (answer.id != answered)
        broken();
    return answer;
}

bool store_answer_text(char value[STORE_VALUE_MAX])
{
    struct store_answer answer = next_answer();

    if (answer.type == XEN_STORE_ERROR || answer.length >= STORE_VALUE_MAX)
        return false;
    memcpy(value, answer.text, answer.length);
    value[answer.length] = '\0';
    return true;
}

uint32_t store_answer_number(uint32_t missing)
{
    struct store_answer answer = next_answer();
    uint32_t number;

    if (answer.type == XEN_STORE_ERROR ||
        !store_number(answer.text, answer.length, UINT32_MAX, &number))
        return missing;
    return number;
}

bool store_answer_done(void)
{
    return next_answer().type != XEN_STORE_ERROR;
}

bool store_has_come(void)
{
    return ring && __atomic_load_n(&ring->answers_given, __ATOMIC_ACQUIRE) != ring->answers_taken;
}

bool store_poll(void)
{
    struct store_answer answer;
    bool any = false;

    if (store_has_come() && receive(&answer))
        broken();
    for (unsigned i = 0; i < WATCHES_MAX; i++) {
        if (!watches[i].fired)
            continue;
        watches[i].fired = false;
        any = true;
        watches[i].changed();
    }
    return any;
}

void store_wait(uint64_t deadline)
{
    events_clear(port);
    if (!store_poll())
        events_wait(&port, 1, deadline);
}
