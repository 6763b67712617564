/* What connections do with their sockets besides sending and receiving. */
#ifndef JITSU_PLATFORM_UNIX_SOCKET_H
#define JITSU_PLATFORM_UNIX_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

/* Sets what connections want; those that a listening socket accepts inherit it. Best effort: a
 * connection works without, if not as well. */
void socket_set_options(int socket);

/* Bytes that were sent and not acknowledged yet, without the end if that was sent. */
size_t socket_unacknowledged(int socket, bool end_sent);

void socket_close(int socket);

/* The other end is told that something went wrong; what it had not got is lost. */
void socket_reset(int socket);

#endif
