/* Initial sequence numbers: a clock plus a secret function of the connection, so that nobody can
 * guess those of others' connections and a new connection's lie beyond an old one's (RFC 6528). */
#include <string.h>

#include "jitsu/clock.h"
#include "lwip/opt.h"
#include "net/hooks.h"

#define CLOCK_TICK 4000 /* nanoseconds (RFC 6528, section 3) */

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-2-4 of whole words, without the length that the full function ends with: there is one
 * length here. */
static uint64_t sip_hash(const uint64_t key[2], const uint64_t *words, size_t count)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                     key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};

    for (size_t i = 0; i < count; i++) {
        v[3] ^= words[i];
        sip_round(v);
        sip_round(v);
        v[0] ^= words[i];
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t network_connection_hash(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                                 u16_t remote_port)
{
    static uint64_t key[2];
    struct {
        uint64_t local[2], remote[2], ports;
    } connection = {.ports = (uint64_t)local_port << 16 | remote_port};

    if (key[0] == 0) {
        key[0] = platform_random() | 1;
        key[1] = platform_random();
    }
    if (IP_IS_V6(local)) {
        memcpy(connection.local, ip_2_ip6(local)->addr, sizeof connection.local);
        memcpy(connection.remote, ip_2_ip6(remote)->addr, sizeof connection.remote);
    } else {
        connection.local[0] = ip_2_ip4(local)->addr;
        connection.remote[0] = ip_2_ip4(remote)->addr;
    }
    return sip_hash(key, (const uint64_t *)&connection, sizeof connection / 8);
}

u32_t network_initial_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                               u16_t remote_port)
{
    uint64_t hash = network_connection_hash(local, local_port, remote, remote_port);
    return (u32_t)(hash + clock_now() / CLOCK_TICK);
}
