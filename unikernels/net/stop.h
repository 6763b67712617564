/* How the machine finishes: it accepts no more connections, lets those that are open end with what
 * they are doing, and resets what is left at a deadline. */
#ifndef JITSU_NET_STOP_H
#define JITSU_NET_STOP_H

#include <stdbool.h>
#include <stdint.h>

/* Begins. `deadline` is of clock_now(); when called again, the earlier one counts. */
void stop_begin(uint64_t deadline);

/* Has it begun? */
bool stop_is_under_way(void);

/* Is it over: has every client got everything, and acknowledged it, or been reset? */
bool stop_is_done(void);

/* Looks after it. Returns when to call again at the latest. */
uint64_t stop_run(uint64_t now);

/* How many connections were reset at the deadline. */
uint32_t stop_cut(void);

#endif
