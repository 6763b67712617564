/* SYN cookies (RFC 4987, section 3.6): a sequence number for a SYN-ACK from which, when the client
 * acknowledges it, whoever has sent it sees that, without having kept anything. The port's are good
 * for its machine, too, which knows the key. */
#ifndef JITSU_COMMON_COOKIE_H
#define JITSU_COMMON_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/siphash.h"

struct cookie_flow {
    uint8_t client[16], machine[16];
    uint16_t client_port, machine_port;
    uint32_t client_first; /* the SYN's sequence number */
};

/* A cookie is good for at least one such time, and at most two. */
#define COOKIE_PERIOD (64 * UINT64_C(1000000000)) /* nanoseconds */
#define COOKIE_TIME   (2 * COOKIE_PERIOD)

/* `segment_max` is what the SYN said, 0 for nothing; `now` is of a clock that only goes on. */
uint32_t cookie_make(const struct siphash_key *key, const struct cookie_flow *flow,
                     uint16_t segment_max, uint64_t now);

/* Is it a cookie, and still good? Then `*segment_max` is what it was made with, or less. */
bool cookie_check(const struct siphash_key *key, const struct cookie_flow *flow, uint32_t cookie,
                  uint64_t now, uint16_t *segment_max);

#endif
