/* The Internet checksum (RFC 1071). */
#ifndef JITSU_HOLD_CHECKSUM_H
#define JITSU_HOLD_CHECKSUM_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Adds bytes to a sum that starts at 0. Of several pieces only the last may have an odd length. The
 * words are added as the processor has them: the sum is the same with its bytes swapped. */
static inline uint64_t checksum_add(uint64_t sum, const void *bytes, size_t length)
{
    const uint8_t *next = bytes;
    uint32_t word = 0;
    for (; length >= sizeof word; length -= sizeof word, next += sizeof word) {
        memcpy(&word, next, sizeof word);
        sum += word;
    }
    word = 0;
    if (length > 0)
        memcpy(&word, next, length);
    return sum + word;
}

/* Adds a 16 bit value that would stand in the packet in network byte order. */
static inline uint64_t checksum_add_u16(uint64_t sum, uint16_t value)
{
    return sum + htons(value);
}

/* The checksum in host byte order, as it is written into a packet; 0 if the sum was over bytes that
 * contain their right checksum. */
static inline uint16_t checksum_finish(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ntohs((uint16_t)~sum);
}

#endif
