/* Keys that nobody can foresee. */
#ifndef JITSU_HOLD_RANDOM_KEY_H
#define JITSU_HOLD_RANDOM_KEY_H

#include "common/siphash.h"

/* From the kernel's generator, which does not fail. */
struct siphash_key random_key(void);

#endif
