#include "config.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control_client.h"
#include "admin/control_json.h"
#include "admin/utf8.h"
#include "common/clock.h"
#include "common/log.h"

/* Much of a long answer is made at a time; then other events of the main loop have their turn. */
#define STATUS_PIECE 65536

/* The service of that name or alias, or NULL after having refused the request. */
static struct service *find_service(struct control_client *client, const char *name)
{
    const struct config_service *wildcard;
    struct service *service = summoner_find(client->control->options.summoner, name, &wildcard);
    if (!service && wildcard)
        client_refuse(client, "\"%s\" is not known now: it would be an instance of %s", name,
                      wildcard->name);
    else if (!service)
        client_refuse(client, "there is no service \"%s\"", name);
    return service;
}

/* The name of the instance that `name` (or an alias) would be, if it is not known; else false. All
 * is known of it: it is off. */
static bool is_unknown_instance(const struct control_client *client, const char *name,
                                char canonical[CONFIG_NAME_TEXT_MAX])
{
    const struct config_service *wildcard;
    if (summoner_find(client->control->options.summoner, name, &wildcard) || !wildcard)
        return false;
    snprintf(canonical, CONFIG_NAME_TEXT_MAX, "%.*s%s", (int)strcspn(name, "."), name,
             wildcard->name + 1);
    return true;
}

/* --- status --- */

static json_t *limits_now(const struct control *control)
{
    struct limits_status limits;
    summoner_limits(control->options.summoner, &limits);
    return json_limits(&limits);
}

static json_t *service_now(const struct service *service)
{
    struct service_status status;
    service_status(service, &status);
    return json_service(&status);
}

/* Appends services until a piece is queued. A reload in the middle of a long answer may make it
 * miss a service or show one twice; the answer stays well-formed. */
static void status_continue(struct control_client *client)
{
    struct summoner *summoner = client->control->options.summoner;
    size_t count = summoner_service_count(summoner);

    while (client->status.next < count) {
        if (client_backlog(client) >= STATUS_PIECE)
            return;
        client_send_bytes(client, ",", client->status.next > 0);
        if (!client_send_json(client, service_now(summoner_service(summoner, client->status.next))))
            return;
        client->status.next++;
    }
    client_send_bytes(client, "],\"limits\":", strlen("],\"limits\":"));
    if (!client_send_json(client, limits_now(client->control)))
        return;
    client_send_bytes(client, "}\n", 2);
    client_end(client);
}

static void status_begin(struct control_client *client, const struct control_request *request)
{
    if (request->name[0]) {
        struct service *service = find_service(client, request->name);
        if (service)
            client_finish(client,
                          json_pack("{s:b, s:[o], s:o}", "ok", 1, "services", service_now(service),
                                    "limits", limits_now(client->control)));
        return;
    }
    static const char beginning[] = "{\"ok\":true,\"services\":[";
    client_send_bytes(client, beginning, sizeof beginning - 1);
    client->activity = ACTIVITY_STATUS;
    client->status.next = 0;
    status_continue(client);
}

/* --- start, stop --- */

/* Says what the state was before the command, and what it is now. */
static void finish_with_states(struct control_client *client, const struct service *service,
                               enum machine_state before)
{
    struct service_status status;
    service_status(service, &status);
    client_finish(client,
                  json_pack("{s:b, s:o, s:s, s:s}", "ok", 1, "service",
                            json_text(status.config->name), "was", machine_state_name(before),
                            "state", machine_state_name(status.state)));
}

static void start_begin(struct control_client *client, const struct control_request *request)
{
    struct service_status before;
    struct error error;
    struct service *service =
        summoner_find_or_make(client->control->options.summoner, request->name, &error);
    if (!service) {
        client_refuse(client, "%s", error.text);
        return;
    }
    service_status(service, &before);
    if (summoner_start(client->control->options.summoner, service, &error) != 0)
        client_refuse(client, "%s", error.text);
    else
        finish_with_states(client, service, before.state);
}

