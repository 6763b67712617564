/* Moves bytes from one non-blocking socket to another inside the kernel, by splice(2) through a
 * pipe. A flow has a pipe only while bytes are under way in it, so that idle connections cost no
 * descriptors and a few pipes serve all of them. */
#ifndef JITSU_HOLD_SPLICE_H
#define JITSU_HOLD_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct splice_pipe {
    int read_end, write_end;
    bool large;
};

/* Empty pipes for the next flow that needs one. A few are large: they halve what bulk costs, and
 * all flows whose sinks are not blocked share them. The rest have the usual size, which bounds what
 * a crowd of slow readers holds, and spares the user's allowance of pipe pages (pipe(7)). */
#define SPLICE_POOL_MAX   16
#define SPLICE_LARGE_MAX  4
#define SPLICE_LARGE_SIZE (1 << 20)
struct splice_pool {
    struct splice_pipe pipes[SPLICE_POOL_MAX]; /* the large ones last, to be taken first */
    size_t count;
    size_t large; /* open ones, in the pool or not */
};

/* Opens the first few pipes, so that the first connections need not, and that there are some when
 * descriptors have run out. Having none is no error: they are opened when needed. */
void splice_pool_init(struct splice_pool *pool);
void splice_pool_clear(struct splice_pool *pool);

/* One direction of a connection. All zero at first. */
struct splice_flow {
    struct splice_pipe pipe; /* valid while held > 0 */
    size_t held;             /* bytes taken from the source that the sink has not got yet */
    bool ended;              /* the source has ended and the sink has got everything */
};

enum splice_result {
    SPLICE_IDLE,    /* the source has nothing now */
    SPLICE_BLOCKED, /* the sink takes nothing now */
    SPLICE_MORE,    /* the budget is used up: call again after the others had their turn */
    SPLICE_STARVED, /* no pipe could be opened: call again when descriptors are free */
    SPLICE_ENDED,   /* the flow has ended: do not call again */
    SPLICE_FAILED,  /* one of the two was reset or is broken (errno) */
};

/* Moves what there is, about `budget` bytes at most, until one of the results above; adds the bytes
 * that reached the sink to `*moved`. Both sockets must be non-blocking; with edge-triggered events,
 * IDLE and BLOCKED guarantee an event when there is more to do. */
enum splice_result splice_flow_move(struct splice_flow *flow, struct splice_pool *pool, int source,
                                    int sink, size_t budget, uint64_t *moved);

/* Drops what it holds. */
void splice_flow_clear(struct splice_flow *flow, struct splice_pool *pool);

#endif
