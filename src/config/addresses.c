/* The addresses of services on bridge networks, which their machines have themselves, and those of
 * wildcards' instances on any: checked, and chosen where the file leaves them out. */
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "config/loading.h"

#define NOT_A_SERVICE UINT32_MAX

/* A service's name alone decides where in the prefix the search for its address begins, so that it
 * mostly keeps its address while others come and go. */

struct taken {
    struct address address; /* family 0: a free place in the table */
    uint32_t service;
};

struct taken_table {
    struct taken *places;
    size_t mask, count;
};

static uint64_t mix(uint64_t hash)
{
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ hash >> 33;
}

static uint64_t hash_bytes(const void *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    return mix(hash);
}

static bool is_on_bridge(const struct config_service *service)
{
    return service->network && service->network->type == CONFIG_NETWORK_BRIDGE;
}

/* --- the table --- */

static int make_table(const struct config_loading *loading, struct taken_table *table)
{
    const struct config *config = loading->config;
    size_t count = 3 + config->listen_count, capacity = 64;
    for (size_t i = 0; i < config->service_count; i++)
        count += config->services[i].address_count + 2u * (1 + loading->drafts[i].instance_count);
    while (capacity / 4 * 3 < count)
        capacity *= 2;
    *table = (struct taken_table){.places = calloc(capacity, sizeof *table->places),
                                  .mask = capacity - 1};
    return table->places ? 0 : -1;
}

static struct taken *place_of(const struct taken_table *table, const struct address *address)
{
    size_t at = hash_bytes(address->bytes, sizeof address->bytes) & table->mask;
    while (table->places[at].address.family && !address_equal(&table->places[at].address, address))
        at = (at + 1) & table->mask;
    return &table->places[at];
}

static void take(struct taken_table *table, struct taken *place, const struct address *address,
                 uint32_t service)
{
    *place = (struct taken){*address, service};
    table->count++;
}

/* --- addresses that are given --- */

/* Whose the address is on the network itself; NULL: nobody's. */
static const char *owner_of(const struct config_network *network, const struct address *address)
{
    if (address_equal(address, &config_network_subnet(network, address)->gateway))
        return "gateway";
    return address_equal(address, &network->port_address) ? "port's own address" : NULL;
}

static void check_address(struct config_loading *loading, const struct config_network *network,
                          const struct address *address, struct config_mark mark)
{
    char text[ADDRESS_TEXT_SIZE], prefix[PREFIX_TEXT_SIZE];
    const struct config_subnet *subnet = config_network_subnet(network, address);
    const char *owner = owner_of(network, address);
    address_format(address, text);
    if (!subnet->prefix.address.family)
        config_fault(loading->faults, mark,
                     "network '%s' has no prefix for %s; expected one among its 'prefix'",
                     network->name, text);
    else if (!prefix_contains(&subnet->prefix, address))
        config_fault(loading->faults, mark, "%s is not on network '%s'; expected an address in %s",
                     text, network->name, prefix_format(&subnet->prefix, prefix));
    else if (owner)
        config_fault(loading->faults, mark,
                     "%s is the %s of network '%s'; expected another address", text, owner,
                     network->name);
}

static void take_given(struct config_loading *loading, struct taken_table *table, uint32_t number)
{
    char text[ADDRESS_TEXT_SIZE];
    const struct config *config = loading->config;
    const struct config_service *service = &config->services[number];
    for (size_t i = 0; i < service->address_count; i++) {
        const struct address *address = &service->addresses[i];
        struct config_mark mark = loading->drafts[number].address_marks[i];
        struct taken *place = place_of(table, address);
        check_address(loading, service->network, address, mark);
        if (place->address.family)
            config_fault(loading->faults, mark,
                         "%s is the address of the service in line %u; expected another address",
                         address_format(address, text), config->services[place->service].line);
        else
            take(table, place, address, number);
    }
}

/* On a bridge clients reach the machine itself. */
static void check_ports(struct config_loading *loading, const struct config_service *service,
                        struct config_mark mark)
{
    for (size_t i = 0; i < service->port_count; i++)
        if (service->ports[i].listen != service->ports[i].machine)
            config_fault(loading->faults, mark,
                         "port %u:%u on network '%s', which is a bridge, where clients reach the "
                         "machine itself; expected one port only",
                         service->ports[i].listen, service->ports[i].machine,
                         service->network->name);
}

/* --- addresses that are chosen --- */

/* The address with that number in the prefix. */
static struct address numbered(const struct prefix *prefix, uint64_t number)
{
    struct address address = prefix->address;
    size_t last = address.family == AF_INET ? 3 : 15;
    for (size_t i = 0; i <= last && i < sizeof number; i++)
        address.bytes[last - i] |= (uint8_t)(number >> 8 * i);
    return address;
}

