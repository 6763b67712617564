#include "keeper/qemu/qmp.h"

#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/descriptor.h"

/* Taken from the socket in one go, before other events of the loop get their turn. */
#define READ_SIZE 16384

struct pending {
    qmp_answer_function *answered;
    void *argument;
};

struct qmp {
    int socket;
    struct event *readable;
    const struct qmp_callbacks *callbacks;
    void *argument;
    struct pending pending[QMP_PENDING_MAX]; /* a ring */
    unsigned first, count;
    bool has_greeted;
    bool *freed; /* of the reading function on the stack, which must know; else NULL */
    char *line;  /* what came of a line that has not ended yet */
    size_t length, capacity;
};

/* --- lines --- */

static void set_text(struct qmp_line *parsed, const char *text)
{
    snprintf(parsed->text, sizeof parsed->text, "%s", text ? text : "");
}

static int interpret(const json_t *object, struct qmp_line *parsed)
{
    const json_t *value;
    if ((value = json_object_get(object, "event"))) {
        parsed->kind = QMP_EVENT;
        set_text(parsed, json_string_value(value));
    } else if ((value = json_object_get(object, "error"))) {
        parsed->kind = QMP_ERROR;
        set_text(parsed, json_string_value(json_object_get(value, "desc")));
    } else if ((value = json_object_get(object, "return"))) {
        parsed->kind = QMP_ANSWER;
        set_text(parsed, json_string_value(json_is_object(value) ? json_object_get(value, "status")
                                                                 : value));
    } else if (json_object_get(object, "QMP")) {
        parsed->kind = QMP_GREETING;
        set_text(parsed, NULL);
    } else {
        return -1;
    }
    return 0;
}

int qmp_parse(const char *line, size_t length, struct qmp_line *parsed)
{
    json_t *object = json_loadb(line, length, 0, NULL);
    if (!object)
        return -1;
    int failed = interpret(object, parsed);
    json_decref(object);
    return failed;
}

/* --- the connection --- */

static void close_connection(struct qmp *qmp, const char *why)
{
    event_del(qmp->readable);
    descriptor_close(&qmp->socket);
    qmp->callbacks->closed(qmp->argument, why);
}

static void deliver_answer(struct qmp *qmp, const struct qmp_line *parsed)
{
    if (qmp->count == 0)
        return;
    struct pending pending = qmp->pending[qmp->first];
    qmp->first = (qmp->first + 1) % QMP_PENDING_MAX;
    qmp->count--;
    if (pending.answered)
        pending.answered(pending.argument, parsed->kind == QMP_ERROR, parsed->text);
}

/* Returns -1 if it makes no sense. */
static int take_line(struct qmp *qmp, const char *line, size_t length)
{
    static struct qmp_line parsed; /* too large for the stack; used within this function only */
    if (length == 0 || (length == 1 && line[0] == '\r'))
        return 0;
    if (qmp_parse(line, length, &parsed) != 0)
        return -1;
    if (parsed.kind == QMP_EVENT)
        qmp->callbacks->event(qmp->argument, parsed.text);
    else if (parsed.kind != QMP_GREETING)
        deliver_answer(qmp, &parsed);
    return 0;
}

/* Makes room for `more` bytes after what is there. */
static int reserve(struct qmp *qmp, size_t more)
{
    size_t needed = qmp->length + more;
    if (needed <= qmp->capacity)
        return 0;
    size_t capacity = needed < 1024 ? 1024 : needed * 2;
    char *line = realloc(qmp->line, capacity);
    if (!line)
        return -1;
    qmp->line = line;
    qmp->capacity = capacity;
    return 0;
}

/* Takes the lines that are complete; what remains moves to the front. The callbacks may free. */
static const char *take_lines(struct qmp *qmp, const bool *freed)
{
    size_t begin = 0;
    for (;;) {
        const char *start = qmp->line + begin;
        const char *end = memchr(start, '\n', qmp->length - begin);
        if (!end)
            break;
        if (take_line(qmp, start, (size_t)(end - start)) != 0)
            return "QEMU said what is not QMP";
        if (*freed)
            return NULL;
        begin = (size_t)(end - qmp->line) + 1;
    }
    qmp->length -= begin;
    memmove(qmp->line, qmp->line + begin, qmp->length);
    return qmp->length > QMP_LINE_MAX ? "QEMU said too much at once" : NULL;
}

static void on_readable(evutil_socket_t socket, short events, void *argument)
{
    struct qmp *qmp = argument;
    bool freed = false;
    const char *why;
    (void)events;

    if (reserve(qmp, READ_SIZE) != 0) {
        close_connection(qmp, "memory is exhausted");
        return;
    }
    ssize_t got = recv(socket, qmp->line + qmp->length, READ_SIZE, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close_connection(qmp, got == 0 ? "QEMU closed the connection" : strerror(errno));
        return;
    }
    qmp->length += (size_t)got;
    qmp->freed = &freed;
    why = take_lines(qmp, &freed);
    if (freed)
        return;
    qmp->freed = NULL;
    if (why)
        close_connection(qmp, why);
}

static int say(struct qmp *qmp, const char *command, qmp_answer_function *answered, void *argument)
{
    size_t length = strlen(command);
    if (qmp->socket == -1 || qmp->count == QMP_PENDING_MAX)
        return -1;
    /* Commands are few and short: a socket that does not take one whole is one that nobody reads.
     */
    if (send(qmp->socket, command, length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length)
        return -1;
    qmp->pending[(qmp->first + qmp->count++) % QMP_PENDING_MAX] =
        (struct pending){answered, argument};
    return 0;
}

static void negotiated(void *argument, bool failed, const char *text)
{
    struct qmp *qmp = argument;
    (void)text;
    if (!failed)
        qmp->callbacks->greeted(qmp->argument);
}

int qmp_greet(struct qmp *qmp)
{
    if (qmp->has_greeted)
        return 0;
    qmp->has_greeted = true;
    return say(qmp, "{\"execute\":\"qmp_capabilities\"}", negotiated, qmp);
}

int qmp_execute(struct qmp *qmp, const char *command, qmp_answer_function *answered, void *argument)
{
    return qmp_greet(qmp) != 0 ? -1 : say(qmp, command, answered, argument);
}

struct qmp *qmp_new(struct event_base *base, int socket, const struct qmp_callbacks *callbacks,
                    void *argument)
{
    struct qmp *qmp = calloc(1, sizeof *qmp);
    if (!qmp) {
        close(socket);
        return NULL;
    }
    qmp->socket = socket;
    qmp->callbacks = callbacks;
    qmp->argument = argument;
    qmp->readable = event_new(base, socket, EV_READ | EV_PERSIST, on_readable, qmp);
    if (!qmp->readable || event_add(qmp->readable, NULL) != 0) {
        qmp_free(qmp);
        return NULL;
    }
    return qmp;
}

void qmp_free(struct qmp *qmp)
{
    if (!qmp)
        return;
    if (qmp->freed)
        *qmp->freed = true;
    if (qmp->readable)
        event_free(qmp->readable);
    descriptor_close(&qmp->socket);
    free(qmp->line);
    free(qmp);
}
