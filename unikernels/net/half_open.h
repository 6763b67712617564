/* SYN cookies that the port has sent in the machine's stead. */
#ifndef JITSU_NET_HALF_OPEN_H
#define JITSU_NET_HALF_OPEN_H

#include "common/siphash.h"

/* They are made with that key and by the clock that shows `now`, nanoseconds, and good until it
 * shows `expires`. */
void half_open_agree(const struct siphash_key *key, uint64_t now, uint64_t expires);

#endif
