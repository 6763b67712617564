/* The DNS server alone, without machines: serves a configuration until SIGTERM, on its listeners.
 *
 *   bench-dns-server CONFIG
 *
 * Prints how long loading took and what memory it needed, then "ready"; at the end, its statistics.
 * A name that is wanted is printed too: nothing else happens to it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "dns/dns.h"

static void report(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
}

static void wanted(void *argument, struct dns_host *host, const struct dns_want *want)
{
    char client[ENDPOINT_TEXT_SIZE];
    (void)argument;
    (void)host;
    printf("wanted: %s, by %s\n", want->name, endpoint_format(&want->client, client));
    fflush(stdout);
}

/* A bound socket, for TCP listening. */
static int open_socket(const struct endpoint *endpoint, int type)
{
    struct sockaddr_storage address;
    socklen_t length = endpoint_to_sockaddr(endpoint, &address);
    int on = 1, descriptor = socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.ss_family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, length) != 0 ||
        (type == SOCK_STREAM && listen(descriptor, 128) != 0)) {
        char text[ENDPOINT_TEXT_SIZE];
        fprintf(stderr, "%s: %s\n", endpoint_format(endpoint, text), strerror(errno));
        exit(1);
    }
    return descriptor;
}

static struct dns_host **make_hosts(const struct config *config)
{
    struct dns_host **hosts = calloc(config->service_count + 1, sizeof(struct dns_host *));
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        hosts[i] = calloc(1, sizeof **hosts);
        hosts[i]->summons = service->summon & CONFIG_SUMMON_DNS;
        hosts[i]->summon_from = service->summon_from;
        hosts[i]->summon_from_count = service->summon_from_count;
        hosts[i]->answer_delay = service->answer_delay;
        hosts[i]->disposition = service->answer_delay > 0 ? DNS_DELAY : DNS_ANSWER;
    }
    return hosts;
}

static long resident_kilobytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static struct dns_server *start(const struct config *config, struct dns_table *table)
{
    size_t count = config->workers * config->listen_count;
    struct dns_sockets *sockets = calloc(count, sizeof *sockets);
    struct error error;
    for (size_t i = 0; i < count; i++) {
        const struct endpoint *endpoint = &config->listen[i % config->listen_count];
        sockets[i] = (struct dns_sockets){open_socket(endpoint, SOCK_DGRAM),
                                          open_socket(endpoint, SOCK_STREAM)};
    }
    struct dns_server_options options = {.workers = config->workers,
                                         .listen_count = config->listen_count,
                                         .sockets = sockets,
                                         .wanted = wanted};
    struct dns_server *server = dns_server_start(&options, table, &error);
    if (!server) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    free(sockets);
    return server;
}

static void print_statistics(const struct dns_server *server)
{
    struct dns_statistics statistics;
    dns_server_statistics(server, &statistics);
    for (int transport = 0; transport < DNS_TRANSPORTS; transport++) {
        uint64_t queries = 0;
        for (int type = 0; type < DNS_TYPE_COUNTERS; type++)
            queries += statistics.queries[type][transport];
        printf("%s queries: %ju\n", transport == DNS_UDP ? "UDP" : "TCP", (uintmax_t)queries);
    }
    for (int rcode = 0; rcode < DNS_RCODE_COUNTERS; rcode++)
        if (statistics.answers[rcode])
            printf("rcode %d: %ju\n", rcode, (uintmax_t)statistics.answers[rcode]);
    printf("dropped: %ju, truncated: %ju\n", (uintmax_t)statistics.dropped,
           (uintmax_t)statistics.truncated);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bench-dns-server CONFIG\n");
        return 2;
    }
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);

    struct config *config = config_load(argv[1], report, NULL);
    if (!config)
        return 1;
    struct dns_host **hosts = make_hosts(config);
    long before = resident_kilobytes();
    uint64_t begun = clock_now();
    struct dns_table *table = dns_table_build(config, hosts, report, NULL);
    if (!table)
        return 1;
    printf("table: %.1f ms, %ld KiB\n", (double)(clock_now() - begun) / 1e6,
           resident_kilobytes() - before);
    struct dns_server *server = start(config, table);
    printf("ready\n");
    fflush(stdout);

    int signal;
    sigwait(&stop, &signal);
    print_statistics(server);
    dns_server_stop(server);
    for (size_t i = 0; i < config->service_count; i++)
        free(hosts[i]);
    free(hosts);
    config_free(config);
    return 0;
}
