/* The phases of the boot (jitsu/boot.h), for whoever runs the machine. */
#ifndef JITSU_PLATFORM_BOOT_H
#define JITSU_PLATFORM_BOOT_H

/* Tells the console of them, if the option `phases` asks for it. */
void boot_report(void);

#endif
