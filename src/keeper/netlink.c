#include "keeper/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's largest part of a list. */
#define ANSWER_SIZE 32768
/* More than the longest request: an alias and a few numbers. */
#define REQUEST_SIZE 1024

struct netlink {
    struct mnl_socket *socket;
    uint32_t sequence;
    char answer[ANSWER_SIZE];
    union {
        char bytes[REQUEST_SIZE];
        struct nlmsghdr header; /* for the alignment */
    } request;
};

static struct netlink *open_socket(unsigned groups, int flags, struct error *error)
{
    struct netlink *netlink = calloc(1, sizeof *netlink);
    if (!netlink) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    netlink->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
    if (netlink->socket && mnl_socket_bind(netlink->socket, groups, MNL_SOCKET_AUTOPID) == 0)
        return netlink;
    error_set_errno(error, "cannot talk to the kernel about network devices");
    netlink_close(netlink);
    return NULL;
}

struct netlink *netlink_open(struct error *error)
{
    return open_socket(0, 0, error);
}

struct netlink *netlink_open_changes(struct error *error)
{
    return open_socket(RTMGRP_LINK, SOCK_NONBLOCK, error);
}

int netlink_descriptor(const struct netlink *netlink)
{
    return mnl_socket_get_fd(netlink->socket);
}

void netlink_close(struct netlink *netlink)
{
    if (netlink && netlink->socket)
        mnl_socket_close(netlink->socket);
    free(netlink);
}

/* --- requests --- */

static struct nlmsghdr *begin_request(struct netlink *netlink, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(netlink->request.bytes);
    header->nlmsg_type = type;
    header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    header->nlmsg_seq = ++netlink->sequence;
    return header;
}

static struct nlmsghdr *begin_link_request(struct netlink *netlink, uint16_t type, uint16_t flags,
                                           unsigned index)
{
    struct nlmsghdr *header = begin_request(netlink, type, flags);
    struct ifinfomsg *link = mnl_nlmsg_put_extra_header(header, sizeof *link);
    link->ifi_family = AF_UNSPEC;
    link->ifi_index = (int)index;
    return header;
}

/* Sends the request and takes the answer to its end. Returns 0, or -1 with errno. */
static int ask(struct netlink *netlink, const struct nlmsghdr *request, mnl_cb_t take,
               void *argument)
{
    unsigned port = mnl_socket_get_portid(netlink->socket);
    if (mnl_socket_sendto(netlink->socket, request, request->nlmsg_len) == -1)
        return -1;
    for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
        ssize_t length = mnl_socket_recvfrom(netlink->socket, netlink->answer, ANSWER_SIZE);
        if (length == -1 && errno == EINTR)
            continue;
        if (length == -1)
            return -1;
        more =
            mnl_cb_run(netlink->answer, (size_t)length, request->nlmsg_seq, port, take, argument);
        if (more == -1 && errno == EPROTO)
            more = MNL_CB_OK; /* of an earlier request, which failed before its end */
        else if (more == -1)
            return -1;
    }
    return 0;
}

static int explain(struct error *error, const char *what, const char *name)
{
    if (errno == EPERM) {
        error_set(error,
                  "cannot %s %s: jitsud lacks the privilege to (CAP_NET_ADMIN): start it "
                  "as root",
                  what, name);
        errno = EPERM;
        return -1;
    }
    return error_set_errno(error, "cannot %s %s", what, name);
}

/* --- what the kernel tells of a device --- */

static bool is_number(const struct nlattr *attribute)
{
    return mnl_attr_validate(attribute, MNL_TYPE_U32) == 0;
}

static void take_text(const struct nlattr *attribute, char *text, size_t size)
{
    if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
        snprintf(text, size, "%s", mnl_attr_get_str(attribute));
}

static int take_of_bridge(const struct nlattr *attribute, void *argument)
{
    struct netlink_device *device = argument;
    if (!is_number(attribute))
        return MNL_CB_OK;
    if (mnl_attr_get_type(attribute) == IFLA_BR_STP_STATE)
        device->spanning_tree = mnl_attr_get_u32(attribute) != 0;
    else if (mnl_attr_get_type(attribute) == IFLA_BR_FORWARD_DELAY)
        device->forward_delay = mnl_attr_get_u32(attribute);
    return MNL_CB_OK;
}

static int take_of_kind(const struct nlattr *attribute, void *argument)
{
    struct netlink_device *device = argument;
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND)
        take_text(attribute, device->kind, sizeof device->kind);
    else if (mnl_attr_get_type(attribute) == IFLA_INFO_DATA && strcmp(device->kind, "bridge") == 0)
        mnl_attr_parse_nested(attribute, take_of_bridge, device);
    return MNL_CB_OK;
}

