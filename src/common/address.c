#include "common/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static size_t address_size(const struct address *address)
{
    return address->family == AF_INET ? 4 : 16;
}

/* A decimal number of at most `most`, without sign, spaces or leading zeroes; -1 if it is not one.
 */
static long parse_number(const char *text, long most)
{
    long value = 0;
    if (*text < '0' || *text > '9' || (text[0] == '0' && text[1] != '\0'))
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
        if (value > most)
            return -1;
    }
    return value;
}

int address_parse(const char *text, struct address *address)
{
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, address->bytes) == 1)
        address->family = AF_INET;
    else if (inet_pton(AF_INET6, text, address->bytes) == 1)
        address->family = AF_INET6;
    else
        return -1;
    return 0;
}

/* Splits `text` at the last `separator` into an address and what follows it. */
static const char *parse_address_before(const char *text, char separator, struct address *address)
{
    char copy[ADDRESS_TEXT_SIZE];
    const char *end = strrchr(text, separator);
    if (!end || (size_t)(end - text) >= sizeof copy)
        return NULL;
    memcpy(copy, text, (size_t)(end - text));
    copy[end - text] = '\0';
    return address_parse(copy, address) == 0 ? end + 1 : NULL;
}

/* Sets every bit after the first `length` to 0. */
static void mask(struct address *address, unsigned length)
{
    for (unsigned i = 0; i < address_size(address); i++) {
        unsigned kept = length > i * 8 ? length - i * 8 : 0;
        if (kept < 8)
            address->bytes[i] &= (uint8_t)(0xff00 >> kept);
    }
}

int prefix_parse(const char *text, struct prefix *prefix)
{
    memset(prefix, 0, sizeof *prefix);
    const char *length_text = parse_address_before(text, '/', &prefix->address);
    if (!length_text)
        return -1;
    long length = parse_number(length_text, (long)address_size(&prefix->address) * 8);
    if (length < 0)
        return -1;
    prefix->length = (uint8_t)length;

    struct address masked = prefix->address;
    mask(&masked, prefix->length);
    return address_equal(&masked, &prefix->address) ? 0 : -1;
}

int endpoint_parse(const char *text, struct endpoint *endpoint)
{
    memset(endpoint, 0, sizeof *endpoint);
    const char *port_text = parse_address_before(text, '@', &endpoint->address);
    if (!port_text)
        return -1;
    long port = parse_number(port_text, UINT16_MAX);
    if (port <= 0)
        return -1;
    endpoint->port = (uint16_t)port;
    return 0;
}

const char *address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    if (!inet_ntop(address->family, address->bytes, text, ADDRESS_TEXT_SIZE))
        strcpy(text, "none");
    return text;
}

const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_SIZE])
{
    char address[ADDRESS_TEXT_SIZE];
    snprintf(text, PREFIX_TEXT_SIZE, "%s/%u", address_format(&prefix->address, address),
             prefix->length);
    return text;
}

const char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_SIZE])
{
    char address[ADDRESS_TEXT_SIZE];
    snprintf(text, ENDPOINT_TEXT_SIZE, "%s@%u", address_format(&endpoint->address, address),
             endpoint->port);
    return text;
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, address_size(a)) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && address_equal(&a->address, &b->address);
}

bool prefix_contains(const struct prefix *prefix, const struct address *address)
{
    if (prefix->address.family != address->family)
        return false;
    struct address masked = *address;
    mask(&masked, prefix->length);
    return address_equal(&masked, &prefix->address);
}

bool address_is_loopback(const struct address *address)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    if (address->family == AF_INET)
        return address->bytes[0] == 127;
    return address->family == AF_INET6 && memcmp(address->bytes, loopback6, 16) == 0;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *storage)
{
    memset(storage, 0, sizeof *storage);
    if (endpoint->address.family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)storage;
        in->sin_family = AF_INET;
        in->sin_port = htons(endpoint->port);
        memcpy(&in->sin_addr, endpoint->address.bytes, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(endpoint->port);
    memcpy(&in6->sin6_addr, endpoint->address.bytes, 16);
    return sizeof *in6;
}

int endpoint_from_sockaddr(const struct sockaddr *sockaddr, struct endpoint *endpoint)
{
    memset(endpoint, 0, sizeof *endpoint);
    if (sockaddr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sockaddr;
        endpoint->address.family = AF_INET;
        memcpy(endpoint->address.bytes, &in->sin_addr, 4);
        endpoint->port = ntohs(in->sin_port);
        return 0;
    }
    if (sockaddr->sa_family != AF_INET6)
        return -1;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sockaddr;
    endpoint->port = ntohs(in6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        endpoint->address.family = AF_INET;
        memcpy(endpoint->address.bytes, in6->sin6_addr.s6_addr + 12, 4);
    } else {
        endpoint->address.family = AF_INET6;
        memcpy(endpoint->address.bytes, &in6->sin6_addr, 16);
    }
    return 0;
}