static void stop_begin(struct control_client *client, const struct control_request *request)
{
    struct service_status before;
    struct error error;
    char name[CONFIG_NAME_TEXT_MAX];
    if (is_unknown_instance(client, request->name, name)) {
        client_finish(client, json_pack("{s:b, s:o, s:s, s:s}", "ok", 1, "service", json_text(name),
                                        "was", "off", "state", "off"));
        return;
    }
    struct service *service = find_service(client, request->name);
    if (!service)
        return;
    service_status(service, &before);
    enum config_stop mode =
        request->has_mode ? request->mode : (enum config_stop)before.config->stop;
    if (summoner_stop(client->control->options.summoner, service, mode, &error) != 0)
        client_refuse(client, "%s", error.text);
    else
        finish_with_states(client, service, before.state);
}

/* --- wait --- */

/* The answer to a wait that comes to nothing. */
static json_t *wait_failure(const char *service, enum machine_state state, bool timed_out,
                            const char *reason)
{
    char text[CONFIG_NAME_TEXT_MAX + REASON_TEXT_MAX + 64];
    if (timed_out)
        snprintf(text, sizeof text, "timed out while %s is %s", service, machine_state_name(state));
    else
        snprintf(text, sizeof text, "%s failed%s%s", service, reason[0] ? ": " : "", reason);
    return json_pack("{s:b, s:o, s:s, s:b}", "ok", 0, "error", json_text(text), "state",
                     machine_state_name(state), "timed_out", (int)timed_out);
}

/* Answers if `state` is what is waited for, or if that will not come of itself. */
static void wait_settle(struct control_client *client, enum machine_state state, const char *reason)
{
    const char *service = client->wait.service;
    if (state == client->wait.state)
        client_finish(client, json_pack("{s:b, s:o, s:s}", "ok", 1, "service", json_text(service),
                                        "state", machine_state_name(state)));
    else if (state == MACHINE_FAILED)
        client_finish(client, wait_failure(service, state, false, reason));
}

/* Of the service or instance of that name or alias, and its own name. False after having refused
 * the request. */
static bool status_to_wait_for(struct control_client *client, const char *name,
                               struct service_status *status, char own[CONFIG_NAME_TEXT_MAX])
{
    *status = (struct service_status){.state = MACHINE_OFF};
    if (is_unknown_instance(client, name, own))
        return true;
    const struct service *service = find_service(client, name);
    if (!service)
        return false;
    service_status(service, status);
    snprintf(own, CONFIG_NAME_TEXT_MAX, "%s", status->config->name);
    return true;
}

static void on_wait_timeout(int descriptor, short what, void *argument)
{
    struct control_client *client = argument;
    struct service_status status;
    char name[CONFIG_NAME_TEXT_MAX];

    (void)descriptor, (void)what;
    if (status_to_wait_for(client, client->wait.service, &status, name))
        client_finish(client, wait_failure(name, status.state, true, ""));
}

static void wait_begin(struct control_client *client, const struct control_request *request)
{
    struct service_status status;
    char name[CONFIG_NAME_TEXT_MAX];
    if (!status_to_wait_for(client, request->name, &status, name))
        return;
    client->activity = ACTIVITY_WAIT;
    client->wait.state = request->state;
    client->wait.timer = NULL;
    memcpy(client->wait.service, name, sizeof name);
    if (request->has_timeout) {
        struct timeval timeout = clock_timeval(request->timeout);
        client->wait.timer = evtimer_new(client->control->options.base, on_wait_timeout, client);
        if (!client->wait.timer || event_add(client->wait.timer, &timeout) != 0) {
            client_finish(client, NULL);
            return;
        }
    }
    wait_settle(client, status.state, status.error);
}

/* --- events --- */

