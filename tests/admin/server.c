/* The real control server and metrics listener over a summoner double, for tests/admin/jitsuctl:
 *
 *   control-server SOCKET [SERVICES]
 *
 * with the services that the test expects and SERVICES more. Prints one line when it listens: the
 * port of the metrics listener on 127.0.0.1. Ends cleanly on SIGTERM. */
#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/control.h"
#include "admin/metrics.h"
#include "common/clock.h"
#include "summon_double.h"

struct server {
    struct event_base *base;
    struct event *reloading;
    unsigned reloads;
    void (*done)(void *done_argument, const char *problem);
    void *done_argument;
};

/* Every other reload fails. */
static void on_reload_over(int descriptor, short what, void *argument)
{
    struct server *server = argument;
    (void)descriptor, (void)what;
    server->done(server->done_argument, ++server->reloads % 2
                                            ? NULL
                                            : "jitsud.yaml:3:5: unknown key \"colour\"\n"
                                              "jitsud.yaml:9:1: no zone holds www.example.net\n");
}

static void begin_reload(void *argument, void (*done)(void *done_argument, const char *problem),
                         void *done_argument)
{
    struct server *server = argument;
    struct timeval moment = clock_timeval(50 * NANOSECONDS_PER_MILLISECOND);
    server->done = done;
    server->done_argument = done_argument;
    event_add(server->reloading, &moment);
}

static int listen_at(const struct sockaddr *address, socklen_t length)
{
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor == -1 || bind(descriptor, address, length) != 0 ||
        listen(descriptor, 128) != 0) {
        perror("control-server");
        exit(1);
    }
    return descriptor;
}

static int listen_control(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    return listen_at((const struct sockaddr *)&address, sizeof address);
}

static int listen_metrics(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int descriptor = listen_at((const struct sockaddr *)&address, length);
    getsockname(descriptor, (struct sockaddr *)&address, &length);
    *port = ntohs(address.sin_port);
    return descriptor;
}

/* How each behaves says summon_double.h; the last one's name and error are what a hostile guest
 * and a careless operator could make of them. */
static void add_services(struct summoner *summoner, unsigned more)
{
    static const char *const names[] = {"www.example.org",
                                        "broken.example.org",
                                        "stuck.example.org",
                                        "refused.example.org",
                                        "flood.example.org",
                                        "queued.example.org",
                                        "<script>alert(1)</script>.example.org"};
    char name[64];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct service *service = double_add(summoner, names[i]);
        if (i == 0) {
            double_config(service)->aliases[0] = (char *)"example.org";
            double_config(service)->alias_count = 1;
        }
        if (i == 6) {
            double_status(service)->state = MACHINE_FAILED;
            double_status(service)->failures = 3;
            strcpy(double_status(service)->error, "panic: \"<b>\\\n\xff\x1b[31m'&'");
        }
    }
    for (unsigned i = 0; i < more; i++) {
        snprintf(name, sizeof name, "site-%06u.example.net", i);
        double_add(summoner, name);
    }
}

static void on_terminate(int number, short what, void *argument)
{
    (void)number, (void)what;
    event_base_loopbreak(argument);
}

int main(int argc, char **argv)
{
    struct server server = {.base = event_base_new()};
    struct summoner *summoner = double_new(server.base);
    struct dns_server *dns = (struct dns_server *)&double_dns_statistics;
    struct event *terminate = evsignal_new(server.base, SIGTERM, on_terminate, server.base);
    struct error error;
    uint16_t port;

    if (argc < 2)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    double_dns_statistics.queries[DNS_COUNT_A][DNS_UDP] = 41;
    double_dns_statistics.queries[DNS_COUNT_AAAA][DNS_TCP] = 2;
    double_dns_statistics.answers[0] = 40;
    double_dns_statistics.answers[3] = 3;
    double_proxy_statistics = (struct proxy_statistics){.waiting = 2, .connections = 5};
    double_port_statistics = (struct port_statistics){.frames = 3, .handed_over = 8};
    add_services(summoner, argc > 2 ? (unsigned)atoi(argv[2]) : 0);
    event_add(terminate, NULL);
    server.reloading = evtimer_new(server.base, on_reload_over, &server);

    struct control_options options = {.base = server.base,
                                      .descriptor = listen_control(argv[1]),
                                      .summoner = summoner,
                                      .dns = dns,
                                      .reload = begin_reload,
                                      .argument = &server};
    struct control *control = control_new(&options, &error);
    struct metrics *metrics =
        metrics_new(server.base, listen_metrics(&port), summoner, dns, &error);
    if (!control || !metrics) {
        fprintf(stderr, "control-server: %s\n", error.text);
        return 1;
    }
    printf("%u\n", port);
    fflush(stdout);
    event_base_dispatch(server.base);

    control_free(control);
    metrics_free(metrics);
    event_free(terminate);
    event_free(server.reloading);
    double_free(summoner);
    event_base_free(server.base);
    libevent_global_shutdown();
    return 0;
}
