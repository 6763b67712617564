/* The parts of the network: streams on connected sockets, listeners that make them, and the loop in
 * which both live (serve.c). */
#ifndef JITSU_PLATFORM_UNIX_STREAMS_H
#define JITSU_PLATFORM_UNIX_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_handler;
union socket_address;

#define NEVER UINT64_MAX

/* stream.c: a connected non-blocking socket, which it owns from then on, becomes a stream. */
void streams_accepted(int socket, const union socket_address *peer,
                      const struct stream_handler *handler);

/* Does for each stream what is to be done now. Returns when, by clock_now(), to do so again if
 * nothing happens. */
uint64_t streams_run(void);

/* The handlers are told that the process is to finish. */
void streams_stop(void);

/* Resets all. Not from within a handler. */
void streams_cut(void);

/* Is none open? */
bool streams_are_over(void);

/* listener.c: accepts what has come; returns when to do so again although nothing happens. */
uint64_t listeners_run(void);

/* Accepts nothing any more. */
void listeners_stop(void);

/* The most descriptors that the process can have open. */
size_t descriptors_limit(void);

#endif
