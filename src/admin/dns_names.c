#include "admin/dns_names.h"

#include "dns/dns.h"

const char *dns_type_counter_name(unsigned type)
{
    static const char *const names[DNS_TYPE_COUNTERS] = {
        [DNS_COUNT_A] = "A",   [DNS_COUNT_AAAA] = "AAAA", [DNS_COUNT_SOA] = "SOA",
        [DNS_COUNT_NS] = "NS", [DNS_COUNT_ANY] = "ANY",   [DNS_COUNT_OTHER] = "other",
    };
    return names[type];
}

const char *dns_transport_name(unsigned transport)
{
    return transport == DNS_TCP ? "tcp" : "udp";
}

const char *dns_rcode_name(unsigned rcode)
{
    static const char *const names[DNS_RCODE_COUNTERS] = {
        "NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
        "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE", "DSOTYPENI",
        "RCODE12",  "RCODE13", "RCODE14",  "RCODE15",  "BADVERS",
    };
    return names[rcode];
}
