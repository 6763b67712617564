/* What the proxy costs, against connecting directly to the same server in the same run: a small
 * request on an open connection, a connection with a small request, bulk each way with the proxy's
 * CPU time; and what listening for many services takes. Medians of alternating rounds.
 *
 *   bench-proxy [ROUNDS [SERVICES]] */
#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "hold/proxy.h"

#define REQUEST     200
#define RESPONSE    1000
#define REQUESTS    2000 /* a round */
#define CONNECTIONS 1000
#define BULK        ((size_t)1 << 30)
#define CHUNK       ((size_t)256 << 10)

_Noreturn static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(uint32_t address, uint16_t *port, int backlog)
{
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(*port)};
    socklen_t length = sizeof name;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (bind(descriptor, (struct sockaddr *)&name, length) != 0 ||
        listen(descriptor, backlog) != 0 ||
        getsockname(descriptor, (struct sockaddr *)&name, &length) != 0)
        die("listen");
    *port = ntohs(name.sin_port);
    return descriptor;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(descriptor, (struct sockaddr *)&name, sizeof name) != 0)
        die("connect");
    return descriptor;
}

static size_t receive(int descriptor, void *bytes, size_t length)
{
    ssize_t count = recv(descriptor, bytes, length, MSG_WAITALL);
    return count > 0 ? (size_t)count : 0;
}

/* --- the server: a thread a connection; the first byte says what is to be done --- */

enum task { SMALL = 'S', DOWNLOAD = 'D', UPLOAD = 'U' };

static void *serve(void *argument)
{
    int descriptor = (int)(intptr_t)argument;
    char *bytes = calloc(1, CHUNK);
    size_t got;
    while (receive(descriptor, bytes, REQUEST) == REQUEST) {
        enum task task = (enum task)bytes[0];
        if (task == SMALL)
            send(descriptor, bytes, RESPONSE, MSG_NOSIGNAL);
        for (size_t sent = 0; task == DOWNLOAD && sent < BULK; sent += CHUNK)
            if (send(descriptor, bytes, CHUNK, MSG_NOSIGNAL) < 0)
                break;
        for (size_t all = 0; task == UPLOAD && all < BULK; all += got)
            if ((got = receive(descriptor, bytes, CHUNK)) == 0)
                break;
        if (task == UPLOAD)
            send(descriptor, bytes, 1, MSG_NOSIGNAL);
    }
    close(descriptor);
    free(bytes);
    return NULL;
}

static pid_t start_server(uint16_t *port)
{
    int listening = listen_on(INADDR_LOOPBACK, port, 1024);
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            pthread_t thread;
            int descriptor = accept(listening, NULL, NULL);
            if (descriptor == -1 ||
                pthread_create(&thread, NULL, serve, (void *)(intptr_t)descriptor) != 0)
                die("server");
            pthread_detach(thread);
        }
    }
    close(listening);
    return pid;
}

/* --- the proxy, in a process of its own --- */

static void wanted(void *owner, const struct endpoint *client, uint16_t port, uint64_t moment)
{
    (void)owner, (void)client, (void)port, (void)moment;
}

static void first_byte(void *owner, uint64_t moment, uint64_t accepted)
{
    (void)owner, (void)moment, (void)accepted;
}

static struct proxy *make_proxy(struct event_base *base)
{
    static const struct proxy_callbacks callbacks = {wanted, first_byte};
    static const struct proxy_limits limits = {1000, 1000, 1000};
    struct proxy *proxy = proxy_new(base, &callbacks, &limits);
    if (!proxy)
        die("proxy_new");
    return proxy;
}

static void add_service(struct proxy *proxy, int listening, const struct endpoint *endpoint,
                        struct proxy_service **service)
{
    evutil_make_socket_nonblocking(listening);
    *service = proxy_service_new(proxy, NULL);
    if (!*service || proxy_service_listen(*service, listening, endpoint, 80) != 0)
        die("proxy_service_listen");
}

static pid_t start_proxy(uint16_t server, uint16_t *port)
{
    int listening = listen_on(INADDR_LOOPBACK, port, 1024);
    pid_t pid = fork();
    if (pid == 0) {
        struct event_base *base = event_base_new();
        struct proxy_service *service;
        add_service(make_proxy(base), listening, &(struct endpoint){0}, &service);
        proxy_service_ready(service, &(struct proxy_target){80, server}, 1);
        event_base_dispatch(base);
        exit(0);
    }
    close(listening);
    return pid;
}

static double cpu_seconds(pid_t pid)
{
    char path[64];
    double nanoseconds = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%lf", &nanoseconds) != 1)
        die(path);
    fclose(file);
    return nanoseconds / 1e9;
}

/* --- measuring: each returns seconds --- */

static double since(uint64_t begin)
{
    return (double)(clock_now() - begin) / 1e9;
}

static void small_request(int descriptor)
{
    char bytes[RESPONSE] = {SMALL};
    if (send(descriptor, bytes, REQUEST, MSG_NOSIGNAL) != REQUEST ||
        receive(descriptor, bytes, RESPONSE) != RESPONSE)
        die("small request");
}

