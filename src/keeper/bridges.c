#include "keeper/bridges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/device_name.h"
#include "keeper/message.h"
#include "keeper/netlink.h"
#include "keeper/tap.h"

#define PORT_PREFIX "jp-"

#define MACHINE_MTU 1500u

struct bridges {
    char run_directory[CONFIG_PATH_MAX];
    char mark[40];           /* how the aliases of this jitsud's devices begin */
    struct netlink *netlink; /* opened when it is first needed */
};

struct bridges *bridges_new(const char *run_directory)
{
    struct bridges *bridges = calloc(1, sizeof *bridges);
    if (!bridges)
        return NULL;
    snprintf(bridges->run_directory, sizeof bridges->run_directory, "%s", run_directory);
    snprintf(bridges->mark, sizeof bridges->mark, "jitsud %016llx: ",
             (unsigned long long)message_digest(run_directory, strlen(run_directory)));
    return bridges;
}

void bridges_free(struct bridges *bridges)
{
    if (!bridges)
        return;
    netlink_close(bridges->netlink);
    free(bridges);
}

static int connect_kernel(struct bridges *bridges, struct error *error)
{
    if (!bridges->netlink)
        bridges->netlink = netlink_open(error);
    return bridges->netlink ? 0 : -1;
}

static bool is_ours(const struct bridges *bridges, const struct netlink_device *device)
{
    return strncmp(device->alias, bridges->mark, strlen(bridges->mark)) == 0;
}

/* "jitsud 0123456789abcdef: network lan: machine of www.example.org" */
static const char *make_alias(const struct bridges *bridges, const struct config_network *network,
                              const char *what, const char *of, char alias[NETLINK_ALIAS_SIZE])
{
    snprintf(alias, NETLINK_ALIAS_SIZE, "%snetwork %s: %s%s", bridges->mark, network->name, what,
             of);
    return alias;
}

static bool is_of_network(const struct bridges *bridges, const struct netlink_device *device,
                          const struct config_network *network)
{
    char alias[NETLINK_ALIAS_SIZE];
    make_alias(bridges, network, "", "", alias);
    return strncmp(device->alias, alias, strlen(alias)) == 0;
}

static bool is_our_port(const struct bridges *bridges, const struct netlink_device *device)
{
    return is_ours(bridges, device) && strncmp(device->name, PORT_PREFIX, strlen(PORT_PREFIX)) == 0;
}

static bool is_bridge(const struct netlink_device *device)
{
    return strcmp(device->kind, "bridge") == 0;
}

/* --- bridges --- */

static int add_gateway(struct bridges *bridges, unsigned index, const struct config_subnet *subnet,
                       struct error *error)
{
    if (!subnet->gateway.family)
        return 0;
    return netlink_add_address(bridges->netlink, index, &subnet->gateway, subnet->prefix.length,
                               error);
}

/* The host is the machines' gateway on a bridge that jitsud makes. Done again for one that it has
 * made before, as that may have been interrupted. */
static int set_up_bridge(struct bridges *bridges, const struct config_network *network,
                         unsigned index, struct error *error)
{
    struct netlink_change change = {.up = true};
    if (netlink_change(bridges->netlink, index, network->bridge, &change, error) != 0 ||
        add_gateway(bridges, index, &network->ipv4, error) != 0)
        return -1;
    return add_gateway(bridges, index, &network->ipv6, error);
}

static int make_bridge(struct bridges *bridges, const struct config_network *network,
                       struct error *error)
{
    char alias[NETLINK_ALIAS_SIZE];
    uint8_t mac[MAC_SIZE];
    device_bridge_mac(network->name, mac);
    make_alias(bridges, network, "bridge", "", alias);
    if (netlink_create_bridge(bridges->netlink, network->bridge, mac, alias, error) != 0)
        return -1;
    log_info("network %s: made bridge %s", network->name, network->bridge);
    return 0;
}

/* The network's bridge as it is, made if it may be. */
static int find_bridge(struct bridges *bridges, const struct config_network *network,
                       struct netlink_device *bridge, struct error *error)
{
    if (connect_kernel(bridges, error) != 0)
        return -1;
    int found = netlink_find(bridges->netlink, network->bridge, bridge, error);
    if (found == 0 && network->create) {
        if (make_bridge(bridges, network, error) != 0)
            return -1;
        found = netlink_find(bridges->netlink, network->bridge, bridge, error);
        if (found == 1 && set_up_bridge(bridges, network, bridge->index, error) != 0)
            return -1;
    }
    if (found == 0)
        return error_set(error, "there is no bridge %s", network->bridge);
    if (found == 1 && !is_bridge(bridge))
        return error_set(error, "%s is not a bridge", network->bridge);
    return found == 1 ? 0 : -1;
}

