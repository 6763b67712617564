/* Memory and strings. Copies go sixteen bytes at a time: `rep movsb` is fast on hardware but costs
 * an emulator a loop per byte. */
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <ctype.h>

typedef uint64_t sixteen_bytes __attribute__((vector_size(16), aligned(1), may_alias));

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    uint8_t *out = to;
    const uint8_t *in = from;

    for (; count >= 64; count -= 64, out += 64, in += 64) {
        sixteen_bytes a = *(const sixteen_bytes *)in;
        sixteen_bytes b = *(const sixteen_bytes *)(in + 16);
        sixteen_bytes c = *(const sixteen_bytes *)(in + 32);
        sixteen_bytes d = *(const sixteen_bytes *)(in + 48);
        *(sixteen_bytes *)out = a;
        *(sixteen_bytes *)(out + 16) = b;
        *(sixteen_bytes *)(out + 32) = c;
        *(sixteen_bytes *)(out + 48) = d;
    }
    for (; count >= 16; count -= 16, out += 16, in += 16)
        *(sixteen_bytes *)out = *(const sixteen_bytes *)in;
    while (count-- > 0)
        *out++ = *in++;
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    uint8_t *out = to;
    const uint8_t *in = from;

    if (out <= in || out >= in + count) {
        /* Each step reads before it writes, so this holds for an overlap too. */
        for (; count >= 16; count -= 16, out += 16, in += 16)
            *(sixteen_bytes *)out = *(const sixteen_bytes *)in;
        while (count-- > 0)
            *out++ = *in++;
        return to;
    }
    for (; count >= 16; count -= 16)
        *(sixteen_bytes *)(out + count - 16) = *(const sixteen_bytes *)(in + count - 16);
    while (count-- > 0)
        out[count] = in[count];
    return to;
}

void *memset(void *to, int value, size_t count)
{
    uint8_t *out = to;
    uint64_t word = (uint8_t)value * 0x0101010101010101u;
    sixteen_bytes words = {word, word};

    for (; count >= 16; count -= 16, out += 16)
        *(sixteen_bytes *)out = words;
    while (count-- > 0)
        *out++ = (uint8_t)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t count)
{
    const uint8_t *x = a, *y = b;

    for (; count > 0; count--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

void *memchr(const void *bytes, int value, size_t count)
{
    const uint8_t *in = bytes;

    for (; count > 0; count--, in++)
        if (*in == (uint8_t)value)
            return (void *)(uintptr_t)in;
    return NULL;
}

size_t strlen(const char *text)
{
    const char *end = text;

    while (*end != '\0')
        end++;
    return (size_t)(end - text);
}

size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;

    while (length < limit && text[length] != '\0')
        length++;
    return length;
}

int strcmp(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t count)
{
    for (; count > 0; count--, a++, b++)
        if (*a != *b || *a == '\0')
            return (uint8_t)*a - (uint8_t)*b;
    return 0;
}

char *strchr(const char *text, int character)
{
    for (;; text++) {
        if (*text == (char)character)
            return (char *)(uintptr_t)text;
        if (*text == '\0')
            return NULL;
    }
}

char *strrchr(const char *text, int character)
{
    const char *found = NULL;

    for (;; text++) {
        if (*text == (char)character)
            found = text;
        if (*text == '\0')
            return (char *)(uintptr_t)found;
    }
}

char *strstr(const char *text, const char *wanted)
{
    size_t length = strlen(wanted);

    for (; strncmp(text, wanted, length) != 0; text++)
        if (*text == '\0')
            return NULL;
    return (char *)(uintptr_t)text;
}

int strcasecmp(const char *a, const char *b)
{
    while (*a != '\0' && tolower((uint8_t)*a) == tolower((uint8_t)*b))
        a++, b++;
    return tolower((uint8_t)*a) - tolower((uint8_t)*b);
}

int strncasecmp(const char *a, const char *b, size_t count)
{
    for (; count > 0; count--, a++, b++) {
        int difference = tolower((uint8_t)*a) - tolower((uint8_t)*b);
        if (difference != 0 || *a == '\0')
            return difference;
    }
    return 0;
}
