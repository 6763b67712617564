/* The facts for programs. unikernels/README says what the members mean. */
#ifndef JITSU_STATS_JSON_H
#define JITSU_STATS_JSON_H

#include "stats/facts.h"
#include "stats/text.h"

void json_write(struct text *text, const struct facts *facts);

#endif
