#include "keeper/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TUN_DEVICE "/dev/net/tun"

int tap_open(const char *name, bool virtio_header, struct error *error)
{
    struct ifreq request = {0};
    int tap = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap == -1)
        return error_set_errno(error, "cannot open " TUN_DEVICE ", which makes network devices");
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    unsigned flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | (virtio_header ? IFF_VNET_HDR : 0);
    request.ifr_flags = (short)flags;
    if (ioctl(tap, TUNSETIFF, &request) == 0)
        return tap;
    int saved = errno;
    if (errno == EPERM)
        error_set(error,
                  "cannot make network device %s: jitsud lacks the privilege to "
                  "(CAP_NET_ADMIN): start it as root",
                  name);
    else
        error_set_errno(error, "cannot make network device %s", name);
    close(tap);
    errno = saved;
    return -1;
}