/* The largest number of an address in the prefix, of those that are chosen from. */
static uint64_t last_number(const struct prefix *prefix)
{
    unsigned bits = (prefix->address.family == AF_INET ? 32u : 128u) - prefix->length;
    return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* The first names the network or its routers, and in IPv4 the last all stations. */
static bool is_of_a_machine(const struct prefix *prefix, uint64_t number)
{
    uint64_t last = last_number(prefix);
    return last < 2 || (number != 0 && (prefix->address.family == AF_INET6 || number != last));
}

static uint64_t first_choice(const struct config_service *service)
{
    return hash_bytes(service->name, strlen(service->name));
}

/* Looks for a free one from number `*at` on, which goes on behind it. Returns whether there is one.
 */
static bool choose(struct taken_table *table, const struct config_service *service, uint32_t number,
                   const struct prefix *prefix, uint64_t *at, struct address *address)
{
    uint64_t last = last_number(prefix);
    /* Besides the services' there are the first, the last, the gateway and the port's own. */
    for (uint64_t tries = table->count + 5; tries > 0; tries--, (*at)++) {
        *address = numbered(prefix, *at & last);
        struct taken *place = place_of(table, address);
        if (!place->address.family && is_of_a_machine(prefix, *at & last) &&
            !owner_of(service->network, address)) {
            take(table, place, address, number);
            return true;
        }
    }
    return false;
}

static void choose_addresses(struct config_loading *loading, struct taken_table *table,
                             uint32_t number)
{
    char text[PREFIX_TEXT_SIZE];
    struct config_service *service = &loading->config->services[number];
    const struct config_subnet *subnets[] = {&service->network->ipv4, &service->network->ipv6};
    struct config_mark mark = loading->drafts[number].entry;
    struct address *addresses = config_arena_allocate(loading->config->arena, 2 * sizeof *addresses,
                                                      alignof(struct address));
    if (!addresses) {
        config_loading_exhausted(loading);
        return;
    }
    service->addresses = addresses;
    for (size_t i = 0; i < 2; i++) {
        uint64_t at = first_choice(service);
        if (subnets[i]->prefix.address.family == 0)
            continue;
        else if (choose(table, service, number, &subnets[i]->prefix, &at,
                        &addresses[service->address_count]))
            service->address_count++;
        else
            config_fault(loading->faults, mark,
                         "network '%s' has no address left in %s; expected a larger prefix",
                         service->network->name, prefix_format(&subnets[i]->prefix, text));
    }
}

/* The file says nothing of the service's addresses. */
static void check_missing(struct config_loading *loading, struct taken_table *table,
                          uint32_t number)
{
    const struct config_service *service = &loading->config->services[number];
    const struct config_network *network = service->network;
    if (service->domain)
        config_fault(loading->faults, loading->drafts[number].entry,
                     "a service with 'domain' and without 'address'; expected the addresses that "
                     "the domain has, such as 10.0.0.10");
    else if (!is_on_bridge(service))
        config_fault(loading->faults, loading->drafts[number].entry,
                     "a service without 'address'; expected addresses such as 127.0.0.10 or "
                     "\"fd00::10\"");
    else if (!network->ipv4.prefix.address.family && !network->ipv6.prefix.address.family)
        config_fault(loading->faults, loading->drafts[number].entry,
                     "a service without 'address', and network '%s' has no 'prefix' to choose one "
                     "from; expected one of them",
                     network->name);
    else if (service->name)
        choose_addresses(loading, table, number);
}

/* --- the places of wildcards --- */

/* What the host itself listens on is not for instances on user networks, whose addresses are the
 * host's, too. */
static void take_hosts(const struct config *config, struct taken_table *table)
{
    struct address host = {AF_INET, {127, 0, 0, 1}};
    struct address others[] = {host, config->metrics.address};
    for (size_t i = 0; i < 2; i++)
        if (others[i].family && !place_of(table, &others[i])->address.family)
            take(table, place_of(table, &others[i]), &others[i], NOT_A_SERVICE);
    for (size_t i = 0; i < config->listen_count; i++) {
        struct taken *place = place_of(table, &config->listen[i].address);
        if (!place->address.family)
            take(table, place, &config->listen[i].address, NOT_A_SERVICE);
    }
}

static void take_users(const struct config *config, struct taken_table *table, uint32_t number)
{
    const struct config_service *service = &config->services[number];
    for (size_t i = 0; i < service->address_count; i++) {
        struct taken *place = place_of(table, &service->addresses[i]);
        if (!place->address.family)
            take(table, place, &service->addresses[i], number);
    }
}

/* The prefixes that the instances' addresses are chosen from; returns how many. */
static unsigned prefixes_of(const struct config_service *wildcard,
                            const struct config_service_draft *draft, struct prefix prefixes[2])
{
    static const struct prefix loopback = {{AF_INET, {127}}, 8};
    const struct config_network *network = wildcard->network;
    unsigned count = 0;
    for (; count < draft->prefix_count; count++)
        prefixes[count] = draft->prefixes[count];
    if (count > 0)
        return count;
    if (network->type == CONFIG_NETWORK_USER) {
        prefixes[0] = loopback;
        return 1;
    }
    if (network->ipv4.prefix.address.family)
        prefixes[count++] = network->ipv4.prefix;
    if (network->ipv6.prefix.address.family)
        prefixes[count++] = network->ipv6.prefix;
    return count;
}

static bool is_inside(const struct prefix *inner, const struct prefix *outer)
{
    return inner->length >= outer->length && prefix_contains(outer, &inner->address);
}

/* On a bridge they must lie in the network's. */
static bool check_prefixes(struct config_loading *loading, const struct config_service *wildcard,
                           const struct config_service_draft *draft)
{
    char text[PREFIX_TEXT_SIZE];
    const struct config_network *network = wildcard->network;
    if (network->type == CONFIG_NETWORK_USER)
        return true;
    for (unsigned i = 0; i < draft->prefix_count; i++) {
        const struct prefix *prefix = &draft->prefixes[i];
        const struct prefix *outer = &config_network_subnet(network, &prefix->address)->prefix;
        if (outer->address.family && is_inside(prefix, outer))
            continue;
        config_fault(loading->faults, draft->prefix,
                     "%s does not lie in the 'prefix' of network '%s'; expected one inside it",
                     prefix_format(prefix, text), network->name);
        return false;
    }
    return true;
}

static int compare_places(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct address));
}

