/* Xenstore, on the keeper's event loop: reading, and watching for changes. Xenstored is a daemon of
 * the same host that answers at once. */
#ifndef JITSU_KEEPER_XEN_STORE_H
#define JITSU_KEEPER_XEN_STORE_H

#include <event2/event.h>
#include <stddef.h>

#include "common/error.h"

#define XEN_STORE_VALUE_SIZE 256

struct xen_store;
struct xen_watch;

/* NULL with the reason. */
struct xen_store *xen_store_open(struct event_base *base, struct error *error);

/* All watches must have been ended. */
void xen_store_close(struct xen_store *store); /* NULL is allowed */

/* Calls `changed` whenever `path` or something below it has changed, and once at the beginning,
 * always from the loop, never from within this call. NULL with the reason. `changed` may end this
 * watch or others. */
typedef void xen_store_function(void *argument);
struct xen_watch *xen_store_watch(struct xen_store *store, const char *path,
                                  xen_store_function *changed, void *argument, struct error *error);
void xen_store_unwatch(struct xen_watch *watch); /* NULL is allowed */

/* The value at `path`, cut to fit, in `value`: "" if there is none. */
void xen_store_read(struct xen_store *store, const char *path, char value[XEN_STORE_VALUE_SIZE]);

/* Returns 0, or -1 with the reason. */
int xen_store_write(struct xen_store *store, const char *path, const char *value,
                    struct error *error);

#endif
