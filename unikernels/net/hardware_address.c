#include "net/hardware_address.h"

#include <string.h>

static int hexadecimal(char character)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *digit = character ? strchr(digits, character) : NULL;

    return digit ? (int)(digit - digits) % 16 : -1;
}

bool hardware_address_parse(const char *text, size_t length, uint8_t address[HARDWARE_ADDRESS_SIZE])
{
    if (length != 3 * HARDWARE_ADDRESS_SIZE - 1)
        return false;
    for (size_t i = 0; i < HARDWARE_ADDRESS_SIZE; i++) {
        const char *byte = text + 3 * i;
        int high = hexadecimal(byte[0]), low = hexadecimal(byte[1]);
        if (high < 0 || low < 0 || (i + 1 < HARDWARE_ADDRESS_SIZE && byte[2] != ':'))
            return false;
        address[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