/* A stream begins: what is queued already does not count against its client. */
static void follow(struct control_client *client, enum activity activity)
{
    if (client->activity == ACTIVITY_CLOSING)
        return;
    client->activity = activity;
    client->backlog_limit = client_backlog(client) + CONTROL_BACKLOG_MAX;
}

static void end_if_behind(struct control_client *client)
{
    if (client_backlog(client) <= client->backlog_limit)
        return;
    log_info("control: a client that reads too slowly is dropped from its stream");
    client_close(client, "fell behind: the stream ends here because it was read too slowly");
}

struct history {
    struct control_client *client;
    uint64_t count, skipped;
};

static void count_transition(void *argument, const struct transition *transition)
{
    struct history *history = argument;
    (void)transition;
    history->count++;
}

static void send_transition(void *argument, const struct transition *transition)
{
    struct history *history = argument;
    if (history->skipped > 0)
        history->skipped--;
    else
        client_send(history->client, json_transition(transition));
}

static void events_begin(struct control_client *client, const struct control_request *request)
{
    struct summoner *summoner = client->control->options.summoner;
    struct history history = {.client = client};

    if (request->has_last) {
        summoner_history(summoner, count_transition, &history);
        if (history.count > request->last)
            history.skipped = history.count - request->last;
    }
    summoner_history(summoner, send_transition, &history);
    if (request->follow)
        follow(client, ACTIVITY_EVENTS);
    else
        client_finish(client, json_pack("{s:b}", "ok", 1));
}

/* Those who follow get all the same line, made once. */
static void tell_followers(struct control *control, const struct transition *transition)
{
    struct control_client *client;
    char *line = NULL;
    size_t length = 0;

    LIST_FOREACH(client, &control->clients, entry)
    {
        if (client->activity != ACTIVITY_EVENTS)
            continue;
        if (!line) {
            json_t *event = json_transition(transition);
            line = event ? json_dumps(event, CONTROL_JSON_FORMAT) : NULL;
            json_decref(event);
            if (!line) {
                log_error("control: memory exhausted: event %ju is left out", transition->number);
                return;
            }
            length = strlen(line);
            line[length++] = '\n'; /* in place of its NUL */
        }
        client_send_bytes(client, line, length);
        end_if_behind(client);
    }
    free(line);
}

void command_transition(void *argument, const struct transition *transition)
{
    struct control *control = argument;
    struct control_client *client;

    tell_followers(control, transition);
    LIST_FOREACH(client, &control->clients, entry)
    if (client->activity == ACTIVITY_WAIT && strcmp(client->wait.service, transition->service) == 0)
        wait_settle(client, transition->to, transition->reason);
}

/* --- console --- */

/* Sends what a console printed as text. A UTF-8 sequence that is not complete yet waits for the
 * rest of it. */
static void send_console(struct control_client *client, const char *service, const void *bytes,
                         size_t length)
{
    size_t held = client->console.held_length, unfinished, written;
    char *raw = malloc(held + length + UTF8_ROOM(held + length));
    if (!raw) {
        client_send(client, NULL);
        return;
    }
    char *text = raw + held + length;
    memcpy(raw, client->console.held, held);
    if (length > 0)
        memcpy(raw + held, bytes, length);
    length += held;
    written = utf8_replace_invalid(raw, length, text, &unfinished);
    memcpy(client->console.held, raw + length - unfinished, unfinished);
    client->console.held_length = unfinished;
    if (written > 0)
        client_send(client, json_pack("{s:o, s:o}", "service", json_text(service), "text",
                                      json_stringn(text, written)));
    free(raw);
}

static void on_console(void *argument, const struct service *service, const void *bytes,
                       size_t length)
{
    struct control_client *client = argument;
    struct service_status status;

    service_status(service, &status);
    send_console(client, status.config->name, bytes, length);
    if (client->activity == ACTIVITY_CONSOLE)
        end_if_behind(client);
}

