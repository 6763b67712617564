#include "front/front.h"

#include <event2/thread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "front/filter.h"
#include "front/process.h"

/* The part of all descriptors that is kept for connections, DNS, the store and the log: one in so
 * many. */
#define DESCRIPTORS_KEPT 4

static void stop(struct front *front, int status)
{
    front->status = status;
    event_base_loopbreak(front->base);
}

void front_tell_supervisor(struct front *front, enum front_note_kind kind, uint64_t digest)
{
    struct front_note note = {.kind = kind, .digest = digest};
    if (descriptor_send(front->options->supervisor, &note, sizeof note, -1) != 0)
        log_warning("cannot reach the supervising process");
}

/* --- the keeper --- */

static void keeper_message(void *argument, const struct message *message, int descriptor)
{
    struct front *front = argument;
    switch (message->type) {
    case MESSAGE_LISTENING:
        if (front->opening)
            opening_answer(front->opening, message, descriptor);
        else if (front->reload)
            reload_opened(front->reload, message, descriptor);
        else
            descriptor_close(&descriptor);
        break;
    case MESSAGE_FILE_OPENED:
        if (front->reload)
            reload_file_opened(front->reload, message, descriptor);
        else
            descriptor_close(&descriptor);
        break;
    case MESSAGE_RELOADED:
        if (front->reload)
            reload_answered(front->reload, message, descriptor);
        else
            descriptor_close(&descriptor);
        break;
    case MESSAGE_PORT_MISSING:
        descriptor_close(&descriptor);
        front_port_missing(front, message->port.network);
        break;
    case MESSAGE_PORT_OPENED:
        front_port_opened(front, message, descriptor);
        break;
    default:
        descriptor_close(&descriptor);
        summoner_keeper_message(front->summoner, message);
    }
}

static void keeper_lost(void *argument, const char *why)
{
    struct front *front = argument;
    log_warning("the keeper is gone (%s): DNS and running machines go on; no machine starts until "
                "it is back",
                why);
    front->link_lost = true;
    summoner_keeper_lost(front->summoner);
    if (front->reload)
        reload_keeper_lost(front->reload);
}

static void connect_keeper(struct front *front, int descriptor)
{
    if (front->link) {
        if (!front->link_lost)
            summoner_keeper_lost(front->summoner);
        message_link_free(front->link);
    }
    front->link_lost = false;
    front->link = message_link_new(front->base, descriptor, keeper_message, keeper_lost, front);
    if (!front->link) {
        log_error("memory is exhausted while connecting to the keeper");
        stop(front, 1);
        return;
    }
    summoner_set_keeper(front->summoner, front->link);
    front_ask_for_ports(front);
    if (front->opening)
        opening_begin(front->opening, front->link);
}

/* --- the supervisor --- */

static void supervisor_readable(evutil_socket_t socket, short events, void *argument)
{
    (void)events;
    struct front *front = argument;
    char packet[16];
    int descriptor;
    ssize_t length = descriptor_receive(socket, packet, sizeof packet, &descriptor);
    if (length <= 0) {
        log_warning("the supervising process is gone: stopping; machines go on running");
        stop(front, 0);
    } else if (descriptor != -1) {
        log_info("the keeper has been started again");
        connect_keeper(front, descriptor);
    }
}

static void all_machines_stopped(void *argument)
{
    stop(argument, 0);
}

static void terminate(evutil_socket_t signal, short events, void *argument)
{
    (void)signal, (void)events;
    struct front *front = argument;
    if (front->options->stop_machines && front->dns) {
        log_info("stopping all machines, then jitsud");
        summoner_stop_all(front->summoner, all_machines_stopped, front);
    } else {
        stop(front, 0);
    }
}

static void reload_done(void *argument, const char *problem)
{
    (void)argument, (void)problem; /* the reload has logged it */
}

static void reload_signal(evutil_socket_t signal, short events, void *argument)
{
    (void)signal, (void)events;
    reload_begin(argument, reload_done, NULL);
}

/* --- the start --- */

static void report_problem(void *argument, const char *text)
{
    (void)argument;
    log_error("%s", text);
}

