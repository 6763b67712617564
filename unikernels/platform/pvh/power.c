/* The ends of a machine that is a PC.
 *
 * QEMU's isa-debug-exit device at port 0x501 makes QEMU exit at once with the status (value << 1 |
 * 1); where it is missing the write does nothing, and the processor is made to reset by a triple
 * fault, which ends a QEMU that runs with -no-reboot. A machine that is done does only the latter:
 * QEMU's status is 0 then. */
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"

#define DEBUG_EXIT_PORT  0x501
#define DEBUG_EXIT_FATAL 0x10 /* QEMU's status 33 */

_Noreturn void pc_power_off(enum power_off reason)
{
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) no_interrupts = {0, 0};

    interrupts_off();
    if (reason == POWER_OFF_FATAL)
        port_write8(DEBUG_EXIT_PORT, DEBUG_EXIT_FATAL);
    __asm__ volatile("lidt %0; ud2" : : "m"(no_interrupts));
    __builtin_unreachable();
}