struct made_bridge {
    unsigned index;
    char name[IF_NAMESIZE];
    bool machines; /* one is attached, or something else that is not ours */
};

/* The bridges that this jitsud has made. */
struct made_bridges {
    const struct bridges *bridges;
    struct made_bridge *list;
    size_t count;
};

static void list_bridge(void *argument, const struct netlink_device *device)
{
    struct made_bridges *made = argument;
    if (!is_bridge(device) || !is_ours(made->bridges, device))
        return;
    struct made_bridge *list = reallocarray(made->list, made->count + 1, sizeof *list);
    if (!list)
        return; /* it stays for the next keeper */
    made->list = list;
    list[made->count] = (struct made_bridge){.index = device->index};
    memcpy(list[made->count++].name, device->name, IF_NAMESIZE);
}

static void mark_attached(void *argument, const struct netlink_device *device)
{
    const struct made_bridges *made = argument;
    bool is_port = is_our_port(made->bridges, device);
    for (size_t i = 0; i < made->count; i++)
        if (device->bridge == made->list[i].index && !is_port)
            made->list[i].machines = true;
}

static bool is_configured(const struct config *config, const char *bridge)
{
    for (size_t i = 0; config && i < config->network_count; i++) {
        const struct config_network *network = &config->networks[i];
        if (network->type == CONFIG_NETWORK_BRIDGE && strcmp(network->bridge, bridge) == 0)
            return true;
    }
    return false;
}

/* Those that `config` (NULL: none) does not name. */
static void remove_bridges(struct bridges *bridges, const struct config *config)
{
    struct error error;
    struct made_bridges made = {.bridges = bridges};
    if (netlink_list(bridges->netlink, list_bridge, &made, &error) != 0 ||
        (made.count > 0 && netlink_list(bridges->netlink, mark_attached, &made, &error) != 0)) {
        log_warning("%s: bridges that jitsud has made may be left", error.text);
        free(made.list);
        return;
    }
    for (size_t i = 0; i < made.count; i++) {
        const struct made_bridge *bridge = &made.list[i];
        if (is_configured(config, bridge->name))
            continue;
        if (bridge->machines)
            log_info("bridge %s stays, as something is attached to it", bridge->name);
        else if (netlink_delete(bridges->netlink, bridge->index, bridge->name, &error) != 0)
            log_warning("%s", error.text);
        else
            log_info("removed bridge %s, which jitsud had made", bridge->name);
    }
    free(made.list);
}

static void prepare_network(struct bridges *bridges, const struct config_network *network)
{
    struct error error;
    struct netlink_device bridge;
    bool good = bridges_check(network, &error) == 0;
    if (good && network->create)
        good = find_bridge(bridges, network, &bridge, &error) == 0 &&
               (!is_ours(bridges, &bridge) ||
                set_up_bridge(bridges, network, bridge.index, &error) == 0);
    if (!good)
        log_warning("network %s: %s; its machines cannot be reached until that is mended",
                    network->name, error.text);
}

void bridges_prepare(struct bridges *bridges, const struct config *config)
{
    struct error error;
    if (connect_kernel(bridges, &error) == 0)
        remove_bridges(bridges, config);
    for (size_t i = 0; i < config->network_count; i++)
        if (config->networks[i].type == CONFIG_NETWORK_BRIDGE)
            prepare_network(bridges, &config->networks[i]);
}

void bridges_remove(struct bridges *bridges)
{
    if (bridges->netlink)
        remove_bridges(bridges, NULL);
}

/* --- devices --- */

/* Only a device that this jitsud has made: not even a name makes one ours. */
static void remove_leftover(struct bridges *bridges, const char *name)
{
    struct error error;
    struct netlink_device device;
    if (netlink_find(bridges->netlink, name, &device, &error) != 1 || !is_ours(bridges, &device))
        return;
    log_info("network device %s is in use by what an earlier start left: removing it", name);
    if (netlink_delete(bridges->netlink, device.index, name, &error) != 0)
        log_warning("%s", error.text);
}

static int open_tap(struct bridges *bridges, const char *name, bool virtio_header,
                    struct error *error)
{
    int tap = tap_open(name, virtio_header, error);
    if (tap == -1 && errno == EBUSY) {
        remove_leftover(bridges, name);
        tap = tap_open(name, virtio_header, error);
    }
    return tap;
}

static unsigned index_of(const char *device, struct error *error)
{
    unsigned index = if_nametoindex(device);
    if (index == 0)
        error_set_errno(error, "network device %s", device);
    return index;
}

