#include "admin/metrics.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/metrics_text.h"
#include "admin/start_durations.h"
#include "admin/status_page.h"
#include "common/log.h"

#define HEADERS_MAX     8192
#define BODY_MAX        1024
#define TIMEOUT_SECONDS 10

/* Whatever a client may ask for, so that each gets the answer that HTTP has for it. */
#define ALL_METHODS                                                                                \
    (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |     \
     EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

struct metrics {
    struct evhttp *http;
    struct summoner *summoner;
    struct dns_server *dns;
    struct subscription *subscription;
    struct start_durations *durations;
};

static void record(void *argument, const struct transition *transition)
{
    struct metrics *metrics = argument;
    if (transition->is_of_instance) {
        /* Anybody can make up labels: they are counted together. */
        struct transition of_wildcard = *transition;
        snprintf(of_wildcard.service, sizeof of_wildcard.service, "*%s",
                 strchr(transition->service, '.'));
        start_durations_record(metrics->durations, &of_wildcard);
        return;
    }
    start_durations_record(metrics->durations, transition);
}

static void add_headers(struct evhttp_request *request, const char *content_type)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    evhttp_add_header(headers, "Content-Type", content_type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
    evhttp_add_header(headers, "Content-Security-Policy", STATUS_PAGE_POLICY);
}

static void reply_text(struct evhttp_request *request, int code, const char *reason,
                       const char *text)
{
    struct evbuffer *body = evhttp_request_get_output_buffer(request);

    add_headers(request, "text/plain; charset=utf-8");
    evbuffer_add(body, text, strlen(text));
    evhttp_send_reply(request, code, reason, NULL);
}

static void reply_metrics(struct metrics *metrics, struct evhttp_request *request)
{
    add_headers(request, METRICS_CONTENT_TYPE);
    metrics_text(evhttp_request_get_output_buffer(request), metrics->summoner, metrics->dns,
                 metrics->durations);
    evhttp_send_reply(request, HTTP_OK, "OK", NULL);
}

static void reply_page(struct metrics *metrics, struct evhttp_request *request)
{
    add_headers(request, "text/html; charset=utf-8");
    status_page(evhttp_request_get_output_buffer(request), metrics->summoner, metrics->dns);
    evhttp_send_reply(request, HTTP_OK, "OK", NULL);
}

static void on_request(struct evhttp_request *request, void *argument)
{
    static const struct {
        const char *path;
        void (*reply)(struct metrics *metrics, struct evhttp_request *request);
    } pages[] = {{"/", reply_page}, {"/metrics", reply_metrics}};
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    enum evhttp_cmd_type method = evhttp_request_get_command(request);

    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (!path || strcmp(path, pages[i].path) != 0)
            continue;
        if (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD) {
            pages[i].reply(argument, request);
            return;
        }
        evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
        reply_text(request, HTTP_BADMETHOD, "Method Not Allowed", "Only GET and HEAD.\n");
        return;
    }
    reply_text(request, HTTP_NOTFOUND, "Not Found", "There are / and /metrics.\n");
}

static void on_accept_again(int descriptor, short what, void *argument)
{
    (void)descriptor, (void)what;
    evconnlistener_enable(argument);
}

/* Out of descriptors or memory: accepting again at once would fail again at once. The listener
 * lives as long as the loop runs. */
static void on_accept_error(struct evconnlistener *listener, void *argument)
{
    static const struct timeval pause = {.tv_sec = 1};

    (void)argument;
    log_warning("metrics: cannot accept a client: %s; trying again in a second", strerror(errno));
    evconnlistener_disable(listener);
    event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, on_accept_again, listener,
                    &pause);
}

static int listen_http(struct metrics *metrics, struct event_base *base, int descriptor)
{
    metrics->http = evhttp_new(base);
    if (!metrics->http)
        return -1;
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(metrics->http, descriptor);
    if (!bound)
        return -1;
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(bound), on_accept_error);
    evhttp_set_allowed_methods(metrics->http, ALL_METHODS);
    evhttp_set_max_headers_size(metrics->http, HEADERS_MAX);
    evhttp_set_max_body_size(metrics->http, BODY_MAX);
    evhttp_set_timeout(metrics->http, TIMEOUT_SECONDS);
    evhttp_set_gencb(metrics->http, on_request, metrics);
    return 0;
}

struct metrics *metrics_new(struct event_base *base, int descriptor, struct summoner *summoner,
                            struct dns_server *dns, struct error *error)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);

    if (metrics) {
        metrics->summoner = summoner;
        metrics->dns = dns;
        metrics->durations = start_durations_new();
        if (metrics->durations)
            metrics->subscription = summoner_subscribe(summoner, record, metrics);
        if (metrics->subscription && listen_http(metrics, base, descriptor) == 0)
            return metrics;
    }
    metrics_free(metrics);
    close(descriptor);
    error_set(error, "metrics: out of memory");
    return NULL;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    if (metrics->http)
        evhttp_free(metrics->http);
    if (metrics->subscription)
        summoner_unsubscribe(metrics->summoner, metrics->subscription);
    start_durations_free(metrics->durations);
    free(metrics);
}
