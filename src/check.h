/* jitsud -t: is the configuration, with everything that it names, fit to be served? */
#ifndef JITSU_CHECK_H
#define JITSU_CHECK_H

#include <stdbool.h>
#include <stdio.h>

#include "config/config.h"

/* Compiles the zones and looks at each bridge, image and ramdisk. Problems go to `problems`, one a
 * line, the verdict to `verdict`. A missing image or bridge is a warning only: the other services
 * would still be served. */
bool check_configuration(const struct config *config, FILE *verdict, FILE *problems);

#endif
