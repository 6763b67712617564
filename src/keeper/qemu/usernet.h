/* What QEMU's monitor tells of a user network (`info usernet`). Pure: text in, ports out. */
#ifndef JITSU_KEEPER_QEMU_USERNET_H
#define JITSU_KEEPER_QEMU_USERNET_H

#include <stdbool.h>
#include <stdint.h>

/* The host's port that is forwarded to the machine's `port`; 0: there is none. */
uint16_t usernet_forward(const char *text, uint16_t port);

/* Has the machine accepted a connection to its `port`, so that both sides have said so? */
bool usernet_is_established(const char *text, uint16_t port);

#endif
