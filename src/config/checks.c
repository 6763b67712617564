/* What can be checked and completed only when the whole file has been read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "config/loading.h"
#include "config/value.h"

/* How many names a message lists. */
#define NAMES_LISTED 8

#define LEAST_DEFAULT_IDLE NANOSECONDS_PER_SECOND

/* --- networks and zones of services --- */

/* "a, b and 3 more" */
struct name_list {
    char text[NAMES_LISTED * 80];
    size_t used, count;
};

static void list_name(struct name_list *list, const char *name)
{
    if (list->count++ < NAMES_LISTED)
        list->used +=
            (size_t)snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s",
                             list->count > 1 ? ", " : "", config_quote(name).text);
}

static const char *finish_list(struct name_list *list)
{
    if (list->count > NAMES_LISTED)
        snprintf(list->text + list->used, sizeof list->text - list->used, " and %zu more",
                 list->count - NAMES_LISTED);
    return list->text;
}

/* Where no network is defined there is one of type user. */
static void add_default_network(struct config_loading *loading)
{
    struct config *config = loading->config;
    if (config->network_count > 0 || loading->networks_incomplete)
        return;
    struct config_network *networks = config_loading_grow(
        loading, config->networks, 0, &loading->network_capacity, sizeof *networks);
    if (!networks)
        return;
    config->networks = networks;
    networks[0] = (struct config_network){.name = config_loading_text(loading, "user"),
                                          .type = CONFIG_NETWORK_USER,
                                          .hold = CONFIG_HOLD_PROXY};
    config->network_count = 1;
    uint32_t present;
    if (config_index_add(loading->networks, "user", 0, &present) < 0)
        config_loading_exhausted(loading);
}

static const char *list_networks(const struct config *config, struct name_list *list)
{
    for (size_t i = 0; i < config->network_count; i++)
        list_name(list, config->networks[i].name);
    return finish_list(list);
}

/* Only a machine's own hypervisor process can pass connections on into it without a bridge. */
static bool suits(const struct config_service *service, const struct config_network *network)
{
    return service->backend == CONFIG_BACKEND_QEMU || network->type == CONFIG_NETWORK_BRIDGE;
}

/* Others may be attached somewhere by what describes them. */
static bool needs_network(const struct config_service *service)
{
    return !service->domain && !service->domain_xml;
}

static void resolve_network(struct config_loading *loading, struct config_service *service,
                            const struct config_service_draft *draft)
{
    const struct config *config = loading->config;
    struct name_list list = {0};
    uint32_t number;
    if (draft->network_name) {
        if (config_index_find(loading->networks, draft->network_name, &number))
            service->network = &config->networks[number];
        else if (!loading->networks_incomplete)
            config_fault(loading->faults, draft->network, "there is no network '%s'; expected %s",
                         config_quote(draft->network_name).text, list_networks(config, &list));
    } else if (draft->network.line == 0 && !loading->networks_incomplete) {
        if (config->network_count == 1 && suits(service, &config->networks[0]))
            service->network = &config->networks[0];
        else if (config->network_count > 1 && needs_network(service))
            config_fault(loading->faults, draft->entry,
                         "a service without 'network', and there are several; expected one of %s",
                         list_networks(config, &list));
    }
}

static void resolve_hold(struct config_loading *loading, struct config_service *service,
                         const struct config_service_draft *draft)
{
    const struct config_network *network = service->network;
    if (!network) {
        if (service->hold != CONFIG_HOLD_UNSET)
            config_fault(loading->faults, draft->entry,
                         "'hold' for a service on no network; expected a network, or no 'hold'");
        service->hold = CONFIG_HOLD_DELAY;
        return;
    }
    if (service->hold == CONFIG_HOLD_UNSET) {
        service->hold = (uint8_t)network->hold;
        return;
    }
    bool is_user = network->type == CONFIG_NETWORK_USER;
    if (is_user != (service->hold == CONFIG_HOLD_PROXY))
        config_fault(loading->faults, draft->entry,
                     "hold '%s' does not suit network '%s', which is of type '%s'; expected %s",
                     config_hold_words[service->hold], network->name,
                     config_network_type_words[network->type],
                     is_user ? "'proxy'" : "'delay' or 'handoff'");
}

static void check_network(struct config_loading *loading, const struct config_service *service,
                          const struct config_service_draft *draft)
{
    if (loading->networks_incomplete)
        return;
    if (service->network && !suits(service, service->network))
        config_fault(loading->faults, draft->network,
                     "network '%s' is of type 'user', which is for backend 'qemu'; expected one of "
                     "type 'bridge'",
                     service->network->name);
    if (!service->network && draft->network.line == 0 && loading->config->network_count <= 1 &&
        needs_network(service))
        config_fault(loading->faults, draft->entry,
                     "a service of backend '%s' without 'network'; expected one of type 'bridge'",
                     config_backend_words[service->backend]);
}

