#include "keeper/listening.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What may be listened on: comparable as bytes. */
struct allowed {
    struct endpoint endpoint;
    bool stream;
    bool opened; /* has been given out before */
};

struct listening {
    struct allowed *allowed; /* sorted */
    size_t count;
    int passed_first, passed_count;
    bool *passed_used; /* has been given out once */
};

/* --- what may be opened --- */

static int compare(const void *a, const void *b)
{
    const struct allowed *x = a, *y = b;
    int order = memcmp(&x->endpoint.address, &y->endpoint.address, sizeof x->endpoint.address);
    if (order == 0)
        order = (int)x->endpoint.port - (int)y->endpoint.port;
    return order ? order : (int)x->stream - (int)y->stream;
}

static void allow(struct listening *listening, const struct address *address, uint16_t port,
                  bool stream)
{
    struct allowed *allowed = &listening->allowed[listening->count++];
    allowed->endpoint.address = *address;
    allowed->endpoint.port = port;
    allowed->stream = stream;
}

struct address_list {
    const struct address *first;
    size_t count;
};

/* Those of a wildcard are of all the instances that it may have. */
static struct address_list addresses_of(const struct config_service *service)
{
    const struct config_places *places = service->places;
    if (places)
        return (struct address_list){places->addresses,
                                     (size_t)places->count * places->address_count};
    return (struct address_list){service->addresses, service->address_count};
}

static size_t count_endpoints(const struct config *config)
{
    size_t count = config->listen_count * 2 + 1;
    for (size_t i = 0; i < config->service_count; i++)
        count += addresses_of(&config->services[i]).count * config->services[i].port_count;
    return count;
}

/* On a bridge it is the machine that listens. */
static void allow_service(struct listening *listening, const struct config_service *service)
{
    if (service->network && service->network->type == CONFIG_NETWORK_BRIDGE)
        return;
    struct address_list addresses = addresses_of(service);
    for (size_t i = 0; i < addresses.count; i++)
        for (unsigned j = 0; j < service->port_count; j++)
            allow(listening, &addresses.first[i], service->ports[j].listen, true);
}

int listening_reload(struct listening *listening, const struct config *config)
{
    struct allowed *allowed = calloc(count_endpoints(config), sizeof *allowed);
    if (!allowed)
        return -1;
    free(listening->allowed);
    listening->allowed = allowed;
    listening->count = 0;
    for (size_t i = 0; i < config->listen_count; i++) {
        allow(listening, &config->listen[i].address, config->listen[i].port, false);
        allow(listening, &config->listen[i].address, config->listen[i].port, true);
    }
    if (config->has_metrics)
        allow(listening, &config->metrics.address, config->metrics.port, true);
    for (size_t i = 0; i < config->service_count; i++)
        allow_service(listening, &config->services[i]);
    qsort(listening->allowed, listening->count, sizeof *listening->allowed, compare);
    return 0;
}

static struct allowed *find_allowed(const struct listening *listening,
                                    const struct message *message)
{
    struct allowed key;
    memset(&key, 0, sizeof key);
    key.endpoint.address = message->listen.endpoint.address;
    key.endpoint.port = message->listen.endpoint.port;
    key.stream = message->listen.stream;
    return bsearch(&key, listening->allowed, listening->count, sizeof key, compare);
}

/* --- what systemd passed --- */

static bool is_bound_to(int descriptor, const struct endpoint *endpoint, bool stream)
{
    struct sockaddr_storage address;
    struct endpoint bound;
    socklen_t length = sizeof address;
    int type;
    socklen_t type_length = sizeof type;
    return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &type_length) == 0 &&
           type == (stream ? SOCK_STREAM : SOCK_DGRAM) &&
           getsockname(descriptor, (struct sockaddr *)&address, &length) == 0 &&
           endpoint_from_sockaddr((struct sockaddr *)&address, &bound) == 0 &&
           endpoint_equal(&bound, endpoint);
}

