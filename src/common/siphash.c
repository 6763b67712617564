#include "common/siphash.h"

static uint64_t rotate(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static void rounds(uint64_t v[4], int count)
{
    while (count-- > 0) {
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
}

static uint64_t little_endian(const uint8_t *bytes, size_t length)
{
    uint64_t word = 0;
    while (length-- > 0)
        word = word << 8 | bytes[length];
    return word;
}

uint64_t siphash(const struct siphash_key *key, const void *bytes, size_t length)
{
    const uint8_t *next = bytes;
    uint64_t last = (uint64_t)length << 56;
    uint64_t v[4] = {
        UINT64_C(0x736f6d6570736575) ^ key->words[0],
        UINT64_C(0x646f72616e646f6d) ^ key->words[1],
        UINT64_C(0x6c7967656e657261) ^ key->words[0],
        UINT64_C(0x7465646279746573) ^ key->words[1],
    };

    for (; length >= 8; length -= 8, next += 8) {
        uint64_t word = little_endian(next, 8);
        v[3] ^= word;
        rounds(v, 2);
        v[0] ^= word;
    }
    last |= little_endian(next, length);
    v[3] ^= last;
    rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