/* The port answers for the machine with its MAC address before anybody has seen that. */
static void check_mac(struct config_loading *loading, const struct config_service *service,
                      const struct config_service_draft *draft)
{
    bool bridge = service->network && service->network->type == CONFIG_NETWORK_BRIDGE;
    bool mac = config_has_mac(service);
    if (bridge && service->domain && !mac && service->backend == CONFIG_BACKEND_LIBVIRT)
        config_fault(loading->faults, draft->entry,
                     "a service with 'domain' on network '%s' without 'mac'; expected the MAC "
                     "address that the domain has there, such as 52:54:00:12:34:56",
                     service->network->name);
    if (mac && !bridge)
        config_fault(loading->faults, draft->entry,
                     "'mac' for a service on no network of type 'bridge'; expected it on one, or "
                     "no 'mac'");
    if (mac && service->name && config_is_wildcard(service))
        config_fault(loading->faults, draft->entry,
                     "'mac' for a wildcard, whose machines have one each; expected none");
}

/* On a user network nobody sees the machine's ARP. */
static void check_ready(struct config_loading *loading, const struct config_service *service,
                        const struct config_service_draft *draft)
{
    const struct config_network *network = service->network;
    if (service->ready == CONFIG_READY_ARP && network && network->type == CONFIG_NETWORK_USER)
        config_fault(loading->faults, draft->entry,
                     "ready 'arp' does not suit network '%s', which is of type 'user'; expected "
                     "'announce', tcp:PORT, console:TEXT or after:TIME",
                     network->name);
    if (service->ready == CONFIG_READY_ARP && !network)
        config_fault(loading->faults, draft->entry,
                     "ready 'arp' for a service on no network, where nobody sees it; expected "
                     "tcp:PORT or after:TIME");
}

/* The number of the longest zone that holds the name, or -1. */
static long find_zone(const struct config_loading *loading, const char *name)
{
    uint32_t number;
    for (const char *suffix = name; suffix; suffix = strchr(suffix, '.')) {
        suffix += *suffix == '.';
        if (config_index_find(loading->zones, suffix, &number))
            return (long)number;
    }
    return -1;
}

static long require_zone(struct config_loading *loading, const char *name, struct config_mark mark)
{
    const struct config *config = loading->config;
    struct name_list list = {0};
    long zone = find_zone(loading, name);
    if (zone >= 0 || loading->zones_incomplete)
        return zone;
    for (size_t i = 0; i < config->zone_count; i++)
        list_name(&list, config->zones[i].name);
    if (config->zone_count == 0)
        config_fault(loading->faults, mark,
                     "'%s' is in no zone, for there are none; expected the zone it is in among "
                     "'zones'",
                     name);
    else
        config_fault(loading->faults, mark, "'%s' is in none of the zones; expected a name in %s",
                     name, finish_list(&list));
    return -1;
}

static void resolve_zone(struct config_loading *loading, struct config_service *service,
                         const struct config_service_draft *draft)
{
    for (size_t i = 0; i < service->alias_count; i++)
        require_zone(loading, service->aliases[i], draft->alias_marks[i]);
    long zone = service->name ? require_zone(loading, service->name, draft->name) : -1;
    if (zone < 0)
        return;
    service->zone = (uint32_t)zone;
    if (service->ttl == CONFIG_TTL_UNSET)
        service->ttl = loading->config->zones[zone].ttl;
    if (service->idle == CONFIG_IDLE_UNSET) {
        service->idle = 2 * service->ttl * NANOSECONDS_PER_SECOND;
        if (service->idle < LEAST_DEFAULT_IDLE)
            service->idle = LEAST_DEFAULT_IDLE;
    }
}

static void check_memory(struct config_loading *loading, const struct config_service *service,
                         const struct config_service_draft *draft)
{
    char memory[CONFIG_UNIT_TEXT_SIZE], limit[CONFIG_UNIT_TEXT_SIZE];
    if (service->memory > loading->config->memory_limit)
        config_fault(loading->faults, draft->memory.line ? draft->memory : draft->entry,
                     "memory %s is more than the %s that 'limits' allows all machines together; "
                     "expected less",
                     config_size_format(service->memory, memory),
                     config_size_format(loading->config->memory_limit, limit));
}

/* --- domains that exist already --- */

static void check_domain(struct config_loading *loading, struct config_index *domains,
                         uint32_t number)
{
    const struct config *config = loading->config;
    const struct config_service *service = &config->services[number];
    char key[CONFIG_PATH_MAX + CONFIG_DOMAIN_MAX];
    uint32_t present;
    snprintf(key, sizeof key, "%s %s", service->domain, service->connect);
    int added = config_index_add(domains, key, number, &present);
    if (added < 0)
        config_loading_exhausted(loading);
    if (added > 0)
        config_fault(loading->faults, loading->drafts[number].entry,
                     "domain '%s' is the machine of the service in line %u already; expected "
                     "another one",
                     config_quote(service->domain).text, config->services[present].line);
}

