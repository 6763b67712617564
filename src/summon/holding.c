/* The hold of a service, whichever its network has: on a user network it is of the proxy, and its
 * listeners come one by one; on a bridge it is of that network's port, and exists while the port is
 * open. What the rest of this room says to it is said here. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "keeper/device_name.h"
#include "summon/parts.h"

static bool is_on_bridge(const struct config_service *config)
{
    return config->network && config->network->type == CONFIG_NETWORK_BRIDGE;
}

/* --- what the port is told of a machine --- */

static const uint8_t no_token[MESSAGE_TOKEN_SIZE];

/* It speaks the conduit. */
static bool has_token(const struct machine_run *run)
{
    return memcmp(run->token, no_token, sizeof run->token) != 0;
}

static enum port_ready ready_rule(const struct machine_run *run)
{
    switch ((enum config_ready)run->ready_rule) {
    case CONFIG_READY_ANNOUNCE:
        return has_token(run) ? PORT_READY_ANNOUNCE : PORT_READY_TOLD;
    case CONFIG_READY_ARP:
        return PORT_READY_ARP;
    case CONFIG_READY_TCP:
        return PORT_READY_TCP;
    default:
        return PORT_READY_TOLD;
    }
}

static void open_conduit(struct service *service)
{
    if (service->has_conduit || !has_token(service->run))
        return;
    port_service_conduit(service->port, service->run->token);
    service->has_conduit = true;
}

static struct port_service *make_port_service(struct service *service, struct error *error)
{
    const struct config_service *config = service->config;
    uint16_t ports[CONFIG_PORTS_MAX];
    for (unsigned i = 0; i < config->port_count; i++)
        ports[i] = config->ports[i].machine;
    struct port_machine machine = {
        .addresses = config->addresses,
        .address_count = config->address_count,
        .ports = ports,
        .port_count = config->port_count,
        .summon_from = config->summon_from,
        .summon_from_count = config->summon_from_count,
        .ready = PORT_READY_TOLD,
        .hold = config->hold == CONFIG_HOLD_HANDOFF ? PORT_HANDOFF : PORT_DELAY,
    };
    device_service_mac(config, machine.mac);
    return port_service_new(ports_find(service->summoner, config->network->name), service, &machine,
                            error);
}

/* Tells a new one how things are. */
static void catch_up(struct service *service)
{
    service->refusing = false;
    service_publish(service);
    switch ((enum machine_state)service->state) {
    case MACHINE_STARTING:
        if (service->run->is_resuming)
            holding_resumes(service);
        else if (service->run->pid)
            holding_spawned(service);
        break;
    case MACHINE_RUNNING:
        holding_ready(service);
        break;
    case MACHINE_STOPPING:
        open_conduit(service);
        port_service_attract(service->port);
        break;
    case MACHINE_SUSPENDED:
        holding_suspended(service);
        break;
    default:
        break;
    }
}

/* --- life --- */

void holding_open(struct service *service)
{
    struct error error;
    if (service->port || service->departed || service->is_moving || service->wildcard ||
        !is_on_bridge(service->config) ||
        !ports_find(service->summoner, service->config->network->name))
        return;
    service->port = make_port_service(service, &error);
    if (service->port)
        catch_up(service);
    else
        log_error("%s: nothing is held for it, and packets do not start it: %s; trying again when "
                  "its machine ends and at the next reload",
                  service->config->name, error.text);
}

int holding_open_proxy(struct service *service)
{
    if (service->proxy)
        return 0;
    service->proxy = proxy_service_new(service->summoner->proxy, service);
    if (!service->proxy)
        return -1;
    holding_allow(service);
    service->refusing = false;
    service_publish(service);
    if (service->state == MACHINE_RUNNING)
        holding_ready(service);
    return 0;
}

void holding_close(struct service *service)
{
    if (service->proxy)
        proxy_service_free(service->proxy);
    service->proxy = NULL;
    holding_close_port(service);
}

void holding_close_port(struct service *service)
{
    if (!service->port)
        return;
    service->handed_over += port_service_handed_over(service->port);
    port_service_free(service->port);
    service->port = NULL;
    service->has_conduit = false;
}

void holding_allow(struct service *service)
{
    if (service->proxy)
        proxy_service_allow(service->proxy, service->host->summon_from,
                            service->host->summon_from_count);
}

static void renew_if_due(struct service *service)
{
    if (!service->is_outdated && !service->is_moving)
        return;
    service->is_outdated = service->is_moving = false;
    holding_close_port(service);
}

static bool is_elsewhere(const struct config_network *old, const struct config_network *new)
{
    if (!old || !new || old->type != new->type)
        return old != new;
    return new->type == CONFIG_NETWORK_BRIDGE &&strcmp(old->name, new->name) != 0;
}

static bool says_the_same(const struct config_service *old, const struct config_service *new)
{
    if (old->hold != new->hold || old->address_count != new->address_count ||
        old->port_count != new->port_count || old->summon_from_count != new->summon_from_count)
        return false;
    for (unsigned i = 0; i < old->address_count; i++)
        if (!address_equal(&old->addresses[i], &new->addresses[i]))
            return false;
    for (unsigned i = 0; i < old->port_count; i++)
        if (old->ports[i].machine != new->ports[i].machine)
            return false;
    for (unsigned i = 0; i < old->summon_from_count; i++)
        if (old->summon_from[i].length != new->summon_from[i].length ||
            !address_equal(&old->summon_from[i].address, &new->summon_from[i].address))
            return false;
    return true;
}

