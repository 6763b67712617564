/* From a draft to the table that answers. */
#ifndef JITSU_DNS_COMPILE_H
#define JITSU_DNS_COMPILE_H

#include "dns/draft.h"
#include "dns/table.h"

/* Compiles a draft in which all is decided: each name below a delegation is marked as occluded,
 * each other one's parents up to its apex are there. NULL if something does not fit into a response
 * or memory is exhausted (reported). */
struct dns_table *table_compile(struct draft *draft);

#endif
