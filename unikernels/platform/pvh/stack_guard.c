/* What the compiler's checks of the stack (-fstack-protector) want: a value that lies between a
 * function's buffers and its return address, and what to do when it has changed. */
#include <stdint.h>

#include "platform/platform.h"
#include "platform/pvh/machine.h"

uintptr_t __stack_chk_guard = 0x595e9fbd94fda766;
_Noreturn void __stack_chk_fail(void);

void stack_guard_start(void)
{
    /* A byte of zero ends a string that runs into it. */
    __stack_chk_guard = platform_random() << 8;
}

_Noreturn void __stack_chk_fail(void)
{
    platform_fatal("a function's buffer on the stack was overrun");
}
