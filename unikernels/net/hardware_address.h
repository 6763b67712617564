/* Ethernet addresses as text. */
#ifndef JITSU_NET_HARDWARE_ADDRESS_H
#define JITSU_NET_HARDWARE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARDWARE_ADDRESS_SIZE 6u

/* Reads an address like 02:00:5e:00:53:01. Returns false if it is none. */
bool hardware_address_parse(const char *text, size_t length,
                            uint8_t address[HARDWARE_ADDRESS_SIZE]);

#endif