/* The host itself is never to speak through it. */
static int make_device(struct bridges *bridges, const char *name, bool virtio_header,
                       const struct netlink_change *change, struct error *error)
{
    int tap = open_tap(bridges, name, virtio_header, error);
    if (tap == -1)
        return -1;
    unsigned index = index_of(name, error);
    if (index && netlink_change(bridges->netlink, index, name, change, error) == 0)
        return tap;
    close(tap);
    return -1;
}

int bridges_open_port(struct bridges *bridges, const struct config_network *network,
                      struct error *error)
{
    char name[IF_NAMESIZE], alias[NETLINK_ALIAS_SIZE];
    uint8_t mac[MAC_SIZE];
    struct netlink_device bridge;

    if (find_bridge(bridges, network, &bridge, error) != 0)
        return -1;
    device_port_name(bridges->run_directory, network->name, name);
    device_port_host_mac(network->name, mac);
    /* Neighbour solicitations for machines that are off go to groups that nobody has joined. */
    struct netlink_change change = {.mac = mac,
                                    .mtu = bridge.mtu,
                                    .alias = make_alias(bridges, network, "port", "", alias),
                                    .without_ipv6 = true,
                                    .bridge = bridge.index,
                                    .all_multicast = true,
                                    .up = true};
    return make_device(bridges, name, false, &change, error);
}

int bridges_open_machine(struct bridges *bridges, const struct config_service *service,
                         const char *record, char device[IF_NAMESIZE], struct error *error)
{
    char alias[NETLINK_ALIAS_SIZE];
    uint8_t mac[MAC_SIZE];
    struct netlink_device bridge;

    if (find_bridge(bridges, service->network, &bridge, error) != 0)
        return -1;
    device_machine_name(bridges->run_directory, record, device);
    device_service_host_mac(service, mac);
    struct netlink_change change = {
        .mac = mac,
        .mtu = bridge.mtu,
        .alias = make_alias(bridges, service->network, "machine of ", service->name, alias),
        .without_ipv6 = true};
    return make_device(bridges, device, true, &change, error);
}

int bridges_attach(struct bridges *bridges, const struct config_network *network,
                   const char *device, struct error *error)
{
    struct netlink_device bridge;
    if (find_bridge(bridges, network, &bridge, error) != 0)
        return -1;
    struct netlink_change change = {.bridge = bridge.index, .up = true};
    unsigned index = index_of(device, error);
    return index ? netlink_change(bridges->netlink, index, device, &change, error) : -1;
}

int bridges_attach_vif(struct bridges *bridges, const struct config_network *network,
                       const char *service, const char *device, struct error *error)
{
    char alias[NETLINK_ALIAS_SIZE];
    struct netlink_device bridge;
    if (find_bridge(bridges, network, &bridge, error) != 0)
        return -1;
    struct netlink_change change = {.mtu = bridge.mtu,
                                    .alias =
                                        make_alias(bridges, network, "machine of ", service, alias),
                                    .without_ipv6 = true,
                                    .bridge = bridge.index,
                                    .up = true};
    unsigned index = index_of(device, error);
    return index ? netlink_change(bridges->netlink, index, device, &change, error) : -1;
}

static int switch_device(struct bridges *bridges, const char *device, bool up, struct error *error)
{
    struct netlink_change change = {.up = up, .down = !up};
    unsigned index = index_of(device, error);
    if (!index || connect_kernel(bridges, error) != 0)
        return -1;
    return netlink_change(bridges->netlink, index, device, &change, error);
}

int bridges_pause(struct bridges *bridges, const char *device, struct error *error)
{
    return switch_device(bridges, device, false, error);
}

int bridges_resume(struct bridges *bridges, const char *device, struct error *error)
{
    return switch_device(bridges, device, true, error);
}

void bridges_find_machine(const struct bridges *bridges, const char *record,
                          char device[IF_NAMESIZE])
{
    device_machine_name(bridges->run_directory, record, device);
    if (if_nametoindex(device) == 0)
        device[0] = '\0';
}

/* --- repairing --- */

int bridges_find(struct bridges *bridges, const struct config_network *network,
                 struct netlink_device *bridge)
{
    struct error error;
    if (connect_kernel(bridges, &error) != 0)
        return -1;
    return netlink_find(bridges->netlink, network->bridge, bridge, &error);
}

/* It is attached before it is switched on. */
static bool has_lost_bridge(const struct bridges *bridges, const struct netlink_device *device)
{
    return is_ours(bridges, device) && !is_bridge(device) && device->up && !device->bridge;
}

bool bridges_is_disturbed(const struct bridges *bridges, const struct netlink_device *device,
                          bool gone)
{
    return gone ? is_our_port(bridges, device) : has_lost_bridge(bridges, device);
}

