/* The section `networks`. */
#include <net/if.h>
#include <string.h>

#include "config/sections.h"
#include "config/value.h"

static enum config_taken take_network_name(struct config_loading *loading, void *object,
                                           const struct config_scalar *scalar)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    struct config_network *network = object;
    if (scalar->length == 0 || scalar->length >= CONFIG_NETWORK_MAX ||
        strspn(scalar->text, allowed) != scalar->length)
        return CONFIG_WRONG;
    network->name = config_loading_text(loading, scalar->text);
    loading->network_name_mark = scalar->mark;
    return CONFIG_TAKEN;
}

static enum config_taken take_bridge(struct config_loading *loading, void *object,
                                     const struct config_scalar *scalar)
{
    struct config_network *network = object;
    if (scalar->length == 0 || scalar->length >= IF_NAMESIZE || strpbrk(scalar->text, "/ \t\n"))
        return CONFIG_WRONG;
    network->bridge = config_loading_text(loading, scalar->text);
    return CONFIG_TAKEN;
}

static struct config_subnet *subnet_of(struct config_network *network, uint8_t family)
{
    return family == AF_INET ? &network->ipv4 : &network->ipv6;
}

static enum config_taken refuse_second(struct config_loading *loading,
                                       const struct config_scalar *scalar)
{
    config_fault(loading->faults, scalar->mark,
                 "'%s' is the second of its kind; expected one for IPv4 and one for IPv6",
                 scalar->text);
    return CONFIG_REPORTED;
}

static enum config_taken take_prefix(struct config_loading *loading, void *object,
                                     const struct config_scalar *scalar)
{
    struct prefix prefix;
    if (prefix_parse(scalar->text, &prefix) != 0)
        return CONFIG_WRONG;
    struct config_subnet *subnet = subnet_of(object, prefix.address.family);
    if (subnet->prefix.address.family)
        return refuse_second(loading, scalar);
    subnet->prefix = prefix;
    return CONFIG_TAKEN;
}

static enum config_taken take_gateway(struct config_loading *loading, void *object,
                                      const struct config_scalar *scalar)
{
    struct address gateway;
    if (address_parse(scalar->text, &gateway) != 0)
        return CONFIG_WRONG;
    struct config_subnet *subnet = subnet_of(object, gateway.family);
    if (subnet->gateway.family)
        return refuse_second(loading, scalar);
    subnet->gateway = gateway;
    return CONFIG_TAKEN;
}

static enum config_taken take_port_address(struct config_loading *loading, void *object,
                                           const struct config_scalar *scalar)
{
    (void)loading;
    struct config_network *network = object;
    struct address address;
    if (address_parse(scalar->text, &address) != 0 || address.family != AF_INET)
        return CONFIG_WRONG;
    network->port_address = address;
    return CONFIG_TAKEN;
}

static const struct config_key network_keys[] = {
    {.name = "name",
     .type = CONFIG_KEY_OWN,
     .required = true,
     .take = take_network_name,
     .expected = "a name of at most 63 letters, digits, hyphens, underscores and dots"},
    {.name = "type",
     .type = CONFIG_KEY_WORD,
     .required = true,
     CONFIG_MEMBER(struct config_network, type),
     .words = config_network_type_words},
    {.name = "hold",
     .type = CONFIG_KEY_WORD,
     CONFIG_MEMBER(struct config_network, hold),
     .words = config_hold_words},
    {.name = "bridge",
     .type = CONFIG_KEY_OWN,
     .take = take_bridge,
     .expected = "the name of a bridge interface, at most 15 characters"},
    {.name = "create",
     .type = CONFIG_KEY_WORD,
     CONFIG_MEMBER(struct config_network, create),
     .words = config_no_yes_words},
    {.name = "prefix",
     .type = CONFIG_KEY_LIST,
     .take = take_prefix,
     .most = 2,
     .expected = "a prefix without host bits, such as 10.0.0.0/24"},
    {.name = "gateway",
     .type = CONFIG_KEY_LIST,
     .take = take_gateway,
     .most = 2,
     .expected = "an address such as 10.0.0.1"},
    {.name = "port-address",
     .type = CONFIG_KEY_OWN,
     .take = take_port_address,
     .expected = "an IPv4 address such as 10.0.0.2"},
};

