/* The first virtio network device. */
#ifndef JITSU_PVH_VIRTIO_NET_H
#define JITSU_PVH_VIRTIO_NET_H

struct network_device;

/* platform_network_device() of platform.h. */
struct network_device *virtio_network_device(void);

#endif
