/* Bridges come and go: a network's is removed and made again, or made at last. The watch follows
 * the kernel's notices, puts what has lost its bridge back, and says which network can have its
 * port. */
#ifndef JITSU_KEEPER_BRIDGE_WATCH_H
#define JITSU_KEEPER_BRIDGE_WATCH_H

#include "config/config.h"

struct bridges;
struct bridge_watch;
struct event_base;

/* The network has a bridge and no port: its port is to be asked for. */
typedef void bridge_watch_missing_function(void *argument, const char *network);

/* Follows nothing yet. NULL: memory is exhausted. */
struct bridge_watch *bridge_watch_new(struct event_base *base, struct bridges *bridges,
                                      bridge_watch_missing_function *missing, void *argument);

/* Follows the bridges of `config`, which must stay until this is called with another; puts what has
 * lost its bridge meanwhile back. To be called after bridges_prepare(). */
void bridge_watch_follow(struct bridge_watch *watch, const struct config *config);

void bridge_watch_free(struct bridge_watch *watch); /* NULL is allowed */

#endif
