/* Connections that the application has let go of: what was written is still sent, then the end;
 * what the client still says is dropped, until it has ended its half too. Closed earlier, its
 * socket would answer that by a reset, which takes from the client what it has not read yet. */
#ifndef JITSU_PLATFORM_UNIX_LINGERING_H
#define JITSU_PLATFORM_UNIX_LINGERING_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/unix/outgoing.h"

/* Takes over a socket, which the poller watches already, and what it is still to send. `end_sent`:
 * it has been shut down; `client_ended`: the client's end has been read. */
void lingering_add(int socket, struct outgoing *outgoing, bool end_sent, bool client_ended);

/* Does what is to be done now. Returns when, by clock_now(), to do so again if nothing happens. */
uint64_t lingering_run(void);

/* From now on clients are not waited for for long. */
void lingering_hurry(void);

/* Ends all, by a reset where a client has not got everything. */
void lingering_cut(void);

bool lingering_is_over(void);

#endif
