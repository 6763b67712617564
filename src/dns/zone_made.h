/* The records of a zone without a file, made from the configuration. */
#ifndef JITSU_DNS_ZONE_MADE_H
#define JITSU_DNS_ZONE_MADE_H

#include "dns/draft.h"

/* Adds SOA and NS at the top of config->zones[zone], and the name server's addresses. See
 * dns_table_build() for what they are. */
void zone_made_add(struct draft *draft, uint32_t zone);

#endif
