/* Initial sequence numbers: a clock plus a secret function of the connection, so that nobody can
 * guess those of others' connections and a new connection's lie beyond an old one's (RFC 6528). */
#include <string.h>

#include "common/siphash.h"
#include "jitsu/clock.h"
#include "lwip/opt.h"
#include "net/hooks.h"

#define CLOCK_TICK 4000 /* nanoseconds (RFC 6528, section 3) */

uint64_t network_connection_hash(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                                 u16_t remote_port)
{
    static struct siphash_key key;
    struct {
        uint64_t local[2], remote[2], ports;
    } connection = {.ports = (uint64_t)local_port << 16 | remote_port};

    if (key.words[0] == 0) {
        key.words[0] = platform_random() | 1;
        key.words[1] = platform_random();
    }
    if (IP_IS_V6(local)) {
        memcpy(connection.local, ip_2_ip6(local)->addr, sizeof connection.local);
        memcpy(connection.remote, ip_2_ip6(remote)->addr, sizeof connection.remote);
    } else {
        connection.local[0] = ip_2_ip4(local)->addr;
        connection.remote[0] = ip_2_ip4(remote)->addr;
    }
    return siphash(&key, &connection, sizeof connection);
}

u32_t network_initial_sequence(const ip_addr_t *local, u16_t local_port, const ip_addr_t *remote,
                               u16_t remote_port)
{
    uint64_t hash = network_connection_hash(local, local_port, remote, remote_port);
    return (u32_t)(hash + clock_now() / CLOCK_TICK);
}
