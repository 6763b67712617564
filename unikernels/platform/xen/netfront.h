/* The first network interface. */
#ifndef JITSU_XEN_NETFRONT_H
#define JITSU_XEN_NETFRONT_H

#include <stdbool.h>
#include <stdint.h>

#define NETFRONT_PAGES 138u

struct network_device;

/* Tells its backend of it. `pages` are NETFRONT_PAGES of memory on page boundaries, which are its
 * own from here on. Returns false if there is no interface. */
bool netfront_begin(uint8_t *pages);

/* Waits until the backend is there, too. */
struct network_device *netfront_finish(void);

/* The machine was saved, and goes on in another domain: to be called in place of netfront_begin(),
 * and before netfront_finish(). What was under way is lost. */
bool netfront_begin_again(void);

/* Its event channel, or 0: there is none. */
uint32_t netfront_port(void);

#endif
