/* Messages between us and an upstream resolver: the query that it is sent, and what its response
 * becomes for a client. All bytes of a response come from the network. */
#ifndef JITSU_DNS_FORWARD_MESSAGE_H
#define JITSU_DNS_FORWARD_MESSAGE_H

#include "dns/answer.h"

/* Room for any query. */
#define FORWARD_QUERY_MAX (DNS_HEADER_SIZE + NAME_WIRE_MAX + 4 + 11)

/* Writes the query for a question, with an OPT record of our own (RFC 6891, 6.1.1: it is of one hop
 * only): recursion desired, the client's DO and CD. Returns its length. */
size_t forward_query_write(const struct question *question, bool checking_disabled, uint16_t id,
                           uint8_t packet[FORWARD_QUERY_MAX]);

/* A response whose form has been checked. Points into its packet. */
struct forward_response {
    const uint8_t *packet;
    size_t length;           /* without the OPT record and what comes after it */
    size_t authority_length; /* up to where the additional section begins */
    uint16_t rcode;          /* enum dns_rcode, or another */
    uint16_t answers, authorities, additionals;
    bool truncated;        /* then only the question has been looked at */
    struct reader options; /* of the OPT record */
};

/* Reads a response. False unless it is one to the query with that id and question, and well formed
 * (RFC 5452, 9.1): then it is to be ignored. */
bool forward_response_read(struct forward_response *response, const uint8_t *packet, size_t length,
                           uint16_t id, const struct question *question);

/* Writes what a client is sent for it: `query` is the header and question of the client's own query
 * that `question` was read from. The response is at most `limit` bytes, which must be at least
 * DNS_UDP_SIZE_MIN and for which there must be room: if it would be longer it loses its additional
 * section, or else is empty and marked as truncated. Extended errors are passed on. AA and AD are
 * never set: we have not verified it. Returns its length. */
size_t forward_response_write(const struct forward_response *response,
                              const struct question *question, const uint8_t *query,
                              uint8_t *packet, size_t limit);

#endif
