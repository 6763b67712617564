/* A cookie's bits: 5 of the period it was made in, 3 of the segment size, 24 that prove it. */
#include "common/cookie.h"

#define PERIODS    32u
#define PROOF_BITS 24
#define PROOF_MASK 0xffffffu
#define SIZE_BITS  3

/* 0 stands for an option that was not there. Common ones: IPv6's and IPv4's default and least, over
 * PPPoE and tunnels, on Ethernet. */
static const uint16_t sizes[1 << SIZE_BITS] = {0, 536, 1220, 1300, 1360, 1400, 1440, 1460};

static uint32_t proof(const struct siphash_key *key, const struct cookie_flow *flow,
                      uint64_t period, uint32_t size)
{
    struct {
        struct cookie_flow flow;
        uint64_t period, size;
    } text = {*flow, period, size};
    _Static_assert(sizeof text == sizeof *flow + 16, "without padding");
    return (uint32_t)siphash(key, &text, sizeof text) & PROOF_MASK;
}

uint32_t cookie_make(const struct siphash_key *key, const struct cookie_flow *flow,
                     uint16_t segment_max, uint64_t now)
{
    uint64_t period = now / COOKIE_PERIOD;
    uint32_t size = 0;
    while (size + 1 < sizeof sizes / sizeof sizes[0] && sizes[size + 1] <= segment_max)
        size++;
    return (uint32_t)(period % PERIODS) << (PROOF_BITS + SIZE_BITS) | size << PROOF_BITS |
           proof(key, flow, period, size);
}

bool cookie_check(const struct siphash_key *key, const struct cookie_flow *flow, uint32_t cookie,
                  uint64_t now, uint16_t *segment_max)
{
    uint64_t period = now / COOKIE_PERIOD;
    uint32_t size = cookie >> PROOF_BITS & ((1 << SIZE_BITS) - 1);
    uint64_t age = (period - (cookie >> (PROOF_BITS + SIZE_BITS))) % PERIODS;
    if (age > 1 || age > period || proof(key, flow, period - age, size) != (cookie & PROOF_MASK))
        return false;
    *segment_max = sizes[size];
    return true;
}
