/* The Internet checksum, eight bytes at a time. */
#include <string.h>

#include "arch/cc.h"

uint16_t network_checksum(const void *bytes, int length)
{
    const uint8_t *at = bytes;
    size_t left = (size_t)length;
    uint64_t sum = 0;

    /* Halves of 32 bits add up without overflow for any packet. */
    for (; left >= 16; left -= 16, at += 16) {
        uint64_t words[2];
        memcpy(words, at, sizeof words);
        sum += (words[0] & 0xffffffff) + (words[0] >> 32);
        sum += (words[1] & 0xffffffff) + (words[1] >> 32);
    }
    for (; left >= 2; left -= 2, at += 2) {
        uint16_t word;
        memcpy(&word, at, sizeof word);
        sum += word;
    }
    if (left)
        sum += *at;
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
