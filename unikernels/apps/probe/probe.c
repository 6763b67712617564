/* The smallest image that needs of a hypervisor what real images need: long mode and paging (to get
 * here at all), the SSE state, a timer's interrupt, and waking up from a halt. Whoever starts it
 * and reads "jitsu: ready" within a moment knows that this hypervisor runs images. */
#include <stdint.h>

#include "jitsu/application.h"
#include "jitsu/clock.h"
#include "jitsu/console.h"

#define ROUND_UP   0x5f80u /* SSE state: all exceptions masked, round towards plus infinity ... */
#define ROUND_DOWN 0x3f80u /* ... and minus infinity */
#define NAP        (2 * CLOCK_MILLISECOND)

/* A third, with the SSE state `state`. */
static float third(uint32_t state)
{
    uint32_t usual;
    float result = 1.0f;
    const float three = 3.0f;

    __asm__ volatile("stmxcsr %0" : "=m"(usual));
    __asm__ volatile("ldmxcsr %2; divss %3, %0; ldmxcsr %1"
                     : "+x"(result)
                     : "m"(usual), "m"(state), "x"(three));
    return result;
}

void application_main(void)
{
    if (!(third(ROUND_UP) > third(ROUND_DOWN)))
        application_fail("the processor does not heed its SSE state");
    clock_sleep_until(clock_now() + NAP);
    console_print("jitsu: ready\n");
}
