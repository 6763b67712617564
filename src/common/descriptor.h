/* File descriptors: passing them between processes and counting how many there may be. */
#ifndef JITSU_COMMON_DESCRIPTOR_H
#define JITSU_COMMON_DESCRIPTOR_H

#include <stddef.h>
#include <sys/types.h>

/* Sends one packet of `length` bytes over the SOCK_SEQPACKET socket `socket`, with descriptor
 * `passed` if it is not -1 (SCM_RIGHTS; the caller keeps its own). Returns 0, or -1 with errno.
 * EAGAIN is returned to the caller when the socket is non-blocking and full. Never raises SIGPIPE.
 */
int descriptor_send(int socket, const void *bytes, size_t length, int passed);

/* Receives one packet into `bytes`; `*passed` becomes the descriptor that came with it
 * (close-on-exec, owned by the caller), or -1. Returns the packet's length, 0 at the end of the
 * stream, -1 with errno; a packet longer than `capacity` is EMSGSIZE. */
ssize_t descriptor_receive(int socket, void *bytes, size_t capacity, int *passed);

/* Closes `*descriptor` if it is not -1, and makes it -1. */
void descriptor_close(int *descriptor);

/* Raises the limit on open descriptors as far as this process may: root beyond the hard limit,
 * others up to it. Returns the limit then in force. */
size_t descriptor_raise_limit(void);

#endif
