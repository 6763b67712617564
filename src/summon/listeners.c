#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "summon/parts.h"

static bool is_listening(const struct service *service, const struct endpoint *endpoint,
                         uint16_t machine_port)
{
    for (unsigned i = 0; i < service->listener_count; i++)
        if (endpoint_equal(&service->listeners[i].endpoint, endpoint) &&
            service->listeners[i].machine_port == machine_port)
            return true;
    return false;
}

static void list_missing(const struct service *service, summoner_listener_function *function,
                         void *argument)
{
    const struct config_service *config = service->config;
    if (service->wildcard)
        instances_missing_listeners(service, function, argument);
    if (!config->network || config->network->type != CONFIG_NETWORK_USER)
        return;
    for (unsigned a = 0; a < config->address_count; a++)
        for (unsigned p = 0; p < config->port_count; p++) {
            struct endpoint endpoint = {config->addresses[a], config->ports[p].listen};
            if (!is_listening(service, &endpoint, config->ports[p].machine))
                function(argument, config->name, &endpoint, config->ports[p].machine);
        }
}

void summoner_missing_listeners(const struct summoner *summoner,
                                summoner_listener_function *function, void *argument)
{
    for (size_t i = 0; i < summoner->service_count; i++)
        list_missing(summoner->services[i], function, argument);
}

static int add_listener(struct service *service, const struct endpoint *endpoint,
                        uint16_t machine_port)
{
    struct service_listener *listeners =
        reallocarray(service->listeners, (size_t)service->listener_count + 1, sizeof *listeners);
    if (!listeners)
        return -1;
    service->listeners = listeners;
    listeners[service->listener_count++] = (struct service_listener){*endpoint, machine_port};
    return 0;
}

int summoner_listen(struct summoner *summoner, const char *name, const struct endpoint *endpoint,
                    uint16_t machine_port, int descriptor)
{
    struct service *service = summoner_configured_or_departed(summoner, name);
    if (service && service->wildcard)
        return instances_listen(service, endpoint, machine_port, descriptor);
    if (!service || service->departed) {
        log_debug("%s: no longer configured: not listened for", name);
        close(descriptor);
        return 0;
    }
    if (holding_open_proxy(service) != 0 || add_listener(service, endpoint, machine_port) != 0) {
        close(descriptor);
        return -1;
    }
    if (proxy_service_listen(service->proxy, descriptor, endpoint, machine_port) != 0) {
        service->listener_count--;
        return -1;
    }
    return 0;
}
