/* What can be said before a Xen machine is started. */
#ifndef JITSU_KEEPER_XEN_CHECK_H
#define JITSU_KEEPER_XEN_CHECK_H

#include "common/error.h"
#include "config/config.h"

/* Can a process such as this one make Xen's domains here? 0, or -1 with what is in the way. */
int xen_check_host(struct error *error);

/* Reads the service's xl.cfg, and calls `report` for each error in it, as for those of the
 * configuration. 0, or -1: there are some. */
int xen_check_file(const struct config_service *service, config_error_function *report,
                   void *argument);

#endif
