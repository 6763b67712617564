#include "keeper/bridge_watch.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "keeper/bridges.h"
#include "keeper/netlink.h"

/* As it was when last looked at. */
struct watched {
    unsigned index; /* 0: it is not there */
    bool up;
};

struct bridge_watch {
    struct event_base *base;
    struct bridges *bridges;
    bridge_watch_missing_function *missing;
    void *argument;
    struct netlink *changes;
    struct event *readable;
    const struct config *config;
    struct watched *networks; /* in the order of config->networks */
    bool is_disturbed;        /* something may have lost its bridge, or its port */
};

static void note_network(struct bridge_watch *watch, size_t i, const struct netlink_device *bridge,
                         bool gone)
{
    const struct config_network *network = &watch->config->networks[i];
    struct watched *watched = &watch->networks[i];
    struct watched now = {gone ? 0 : bridge->index, !gone && bridge->up};

    if (gone && bridge->index != watched->index)
        return;
    if (gone)
        log_warning("network %s: bridge %s is gone; its machines cannot be reached until it is "
                    "back",
                    network->name, network->bridge);
    else if (now.index == watched->index && now.up != watched->up)
        log_info("network %s: bridge %s is %s", network->name, network->bridge,
                 now.up ? "up" : "down; its machines cannot be reached until it is up");
    watch->is_disturbed = watch->is_disturbed || now.index != watched->index;
    *watched = now;
}

static void note(void *argument, const struct netlink_device *device, bool gone)
{
    struct bridge_watch *watch = argument;
    const struct config *config = watch->config;
    for (size_t i = 0; i < config->network_count; i++)
        if (config->networks[i].type == CONFIG_NETWORK_BRIDGE &&
            strcmp(config->networks[i].bridge, device->name) == 0)
            note_network(watch, i, device, gone);
    if (bridges_is_disturbed(watch->bridges, device, gone))
        watch->is_disturbed = true;
}

static void repair(struct bridge_watch *watch)
{
    watch->is_disturbed = false;
    bridges_repair(watch->bridges, watch->config, watch->missing, watch->argument);
}

static void read_changes(evutil_socket_t descriptor, short what, void *argument)
{
    struct bridge_watch *watch = argument;
    struct error error;
    (void)descriptor;
    (void)what;
    int missed = netlink_read_changes(watch->changes, note, watch, &error);
    if (missed == -1) {
        log_error("%s: a bridge that is made again gets its machines back at a reload only",
                  error.text);
        event_del(watch->readable);
    }
    if (missed || watch->is_disturbed)
        repair(watch);
}

struct bridge_watch *bridge_watch_new(struct event_base *base, struct bridges *bridges,
                                      bridge_watch_missing_function *missing, void *argument)
{
    struct bridge_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->base = base;
    watch->bridges = bridges;
    watch->missing = missing;
    watch->argument = argument;
    return watch;
}

/* What is missed before that is seen when they are looked at. */
static void listen_to_kernel(struct bridge_watch *watch)
{
    struct error error;
    if (watch->changes)
        return;
    watch->changes = netlink_open_changes(&error);
    if (watch->changes)
        watch->readable = event_new(watch->base, netlink_descriptor(watch->changes),
                                    EV_READ | EV_PERSIST, read_changes, watch);
    if (watch->readable && event_add(watch->readable, NULL) == 0)
        return;
    log_error("%s: a bridge that is made again gets its machines back at a reload only",
              watch->changes ? "memory is exhausted" : error.text);
}

static bool has_bridges(const struct config *config)
{
    for (size_t i = 0; i < config->network_count; i++)
        if (config->networks[i].type == CONFIG_NETWORK_BRIDGE)
            return true;
    return false;
}

/* How they are now. */
static void look(struct bridge_watch *watch)
{
    for (size_t i = 0; i < watch->config->network_count; i++) {
        const struct config_network *network = &watch->config->networks[i];
        struct netlink_device bridge;
        watch->networks[i] = (struct watched){0};
        if (network->type == CONFIG_NETWORK_BRIDGE &&
            bridges_find(watch->bridges, network, &bridge) == 1)
            watch->networks[i] = (struct watched){bridge.index, bridge.up};
    }
}

void bridge_watch_follow(struct bridge_watch *watch, const struct config *config)
{
    struct watched *networks =
        reallocarray(watch->networks, config->network_count + 1, sizeof *networks);
    if (!networks) {
        log_error("memory is exhausted while bridges are looked at; giving up, machines go on "
                  "running");
        abort();
    }
    watch->networks = networks;
    watch->config = config;
    if (has_bridges(config))
        listen_to_kernel(watch);
    look(watch);
    /* The front is about to ask for ports anyway. */
    bridges_repair(watch->bridges, config, NULL, NULL);
}

void bridge_watch_free(struct bridge_watch *watch)
{
    if (!watch)
        return;
    if (watch->readable)
        event_free(watch->readable);
    netlink_close(watch->changes);
    free(watch->networks);
    free(watch);
}