static double measure_request(uint16_t port)
{
    int descriptor = connect_to(port);
    small_request(descriptor);
    uint64_t begin = clock_now();
    for (int i = 0; i < REQUESTS; i++)
        small_request(descriptor);
    double result = since(begin) / REQUESTS;
    close(descriptor);
    return result;
}

static double measure_connection(uint16_t port)
{
    uint64_t begin = clock_now();
    for (int i = 0; i < CONNECTIONS; i++) {
        int descriptor = connect_to(port);
        small_request(descriptor);
        close(descriptor);
    }
    return since(begin) / CONNECTIONS;
}

static double measure_download(uint16_t port)
{
    static char bytes[CHUNK] = {DOWNLOAD};
    int descriptor = connect_to(port);
    uint64_t begin = clock_now();
    bytes[0] = DOWNLOAD;
    send(descriptor, bytes, REQUEST, MSG_NOSIGNAL);
    for (size_t all = 0, got; all < BULK; all += got)
        if ((got = receive(descriptor, bytes, CHUNK)) == 0)
            die("download");
    double result = since(begin);
    close(descriptor);
    return result;
}

static double measure_upload(uint16_t port)
{
    static char bytes[CHUNK];
    int descriptor = connect_to(port);
    uint64_t begin = clock_now();
    bytes[0] = UPLOAD;
    send(descriptor, bytes, REQUEST, MSG_NOSIGNAL);
    for (size_t all = 0; all < BULK; all += CHUNK)
        if (send(descriptor, bytes, CHUNK, MSG_NOSIGNAL) != (ssize_t)CHUNK)
            die("upload");
    if (receive(descriptor, bytes, 1) != 1)
        die("upload");
    double result = since(begin);
    close(descriptor);
    return result;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void compare_both(const char *what, double (*measure)(uint16_t), int rounds,
                         uint16_t direct_port, uint16_t proxy_port, pid_t proxy, size_t bytes)
{
    double *direct = calloc((size_t)rounds, sizeof *direct);
    double *proxied = calloc((size_t)rounds, sizeof *proxied);
    double *cpu = calloc((size_t)rounds, sizeof *cpu);
    for (int i = 0; i < rounds; i++) {
        direct[i] = measure(direct_port);
        double before = cpu_seconds(proxy);
        proxied[i] = measure(proxy_port);
        cpu[i] = cpu_seconds(proxy) - before;
    }
    double d = median(direct, rounds), p = median(proxied, rounds), c = median(cpu, rounds);
    if (bytes)
        printf("%-32s direct %6.2f GB/s, proxy %6.2f GB/s, ratio %.2f; proxy's CPU %.3f s/GB\n",
               what, (double)bytes / d / 1e9, (double)bytes / p / 1e9, p / d,
               c / ((double)bytes / 1e9));
    else
        printf("%-32s direct %6.1f us,   proxy %6.1f us,   ratio %.2f\n", what, d * 1e6, p * 1e6,
               p / d);
    fflush(stdout);
    free(direct);
    free(proxied);
    free(cpu);
}

/* --- many services --- */

static void measure_services(unsigned count)
{
    size_t limit = descriptor_raise_limit();
    if (limit < count + 100)
        count = (unsigned)(limit - 100);
    struct event_base *base = event_base_new();
    struct proxy *proxy = make_proxy(base);
    struct proxy_service **services = calloc(count, sizeof(struct proxy_service *));
    int *listening = calloc(count, sizeof *listening);
    if (!services || !listening)
        die("calloc");
    uint16_t port = 0;
    for (unsigned i = 0; i < count; i++)
        listening[i] = listen_on(0x7f400001 + i, &port, 16);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    uint64_t begin = clock_now();
    for (unsigned i = 0; i < count; i++)
        add_service(proxy, listening[i], &(struct endpoint){0}, &services[i]);
    double seconds = since(begin);
    size_t memory = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    printf("%u services listening: %.3f s, %.1f MB, %zu bytes each\n", count, seconds,
           (double)memory / 1e6, memory / count);
    for (unsigned i = 0; i < count; i++)
        proxy_service_free(services[i]);
    proxy_free(proxy);
    event_base_free(base);
    free(services);
    free(listening);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 15;
    unsigned services = argc > 2 ? (unsigned)atoi(argv[2]) : 100000;
    uint16_t server_port = 0, proxy_port = 0;
    if (rounds < 1)
        die("rounds");
    pid_t server = start_server(&server_port);
    pid_t proxy = start_proxy(server_port, &proxy_port);
    printf("medians of %d alternating rounds\n", rounds);
    compare_both("a request of 200/1000 bytes:", measure_request, rounds, server_port, proxy_port,
                 proxy, 0);
    compare_both("a connection with a request:", measure_connection, rounds, server_port,
                 proxy_port, proxy, 0);
    compare_both("1 GiB from the machine:", measure_download, rounds, server_port, proxy_port,
                 proxy, BULK);
    compare_both("1 GiB to the machine:", measure_upload, rounds, server_port, proxy_port, proxy,
                 BULK);
    kill(server, SIGKILL);
    kill(proxy, SIGKILL);
    waitpid(server, NULL, 0);
    waitpid(proxy, NULL, 0);
    measure_services(services);
    return 0;
}
