/* The grant table: which pages another domain may use. Each user here has entries of its own, by
 * number. */
#ifndef JITSU_XEN_GRANTS_H
#define JITSU_XEN_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/xen/interface.h"

#define GRANTS_PAGES 1u
#define GRANTS_MAX   (GRANTS_PAGES * XEN_PAGE / sizeof(struct xen_grant))

/* Has Xen put the table where it is used. */
void grants_map(void);

/* Lets a domain use the page that `address` lies in, from now on. */
void grant(uint32_t number, uint16_t domain, const void *address, bool read_only);

/* Takes that back. Returns false, and does not, if the domain still has the page mapped. */
bool grant_end(uint32_t number);

#endif
