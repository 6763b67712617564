/* Reading a zone file (RFC 1035, 5) into a draft. Records are parsed by ldns, which knows all types
 * and the unknown ones (RFC 3597); $ORIGIN and $TTL are understood, $INCLUDE and DNAME are not. */
#ifndef JITSU_DNS_ZONE_FILE_H
#define JITSU_DNS_ZONE_FILE_H

#include "dns/draft.h"

/* Adds the records of config->zones[zone].file, reporting what is wrong with line numbers and going
 * on. The apexes of all zones and the services' names must have been added: records that belong to
 * a zone below this one are left out if they are its delegation, else refused. */
void zone_file_load(struct draft *draft, uint32_t zone);

#endif
