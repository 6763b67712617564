/* Network devices, as the kernel is told and asked of them over rtnetlink (rtnetlink(7)): no ip(8),
 * no shell. Every call waits for the kernel's answer, which takes microseconds. */
#ifndef JITSU_KEEPER_NETLINK_H
#define JITSU_KEEPER_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"
#include "keeper/device_name.h"

#define NETLINK_ALIAS_SIZE 256

struct netlink; /* one socket */

/* A network device. */
struct netlink_device {
    unsigned index;
    unsigned mtu;
    unsigned bridge; /* index of the one it belongs to; 0: none */
    bool up;
    char name[IF_NAMESIZE];
    char kind[IF_NAMESIZE];         /* "bridge", "tun" for a TAP, ...; "" for most hardware */
    char alias[NETLINK_ALIAS_SIZE]; /* what it is for, in words; "" if nobody said so */
    bool spanning_tree;             /* a bridge's: it runs that protocol */
    uint32_t forward_delay;         /* a bridge's: hundredths of a second */
};

/* All that can be told to a device at once; what is 0 or NULL stays as it is. */
struct netlink_change {
    const uint8_t *mac;
    unsigned mtu;
    const char *alias;
    bool without_ipv6;  /* the kernel gives it no IPv6 address */
    unsigned bridge;    /* index of the one that it joins */
    bool all_multicast; /* in that bridge: it gets every multicast frame, whatever groups are known
                         */
    bool up, down;
};

/* NULL with the reason. Needs no privileges; changing anything does. */
struct netlink *netlink_open(struct error *error);
void netlink_close(struct netlink *netlink); /* NULL is allowed */

/* Finds the device of that name. 1; 0: there is none; -1 with the reason. */
int netlink_find(struct netlink *netlink, const char *name, struct netlink_device *device,
                 struct error *error);

/* Calls `function` for each device. 0, or -1 with the reason. */
typedef void netlink_device_function(void *argument, const struct netlink_device *device);
int netlink_list(struct netlink *netlink, netlink_device_function *function, void *argument,
                 struct error *error);

/* A socket of its own for what happens to devices; nothing is to be asked by it. NULL with the
 * reason. */
struct netlink *netlink_open_changes(struct error *error);
int netlink_descriptor(const struct netlink *netlink); /* readable: something has happened */

/* Calls `function` for each device that was made or changed, or is gone. 0; 1 if there was too much
 * to keep, so that something is not told; -1 with the reason. */
typedef void netlink_change_function(void *argument, const struct netlink_device *device,
                                     bool gone);
int netlink_read_changes(struct netlink *netlink, netlink_change_function *function, void *argument,
                         struct error *error);

/* The rest return 0, or -1 with the reason and errno. */

/* Makes an empty bridge with that MAC address, which it keeps whatever joins it; it is down. */
int netlink_create_bridge(struct netlink *netlink, const char *name, const uint8_t mac[MAC_SIZE],
                          const char *alias, struct error *error);

/* Changes a device; `name` is for messages. */
int netlink_change(struct netlink *netlink, unsigned index, const char *name,
                   const struct netlink_change *change, struct error *error);

/* Gives it an address with its prefix's length; one that it has already is no error. An IPv6
 * address is usable at once: nobody is asked whether it is in use. */
int netlink_add_address(struct netlink *netlink, unsigned index, const struct address *address,
                        uint8_t length, struct error *error);

int netlink_delete(struct netlink *netlink, unsigned index, const char *name, struct error *error);

#endif
