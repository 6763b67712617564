/* Segments that come to the machine before it has been given their connections, while the port
 * hands these over: they wait, so that their clients need not send them again. What came before
 * them is with the port, which passes it on when it has heard that the machine has the connection:
 * until then they wait, too. */
#ifndef JITSU_NET_EARLY_H
#define JITSU_NET_EARLY_H

#include <stdbool.h>

#include "net/connections.h"

struct pbuf;

/* A frame has come, not from the port, while connections are handed over. Returns whether it waits,
 * and is not the caller's any more; `checksum_good` is for network_input(). */
bool early_keep(struct pbuf *frame, bool checksum_good);

/* The machine has that connection now; the port does not know yet. */
void early_taken(const struct ends *ends);

/* The port has passed on what it had of the connections taken: their segments go to lwIP. */
void early_release(void);

/* All are handed over: everything goes to lwIP. */
void early_release_all(void);

#endif