static void console_begin(struct control_client *client, const struct control_request *request)
{
    struct service_status status;
    const char *printed;
    struct service *service = find_service(client, request->name);
    if (!service)
        return;
    client->console.held_length = 0;
    client->console.subscription =
        summoner_subscribe_console(client->control->options.summoner, service, on_console, client);
    client->activity = ACTIVITY_CONSOLE;
    if (!client->console.subscription) {
        client_finish(client, NULL);
        return;
    }
    service_status(service, &status);
    size_t length = service_console(service, &printed);
    send_console(client, status.config->name, printed, length);
    follow(client, ACTIVITY_CONSOLE);
}

/* --- reload, stats, version --- */

static void on_reloaded(void *argument, const char *problem)
{
    struct control *control = argument;
    struct control_client *client = control->reloader;

    control->reloading = false;
    control->reloader = NULL;
    if (client && problem)
        client_finish(client, json_pack("{s:b, s:o}", "ok", 0, "error", json_text(problem)));
    else if (client)
        client_finish(client, json_pack("{s:b}", "ok", 1));
}

static void reload_begin(struct control_client *client, const struct control_request *request)
{
    struct control *control = client->control;

    (void)request;
    if (control->reloading) {
        client_refuse(client, "a reload is under way already");
        return;
    }
    control->reloading = true;
    control->reloader = client;
    client->activity = ACTIVITY_RELOAD;
    control->options.reload(control->options.argument, on_reloaded, control);
}

static void stats_begin(struct control_client *client, const struct control_request *request)
{
    struct control *control = client->control;
    struct dns_statistics dns;
    struct proxy_statistics proxy;
    struct port_statistics port;

    (void)request;
    dns_server_statistics(control->options.dns, &dns);
    summoner_proxy_statistics(control->options.summoner, &proxy);
    summoner_port_statistics(control->options.summoner, &port);
    double uptime = (double)(clock_now() - control->started) / (double)NANOSECONDS_PER_SECOND;
    size_t services = summoner_service_count(control->options.summoner);
    client_finish(client,
                  json_pack("{s:b, s:f, s:I, s:o, s:o, s:o, s:o}", "ok", 1, "uptime", uptime,
                            "services", (json_int_t)services, "dns", json_dns_statistics(&dns),
                            "proxy", json_proxy_statistics(&proxy), "bridges",
                            json_port_statistics(&port), "limits", limits_now(control)));
}

static void version_begin(struct control_client *client, const struct control_request *request)
{
    (void)request;
    client_finish(client, json_pack("{s:b, s:s}", "ok", 1, "version", PACKAGE_VERSION));
}

/* --- all of them --- */

void command_begin(struct control_client *client, const struct control_request *request)
{
    static void (*const begin[CONTROL_COMMANDS])(struct control_client * client,
                                                 const struct control_request *request) = {
        [CONTROL_STATUS] = status_begin,   [CONTROL_START] = start_begin,
        [CONTROL_STOP] = stop_begin,       [CONTROL_WAIT] = wait_begin,
        [CONTROL_EVENTS] = events_begin,   [CONTROL_CONSOLE] = console_begin,
        [CONTROL_RELOAD] = reload_begin,   [CONTROL_STATS] = stats_begin,
        [CONTROL_VERSION] = version_begin,
    };
    begin[request->command](client, request);
}

void command_continue(struct control_client *client)
{
    if (client->activity == ACTIVITY_STATUS)
        status_continue(client);
}

void command_abandon(struct control_client *client)
{
    switch (client->activity) {
    case ACTIVITY_CONSOLE:
        if (client->console.subscription)
            summoner_unsubscribe(client->control->options.summoner, client->console.subscription);
        break;
    case ACTIVITY_WAIT:
        if (client->wait.timer)
            event_free(client->wait.timer);
        break;
    case ACTIVITY_RELOAD:
        client->control->reloader = NULL;
        break;
    case ACTIVITY_CLOSING:
        return;
    default:
        break;
    }
    client->activity = ACTIVITY_NONE;
}
