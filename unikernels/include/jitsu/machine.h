/* What the machine is. */
#ifndef JITSU_MACHINE_H
#define JITSU_MACHINE_H

/* The platform that the image was built for: "pvh" or "unix". */
const char *machine_platform(void);

/* What it runs on, for people: "QEMU (TCG)", "KVM", "Xen", "unknown"; on unix "Linux". */
const char *machine_hypervisor(void);

#endif