/* Which sockets there are descriptors for. */
struct allowance {
    struct opening *opening;
    size_t left, refused;
};

static void add_listener(void *argument, const char *service, const struct endpoint *endpoint,
                         uint16_t machine_port)
{
    struct allowance *allowance = argument;
    if (allowance->left == 0) {
        allowance->refused++;
        return;
    }
    allowance->left--;
    opening_add(allowance->opening, &(struct opening_request){.purpose = OPENING_SERVICE,
                                                              .endpoint = *endpoint,
                                                              .service = service,
                                                              .machine_port = machine_port});
}

/* Running out of descriptors in the middle would serve nobody, so the last services go without. */
void front_add_missing_listeners(struct front *front, struct opening *opening)
{
    size_t limit = descriptor_raise_limit();
    size_t most = limit - limit / DESCRIPTORS_KEPT;
    size_t open = opening_count(opening) + front->listener_count;
    struct allowance allowance = {.opening = opening, .left = most > open ? most - open : 0};
    summoner_missing_listeners(front->summoner, add_listener, &allowance);
    if (allowance.refused)
        log_error("%zu addresses and ports of services are not listened on, as only %zu "
                  "descriptors are allowed: raise the limit (LimitNOFILE of the unit, or ulimit "
                  "-n); DNS answers for all services",
                  allowance.refused, limit);
}

void front_service_opened(struct front *front, const struct opening_request *request,
                          int descriptor, const char *problem)
{
    if (problem)
        log_error("%s: %s; the service cannot be reached there until a reload succeeds",
                  request->service, problem);
    else if (summoner_listen(front->summoner, request->service, &request->endpoint,
                             request->machine_port, descriptor) != 0)
        log_error("%s: memory is exhausted while listening", request->service);
    else
        front->listener_count++;
}

static void opened(void *argument, const struct opening_request *request, int descriptor,
                   const char *problem)
{
    struct front *front = argument;
    if (request->purpose == OPENING_SERVICE) {
        front_service_opened(front, request, descriptor, problem);
        return;
    }
    if (problem) {
        log_error("%s", problem);
        snprintf(front->problem, sizeof front->problem, "%s", problem);
        return;
    }
    switch (request->purpose) {
    case OPENING_DNS_UDP:
        front->dns_sockets[request->slot].udp = descriptor;
        break;
    case OPENING_DNS_TCP:
        front->dns_sockets[request->slot].tcp = descriptor;
        break;
    default:
        front->metrics_socket = descriptor;
    }
}

static void control_reload(void *argument, void (*done)(void *done_argument, const char *problem),
                           void *done_argument)
{
    reload_begin(argument, done, done_argument);
}

static int start_serving(struct front *front, struct error *error)
{
    const struct config *config = front->config;
    struct dns_server_options dns = {.workers = config->workers,
                                     .listen_count = config->listen_count,
                                     .sockets = front->dns_sockets,
                                     .wanted = summoner_dns_wanted,
                                     .unknown = summoner_dns_unknown,
                                     .retired = summoner_dns_retired,
                                     .argument = front->summoner};
    front->dns = dns_server_start(&dns, front->table, error);
    if (!front->dns)
        return -1;
    front->table = NULL;
    summoner_set_dns(front->summoner, front->dns);

    struct control_options control = {.base = front->base,
                                      .descriptor = front->options->control,
                                      .summoner = front->summoner,
                                      .dns = front->dns,
                                      .reload = control_reload,
                                      .argument = front};
    front->control = control_new(&control, error);
    if (!front->control)
        return -1;
    if (config->has_metrics) {
        front->metrics =
            metrics_new(front->base, front->metrics_socket, front->summoner, front->dns, error);
        front->metrics_socket = -1;
        if (!front->metrics)
            return -1;
    }
    return filter_enter(error);
}

static void all_opened(void *argument)
{
    struct front *front = argument;
    struct error error;
    opening_free(front->opening);
    front->opening = NULL;
    if (front->problem[0]) {
        stop(front, 1);
        return;
    }
    if (start_serving(front, &error) != 0) {
        log_error("%s", error.text);
        stop(front, 1);
        return;
    }
    front_tell_supervisor(front, FRONT_READY, 0);
    log_info("serving %zu services in %zu zones, DNS on %zu addresses",
             front->config->service_count, front->config->zone_count, front->config->listen_count);
}

