/* TAP devices: an Ethernet port of the host whose wire ends in a descriptor. */
#ifndef JITSU_KEEPER_TAP_H
#define JITSU_KEEPER_TAP_H

#include <stdbool.h>

#include "common/error.h"

/* Makes the TAP device `name`, which must not exist, down and attached to nothing. It vanishes with
 * the last copy of the descriptor, whoever holds that and however they end. With `virtio_header`
 * each frame is preceded by a struct virtio_net_hdr, as a virtual machine's device wants.
 * Returns the descriptor, non-blocking and close-on-exec; or -1 with the reason and errno (EBUSY:
 * there is a device of that name). */
int tap_open(const char *name, bool virtio_header, struct error *error);

#endif
