/* Parsing a query: header, question, EDNS. All bytes come from the network. */
#ifndef JITSU_DNS_QUESTION_H
#define JITSU_DNS_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

#define DNS_HEADER_SIZE 12

/* Smallest and largest UDP response that we send, and what we tell EDNS clients that we take
 * (RFC 1035, 4.2.1; RFC 6891, 6.2.5: 1232 passes every IPv6 path unfragmented). */
#define DNS_UDP_SIZE_MIN 512
#define DNS_UDP_SIZE_MAX 1232

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16,
};

enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_NS = 2,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_DNAME = 39,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_DS = 43,
    DNS_TYPE_RRSIG = 46,
    DNS_TYPE_NSEC = 47,
    DNS_TYPE_IXFR = 251,
    DNS_TYPE_AXFR = 252,
    DNS_TYPE_ANY = 255,
};
#define DNS_CLASS_IN 1

struct question {
    struct name name; /* points to `folded` */
    uint32_t hash;    /* of it, by the seed given */
    uint16_t type, class;
    uint16_t end;      /* where the question ends in the packet; DNS_HEADER_SIZE: there was none */
    uint16_t udp_size; /* response size that the client takes over UDP: 512 to 1232 */
    uint8_t rcode;     /* enum dns_rcode: of the answer if the query cannot be looked up, else 0 */
    bool has_edns;
    bool dnssec_ok;
    uint8_t folded[NAME_FOLDED_SIZE];
};

/* Parses a packet. False if it must not be answered at all: shorter than a header, or a response.
 * Otherwise question->rcode says whether it can be looked up; `hash` and `name` are set only then.
 */
bool question_parse(struct question *question, const uint8_t *packet, size_t length, uint64_t seed);

#endif
