/* SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash whose results nobody can foresee who
 * does not know the key. For tables whose keys come from the network, SYN cookies and sequence
 * numbers. The unikernels use it, too. */
#ifndef JITSU_COMMON_SIPHASH_H
#define JITSU_COMMON_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t words[2];
};

uint64_t siphash(const struct siphash_key *key, const void *bytes, size_t length);

#endif
