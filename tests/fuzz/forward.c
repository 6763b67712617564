/* Any packet from an upstream resolver, as the response to a question: it is ignored, or what the
 * client gets keeps to its size and is itself a well-formed response to that question. The first
 * byte says what the client's query is like, and how long its response may be. */
#include <stdlib.h>
#include <string.h>

#include "dns/forward_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define ID 0x1234

static const uint8_t query[] = {0xab, 0xcd, 0x01, 0x10, 0,   1,   0,  0,   0,   0,
                                0,    0,    3,    'w',  'W', 'w', 7,  'e', 'x', 'a',
                                'm',  'p',  'l',  'e',  0,   0,   16, 0,   1};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void pass_on(const struct forward_response *response, const struct question *question,
                    size_t limit)
{
    static uint8_t packet[UINT16_MAX];
    struct forward_response passed;
    size_t length = forward_response_write(response, question, query, packet, limit);
    check(length <= limit);
    check(forward_response_read(&passed, packet, length, 0xabcd, question));
    check((packet[2] & 0x04) == 0 && (packet[3] & 0x20) == 0);
    if (passed.truncated) {
        check(passed.answers == 0);
        return;
    }
    check((passed.options.bytes != NULL) == question->has_edns);
    check(passed.answers == response->answers && passed.authorities == response->authorities);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const size_t limits[] = {DNS_UDP_SIZE_MIN, DNS_UDP_SIZE_MAX, UINT16_MAX};
    struct question question;
    struct forward_response response;
    if (length == 0)
        return 0;
    check(question_parse(&question, query, sizeof query, 0));
    question.has_edns = bytes[0] & 1;
    question.dnssec_ok = bytes[0] & 2;
    uint8_t *packet = malloc(length); /* just so long, that reading beyond is noticed */
    check(packet != NULL);
    memcpy(packet, bytes + 1, length - 1);
    if (forward_response_read(&response, packet, length - 1, ID, &question) && !response.truncated)
        pass_on(&response, &question, limits[bytes[0] / 4 % 3]);
    free(packet);
    return 0;
}
