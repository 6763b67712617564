/* From question and table to response: finding what the answer is, and writing it. Both are pure;
 * what a service's host does to an answer (wanted, disposition) lies between them: host.h. */
#ifndef JITSU_DNS_ANSWER_H
#define JITSU_DNS_ANSWER_H

#include "dns/question.h"
#include "dns/table.h"

/* CNAME records followed for one question, at most. */
#define ANSWER_ALIASES_MAX 8

/* An extended DNS error (RFC 8914). */
struct extended_error {
    uint16_t code;
    const char *text;
};

struct answer {
    bool authoritative;
    bool outside; /* the name itself is in no zone of ours, or in one that is delegated to others */
    bool is_unknown;         /* `host` is a wildcard that has no instance of `label` */
    uint8_t count;           /* RRsets for the answer section */
    uint8_t rcode;           /* enum dns_rcode */
    uint8_t tail_name;       /* length of the name that `tail_base` is of */
    uint16_t tail_base;      /* where in the response the name starts whose end the tail's is */
    const struct tail *tail; /* NULL: none */
    struct dns_host *host;   /* the host whose addresses were asked for, or NULL */
    const struct extended_error *extended; /* NULL: none */
    struct {
        const struct rrset *rrset;
        const uint8_t *records;
        uint16_t owner; /* where in the response its name is */
    } rrsets[ANSWER_ALIASES_MAX +
             1]; /* all but the last are CNAME records, each the last's target */
    /* Set only if the label is_unknown: */
    bool has_records; /* the name exists by records of the wildcard itself */
    char label[NAME_LABEL_MAX + 1];
};

/* Finds the answer (RFC 1034, 4.3.2; RFC 4592 for wildcards). */
void answer_find(const struct dns_table *table, const struct question *question,
                 struct answer *answer);

/* Makes it a failure instead: SERVFAIL with an extended error. */
void answer_fail(struct answer *answer, const struct extended_error *extended);

/* Makes it "no such name" instead. For one that has no data at a name that is_unknown. */
void answer_deny(struct answer *answer);

/* Turns the query in `packet` into its response, in place: the question is already where it has to
 * be. The response is at most `limit` bytes, which must be at least DNS_UDP_SIZE_MIN, and for which
 * there must be room: if it would be longer, it is empty and marked as truncated. Returns its
 * length. */
size_t answer_write(const struct answer *answer, const struct question *question, uint8_t *packet,
                    size_t limit);

/* Was the response in `packet` cut? */
static inline bool answer_is_truncated(const uint8_t *packet)
{
    return packet[2] & 0x02;
}

#endif
