/* IP addresses, prefixes and endpoints, IPv4 and IPv6, as values. */
#ifndef JITSU_COMMON_ADDRESS_H
#define JITSU_COMMON_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 address. `family` is AF_INET or AF_INET6, or 0 for none. */
struct address {
    uint8_t family;
    uint8_t bytes[16]; /* network order; the first 4 for IPv4, the rest then 0 */
};

struct prefix {
    struct address address; /* host bits are 0 */
    uint8_t length;         /* 0 to 32 or 128 */
};

/* ADDR@PORT of the configuration. */
struct endpoint {
    struct address address;
    uint16_t port; /* host order */
};

/* Room for any text that the functions below write, with its NUL. */
#define ADDRESS_TEXT_SIZE  INET6_ADDRSTRLEN
#define PREFIX_TEXT_SIZE   (INET6_ADDRSTRLEN + 4)
#define ENDPOINT_TEXT_SIZE (INET6_ADDRSTRLEN + 6)

/* Parse the usual text forms (RFC 4291, section 2.2; no zone index). The whole of `text` must be
 * one address, one ADDRESS/LENGTH, or one ADDRESS@PORT. Return 0, or -1 if it is not. A prefix with
 * host bits set is refused. */
int address_parse(const char *text, struct address *address);
int prefix_parse(const char *text, struct prefix *prefix);
int endpoint_parse(const char *text, struct endpoint *endpoint);

/* Write the text form (RFC 5952 for IPv6; "ADDR@PORT" for endpoints) and return `text`. */
const char *address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);
const char *prefix_format(const struct prefix *prefix, char text[PREFIX_TEXT_SIZE]);
const char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_SIZE]);

bool address_equal(const struct address *a, const struct address *b);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
bool prefix_contains(const struct prefix *prefix, const struct address *address);

/* Is it in 127.0.0.0/8, or ::1? */
bool address_is_loopback(const struct address *address);

/* Conversion to and from socket addresses. endpoint_to_sockaddr returns the length written.
 * endpoint_from_sockaddr returns -1 for another family; an IPv4-mapped IPv6 address becomes IPv4.
 */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *storage);
int endpoint_from_sockaddr(const struct sockaddr *sockaddr, struct endpoint *endpoint);

#endif