static int take_of_device(const struct nlattr *attribute, void *argument)
{
    struct netlink_device *device = argument;
    switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
        take_text(attribute, device->name, sizeof device->name);
        break;
    case IFLA_IFALIAS:
        take_text(attribute, device->alias, sizeof device->alias);
        break;
    case IFLA_MTU:
        device->mtu = is_number(attribute) ? mnl_attr_get_u32(attribute) : 0;
        break;
    case IFLA_MASTER:
        device->bridge = is_number(attribute) ? mnl_attr_get_u32(attribute) : 0;
        break;
    case IFLA_LINKINFO:
        mnl_attr_parse_nested(attribute, take_of_kind, device);
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

static int take_device(const struct nlmsghdr *message, struct netlink_device *device)
{
    const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);
    if ((message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) ||
        mnl_nlmsg_get_payload_len(message) < sizeof *link || link->ifi_family != AF_UNSPEC)
        return -1;
    *device =
        (struct netlink_device){.index = (unsigned)link->ifi_index, .up = link->ifi_flags & IFF_UP};
    mnl_attr_parse(message, sizeof *link, take_of_device, device);
    return 0;
}

static int take_one(const struct nlmsghdr *message, void *argument)
{
    take_device(message, argument);
    return MNL_CB_OK;
}

int netlink_find(struct netlink *netlink, const char *name, struct netlink_device *device,
                 struct error *error)
{
    *device = (struct netlink_device){0};
    if (strlen(name) >= IF_NAMESIZE)
        return 0;
    struct nlmsghdr *request = begin_link_request(netlink, RTM_GETLINK, 0, 0);
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    if (ask(netlink, request, take_one, device) == 0)
        return device->index ? 1 : 0;
    return errno == ENODEV ? 0 : explain(error, "look at network device", name);
}

struct listing {
    netlink_device_function *function;
    void *argument;
};

static int take_each(const struct nlmsghdr *message, void *argument)
{
    const struct listing *listing = argument;
    struct netlink_device device;
    if (take_device(message, &device) == 0)
        listing->function(listing->argument, &device);
    return MNL_CB_OK;
}

int netlink_list(struct netlink *netlink, netlink_device_function *function, void *argument,
                 struct error *error)
{
    struct listing listing = {function, argument};
    struct nlmsghdr *request = begin_link_request(netlink, RTM_GETLINK, NLM_F_DUMP, 0);
    if (ask(netlink, request, take_each, &listing) != 0)
        return error_set_errno(error, "cannot list the network devices");
    return 0;
}

/* --- what happens to them --- */

struct following {
    netlink_change_function *function;
    void *argument;
};

static int take_change(const struct nlmsghdr *message, void *argument)
{
    const struct following *following = argument;
    struct netlink_device device;
    if (take_device(message, &device) == 0)
        following->function(following->argument, &device, message->nlmsg_type == RTM_DELLINK);
    return MNL_CB_OK;
}

int netlink_read_changes(struct netlink *netlink, netlink_change_function *function, void *argument,
                         struct error *error)
{
    struct following following = {function, argument};
    for (bool missed = false;;) {
        ssize_t length = mnl_socket_recvfrom(netlink->socket, netlink->answer, ANSWER_SIZE);
        if (length >= 0)
            mnl_cb_run(netlink->answer, (size_t)length, 0, 0, take_change, &following);
        else if (errno == EAGAIN)
            return missed;
        else if (errno == ENOBUFS)
            missed = true;
        else if (errno != EINTR)
            return error_set_errno(error, "cannot follow what happens to network devices");
    }
}

/* --- changes --- */

