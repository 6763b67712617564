/* The facts for people: one page of HTML that needs nothing else. */
#ifndef JITSU_STATS_PAGE_H
#define JITSU_STATS_PAGE_H

#include "stats/facts.h"
#include "stats/text.h"

void page_write(struct text *text, const struct facts *facts);

#endif
