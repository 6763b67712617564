/* Words for the DNS server's counters, as metrics and statistics show them. */
#ifndef JITSU_ADMIN_DNS_NAMES_H
#define JITSU_ADMIN_DNS_NAMES_H

/* "A", "AAAA", ..., "other", for enum dns_type_counter. */
const char *dns_type_counter_name(unsigned type);

/* "udp" or "tcp", for enum dns_transport. */
const char *dns_transport_name(unsigned transport);

/* "NOERROR", "NXDOMAIN", ... (RFC 6895, section 2.3), "BADVERS" for 16. */
const char *dns_rcode_name(unsigned rcode);

#endif