int netlink_create_bridge(struct netlink *netlink, const char *name, const uint8_t mac[MAC_SIZE],
                          const char *alias, struct error *error)
{
    struct nlmsghdr *request =
        begin_link_request(netlink, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
    mnl_attr_put_strz(request, IFLA_IFNAME, name);
    mnl_attr_put(request, IFLA_ADDRESS, MAC_SIZE, mac);
    struct nlattr *information = mnl_attr_nest_start(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request, IFLA_INFO_KIND, "bridge");
    mnl_attr_nest_end(request, information);
    if (ask(netlink, request, NULL, NULL) != 0)
        return explain(error, "make bridge", name);

    /* Only an existing device takes it. */
    struct netlink_device bridge;
    struct netlink_change change = {.alias = alias};
    if (netlink_find(netlink, name, &bridge, error) != 1)
        return error_set(error, "bridge %s vanished while it was made", name);
    return netlink_change(netlink, bridge.index, name, &change, error);
}

static void put_without_ipv6(struct nlmsghdr *request)
{
    struct nlattr *families = mnl_attr_nest_start(request, IFLA_AF_SPEC);
    struct nlattr *ipv6 = mnl_attr_nest_start(request, AF_INET6);
    mnl_attr_put_u8(request, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(request, ipv6);
    mnl_attr_nest_end(request, families);
}

static void put_all_multicast(struct nlmsghdr *request)
{
    struct nlattr *information = mnl_attr_nest_start(request, IFLA_LINKINFO);
    mnl_attr_put_strz(request, IFLA_INFO_SLAVE_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(request, IFLA_INFO_SLAVE_DATA);
    mnl_attr_put_u8(request, IFLA_BRPORT_MULTICAST_ROUTER, MDB_RTR_TYPE_PERM);
    mnl_attr_nest_end(request, data);
    mnl_attr_nest_end(request, information);
}

/* Each of the following is a request of its own, as it presupposes those before it, and as kernels
 * may be built without what the special ones are about: then there is nothing to be told. */
static int change_values(struct netlink *netlink, unsigned index,
                         const struct netlink_change *change)
{
    struct nlmsghdr *request = begin_link_request(netlink, RTM_NEWLINK, 0, index);
    if (change->mac)
        mnl_attr_put(request, IFLA_ADDRESS, MAC_SIZE, change->mac);
    if (change->mtu)
        mnl_attr_put_u32(request, IFLA_MTU, change->mtu);
    if (change->alias)
        mnl_attr_put(request, IFLA_IFALIAS, strnlen(change->alias, NETLINK_ALIAS_SIZE - 1),
                     change->alias);
    if (change->bridge)
        mnl_attr_put_u32(request, IFLA_MASTER, change->bridge);
    return ask(netlink, request, NULL, NULL);
}

static int change_ipv6(struct netlink *netlink, unsigned index)
{
    struct nlmsghdr *request = begin_link_request(netlink, RTM_NEWLINK, 0, index);
    put_without_ipv6(request);
    if (ask(netlink, request, NULL, NULL) == 0 || errno == EAFNOSUPPORT || errno == EOPNOTSUPP)
        return 0;
    return -1;
}

static int change_multicast(struct netlink *netlink, unsigned index)
{
    struct nlmsghdr *request = begin_link_request(netlink, RTM_NEWLINK, 0, index);
    put_all_multicast(request);
    if (ask(netlink, request, NULL, NULL) == 0 || errno == EOPNOTSUPP || errno == EINVAL)
        return 0;
    return -1;
}

static int change_state(struct netlink *netlink, unsigned index, bool up)
{
    struct nlmsghdr *request = begin_link_request(netlink, RTM_NEWLINK, 0, index);
    struct ifinfomsg *link = mnl_nlmsg_get_payload(request);
    link->ifi_change = IFF_UP;
    link->ifi_flags = up ? IFF_UP : 0;
    return ask(netlink, request, NULL, NULL);
}

int netlink_change(struct netlink *netlink, unsigned index, const char *name,
                   const struct netlink_change *change, struct error *error)
{
    bool values = change->mac || change->mtu || change->alias || change->bridge;
    if ((values && change_values(netlink, index, change) != 0) ||
        (change->without_ipv6 && change_ipv6(netlink, index) != 0) ||
        (change->all_multicast && change_multicast(netlink, index) != 0) ||
        ((change->up || change->down) && change_state(netlink, index, change->up) != 0))
        return explain(error, "set up network device", name);
    return 0;
}

int netlink_add_address(struct netlink *netlink, unsigned index, const struct address *address,
                        uint8_t length, struct error *error)
{
    char text[ADDRESS_TEXT_SIZE];
    size_t size = address->family == AF_INET ? 4 : 16;
    struct nlmsghdr *request = begin_request(netlink, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg *message = mnl_nlmsg_put_extra_header(request, sizeof *message);
    message->ifa_family = address->family;
    message->ifa_prefixlen = length;
    message->ifa_index = index;
    message->ifa_flags = address->family == AF_INET6 ? IFA_F_NODAD : 0;
    mnl_attr_put(request, IFA_LOCAL, size, address->bytes);
    mnl_attr_put(request, IFA_ADDRESS, size, address->bytes);
    if (ask(netlink, request, NULL, NULL) == 0 || errno == EEXIST)
        return 0;
    return explain(error, "set address", address_format(address, text));
}

int netlink_delete(struct netlink *netlink, unsigned index, const char *name, struct error *error)
{
    const struct nlmsghdr *request = begin_link_request(netlink, RTM_DELLINK, 0, index);
    if (ask(netlink, request, NULL, NULL) != 0)
        return explain(error, "remove network device", name);
    return 0;
}
