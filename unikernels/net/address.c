#include "net/address.h"

#include <ctype.h>
#include <string.h>

#define PREFIX_SIZE 12

static const uint8_t mapped_prefix[PREFIX_SIZE] = {[10] = 0xff, [11] = 0xff};

struct stream_address network_address(const ip_addr_t *address, uint16_t port)
{
    struct stream_address result = {.port = port};

    if (IP_IS_V4(address)) {
        memcpy(result.bytes, mapped_prefix, PREFIX_SIZE);
        memcpy(result.bytes + PREFIX_SIZE, &ip_2_ip4(address)->addr, sizeof(u32_t));
    } else {
        memcpy(result.bytes, ip_2_ip6(address)->addr, sizeof result.bytes);
    }
    return result;
}

ip_addr_t network_lwip_address(const struct stream_address *address)
{
    ip_addr_t result = {0};

    if (memcmp(address->bytes, mapped_prefix, PREFIX_SIZE) == 0) {
        IP_SET_TYPE_VAL(result, IPADDR_TYPE_V4);
        memcpy(&ip_2_ip4(&result)->addr, address->bytes + PREFIX_SIZE, sizeof(u32_t));
    } else {
        IP_SET_TYPE_VAL(result, IPADDR_TYPE_V6);
        memcpy(ip_2_ip6(&result)->addr, address->bytes, sizeof address->bytes);
    }
    return result;
}

const char *stream_address_text(const struct stream_address *address,
                                char text[STREAM_ADDRESS_TEXT_SIZE])
{
    ip_addr_t lwip = network_lwip_address(address);

    ipaddr_ntoa_r(&lwip, text, STREAM_ADDRESS_TEXT_SIZE);
    for (char *at = text; *at != '\0'; at++)
        *at = (char)tolower(*at);
    return text;
}
