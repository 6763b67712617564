/* The boot module: a file that was given to the machine beside its kernel (a ramdisk). */
#ifndef JITSU_MODULE_H
#define JITSU_MODULE_H

#include <stddef.h>
#include <stdint.h>

struct boot_module {
    const uint8_t *bytes; /* NULL: there is none; else it stays as it is while the machine runs */
    size_t length;
};

struct boot_module boot_module(void);

#endif
