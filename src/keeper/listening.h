/* Sockets to listen on, opened for the front: only those that the configuration names. */
#ifndef JITSU_KEEPER_LISTENING_H
#define JITSU_KEEPER_LISTENING_H

#include "common/error.h"
#include "config/config.h"
#include "keeper/message.h"

struct listening;

/* `passed_count` sockets from descriptor `passed_first` on were opened by systemd; they stay its.
 * NULL if memory is exhausted. */
struct listening *listening_new(const struct config *config, int passed_first, int passed_count);
void listening_free(struct listening *listening);

/* From now on `config` says what may be opened. Returns -1 if memory is exhausted: then nothing has
 * changed. */
int listening_reload(struct listening *listening, const struct config *config);

/* The socket that a LISTEN message asks for: bound, non-blocking, listening if it is a stream; the
 * caller's. -1 with the reason. */
int listening_open(struct listening *listening, const struct message *message, struct error *error);

#endif