/* A duplicate of the passed socket for that endpoint, -1 if there is none. */
static int take_passed(struct listening *listening, const struct message *message, bool again)
{
    for (int i = 0; i < listening->passed_count; i++) {
        int descriptor = listening->passed_first + i;
        if ((listening->passed_used[i] && !again) ||
            !is_bound_to(descriptor, &message->listen.endpoint, message->listen.stream))
            continue;
        listening->passed_used[i] = true;
        int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
        if (copy != -1)
            fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK);
        return copy;
    }
    return -1;
}

/* --- opening --- */

static const char *advice(const struct message *message)
{
    switch (errno) {
    case EADDRINUSE:
        return message->listen.endpoint.port == 53 ? "; is another DNS server running?"
                                                   : "; is another program listening there?";
    case EACCES:
        return "; ports below 1024 are for root";
    case EADDRNOTAVAIL:
        return "; no interface of this host has that address";
    default:
        return "";
    }
}

static int set_options(int descriptor, const struct message *message)
{
    int on = 1;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return -1;
    if (message->listen.reuse_port &&
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        return -1;
    if (message->listen.endpoint.address.family == AF_INET6 &&
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        return -1;
    return 0;
}

static int bind_new(const struct message *message)
{
    struct sockaddr_storage address;
    socklen_t length = endpoint_to_sockaddr(&message->listen.endpoint, &address);
    int type = (message->listen.stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int descriptor = socket(address.ss_family, type, 0);
    if (descriptor == -1)
        return -1;
    if (set_options(descriptor, message) != 0 ||
        bind(descriptor, (struct sockaddr *)&address, length) != 0 ||
        (message->listen.stream && listen(descriptor, SOMAXCONN) != 0)) {
        int saved = errno;
        close(descriptor);
        errno = saved;
        return -1;
    }
    return descriptor;
}

/* SO_REUSEPORT is for our own workers, but lets other programs of the same user share a port too:
 * for the first of an address it is found out whether somebody has it already. Returns 0, or -1
 * with errno. */
static int check_free(const struct message *message)
{
    struct message alone = *message;
    alone.listen.reuse_port = false;
    int descriptor = bind_new(&alone);
    if (descriptor == -1)
        return -1;
    close(descriptor);
    return 0;
}

int listening_open(struct listening *listening, const struct message *message, struct error *error)
{
    char text[ENDPOINT_TEXT_SIZE];
    const char *name = endpoint_format(&message->listen.endpoint, text);

    struct allowed *allowed = find_allowed(listening, message);
    if (!allowed)
        return error_set(error, "cannot listen on %s: the configuration does not name it", name);
    int descriptor = take_passed(listening, message, false);
    if (descriptor == -1 &&
        (!message->listen.reuse_port || allowed->opened || check_free(message) == 0))
        descriptor = bind_new(message);
    if (descriptor == -1) {
        int saved = errno;
        descriptor = take_passed(listening, message, true);
        errno = saved;
    }
    if (descriptor == -1)
        return error_set(error, "cannot listen on %s (%s): %s%s", name,
                         message->listen.stream ? "TCP" : "UDP", strerror(errno), advice(message));
    allowed->opened = true;
    return descriptor;
}

struct listening *listening_new(const struct config *config, int passed_first, int passed_count)
{
    struct listening *listening = calloc(1, sizeof *listening);
    if (!listening)
        return NULL;
    listening->passed_first = passed_first;
    listening->passed_count = passed_count;
    listening->passed_used = calloc((size_t)passed_count + 1, sizeof *listening->passed_used);
    if (!listening->passed_used || listening_reload(listening, config) != 0) {
        listening_free(listening);
        return NULL;
    }
    return listening;
}

void listening_free(struct listening *listening)
{
    if (!listening)
        return;
    free(listening->allowed);
    free(listening->passed_used);
    free(listening);
}
