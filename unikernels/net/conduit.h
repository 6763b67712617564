/* The machine's end of the conduit (common/conduit.h), if the command line names a port. */
#ifndef JITSU_NET_CONDUIT_H
#define JITSU_NET_CONDUIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pbuf;

/* The application listens: says HELLO. Options: conduit=MAC token=HEX. Without the first the
 * functions here do nothing; a mistake in them ends the machine. */
void conduit_start(void);

/* Takes a frame of the conduit's EtherType that was sent to the machine. */
void conduit_receive(const uint8_t *frame, size_t length);

/* Any other frame has come: must it wait until its connection has been handed over? Then it is not
 * the caller's any more, and comes to network_input() later. */
bool conduit_keeps(struct pbuf *frame, bool checksum_good);

/* Does what is due. Returns when (clock_now()) to call again at the latest. Ends the machine when
 * it has stopped. */
uint64_t conduit_run(void);

#endif