void holding_reconfigure(struct service *service, const struct config_service *old)
{
    const struct config_service *new = service->config;
    if (is_elsewhere(old->network, new->network)) {
        holding_close(service);
        free(service->listeners);
        service->listeners = NULL;
        service->listener_count = 0;
        service->is_moving = true;
    } else if (service->port && !says_the_same(old, new)) {
        service->is_outdated = true;
    }
    if (!service->run)
        renew_if_due(service);
}

/* --- what happens to the machine --- */

void holding_spawned(struct service *service)
{
    struct error error;
    struct machine_run *run = service->run;
    if (!service->port)
        return;
    if (service->config->hold == CONFIG_HOLD_HANDOFF && !has_token(run)) {
        machine_condemn(service, "hold 'handoff' is for images that take connections over, as the "
                                 "bundled ones do; expected 'delay'");
        return;
    }
    if (port_service_expect(service->port, ready_rule(run), run->ready_port, &error) != 0) {
        machine_condemn(service, error.text);
        return;
    }
    open_conduit(service);
    port_service_starting(service->port);
}

void holding_resumes(struct service *service)
{
    struct error error;
    if (!service->port)
        return;
    port_service_expect(service->port, PORT_READY_TOLD, 0, &error);
    port_service_starting(service->port);
}

void holding_ready(struct service *service)
{
    const struct machine_run *run = service->run;
    struct proxy_target targets[CONFIG_PORTS_MAX];
    if (service->proxy) {
        for (unsigned i = 0; i < run->forward_count; i++)
            targets[i] = (struct proxy_target){run->forwards[i].machine, run->forwards[i].host};
        proxy_service_ready(service->proxy, targets, run->forward_count);
    }
    if (service->port) {
        open_conduit(service);
        port_service_ready(service->port);
    }
}

bool holding_shut_down(struct service *service)
{
    return service->port &&
           port_service_stop(service->port, (uint32_t)(service->config->shutdown_timeout /
                                                       NANOSECONDS_PER_MILLISECOND));
}

void holding_leaves(struct service *service)
{
    if (service->proxy)
        proxy_service_not_ready(service->proxy);
    if (service->port)
        port_service_attract(service->port);
}

void holding_suspended(struct service *service)
{
    if (service->proxy)
        proxy_service_not_ready(service->proxy);
    if (service->port) {
        open_conduit(service);
        port_service_suspended(service->port);
    }
}

void holding_gone(struct service *service)
{
    if (service->proxy) {
        proxy_service_not_ready(service->proxy);
        proxy_service_gone(service->proxy);
    }
    if (service->port)
        port_service_gone(service->port);
    service->has_conduit = false;
}

void holding_rest(struct service *service)
{
    renew_if_due(service);
    holding_open(service);
}

/* --- clients --- */

void holding_refuse(struct service *service, bool refuse)
{
    if ((!service->proxy && !service->port) || service->refusing == refuse)
        return;
    service->refusing = refuse;
    if (service->proxy)
        proxy_service_refuse(service->proxy, refuse);
    if (service->port)
        port_service_refuse(service->port, refuse);
}

void holding_turn_away(struct service *service)
{
    if (service->proxy)
        proxy_service_fail(service->proxy);
    /* A suspended machine keeps its connections, so the port is not told that it has failed. */
    if (service->port) {
        port_service_refuse(service->port, true);
        port_service_refuse(service->port, service->refusing);
    }
}

bool holding_is_wanted(const struct service *service)
{
    return service->port && port_service_is_wanted(service->port);
}

uint64_t holding_last_use(const struct service *service)
{
    if (service->port)
        return port_service_last_use(service->port);
    return service->proxy ? proxy_service_last_use(service->proxy) : 0;
}

size_t holding_connections(const struct service *service)
{
    if (service->port)
        return port_service_connections(service->port);
    return service->proxy ? proxy_service_connections(service->proxy) : 0;
}

/* A machine that tells how many it has does not tell whose. */
bool holding_knows_whose(const struct service *service)
{
    return !is_on_bridge(service->config) || service->config->summon_from_count == 0;
}

bool holding_hides_connections(const struct service *service)
{
    return is_on_bridge(service->config) && service->run && service->run->serial &&
           !has_token(service->run);
}

bool holding_is_counted(const struct service *service)
{
    return is_on_bridge(service->config) &&
           (!has_token(service->run) || !holding_knows_whose(service));
}

uint64_t holding_handed_over(const struct service *service)
{
    return service->handed_over + (service->port ? port_service_handed_over(service->port) : 0);
}

/* Of a wildcard, with all its instances. */
static uint64_t handed_over_by(const struct summoner *summoner, const struct service *service)
{
    uint64_t count = holding_handed_over(service);
    for (size_t i = 0; service->wildcard && i < summoner->instance_count; i++)
        if (summoner->instances[i]->of == service)
            count += holding_handed_over(summoner->instances[i]);
    return count;
}

void summoner_handed_over(const struct summoner *summoner, summoner_handed_over_function *function,
                          void *argument)
{
    for (size_t i = 0; i < summoner->service_count; i++) {
        const struct service *service = summoner->services[i];
        uint64_t count = handed_over_by(summoner, service);
        if (count > 0)
            function(argument, service->config->name, count);
    }
}
