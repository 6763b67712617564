/* jitsud's ports on bridge networks. */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "summon/parts.h"

/* As it was when the port was opened. */
struct bridge_port {
    TAILQ_ENTRY(bridge_port) entry;
    char network[CONFIG_NETWORK_MAX];
    char bridge[IF_NAMESIZE];
    struct address address;
    struct port *port;
};

/* --- how much they hold --- */

/* A service's share of what all may hold, and in it that of connections whose client may not exist:
 * one in so many. */
#define SHARE 4

/* The queue of a machine's TAP device: of more, released at once, it would lose the last. */
#define FRAMES_MOST 1000

static struct port_limits limits_of(const struct config *config)
{
    return (struct port_limits){
        .bytes = config->held_limit,
        .bytes_per_service = config->held_limit / SHARE,
        .frames_per_service = FRAMES_MOST,
        .connections_per_service = config->held_connection_limit,
        .half_open_per_service = config->held_connection_limit / SHARE,
        .half_open = config->held_connection_limit,
    };
}

int ports_new(struct summoner *summoner)
{
    struct port_limits limits = limits_of(summoner->config);
    TAILQ_INIT(&summoner->ports);
    summoner->port_memory = port_memory_new(&limits);
    return summoner->port_memory ? 0 : -1;
}

/* --- which --- */

static struct bridge_port *find(const struct summoner *summoner, const char *network)
{
    struct bridge_port *port;
    TAILQ_FOREACH(port, &summoner->ports, entry)
    {
        if (strcmp(port->network, network) == 0)
            return port;
    }
    return NULL;
}

struct port *ports_find(const struct summoner *summoner, const char *network)
{
    const struct bridge_port *port = find(summoner, network);
    return port ? port->port : NULL;
}

static bool is_usable(const struct bridge_port *port, const struct config_network *network)
{
    return port && !port_is_deaf(port->port) && strcmp(port->bridge, network->bridge) == 0 &&
           address_equal(&port->address, &network->port_address);
}

void summoner_missing_ports(const struct summoner *summoner, summoner_port_function *function,
                            void *argument)
{
    const struct config *config = summoner->config;
    for (size_t i = 0; i < config->network_count; i++) {
        const struct config_network *network = &config->networks[i];
        if (network->type == CONFIG_NETWORK_BRIDGE &&
            !is_usable(find(summoner, network->name), network))
            function(argument, network->name);
    }
}

static bool is_of(const struct service *service, const char *network)
{
    const struct config_network *its = service->config->network;
    return its && its->type == CONFIG_NETWORK_BRIDGE && strcmp(its->name, network) == 0;
}

static void remove_port(struct summoner *summoner, struct bridge_port *port)
{
    for (size_t i = 0; i < summoner_service_count(summoner); i++)
        if (is_of(summoner_service(summoner, i), port->network))
            holding_close_port(summoner_service(summoner, i));
    TAILQ_REMOVE(&summoner->ports, port, entry);
    port_free(port->port);
    free(port);
}

static const struct config_network *find_network(const struct summoner *summoner, const char *name)
{
    const struct config *config = summoner->config;
    for (size_t i = 0; i < config->network_count; i++)
        if (config->networks[i].type == CONFIG_NETWORK_BRIDGE &&
            strcmp(config->networks[i].name, name) == 0)
            return &config->networks[i];
    return NULL;
}

static struct bridge_port *port_open(struct summoner *summoner,
                                     const struct config_network *network, const uint8_t *mac,
                                     int descriptor)
{
    static const struct port_callbacks callbacks = {wants_from_hold, machine_shows_ready,
                                                    machine_finished};
    struct port_identity identity = {.address = network->port_address};
    struct bridge_port *port = calloc(1, sizeof *port);
    memcpy(identity.mac, mac, sizeof identity.mac);
    if (!port) {
        close(descriptor);
        return NULL;
    }
    port->port = port_new(summoner->base, descriptor, &identity, &callbacks, summoner->port_memory);
    if (!port->port) {
        free(port);
        return NULL;
    }
    snprintf(port->network, sizeof port->network, "%s", network->name);
    snprintf(port->bridge, sizeof port->bridge, "%s", network->bridge);
    port->address = network->port_address;
    TAILQ_INSERT_TAIL(&summoner->ports, port, entry);
    return port;
}

int summoner_port_opened(struct summoner *summoner, const char *name, const uint8_t *mac,
                         int descriptor)
{
    const struct config_network *network = find_network(summoner, name);
    struct bridge_port *old = find(summoner, name);
    if (!network) {
        log_debug("network %s: no longer configured: its port is not needed", name);
        close(descriptor);
        return 0;
    }
    if (old)
        remove_port(summoner, old);
    if (!port_open(summoner, network, mac, descriptor))
        return -1;
    for (size_t i = 0; i < summoner_service_count(summoner); i++)
        if (is_of(summoner_service(summoner, i), name))
            holding_open(summoner_service(summoner, i));
    return 0;
}

void ports_reconfigure(struct summoner *summoner)
{
    struct bridge_port *port, *next;
    struct port_limits limits = limits_of(summoner->config);
    port_memory_limit(summoner->port_memory, &limits);
    for (port = TAILQ_FIRST(&summoner->ports); port; port = next) {
        next = TAILQ_NEXT(port, entry);
        if (!find_network(summoner, port->network))
            remove_port(summoner, port);
    }
}

void ports_free(struct summoner *summoner)
{
    struct bridge_port *port;
    while (summoner->port_memory && (port = TAILQ_FIRST(&summoner->ports)))
        remove_port(summoner, port);
    port_memory_free(summoner->port_memory);
}

void summoner_port_statistics(const struct summoner *summoner, struct port_statistics *statistics)
{
    const struct bridge_port *port;
    *statistics = (struct port_statistics){0};
    TAILQ_FOREACH(port, &summoner->ports, entry)
    {
        struct port_statistics one;
        port_statistics(port->port, &one);
        statistics->frames += one.frames;
        statistics->bytes += one.bytes;
        statistics->connections += one.connections;
        statistics->half_open += one.half_open;
        statistics->accepted += one.accepted;
        statistics->handed_over += one.handed_over;
        statistics->cookies += one.cookies;
        statistics->challenges += one.challenges;
        statistics->held += one.held;
        statistics->repeated += one.repeated;
        statistics->released += one.released;
        statistics->dropped += one.dropped;
        statistics->refused += one.refused;
        statistics->not_sent += one.not_sent;
        statistics->strange += one.strange;
    }
}