/* Fills one column of the places; false, and reported, if there is no room. */
static bool choose_column(struct config_loading *loading, struct taken_table *table,
                          uint32_t number, const struct prefix *prefix,
                          const struct config_places *places, unsigned column)
{
    char text[PREFIX_TEXT_SIZE];
    const struct config_service *wildcard = &loading->config->services[number];
    uint64_t at = first_choice(wildcard);
    for (uint32_t i = 0; i < places->count; i++) {
        struct address *address = &places->addresses[(size_t)i * places->address_count + column];
        if (choose(table, wildcard, number, prefix, &at, address))
            continue;
        config_fault(loading->faults, loading->drafts[number].instances,
                     "%s has room for %u of %u instances; expected a larger prefix, or fewer",
                     prefix_format(prefix, text), i, places->count);
        return false;
    }
    return true;
}

static void choose_places(struct config_loading *loading, struct taken_table *table,
                          uint32_t number)
{
    struct config_service *wildcard = &loading->config->services[number];
    const struct config_service_draft *draft = &loading->drafts[number];
    struct prefix prefixes[2];
    unsigned count = prefixes_of(wildcard, draft, prefixes);
    struct config_arena *arena = loading->config->arena;
    struct config_places *places =
        config_arena_allocate(arena, sizeof *places, alignof(struct config_places));
    struct address *addresses = config_arena_allocate(
        arena, (size_t)draft->instance_count * count * sizeof *addresses, alignof(struct address));
    if (!places || !addresses) {
        config_loading_exhausted(loading);
        return;
    }
    *places = (struct config_places){draft->instance_count, (uint8_t)count, addresses};
    for (unsigned column = 0; column < count; column++)
        if (!choose_column(loading, table, number, &prefixes[column], places, column))
            return;
    qsort(addresses, places->count, count * sizeof *addresses, compare_places);
    wildcard->places = places;
}

static void check_places(struct config_loading *loading, struct taken_table *table, uint32_t number)
{
    const struct config_service *wildcard = &loading->config->services[number];
    const struct config_service_draft *draft = &loading->drafts[number];
    const struct config_network *network = wildcard->network;
    if (!network && !loading->networks_incomplete && draft->network.line == 0)
        config_fault(loading->faults, draft->entry,
                     "a wildcard on no network; expected one, to choose its instances' addresses "
                     "from");
    if (!network || draft->instance_count == 0 || draft->address_given ||
        !check_prefixes(loading, wildcard, draft))
        return;
    struct prefix prefixes[2];
    if (prefixes_of(wildcard, draft, prefixes) == 0)
        config_fault(loading->faults, draft->entry,
                     "a wildcard without 'prefix', and network '%s' has none to choose addresses "
                     "from; expected one of them",
                     network->name);
    else
        choose_places(loading, table, number);
}

static bool is_wildcard(const struct config_service *service)
{
    return service->name && config_is_wildcard(service);
}

void config_check_addresses(struct config_loading *loading)
{
    const struct config *config = loading->config;
    struct taken_table table;
    if (make_table(loading, &table) != 0) {
        config_loading_exhausted(loading);
        return;
    }
    for (uint32_t i = 0; i < config->service_count; i++)
        if (is_on_bridge(&config->services[i])) {
            take_given(loading, &table, i);
            check_ports(loading, &config->services[i], loading->drafts[i].entry);
        }
    for (uint32_t i = 0; i < config->service_count; i++)
        if (!loading->drafts[i].address_given && !is_wildcard(&config->services[i]))
            check_missing(loading, &table, i);
    /* Wildcards come last, so that they do not move what others are given. */
    take_hosts(config, &table);
    for (uint32_t i = 0; i < config->service_count; i++)
        if (!is_on_bridge(&config->services[i]))
            take_users(config, &table, i);
    for (uint32_t i = 0; i < config->service_count; i++)
        if (is_wildcard(&config->services[i]))
            check_places(loading, &table, i);
    free(table.places);
}
