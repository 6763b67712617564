#include "hold/pipes.h"

#include <fcntl.h>
#include <unistd.h>

int pipes_take(struct pipes *pipes, struct pipe_ends *ends)
{
    if (pipes->count > 0) {
        *ends = pipes->kept[--pipes->count];
        return 0;
    }
    int both[2];
    if (pipe2(both, O_NONBLOCK | O_CLOEXEC) != 0)
        return -1;
    *ends = (struct pipe_ends){.read = both[0], .write = both[1]};
    return 0;
}

static void close_ends(const struct pipe_ends *ends)
{
    close(ends->read);
    close(ends->write);
}

void pipes_give(struct pipes *pipes, struct pipe_ends *ends, int empty)
{
    if (ends->read == -1)
        return;
    if (empty && pipes->count < PIPES_KEPT)
        pipes->kept[pipes->count++] = *ends;
    else
        close_ends(ends);
    *ends = (struct pipe_ends){-1, -1};
}

void pipes_close_all(struct pipes *pipes)
{
    while (pipes->count > 0)
        close_ends(&pipes->kept[--pipes->count]);
}
