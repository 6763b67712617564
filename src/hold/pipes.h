/* Pipes for splice(2), kept for reuse: making one costs two orders more than taking it from here.
 */
#ifndef JITSU_HOLD_PIPES_H
#define JITSU_HOLD_PIPES_H

#include <stddef.h>

#define PIPES_KEPT 32

struct pipe_ends {
    int read, write; /* both -1: none */
};

struct pipes {
    struct pipe_ends kept[PIPES_KEPT];
    size_t count;
};

/* An empty pipe, non-blocking. Returns 0, or -1 with errno. */
int pipes_take(struct pipes *pipes, struct pipe_ends *ends);

/* Gives it back; one that is not `empty` is closed. `*ends` becomes none. */
void pipes_give(struct pipes *pipes, struct pipe_ends *ends, int empty);

void pipes_close_all(struct pipes *pipes);

#endif
