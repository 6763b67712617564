/* What lwIP wants to know of the compiler and the platform. */
#ifndef JITSU_NET_ARCH_CC_H
#define JITSU_NET_ARCH_CC_H

#include <stdint.h>

#include "platform/platform.h"

#define BYTE_ORDER LITTLE_ENDIAN

#define LWIP_NO_UNISTD_H   1
#define LWIP_NO_INTTYPES_H 1
#define X8_F               "x"
#define U16_F              "u"
#define S16_F              "d"
#define X16_F              "x"
#define U32_F              "u"
#define S32_F              "d"
#define X32_F              "x"
#define SZT_F              "zu"

#define lwip_htons(x) __builtin_bswap16((uint16_t)(x))
#define lwip_htonl(x) __builtin_bswap32((uint32_t)(x))

#define LWIP_PLATFORM_DIAG(message)   ((void)0)
#define LWIP_PLATFORM_ASSERT(message) platform_fatal(message)

/* The Internet checksum (RFC 1071) of `length` bytes, not complemented, in the machine's byte
 * order. */
uint16_t network_checksum(const void *bytes, int length);

#define LWIP_RAND() ((uint32_t)platform_random())

#endif