/* hold is unset until it is given; its default depends on the type, which may follow. */
#define HOLD_UNSET ((enum config_hold)CONFIG_HOLD_UNSET)

static void *begin_network(struct config_loading *loading)
{
    loading->network = (struct config_network){.type = CONFIG_NETWORK_USER, .hold = HOLD_UNSET};
    loading->network_name_mark = loading->object_mark;
    return &loading->network;
}

static void check_subnet(struct config_loading *loading, const struct config_subnet *subnet)
{
    if (!subnet->gateway.family)
        return;
    if (!subnet->prefix.address.family)
        config_fault(loading->faults, loading->object_mark,
                     "a 'gateway' without a 'prefix' of its kind; expected the prefix that it is "
                     "in, such as 10.0.0.0/24");
    else if (!prefix_contains(&subnet->prefix, &subnet->gateway))
        config_fault(loading->faults, loading->object_mark,
                     "'gateway' lies outside 'prefix'; expected an address inside it");
}

static void check_bridge_network(struct config_loading *loading,
                                 const struct config_network *network)
{
    if (!network->bridge)
        config_fault(loading->faults, loading->object_mark,
                     "a network of type 'bridge' without 'bridge'; expected the name of a bridge "
                     "interface");
    check_subnet(loading, &network->ipv4);
    check_subnet(loading, &network->ipv6);
    if (network->port_address.family &&
        (!network->ipv4.prefix.address.family ||
         !prefix_contains(&network->ipv4.prefix, &network->port_address) ||
         address_equal(&network->port_address, &network->ipv4.gateway)))
        config_fault(loading->faults, loading->object_mark,
                     "'port-address' is not an address of its own inside 'prefix'; expected one "
                     "that nobody on the network has");
    if (network->hold == CONFIG_HOLD_PROXY)
        config_fault(loading->faults, loading->object_mark,
                     "hold 'proxy' is for networks of type 'user'; expected 'delay' or 'handoff'");
}

static bool is_of_bridge(const struct config_network *network)
{
    return network->bridge || network->create || network->port_address.family ||
           network->ipv4.prefix.address.family || network->ipv4.gateway.family ||
           network->ipv6.prefix.address.family || network->ipv6.gateway.family;
}

static void check_user_network(struct config_loading *loading, const struct config_network *network)
{
    if (is_of_bridge(network))
        config_fault(loading->faults, loading->object_mark,
                     "'bridge', 'create', 'prefix', 'gateway' and 'port-address' are for networks "
                     "of type 'bridge'; expected a network of type 'user' without them");
    if (network->hold != CONFIG_HOLD_PROXY && network->hold != HOLD_UNSET)
        config_fault(loading->faults, loading->object_mark,
                     "hold '%s' is for networks of type 'bridge'; expected 'proxy'",
                     config_hold_words[network->hold]);
}

static void end_network(struct config_loading *loading, void *object)
{
    struct config_network *network = object;
    struct config *config = loading->config;
    if (network->type == CONFIG_NETWORK_BRIDGE)
        check_bridge_network(loading, network);
    else
        check_user_network(loading, network);
    if (network->hold == HOLD_UNSET)
        network->hold =
            network->type == CONFIG_NETWORK_USER ? CONFIG_HOLD_PROXY : CONFIG_HOLD_DELAY;
    if (!network->name) {
        loading->networks_incomplete = true;
        return;
    }

    uint32_t present;
    int added = config_index_add(loading->networks, network->name, (uint32_t)config->network_count,
                                 &present);
    if (added > 0) {
        config_fault(loading->faults, loading->network_name_mark,
                     "network '%s' is defined twice; expected another name", network->name);
        return;
    }
    if (added < 0)
        config_loading_exhausted(loading);
    struct config_network *networks =
        config_loading_grow(loading, config->networks, config->network_count,
                            &loading->network_capacity, sizeof *networks);
    if (!networks)
        return;
    config->networks = networks;
    networks[config->network_count++] = *network;
}

const struct config_schema config_network_schema = {
    .what = "a network",
    .keys = network_keys,
    .count = sizeof network_keys / sizeof network_keys[0],
    .begin = begin_network,
    .end = end_network,
};
