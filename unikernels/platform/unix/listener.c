/* Sockets that listen on the addresses of the command line. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jitsu/application.h"
#include "jitsu/clock.h"
#include "jitsu/console.h"
#include "jitsu/options.h"
#include "jitsu/stream.h"
#include "platform/unix/address.h"
#include "platform/unix/poller.h"
#include "platform/unix/socket.h"
#include "platform/unix/streams.h"

#define BACKLOG           1024
#define ACCEPTED_AT_ONCE  64
#define PAUSE             (200 * CLOCK_MILLISECOND) /* where no more connections can be accepted */
#define ADDRESS_TEXT_SIZE 64
#define DESCRIPTORS_MOST  (1u << 20)

struct listener {
    struct watch watch;
    struct listener *next;
    int socket;
    const struct stream_handler *handler;
    bool has_clients; /* waiting to be accepted */
};

static struct listener *listeners;
static uint64_t paused_until; /* 0: not paused */

size_t descriptors_limit(void)
{
    static size_t known;
    struct rlimit limit;

    if (known == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0)
        known = limit.rlim_cur < DESCRIPTORS_MOST ? (size_t)limit.rlim_cur : DESCRIPTORS_MOST;
    return known;
}

/* A decimal number up to `most`, and nothing else. */
static bool is_number(const char *text, unsigned long most)
{
    char *end;

    return *text >= '0' && *text <= '9' && strtoul(text, &end, 10) <= most && *end == '\0';
}

/* The option's address, behind which a prefix length may stand that nothing is done with: the host
 * has its own. */
static void parse_address(const char *name, struct option option, int family,
                          union socket_address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    bool good = option.length < sizeof text;

    *address = (union socket_address){0};
    address->any.sa_family = (sa_family_t)family;
    if (good) {
        memcpy(text, option.value, option.length);
        text[option.length] = '\0';
        char *slash = strchr(text, '/');
        if (slash)
            *slash++ = '\0';
        good = inet_pton(family, text,
                         family == AF_INET ? (void *)&address->v4.sin_addr
                                           : (void *)&address->v6.sin6_addr) == 1 &&
               (!slash || is_number(slash, family == AF_INET ? 32 : 128));
    }
    if (!good)
        application_fail("option %s=%.*s: an IPv%c address is expected, with or without /LENGTH",
                         name, (int)option.length, option.value, family == AF_INET ? '4' : '6');
}

static _Noreturn void cannot_listen(const union socket_address *socket_address)
{
    int error = errno;
    struct stream_address address = address_of_socket(socket_address);
    char text[STREAM_ADDRESS_TEXT_SIZE];

    application_fail("cannot listen on %s, port %u: %s%s", stream_address_text(&address, text),
                     address.port, strerror(error),
                     error == EACCES || error == EPERM
                         ? " (without privileges, try a port from 1024 on: port=8080)"
                         : "");
}

static void happened(struct watch *watch, uint32_t events)
{
    (void)events;
    CONTAINER_OF(watch, struct listener, watch)->has_clients = true;
}

static void listen_on(union socket_address *address, uint16_t port,
                      const struct stream_handler *handler)
{
    struct listener *listener = calloc(1, sizeof *listener);
    bool is_v4 = address->any.sa_family == AF_INET;
    const int on = 1;

    *(is_v4 ? &address->v4.sin_port : &address->v6.sin6_port) = htons(port);
    int descriptor = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!listener || descriptor == -1)
        cannot_listen(address);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* What connections get from it. */
    socket_set_options(descriptor);
    if (!is_v4)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    listener->watch.happened = happened;
    listener->socket = descriptor;
    listener->handler = handler;
    if (bind(descriptor, &address->any, address_size(address)) != 0 ||
        listen(descriptor, BACKLOG) != 0 || !poller_add(&listener->watch, descriptor, EPOLLIN))
        cannot_listen(address);
    listener->next = listeners;
    listeners = listener;
}

void stream_listen(uint16_t port, const struct stream_handler *handler)
{
    struct option option;
    union socket_address address;
    size_t position = 0;

    if (!option_get("ip").value && !option_get("ip6").value)
        application_fail("no address: option ip=ADDRESS or ip6=ADDRESS is missing");
    while ((option = option_next("ip", &position)).value) {
        parse_address("ip", option, AF_INET, &address);
        listen_on(&address, port, handler);
    }
    position = 0;
    while ((option = option_next("ip6", &position)).value) {
        parse_address("ip6", option, AF_INET6, &address);
        listen_on(&address, port, handler);
    }
}

static void watch_all(uint32_t events)
{
    for (struct listener *listener = listeners; listener; listener = listener->next)
        poller_change(&listener->watch, listener->socket, events);
}

/* There are no descriptors or is no memory for more connections. They wait where the kernel keeps
 * them, and the others go on. */
static void pause_accepting(int error)
{
    console_print("jitsu: cannot accept connections for now: %s\n", strerror(error));
    paused_until = clock_now() + PAUSE;
    watch_all(0);
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void accept_from(struct listener *listener)
{
    listener->has_clients = false;
    for (int i = 0; i < ACCEPTED_AT_ONCE; i++) {
        union socket_address peer;
        socklen_t size = sizeof peer;
        int client = accept4(listener->socket, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client != -1) {
            streams_accepted(client, &peer, listener->handler);
        } else if (is_shortage(errno)) {
            pause_accepting(errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
        /* Others are about this client alone, who has gone already. */
    }
}

uint64_t listeners_run(void)
{
    if (paused_until && clock_now() >= paused_until) {
        paused_until = 0;
        watch_all(EPOLLIN);
    }
    for (struct listener *listener = listeners; listener && !paused_until;
         listener = listener->next)
        if (listener->has_clients)
            accept_from(listener);
    return paused_until ? paused_until : NEVER;
}

void listeners_stop(void)
{
    while (listeners) {
        struct listener *listener = listeners;
        listeners = listener->next;
        close(listener->socket);
        free(listener);
    }
    paused_until = 0;
}
