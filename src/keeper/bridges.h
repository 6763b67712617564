/* Bridge networks on the host: the bridges, jitsud's port on each, and the machines' TAP devices.
 *
 * A TAP device lives as long as a descriptor of it is open: a machine's as long as its QEMU, the
 * port's as long as the front. So none outlives a crash, whoever crashes, and a restarted keeper
 * finds a running machine attached as it was. A bridge that jitsud has made stays while a machine
 * is attached to it; it is known again by its alias, which names the run directory, and is removed
 * by the first keeper that ends, or begins without it in the configuration, when no machine is. */
#ifndef JITSU_KEEPER_BRIDGES_H
#define JITSU_KEEPER_BRIDGES_H

#include <net/if.h>

#include "common/error.h"
#include "config/config.h"

struct bridges;

/* For the jitsud of that run directory. Does nothing yet. NULL: memory is exhausted. */
struct bridges *bridges_new(const char *run_directory);

/* At the start and at a reload: makes the bridges of `config` that are missing and are to be made,
 * removes those that were made for an earlier configuration, and logs why a network cannot work. */
void bridges_prepare(struct bridges *bridges, const struct config *config);

/* Makes jitsud's port on the network, up and attached, in place of what an earlier front may still
 * hold. Returns the descriptor, non-blocking, without virtio header; or -1 with the reason. */
int bridges_open_port(struct bridges *bridges, const struct config_network *network,
                      struct error *error);

/* Makes the TAP device, called `device`, for the machine of `service` with the record directory
 * `record`: not attached, so that nothing piles up in it before the machine runs. Returns the
 * descriptor, which QEMU is to inherit; or -1 with the reason. */
int bridges_open_machine(struct bridges *bridges, const struct config_service *service,
                         const char *record, char device[IF_NAMESIZE], struct error *error);

/* Attaches a machine's device to the bridge of its network. Returns 0, or -1 with the reason. */
int bridges_attach(struct bridges *bridges, const struct config_network *network,
                   const char *device, struct error *error);

/* Attaches `device`, which somebody else has made for the machine of `service`, such as Xen's, and
 * sets it up like one of ours. Returns 0, or -1 with the reason. */
int bridges_attach_vif(struct bridges *bridges, const struct config_network *network,
                       const char *service, const char *device, struct error *error);

/* While a machine is suspended the bridge sends nothing into its device, nor believes that its MAC
 * address is there. Returns 0, or -1 with the reason. */
int bridges_pause(struct bridges *bridges, const char *device, struct error *error);
int bridges_resume(struct bridges *bridges, const char *device, struct error *error);

/* The device of a machine that runs already; "" if it has none, for it is on a user network. */
void bridges_find_machine(const struct bridges *bridges, const char *record,
                          char device[IF_NAMESIZE]);

/* The network's bridge: 1; 0: there is none; -1: that cannot be told. */
struct netlink_device;
int bridges_find(struct bridges *bridges, const struct config_network *network,
                 struct netlink_device *bridge);

/* Is that device one that has lost its bridge, or a port that is gone? */
bool bridges_is_disturbed(const struct bridges *bridges, const struct netlink_device *device,
                          bool gone);

/* Attaches what has lost its bridge to it again, and makes the bridges that are missing and are to
 * be made; calls `missing`, if it is not NULL, for each network with a bridge and without a port.
 */
void bridges_repair(struct bridges *bridges, const struct config *config,
                    void (*missing)(void *argument, const char *network), void *argument);

/* jitsud ends: removes the bridges that it has made and that no machine is attached to. */
void bridges_remove(struct bridges *bridges);

void bridges_free(struct bridges *bridges); /* NULL is allowed */

/* Looks whether machines can be attached to that network by a process such as this one. Changes
 * nothing. Returns 0, or -1 with what is in the way and what to do about it. */
int bridges_check(const struct config_network *network, struct error *error);

#endif
