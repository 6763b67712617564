/* What a platform gives to unikernels/net and unikernels/libc. Applications do not see it: theirs
 * is unikernels/include. Each folder beside this file implements all of it. */
#ifndef JITSU_PLATFORM_PLATFORM_H
#define JITSU_PLATFORM_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct network_device;

/* The machine's network device, set up and ready to send and receive; NULL if it has none. */
struct network_device *platform_network_device(void);

/* Sleeps until an interrupt comes, at the latest until clock_now() is `deadline` (nanoseconds).
 * `may_sleep` (or NULL) is called with interrupts held back, right before: if it returns false,
 * because there is something to do already, there is no sleep. May return early. */
void platform_wait(uint64_t deadline, bool (*may_sleep)(void *argument), void *argument);

/* The clock's counter, from the first moment of the machine on; and what clock_now() was when it
 * read `stamp`. Reading it costs next to nothing; the first call of the other may have to find out
 * how fast it counts. */
uint64_t platform_stamp(void);
uint64_t platform_stamp_time(uint64_t stamp);

/* Fills `buffer` with numbers that nobody can guess, from the processor or the host. Returns
 * `size`, or 0 if there is no such source. */
size_t platform_entropy(void *buffer, size_t size);

/* A number that nobody outside can guess where the processor has a source of such numbers or the
 * command line gives a token, and that differs from boot to boot in any case. */
uint64_t platform_random(void);

/* Writes "jitsu: fatal: REASON" to the console and ends the machine with a failure. */
_Noreturn void platform_fatal(const char *reason);

#endif
