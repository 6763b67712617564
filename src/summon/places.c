#include "summon/wildcard.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"

/* --- which are free --- */

struct wildcard *wildcard_new(const struct config_places *config)
{
    struct wildcard *wildcard = calloc(1, sizeof *wildcard);
    if (!wildcard)
        return NULL;
    wildcard->config = config;
    wildcard->places = calloc(config->count, sizeof *wildcard->places);
    wildcard->free = calloc(config->count, sizeof *wildcard->free);
    if (wildcard->places && wildcard->free)
        return wildcard;
    free(wildcard->places);
    free(wildcard->free);
    free(wildcard);
    return NULL;
}

void wildcard_give_back(struct wildcard *wildcard, uint32_t number)
{
    uint32_t count = wildcard->config->count;
    wildcard->free[(wildcard->free_first + wildcard->free_count++) % count] = number;
}

/* An earlier jitsud has used them, too: it begins anywhere. */
void wildcard_give_back_all(struct wildcard *wildcard)
{
    uint32_t count = wildcard->config->count, first = 0;
    if (getrandom(&first, sizeof first, 0) < 0)
        first = (uint32_t)clock_now();
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = (first % count + i) % count;
        if (!wildcard->places[number].instance)
            wildcard_give_back(wildcard, number);
    }
}

bool wildcard_take(struct wildcard *wildcard, uint32_t number)
{
    uint32_t count = wildcard->config->count, at = 0;
    if (wildcard->places[number].instance)
        return false;
    while (wildcard->free[(wildcard->free_first + at) % count] != number)
        at++;
    for (; at > 0; at--)
        wildcard->free[(wildcard->free_first + at) % count] =
            wildcard->free[(wildcard->free_first + at - 1) % count];
    wildcard->free_first = (wildcard->free_first + 1) % count;
    wildcard->free_count--;
    return true;
}

void wildcard_free(struct wildcard *wildcard)
{
    for (uint32_t i = 0; i < wildcard->config->count; i++) {
        struct place *place = &wildcard->places[i];
        if (place->proxy)
            proxy_service_free(place->proxy);
        free(place->listeners);
    }
    free(wildcard->places);
    free(wildcard->free);
    free(wildcard);
}

void wildcard_inherit_free(struct wildcard *wildcard, const struct wildcard *from)
{
    uint32_t count = from->config->count;
    for (uint32_t i = 0; i < wildcard->config->count; i++)
        if (!wildcard->places[i].instance &&
            config_find_place(from->config, config_place(wildcard->config, i),
                              wildcard->config->address_count) < 0)
            wildcard_give_back(wildcard, i);
    for (uint32_t i = 0; i < from->free_count; i++) {
        uint32_t old = from->free[(from->free_first + i) % count];
        long number = config_find_place(wildcard->config, config_place(from->config, old),
                                        from->config->address_count);
        if (number >= 0 && !wildcard->places[number].instance)
            wildcard_give_back(wildcard, (uint32_t)number);
    }
}

/* --- sockets on user networks --- */

static bool is_listening(const struct place *place, const struct endpoint *endpoint,
                         uint16_t machine_port)
{
    for (unsigned i = 0; i < place->listener_count; i++)
        if (endpoint_equal(&place->listeners[i].endpoint, endpoint) &&
            place->listeners[i].machine_port == machine_port)
            return true;
    return false;
}

void instances_missing_listeners(const struct service *service,
                                 summoner_listener_function *function, void *argument)
{
    const struct config_service *config = service->config;
    const struct wildcard *wildcard = service->wildcard;
    if (config->network->type != CONFIG_NETWORK_USER)
        return;
    for (uint32_t i = 0; i < wildcard->config->count; i++)
        for (unsigned a = 0; a < wildcard->config->address_count; a++)
            for (unsigned p = 0; p < config->port_count; p++) {
                struct endpoint endpoint = {config_place(wildcard->config, i)[a],
                                            config->ports[p].listen};
                if (!is_listening(&wildcard->places[i], &endpoint, config->ports[p].machine))
                    function(argument, config->name, &endpoint, config->ports[p].machine);
            }
}

/* Those who come to an address that is nobody's are reset. */
static void leave_alone(struct proxy_service *proxy)
{
    proxy_service_own(proxy, NULL);
    proxy_service_allow(proxy, NULL, 0);
    proxy_service_refuse(proxy, true);
}

static struct proxy_service *proxy_of(struct service *service, struct place *place)
{
    if (place->instance)
        return holding_open_proxy(place->instance) == 0 ? place->instance->proxy : NULL;
    if (!place->proxy) {
        place->proxy = proxy_service_new(service->summoner->proxy, NULL);
        if (place->proxy)
            leave_alone(place->proxy);
    }
    return place->proxy;
}

/* The place that has the address, among others; NULL: none has. */
static struct place *find_place(const struct wildcard *wildcard, const struct address *address)
{
    const struct config_places *config = wildcard->config;
    if (config->address_count == 1) {
        long number = config_find_place(config, address, 1);
        return number < 0 ? NULL : &wildcard->places[number];
    }
    for (uint32_t i = 0; i < config->count; i++)
        for (unsigned a = 0; a < config->address_count; a++)
            if (address_equal(&config_place(config, i)[a], address))
                return &wildcard->places[i];
    return NULL;
}

int instances_listen(struct service *service, const struct endpoint *endpoint,
                     uint16_t machine_port, int descriptor)
{
    struct place *place = find_place(service->wildcard, &endpoint->address);
    struct proxy_service *proxy = place ? proxy_of(service, place) : NULL;
    struct service_listener *listeners =
        proxy ? reallocarray(place->listeners, (size_t)place->listener_count + 1, sizeof *listeners)
              : NULL;
    if (!listeners) {
        close(descriptor);
        return place ? -1 : 0;
    }
    place->listeners = listeners;
    if (proxy_service_listen(proxy, descriptor, endpoint, machine_port) != 0)
        return -1;
    listeners[place->listener_count++] = (struct service_listener){*endpoint, machine_port};
    return 0;
}

void place_lend_proxy(struct service *instance, struct place *place)
{
    if (!place->proxy)
        return;
    instance->proxy = place->proxy;
    place->proxy = NULL;
    proxy_service_own(instance->proxy, instance);
    instance->refusing = true; /* as the place did */
    holding_allow(instance);
}

void place_return_proxy(struct service *instance, struct place *place)
{
    if (!instance->proxy)
        return;
    place->proxy = instance->proxy;
    instance->proxy = NULL;
    proxy_service_not_ready(place->proxy);
    proxy_service_gone(place->proxy);
    leave_alone(place->proxy);
}

void wildcard_move_proxies(struct wildcard *from, struct wildcard *to, bool same_ports)
{
    for (uint32_t i = 0; i < from->config->count; i++) {
        struct place *old = &from->places[i];
        long number = config_find_place(to->config, config_place(from->config, i),
                                        from->config->address_count);
        if (number < 0 || !(old->proxy || old->listener_count))
            continue;
        struct place *new = &to->places[number];
        struct proxy_service *proxy = new->instance ? new->instance->proxy : old->proxy;
        new->proxy = old->proxy;
        old->proxy = NULL;
        if (same_ports) {
            new->listeners = old->listeners;
            new->listener_count = old->listener_count;
            old->listeners = NULL;
        } else if (proxy) {
            proxy_service_unlisten(proxy);
        }
    }
}
