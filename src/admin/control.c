#include "admin/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/control_client.h"
#include "admin/control_json.h"
#include "common/clock.h"
#include "common/log.h"

#define CLIENTS_MAX 64

/* A client that reads slower than this gets no next answer until it has caught up. */
#define ANSWER_BACKLOG_MAX (256 * 1024)

static const struct timeval closing_timeout = {.tv_sec = 10};
static const struct timeval accept_pause = {.tv_sec = 1};

/* --- a client --- */

static void client_free(struct control_client *client)
{
    command_abandon(client);
    LIST_REMOVE(client, entry);
    client->control->client_count--;
    event_free(client->turn);
    bufferevent_free(client->bufferevent);
    free(client);
}

size_t client_backlog(const struct control_client *client)
{
    return evbuffer_get_length(bufferevent_get_output(client->bufferevent));
}

/* The connection is closed when the last of its output has been written, or soon. */
static void client_begin_closing(struct control_client *client)
{
    command_abandon(client);
    client->activity = ACTIVITY_CLOSING;
    bufferevent_set_timeouts(client->bufferevent, NULL, &closing_timeout);
    event_active(client->turn, EV_TIMEOUT, 0);
}

void client_send_bytes(struct control_client *client, const void *bytes, size_t length)
{
    if (client->activity == ACTIVITY_CLOSING ||
        bufferevent_write(client->bufferevent, bytes, length) == 0)
        return;
    log_error("control: memory exhausted: a client's connection is closed");
    client_begin_closing(client);
}

bool client_send_json(struct control_client *client, json_t *value)
{
    static const char exhausted[] = "{\"ok\":false,\"error\":\"jitsud is out of memory\"}\n";
    char *text = value ? json_dumps(value, CONTROL_JSON_FORMAT) : NULL;

    json_decref(value);
    if (!text) {
        log_error("control: memory exhausted: an answer is left out and its connection closed");
        client_send_bytes(client, exhausted, sizeof exhausted - 1);
        client_begin_closing(client);
        return false;
    }
    client_send_bytes(client, text, strlen(text));
    free(text);
    return true;
}

void client_send(struct control_client *client, json_t *line)
{
    if (client_send_json(client, line))
        client_send_bytes(client, "\n", 1);
}

void client_end(struct control_client *client)
{
    command_abandon(client);
    if (client->activity == ACTIVITY_NONE)
        event_active(client->turn, EV_TIMEOUT, 0);
}

void client_finish(struct control_client *client, json_t *line)
{
    client_send(client, line);
    client_end(client);
}

static json_t *error_line(const char *text)
{
    return json_pack("{s:b, s:o}", "ok", 0, "error", json_text(text));
}