static int list_what_to_open(struct front *front)
{
    static const struct opening_callbacks callbacks = {opened, all_opened};
    const struct config *config = front->config;

    front->opening = opening_new(&callbacks, front);
    front->dns_sockets = calloc(config->workers * config->listen_count, sizeof *front->dns_sockets);
    if (!front->opening || !front->dns_sockets)
        return -1;
    for (unsigned worker = 0; worker < config->workers; worker++)
        for (size_t i = 0; i < config->listen_count; i++) {
            size_t slot = worker * config->listen_count + i;
            front->dns_sockets[slot] = (struct dns_sockets){.udp = -1, .tcp = -1};
            struct opening_request request = {.purpose = OPENING_DNS_UDP,
                                              .endpoint = config->listen[i],
                                              .reuse_port = true,
                                              .slot = slot};
            opening_add(front->opening, &request);
            request.purpose = OPENING_DNS_TCP;
            opening_add(front->opening, &request);
        }
    if (config->has_metrics)
        opening_add(front->opening, &(struct opening_request){.purpose = OPENING_METRICS,
                                                              .endpoint = config->metrics});
    front_add_missing_listeners(front, front->opening);
    return 0;
}

static int watch(struct front *front)
{
    front->supervisor_event = event_new(front->base, front->options->supervisor,
                                        EV_READ | EV_PERSIST, supervisor_readable, front);
    front->terminate_event = evsignal_new(front->base, SIGTERM, terminate, front);
    front->reload_event = evsignal_new(front->base, SIGHUP, reload_signal, front);
    if (!front->supervisor_event || !front->terminate_event || !front->reload_event)
        return -1;
    event_add(front->supervisor_event, NULL);
    event_add(front->terminate_event, NULL);
    event_add(front->reload_event, NULL);
    return 0;
}

/* What needs the privileges of the start comes first: the store and the zone files may lie where
 * only root can look. */
static int begin(struct front *front)
{
    struct error error = {.text = "memory is exhausted"};
    char store[CONFIG_PATH_MAX];
    const struct front_options *options = front->options;

    if (evthread_use_pthreads() != 0 || !(front->base = event_base_new()) || watch(front) != 0 ||
        identity_assume(options->identity, &error) != 0)
        goto failed;

    snprintf(store, sizeof store, "%.*s/state.db", (int)(sizeof store - 10),
             front->config->state_directory);
    struct summoner_options summoner = {
        .base = front->base, .config = front->config, .store_path = store};
    front->summoner = summoner_new(&summoner, &error);
    if (!front->summoner)
        goto failed;
    front->table =
        dns_table_build(front->config, summoner_dns_hosts(front->summoner), report_problem, NULL);
    if (!front->table)
        return -1;
    if (identity_become(options->identity, &error) != 0)
        goto failed;
    error_set(&error, "memory is exhausted");
    if (list_what_to_open(front) != 0)
        goto failed;
    connect_keeper(front, options->link);
    return 0;

failed:
    log_error("%s", error.text);
    return -1;
}

static void end(struct front *front)
{
    control_free(front->control);
    metrics_free(front->metrics);
    if (front->dns)
        dns_server_stop(front->dns);
    reload_free(front->reload);
    opening_free(front->opening);
    front_forget_port_requests(front);
    dns_table_free(front->table);
    if (front->summoner)
        summoner_free(front->summoner);
    if (front->link)
        message_link_free(front->link);
    free(front->dns_sockets);
    descriptor_close(&front->metrics_socket);
    struct event *events[] = {front->supervisor_event, front->terminate_event, front->reload_event};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i])
            event_free(events[i]);
    if (front->base)
        event_base_free(front->base);
    config_free(front->config);
    libevent_global_shutdown();
}

int front_run(const struct front_options *options)
{
    struct front front = {.options = options, .config = options->config, .metrics_socket = -1};
    front.status = begin(&front) == 0 ? 0 : 1;
    if (front.status == 0 && !event_base_got_break(front.base))
        event_base_dispatch(front.base);
    end(&front);
    return front.status;
}
