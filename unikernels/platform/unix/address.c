#include "platform/unix/address.h"

#include <arpa/inet.h>
#include <string.h>

#define PREFIX_SIZE 12

static const uint8_t mapped_prefix[PREFIX_SIZE] = {[10] = 0xff, [11] = 0xff};

struct stream_address address_of_socket(const union socket_address *from)
{
    struct stream_address address = {0};

    if (from->any.sa_family == AF_INET) {
        address.port = ntohs(from->v4.sin_port);
        memcpy(address.bytes, mapped_prefix, PREFIX_SIZE);
        memcpy(address.bytes + PREFIX_SIZE, &from->v4.sin_addr, sizeof from->v4.sin_addr);
    } else {
        address.port = ntohs(from->v6.sin6_port);
        address.scope = from->v6.sin6_scope_id;
        memcpy(address.bytes, &from->v6.sin6_addr, sizeof address.bytes);
    }
    return address;
}

static bool is_mapped(const struct stream_address *address)
{
    return memcmp(address->bytes, mapped_prefix, PREFIX_SIZE) == 0;
}

union socket_address address_for_socket(const struct stream_address *from)
{
    union socket_address address = {0};

    if (is_mapped(from)) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(from->port);
        memcpy(&address.v4.sin_addr, from->bytes + PREFIX_SIZE, sizeof address.v4.sin_addr);
    } else {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(from->port);
        address.v6.sin6_scope_id = from->scope;
        memcpy(&address.v6.sin6_addr, from->bytes, sizeof from->bytes);
    }
    return address;
}

socklen_t address_size(const union socket_address *address)
{
    return address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
}

const char *stream_address_text(const struct stream_address *address,
                                char text[STREAM_ADDRESS_TEXT_SIZE])
{
    if (is_mapped(address))
        inet_ntop(AF_INET, address->bytes + PREFIX_SIZE, text, STREAM_ADDRESS_TEXT_SIZE);
    else
        inet_ntop(AF_INET6, address->bytes, text, STREAM_ADDRESS_TEXT_SIZE);
    return text;
}
