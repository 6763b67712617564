/* What the machine runs on. One image serves all: where they differ, this is what is asked. */
#ifndef JITSU_PVH_HYPERVISOR_H
#define JITSU_PVH_HYPERVISOR_H

#include <stdint.h>

enum hypervisor_kind {
    HYPERVISOR_OTHER, /* unknown, or none */
    HYPERVISOR_TCG,   /* QEMU's emulator */
    HYPERVISOR_KVM,
    HYPERVISOR_XEN,
};

struct hypervisor {
    enum hypervisor_kind kind;
    uint32_t
        last_leaf; /* of CPUID's leaves for hypervisors, from 0x40000000 on; 0: there are none */
};

/* Always the same answer; only the first call asks the processor. */
const struct hypervisor *hypervisor(void);

#endif
