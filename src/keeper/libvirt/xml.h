/* Descriptions of domains in libvirt's XML. Pure: no I/O. */
#ifndef JITSU_KEEPER_LIBVIRT_XML_H
#define JITSU_KEEPER_LIBVIRT_XML_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "config/config.h"
#include "keeper/device_name.h"
#include "keeper/image.h"

struct libvirt_xml {
    const char *uri; /* of the connection: which hypervisor it is for */
    const char *name;
    const uint8_t *uuid; /* 16 bytes */
    const struct config_service *service;
    const struct image *image; /* what its image was found to be; NULL: it has none */
    const char *kernel_line;
    bool kvm;            /* else QEMU's own emulation */
    const char *console; /* path of the socket that its console is to connect to; NULL: none */
    const char *device;  /* what its network device on the host is to be called; NULL: any */
    const bool *disk_is_block; /* of each disk of the service: is it a block device? */
};

/* The description of that machine, allocated; or NULL with the reason. */
char *libvirt_xml_make(const struct libvirt_xml *wanted, struct error *error);

/* The same from the operator's `template`, in which %{name} and so on are replaced. Its name and
 * UUID become those wanted. */
char *libvirt_xml_fill(const struct libvirt_xml *wanted, const char *template, struct error *error);

/* The network device in the host of the interface that has the MAC address `mac`, in the
 * description of a domain that runs; "" if none is known. */
void libvirt_xml_find_device(const char *description, const uint8_t mac[MAC_SIZE],
                             char device[IF_NAMESIZE]);

#endif
