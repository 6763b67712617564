/* Calls of the hypervisor. */
#ifndef JITSU_XEN_HYPERCALL_H
#define JITSU_XEN_HYPERCALL_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/xen/interface.h"

/* Which instruction the processor has for it: VMMCALL (AMD and Hygon) or VMCALL. */
extern bool hypercall_is_vmmcall;

#define HYPERCALL_SPOILS "rdx", "r8", "r10", "memory"

/* Hypercall `number`, whose command is `command` and which takes the structure at `argument`.
 * Returns what Xen says: negative is an error (-errno of Xen's). */
static inline long hypercall(unsigned long number, unsigned long command, void *argument)
{
    long result = (long)number;

    if (hypercall_is_vmmcall)
        __asm__ volatile("vmmcall"
                         : "+a"(result), "+D"(command), "+S"(argument)
                         :
                         : HYPERCALL_SPOILS);
    else
        __asm__ volatile("vmcall"
                         : "+a"(result), "+D"(command), "+S"(argument)
                         :
                         : HYPERCALL_SPOILS);
    return result;
}

#endif
