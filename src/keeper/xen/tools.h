/* A connection to Xen's toolstack, libxenlight. What that prints goes to the log. */
#ifndef JITSU_KEEPER_XEN_TOOLS_H
#define JITSU_KEEPER_XEN_TOOLS_H

#include <libxl.h>

#include "common/error.h"

/* Of one thread, and of what it has said last. */
struct xen_tools;

/* NULL with the reason: this is no dom0 of a running Xen, for one. */
struct xen_tools *xen_tools_open(struct error *error);
void xen_tools_close(struct xen_tools *tools); /* NULL is allowed */
libxl_ctx *xen_tools_context(const struct xen_tools *tools);

/* Sets "WHAT: what the toolstack complained of first since the last call", and returns -1. */
int xen_tools_explain(struct xen_tools *tools, struct error *error, const char *what);

#endif
