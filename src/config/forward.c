/* The section `forward`. */
#include <stdalign.h>
#include <string.h>

#include "common/clock.h"
#include "config/sections.h"

#define DNS_PORT 53

#define DEFAULT_TIMEOUT        (4 * NANOSECONDS_PER_SECOND)
#define DEFAULT_QUERIES        1000
#define DEFAULT_CLIENT_QUERIES 100

static bool is_any_address(const struct address *address)
{
    static const uint8_t zeroes[sizeof address->bytes];
    return memcmp(address->bytes, zeroes, sizeof zeroes) == 0;
}

/* A resolver is one host. */
static bool is_of_one_host(const struct address *address)
{
    uint8_t first = address->bytes[0];
    bool multicast = address->family == AF_INET ? first >= 224 : first == 0xff;
    return !multicast && !is_any_address(address);
}

static enum config_taken take_to(struct config_loading *loading, void *object,
                                 const struct config_scalar *scalar)
{
    struct config_forward *forward = &((struct config *)object)->forward;
    struct endpoint endpoint = {.port = DNS_PORT};
    if (address_parse(scalar->text, &endpoint.address) != 0 &&
        endpoint_parse(scalar->text, &endpoint) != 0)
        return CONFIG_WRONG;
    if (!is_of_one_host(&endpoint.address))
        return CONFIG_WRONG;
    for (size_t i = 0; i < forward->to_count; i++)
        if (endpoint_equal(&loading->forward_to[i], &endpoint)) {
            config_fault(loading->faults, scalar->mark,
                         "'%s' is listed twice; expected each resolver once", scalar->text);
            return CONFIG_REPORTED;
        }
    loading->forward_marks[forward->to_count] = scalar->mark;
    loading->forward_to[forward->to_count++] = endpoint;
    return CONFIG_TAKEN;
}

/* The default gives way to what the key says. */
static void found_from(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    (void)mark;
    ((struct config *)object)->forward.from_count = 0;
}

static enum config_taken take_from(struct config_loading *loading, void *object,
                                   const struct config_scalar *scalar)
{
    struct config_forward *forward = &((struct config *)object)->forward;
    struct prefix prefix;
    if (strcmp(scalar->text, "anyone") == 0) {
        forward->anyone = true;
        return CONFIG_TAKEN;
    }
    if (prefix_parse(scalar->text, &prefix) != 0)
        return CONFIG_WRONG;
    if (prefix.length == 0) {
        config_fault(loading->faults, scalar->mark,
                     "'%s' would make this a resolver that is open to the whole Internet, as "
                     "attackers abuse them; expected the prefixes of your own clients, or the word "
                     "'anyone' where a firewall keeps others out",
                     scalar->text);
        return CONFIG_REPORTED;
    }
    loading->forward_from[forward->from_count++] = prefix;
    return CONFIG_TAKEN;
}

static const struct config_key forward_keys[] = {
    {.name = "to",
     .type = CONFIG_KEY_LIST,
     .required = true,
     .take = take_to,
     .least = 1,
     .most = CONFIG_FORWARD_TO_MAX,
     .expected = "addresses of resolvers, with a port where it is not 53, such as 192.0.2.1 or "
                 "\"2001:db8::1@5353\""},
    {.name = "from",
     .type = CONFIG_KEY_LIST,
     .take = take_from,
     .found = found_from,
     .least = 1,
     .most = CONFIG_FORWARD_FROM_MAX,
     .expected = "prefixes without host bits, such as 10.0.0.0/8 or \"fd00::/8\", or 'anyone'"},
    {.name = "timeout",
     .type = CONFIG_KEY_DURATION,
     CONFIG_MEMBER(struct config, forward.timeout),
     .least = 100 * NANOSECONDS_PER_MILLISECOND,
     .most = 60 * NANOSECONDS_PER_SECOND},
    {.name = "queries",
     .type = CONFIG_KEY_NUMBER,
     CONFIG_MEMBER(struct config, forward.queries),
     .least = 1,
     .most = 100000},
    {.name = "client-queries",
     .type = CONFIG_KEY_NUMBER,
     CONFIG_MEMBER(struct config, forward.client_queries),
     .least = 1,
     .most = 100000},
};

const struct config_schema config_forward_schema = {
    .what = "'forward'",
    .keys = forward_keys,
    .count = sizeof forward_keys / sizeof forward_keys[0],
};

void config_forward_defaults(struct config_loading *loading)
{
    struct config_forward *forward = &loading->config->forward;
    prefix_parse("127.0.0.0/8", &loading->forward_from[0]);
    prefix_parse("::1/128", &loading->forward_from[1]);
    forward->from_count = 2;
    forward->timeout = DEFAULT_TIMEOUT;
    forward->queries = DEFAULT_QUERIES;
    forward->client_queries = DEFAULT_CLIENT_QUERIES;
}

/* Would what is sent there come to us? */
static bool is_own(const struct endpoint *own, const struct endpoint *to)
{
    return own->port == to->port &&
           (address_equal(&own->address, &to->address) ||
            (is_any_address(&own->address) && address_is_loopback(&to->address)));
}

void config_check_forward(struct config_loading *loading)
{
    struct config *config = loading->config;
    struct config_forward *forward = &config->forward;
    char text[ENDPOINT_TEXT_SIZE];
    for (size_t i = 0; i < forward->to_count; i++)
        for (size_t j = 0; j < config->listen_count; j++)
            if (is_own(&config->listen[j], &loading->forward_to[i])) {
                config_fault(loading->faults, loading->forward_marks[i],
                             "%s is where DNS listens ('listen' of 'server'), so queries would go "
                             "round in circles; expected another resolver",
                             endpoint_format(&loading->forward_to[i], text));
                break;
            }
    if (forward->to_count == 0)
        return;
    forward->to = config_arena_copy(config->arena, loading->forward_to, forward->to_count,
                                    sizeof(struct endpoint), alignof(struct endpoint));
    forward->from = config_arena_copy(config->arena, loading->forward_from, forward->from_count,
                                      sizeof(struct prefix), alignof(struct prefix));
    if (config_arena_failed(config->arena))
        config_loading_exhausted(loading);
}