void client_refuse(struct control_client *client, const char *format, ...)
{
    char text[REASON_TEXT_MAX + 256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    client_finish(client, error_line(text));
}

void client_close(struct control_client *client, const char *error)
{
    command_abandon(client);
    client_send(client, error_line(error));
    client_begin_closing(client);
}

static void answer_line(struct control_client *client, const char *line, size_t length)
{
    struct control_request request;
    struct error error;

    client->active = clock_now();
    if (control_request_parse(line, length, &request, &error) == 0)
        command_begin(client, &request);
    else
        client_refuse(client, "%s", error.text);
}

/* Takes the next line out of the input and answers it. At the end of the input a line needs no line
 * break. Returns false if there is none yet. */
static bool answer_next(struct control_client *client)
{
    struct evbuffer *input = bufferevent_get_input(client->bufferevent);
    size_t length;
    char *line = evbuffer_readln(input, &length, EVBUFFER_EOL_CRLF);

    if (!line && client->input_ended && (length = evbuffer_get_length(input)) > 0) {
        line = malloc(length);
        if (line)
            evbuffer_remove(input, line, length);
    }
    if (!line)
        return false;
    answer_line(client, line, length);
    free(line);
    return true;
}

/* Answers requests until there is none, one takes longer, or the client has much to read first. */
static void client_advance(struct control_client *client)
{
    struct evbuffer *input = bufferevent_get_input(client->bufferevent);

    while (client->activity == ACTIVITY_NONE && client_backlog(client) < ANSWER_BACKLOG_MAX &&
           answer_next(client))
        ;
    if (client->activity == ACTIVITY_NONE && client_backlog(client) < ANSWER_BACKLOG_MAX) {
        if (client->input_ended)
            client_begin_closing(client);
        else if (evbuffer_get_length(input) > CONTROL_REQUEST_MAX)
            client_close(client, "the request is too long (at most 65536 bytes)");
    }
}

static void on_read(struct bufferevent *bufferevent, void *argument)
{
    struct control_client *client = argument;
    struct evbuffer *input = bufferevent_get_input(bufferevent);

    switch (client->activity) {
    case ACTIVITY_NONE:
        client_advance(client);
        break;
    case ACTIVITY_EVENTS:
    case ACTIVITY_CONSOLE:
    case ACTIVITY_CLOSING:
        /* A stream is a connection's last answer: only the end of the input still matters. */
        evbuffer_drain(input, evbuffer_get_length(input));
        break;
    default:
        break;
    }
}

/* All that was queued has been written, or the connection has become free for its next request. */
static void client_go_on(struct control_client *client)
{
    if (client->activity == ACTIVITY_CLOSING) {
        if (client_backlog(client) == 0)
            client_free(client);
    } else if (client->activity == ACTIVITY_NONE) {
        client_advance(client);
    } else {
        command_continue(client);
    }
}

static void on_written(struct bufferevent *bufferevent, void *argument)
{
    (void)bufferevent;
    client_go_on(argument);
}

static void on_turn(int descriptor, short what, void *argument)
{
    (void)descriptor, (void)what;
    client_go_on(argument);
}

/* Has the other end closed its socket, rather than only ended its requests? */
static bool client_gone(struct control_client *client)
{
    struct pollfd poller = {.fd = bufferevent_getfd(client->bufferevent)};
    return poll(&poller, 1, 0) == 1 && (poller.revents & (POLLHUP | POLLERR));
}

static void on_end(struct bufferevent *bufferevent, short what, void *argument)
{
    struct control_client *client = argument;

    (void)bufferevent;
    if (!(what & BEV_EVENT_EOF) || client_gone(client)) {
        client_free(client);
        return;
    }
    client->input_ended = true;
    if (client->activity == ACTIVITY_NONE)
        client_advance(client);
}

/* --- the listener --- */

/* The client without a request in progress that has been silent for longest, or NULL. */
static struct control_client *idlest_client(struct control *control)
{
    struct control_client *idlest = NULL, *client;

    LIST_FOREACH(client, &control->clients, entry)
    if (client->activity == ACTIVITY_NONE && (!idlest || client->active < idlest->active))
        idlest = client;
    return idlest;
}

/* Makes room for one more client; without any it says so to the new one, whose socket buffer has
 * room for a line. */
static bool make_room(struct control *control, int descriptor)
{
    static const char full[] =
        "{\"ok\":false,\"error\":\"too many clients are waiting or following already\"}\n";

    if (control->client_count < CLIENTS_MAX)
        return true;
    struct control_client *idlest = idlest_client(control);
    if (idlest) {
        client_free(idlest);
        return true;
    }
    log_warning("control: refused a client, because %d are waiting or following already",
                CLIENTS_MAX);
    if (write(descriptor, full, sizeof full - 1) < 0)
        log_debug("control: a refused client could not be told: %s", strerror(errno));
    return false;
}

/* Takes over `descriptor` if it succeeds. */
static struct control_client *client_new(struct control *control, int descriptor)
{
    struct event_base *base = control->options.base;
    struct control_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->turn = evtimer_new(base, on_turn, client);
    if (client->turn)
        client->bufferevent = bufferevent_socket_new(base, descriptor, BEV_OPT_CLOSE_ON_FREE);
    if (!client->bufferevent) {
        if (client->turn)
            event_free(client->turn);
        free(client);
        return NULL;
    }
    client->control = control;
    client->active = clock_now();
    LIST_INSERT_HEAD(&control->clients, client, entry);
    control->client_count++;
    bufferevent_setcb(client->bufferevent, on_read, on_written, on_end, client);
    bufferevent_setwatermark(client->bufferevent, EV_READ, 0, CONTROL_REQUEST_MAX + 1);
    bufferevent_enable(client->bufferevent, EV_READ | EV_WRITE);
    return client;
}

static void on_accept(struct evconnlistener *listener, int descriptor, struct sockaddr *address,
                      int length, void *argument)
{
    struct control *control = argument;

    (void)listener, (void)address, (void)length;
    if (!make_room(control, descriptor)) {
        close(descriptor);
    } else if (!client_new(control, descriptor)) {
        log_error("control: memory exhausted: a client is turned away");
        close(descriptor);
    }
}

/* Out of descriptors or memory: accepting again at once would fail again at once. */
static void on_accept_error(struct evconnlistener *listener, void *argument)
{
    struct control *control = argument;

    log_warning("control: cannot accept a client: %s; trying again in a second", strerror(errno));
    evconnlistener_disable(listener);
    event_add(control->accept_again, &accept_pause);
}

static void on_accept_again(int descriptor, short what, void *argument)
{
    struct control *control = argument;

    (void)descriptor, (void)what;
    evconnlistener_enable(control->listener);
}

struct control *control_new(const struct control_options *options, struct error *error)
{
    struct control *control = calloc(1, sizeof *control);
    if (!control) {
        close(options->descriptor);
        error_set(error, "control socket: out of memory");
        return NULL;
    }
    control->options = *options;
    control->started = clock_now();
    LIST_INIT(&control->clients);
    control->listener =
        evconnlistener_new(options->base, on_accept, control,
                           LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, options->descriptor);
    if (!control->listener)
        close(options->descriptor);
    control->accept_again = evtimer_new(options->base, on_accept_again, control);
    control->subscription = summoner_subscribe(options->summoner, command_transition, control);
    if (!control->listener || !control->accept_again || !control->subscription) {
        error_set(error, "control socket: out of memory");
        control_free(control);
        return NULL;
    }
    evconnlistener_set_error_cb(control->listener, on_accept_error);
    return control;
}

/* Whoever still waits for an answer is told, as far as the socket's buffer takes it. */
static void client_say_goodbye(struct control_client *client)
{
    static const char goodbye[] = "{\"ok\":false,\"error\":\"jitsud is stopping\"}\n";
    struct evbuffer *output = bufferevent_get_output(client->bufferevent);

    if (client->activity != ACTIVITY_NONE && client->activity != ACTIVITY_CLOSING)
        client_send_bytes(client, goodbye, sizeof goodbye - 1);
    evbuffer_unfreeze(output, 1);
    evbuffer_write(output, bufferevent_getfd(client->bufferevent));
}

void control_free(struct control *control)
{
    struct control_client *client;

    if (!control)
        return;
    while ((client = LIST_FIRST(&control->clients))) {
        client_say_goodbye(client);
        client_free(client);
    }
    if (control->subscription)
        summoner_unsubscribe(control->options.summoner, control->subscription);
    if (control->accept_again)
        event_free(control->accept_again);
    if (control->listener)
        evconnlistener_free(control->listener);
    free(control);
}