static void check_domains(struct config_loading *loading)
{
    struct config_index *domains = config_index_new();
    if (!domains) {
        config_loading_exhausted(loading);
        return;
    }
    for (uint32_t i = 0; i < loading->config->service_count; i++)
        if (loading->config->services[i].domain && loading->config->services[i].connect)
            check_domain(loading, domains, i);
    config_index_free(domains);
}

/* --- who listens where --- */

/* An address and TCP port on which something listens. */
struct listener {
    struct endpoint endpoint; /* family 0: a free place in the table */
    uint32_t service;         /* its number, or one of those below */
};
#define LISTENER_DNS     UINT32_MAX
#define LISTENER_METRICS (UINT32_MAX - 1)

struct listener_table {
    struct listener *places;
    size_t mask;
};

static size_t hash_endpoint(const struct endpoint *endpoint)
{
    uint64_t hash = endpoint->port;
    for (size_t i = 0; i < sizeof endpoint->address.bytes; i++)
        hash = (hash ^ endpoint->address.bytes[i]) * UINT64_C(1099511628211);
    return (size_t)(hash ^ hash >> 32);
}

/* Adds the listener; returns the one that is there already, or NULL. */
static const struct listener *add_listener(struct listener_table *table,
                                           const struct endpoint *endpoint, uint32_t service)
{
    size_t at = hash_endpoint(endpoint) & table->mask;
    for (; table->places[at].endpoint.address.family; at = (at + 1) & table->mask)
        if (endpoint_equal(&table->places[at].endpoint, endpoint))
            return &table->places[at];
    table->places[at] = (struct listener){*endpoint, service};
    return NULL;
}

static void report_taken(struct config_loading *loading, const struct listener *first,
                         struct config_mark mark)
{
    char text[ENDPOINT_TEXT_SIZE];
    const struct config *config = loading->config;
    endpoint_format(&first->endpoint, text);
    if (first->service == LISTENER_DNS)
        config_fault(loading->faults, mark,
                     "%s is where DNS listens ('listen' of 'server'); expected another address or "
                     "port",
                     text);
    else if (first->service == LISTENER_METRICS)
        config_fault(loading->faults, mark,
                     "%s is where metrics are served ('metrics' of 'server'); expected another "
                     "address or port",
                     text);
    else
        config_fault(loading->faults, mark,
                     "%s is taken by the service in line %u; expected another address or port",
                     text, config->services[first->service].line);
}

static bool listens(const struct config_service *service)
{
    return service->network && service->network->type == CONFIG_NETWORK_USER;
}

static int make_listener_table(const struct config *config, struct listener_table *table)
{
    size_t count = config->listen_count + 1, capacity = 64;
    for (size_t i = 0; i < config->service_count; i++)
        if (listens(&config->services[i]))
            count += (size_t)config->services[i].address_count * config->services[i].port_count;
    while (capacity / 4 * 3 < count)
        capacity *= 2;
    table->places = calloc(capacity, sizeof *table->places);
    table->mask = capacity - 1;
    return table->places ? 0 : -1;
}

static void add_listeners_of(struct config_loading *loading, struct listener_table *table,
                             uint32_t number)
{
    const struct config_service *service = &loading->config->services[number];
    const struct config_service_draft *draft = &loading->drafts[number];
    for (size_t a = 0; a < service->address_count; a++)
        for (size_t p = 0; p < service->port_count; p++) {
            struct endpoint endpoint = {service->addresses[a], service->ports[p].listen};
            const struct listener *first = add_listener(table, &endpoint, number);
            if (first)
                report_taken(loading, first, draft->address_marks[a]);
        }
}

static void check_listeners(struct config_loading *loading)
{
    struct config *config = loading->config;
    struct listener_table table;
    if (make_listener_table(config, &table) != 0) {
        config_loading_exhausted(loading);
        return;
    }
    for (size_t i = 0; i < config->listen_count; i++)
        add_listener(&table, &config->listen[i], LISTENER_DNS);
    if (config->has_metrics) {
        const struct listener *first = add_listener(&table, &config->metrics, LISTENER_METRICS);
        if (first)
            report_taken(loading, first, loading->metrics_mark);
    }
    for (uint32_t i = 0; i < config->service_count; i++)
        if (listens(&config->services[i]))
            add_listeners_of(loading, &table, i);
    free(table.places);
}

void config_check(struct config_loading *loading)
{
    struct config *config = loading->config;
    add_default_network(loading);
    for (size_t i = 0; i < config->service_count; i++) {
        struct config_service *service = &config->services[i];
        const struct config_service_draft *draft = &loading->drafts[i];
        resolve_network(loading, service, draft);
        check_network(loading, service, draft);
        resolve_hold(loading, service, draft);
        check_mac(loading, service, draft);
        check_ready(loading, service, draft);
        resolve_zone(loading, service, draft);
        check_memory(loading, service, draft);
    }
    config_check_addresses(loading);
    check_domains(loading);
    check_listeners(loading);
    config_check_forward(loading);
}
