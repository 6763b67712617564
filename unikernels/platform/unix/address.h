/* Addresses of jitsu/stream.h and of sockets. */
#ifndef JITSU_PLATFORM_UNIX_ADDRESS_H
#define JITSU_PLATFORM_UNIX_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "jitsu/stream.h"

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct stream_address address_of_socket(const union socket_address *from);
union socket_address address_for_socket(const struct stream_address *from);

/* What a system call is told, or is told of at most, as the address's size. */
socklen_t address_size(const union socket_address *address);

#endif
