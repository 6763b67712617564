/* jitsu/random.h: ChaCha20 as a generator that forgets. Each request replaces the key that it was
 * answered with, so that whoever should read the memory later does not learn earlier numbers. */
#include "jitsu/random.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "jitsu/application.h"
#include "jitsu/module.h"
#include "jitsu/options.h"
#include "platform/platform.h"
#include "site/site.h"

#define KEY_WORDS    8
#define KEY_SIZE     32u
#define BLOCK_WORDS  16
#define BLOCK_SIZE   64u
#define TOKEN_DIGITS 32u /* that make a token worth 128 bits */
#define SEED_FILE    "seed"

static uint32_t key[KEY_WORDS];

static void quarter_round(uint32_t *x, unsigned a, unsigned b, unsigned c, unsigned d)
{
#define STEP(to, from, by, bits)                                                                   \
    x[to] += x[from];                                                                              \
    x[by] ^= x[to];                                                                                \
    x[by] = x[by] << (bits) | x[by] >> (32 - (bits))
    STEP(a, b, d, 16);
    STEP(c, d, b, 12);
    STEP(a, b, d, 8);
    STEP(c, d, b, 7);
#undef STEP
}

/* ChaCha20's block function (RFC 8439, section 2.3) of the key, with a nonce of zero. */
static void block(uint32_t counter, uint32_t out[BLOCK_WORDS])
{
    uint32_t start[BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, [12] = counter};

    memcpy(start + 4, key, sizeof key);
    memcpy(out, start, sizeof start);
    for (int i = 0; i < 10; i++) {
        for (unsigned column = 0; column < 4; column++)
            quarter_round(out, column, 4 + column, 8 + column, 12 + column);
        for (unsigned diagonal = 0; diagonal < 4; diagonal++)
            quarter_round(out, diagonal, 4 + (diagonal + 1) % 4, 8 + (diagonal + 2) % 4,
                          12 + (diagonal + 3) % 4);
    }
    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        out[i] += start[i];
}

static void forget(void *bytes, size_t length)
{
    memset(bytes, 0, length);
    __asm__ volatile("" : : "r"(bytes) : "memory");
}

/* The key becomes a one-way function of itself and the bytes. */
static void absorb(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint32_t out[BLOCK_WORDS];

    do {
        size_t count = length < KEY_SIZE ? length : KEY_SIZE;
        for (size_t i = 0; i < count; i++)
            ((uint8_t *)key)[i] ^= at[i];
        block((uint32_t)count, out);
        memcpy(key, out, sizeof key);
        at += count;
        length -= count;
    } while (length > 0);
    forget(out, sizeof out);
}

static bool absorb_hardware(void)
{
    uint8_t bytes[KEY_SIZE];
    size_t count = platform_entropy(bytes, sizeof bytes);

    absorb(bytes, count);
    forget(bytes, sizeof bytes);
    return count == sizeof bytes;
}

static bool absorb_token(void)
{
    struct option token = option_get("token");
    size_t digits = 0;

    for (size_t i = 0; i < token.length; i++)
        digits += isxdigit((uint8_t)token.value[i]) != 0;
    absorb(token.value, token.length);
    return digits >= TOKEN_DIGITS;
}

static bool absorb_seed_file(void)
{
    struct boot_module module = boot_module();
    const char *problem;
    size_t position;
    struct site *files =
        module.bytes ? site_open(module.bytes, module.length, &problem, &position) : NULL;
    const struct site_file *seed = files ? site_find(files, "/", 1, SEED_FILE) : NULL;
    size_t size = seed ? seed->size : 0;

    if (seed)
        absorb(seed->bytes, seed->size);
    site_free(files);
    return size >= KEY_SIZE;
}

/* What differs between boots, though it is no secret. */
static void absorb_circumstances(void)
{
    struct option time = option_get("time");
    uint64_t number = platform_random();

    absorb(time.value, time.length);
    absorb(&number, sizeof number);
}

static void start(void)
{
    bool has_hardware = absorb_hardware(), has_token = absorb_token(),
         has_seed = absorb_seed_file();

    if (!has_hardware && !has_token && !has_seed)
        application_fail("no random numbers: the processor has none (RDRAND), and there is neither "
                         "an option token= (%u hexadecimal digits) nor a file seed (%u bytes) in "
                         "the boot module",
                         TOKEN_DIGITS, KEY_SIZE);
    absorb_circumstances();
}

void random_bytes(void *buffer, size_t length)
{
    static bool started;
    uint8_t *at = buffer;
    uint32_t out[BLOCK_WORDS];
    uint32_t next[BLOCK_WORDS];
    uint64_t number = platform_random();

    if (!started)
        start();
    started = true;
    absorb(&number, sizeof number);
    block(0, next);
    for (uint32_t counter = 1; length > 0; counter++) {
        size_t count = length < BLOCK_SIZE ? length : BLOCK_SIZE;
        block(counter, out);
        memcpy(at, out, count);
        at += count;
        length -= count;
    }
    memcpy(key, next, sizeof key);
    forget(next, sizeof next);
    forget(out, sizeof out);
}