/* Devices of a network that belong to no bridge. */
struct stray_devices {
    const struct bridges *bridges;
    const struct config_network *network;
    char (*names)[IF_NAMESIZE];
    size_t count;
};

static void list_stray(void *argument, const struct netlink_device *device)
{
    struct stray_devices *strays = argument;
    if (!has_lost_bridge(strays->bridges, device) ||
        !is_of_network(strays->bridges, device, strays->network))
        return;
    char(*names)[IF_NAMESIZE] = reallocarray(strays->names, strays->count + 1, sizeof *names);
    if (!names)
        return; /* it stays for the next time */
    strays->names = names;
    memcpy(names[strays->count++], device->name, IF_NAMESIZE);
}

static void attach_strays(struct bridges *bridges, const struct config_network *network)
{
    struct error error;
    struct stray_devices strays = {.bridges = bridges, .network = network};
    size_t attached = 0;
    if (netlink_list(bridges->netlink, list_stray, &strays, &error) != 0)
        log_warning("network %s: %s", network->name, error.text);
    for (size_t i = 0; i < strays.count; i++) {
        if (bridges_attach(bridges, network, strays.names[i], &error) == 0)
            attached++;
        else
            log_warning("network %s: %s: it cannot be reached by its bridge", network->name,
                        error.text);
    }
    if (attached > 0)
        log_info("network %s: %zu devices are attached to bridge %s again", network->name, attached,
                 network->bridge);
    free(strays.names);
}

static bool has_port(struct bridges *bridges, const struct config_network *network)
{
    struct error error;
    struct netlink_device device;
    char name[IF_NAMESIZE];
    device_port_name(bridges->run_directory, network->name, name);
    return netlink_find(bridges->netlink, name, &device, &error) != 0;
}

void bridges_repair(struct bridges *bridges, const struct config *config,
                    void (*missing)(void *argument, const char *network), void *argument)
{
    for (size_t i = 0; i < config->network_count; i++) {
        const struct config_network *network = &config->networks[i];
        struct error error;
        struct netlink_device bridge;
        if (network->type != CONFIG_NETWORK_BRIDGE ||
            find_bridge(bridges, network, &bridge, &error) != 0)
            continue;
        attach_strays(bridges, network);
        if (missing && !has_port(bridges, network))
            missing(argument, network->name);
    }
}

/* --- checking --- */

static bool may_change_networks(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    return syscall(SYS_capget, &header, data) == 0 && data[0].effective & (1u << CAP_NET_ADMIN);
}

static int check_bridge(const struct config_network *network, const struct netlink_device *bridge,
                        struct error *error)
{
    if (!is_bridge(bridge))
        return error_set(error,
                         "%s is not a bridge, but %s%s%s; name one, or choose a name that "
                         "is free and write 'create: yes'",
                         network->bridge, bridge->kind[0] ? "a device of kind '" : "hardware",
                         bridge->kind, bridge->kind[0] ? "'" : "");
    if (!bridge->up)
        return error_set(error, "bridge %s is down: ip link set %s up", network->bridge,
                         network->bridge);
    if (bridge->mtu < MACHINE_MTU)
        return error_set(error,
                         "bridge %s carries %u bytes a packet, and machines send %u: ip "
                         "link set %s mtu %u",
                         network->bridge, bridge->mtu, MACHINE_MTU, network->bridge, MACHINE_MTU);
    if (bridge->spanning_tree && bridge->forward_delay > 0)
        return error_set(error,
                         "bridge %s runs the spanning tree protocol, which keeps each machine from "
                         "the network for its first %u s: ip link set %s type bridge stp_state 0",
                         network->bridge, (unsigned)(2 * bridge->forward_delay / 100),
                         network->bridge);
    return 0;
}

int bridges_check(const struct config_network *network, struct error *error)
{
    struct netlink_device bridge;
    struct netlink *netlink = netlink_open(error);
    int found = netlink ? netlink_find(netlink, network->bridge, &bridge, error) : -1;
    netlink_close(netlink);
    if (found == -1 || (found == 1 && check_bridge(network, &bridge, error) != 0))
        return -1;
    if (found == 0 && !network->create)
        return error_set(error,
                         "there is no bridge %s: ip link add %s type bridge && ip link set %s up, "
                         "or write 'create: yes'",
                         network->bridge, network->bridge, network->bridge);
    if (access("/dev/net/tun", F_OK) != 0)
        return error_set_errno(error, "/dev/net/tun, which makes network devices");
    if (!may_change_networks())
        return error_set(error,
                         "attaching machines to bridge %s needs a jitsud that is started as "
                         "root (CAP_NET_ADMIN)",
                         network->bridge);
    return 0;
}
