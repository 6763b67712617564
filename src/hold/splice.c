#include "hold/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define POOL_FIRST 2

/* At most this goes into a pipe at a time. */
#define FILL_MAX ((size_t)SPLICE_LARGE_SIZE)

static int pipe_open(struct splice_pool *pool, struct splice_pipe *pipe)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    *pipe = (struct splice_pipe){.read_end = ends[0], .write_end = ends[1]};
    if (pool->large < SPLICE_LARGE_MAX &&
        fcntl(ends[0], F_SETPIPE_SZ, SPLICE_LARGE_SIZE) == SPLICE_LARGE_SIZE) {
        pipe->large = true;
        pool->large++;
    }
    return 0;
}

static void pipe_close(struct splice_pool *pool, const struct splice_pipe *pipe)
{
    close(pipe->read_end);
    close(pipe->write_end);
    if (pipe->large)
        pool->large--;
}

static int pool_take(struct splice_pool *pool, struct splice_pipe *pipe)
{
    if (pool->count == 0)
        return pipe_open(pool, pipe);
    *pipe = pool->pipes[--pool->count];
    return 0;
}

static void pool_give(struct splice_pool *pool, const struct splice_pipe *pipe)
{
    if (pool->count == SPLICE_POOL_MAX) {
        pipe_close(pool, pipe);
    } else if (pipe->large) {
        pool->pipes[pool->count++] = *pipe;
    } else {
        memmove(&pool->pipes[1], &pool->pipes[0], pool->count * sizeof pool->pipes[0]);
        pool->pipes[0] = *pipe;
        pool->count++;
    }
}

void splice_pool_init(struct splice_pool *pool)
{
    *pool = (struct splice_pool){0};
    while (pool->count < POOL_FIRST && pipe_open(pool, &pool->pipes[pool->count]) == 0)
        pool->count++;
}

void splice_pool_clear(struct splice_pool *pool)
{
    while (pool->count > 0)
        pipe_close(pool, &pool->pipes[--pool->count]);
}

/* splice(2) without waiting; EINTR tried again. */
static ssize_t splice_now(int from, int to, size_t length)
{
    ssize_t count;
    do
        count = splice(from, NULL, to, NULL, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (count < 0 && errno == EINTR);
    return count;
}

/* Fills the flow's empty pipe from the source. Returns SPLICE_MORE if something came. */
static enum splice_result flow_fill(struct splice_flow *flow, struct splice_pool *pool, int source)
{
    if (pool_take(pool, &flow->pipe) != 0)
        return SPLICE_STARVED;
    ssize_t count = splice_now(source, flow->pipe.write_end, FILL_MAX);
    if (count > 0) {
        flow->held = (size_t)count;
        return SPLICE_MORE;
    }
    int error = errno;
    pool_give(pool, &flow->pipe);
    if (count == 0) {
        flow->ended = true;
        return SPLICE_ENDED;
    }
    errno = error;
    return error == EAGAIN ? SPLICE_IDLE : SPLICE_FAILED;
}

/* Empties the flow's pipe into the sink. Returns SPLICE_MORE if nothing is left in it. */
static enum splice_result flow_drain(struct splice_flow *flow, struct splice_pool *pool, int sink,
                                     uint64_t *moved)
{
    while (flow->held > 0) {
        ssize_t count = splice_now(flow->pipe.read_end, sink, flow->held);
        if (count <= 0)
            return count < 0 && errno == EAGAIN ? SPLICE_BLOCKED : SPLICE_FAILED;
        flow->held -= (size_t)count;
        *moved += (uint64_t)count;
    }
    pool_give(pool, &flow->pipe);
    return SPLICE_MORE;
}

enum splice_result splice_flow_move(struct splice_flow *flow, struct splice_pool *pool, int source,
                                    int sink, size_t budget, uint64_t *moved)
{
    uint64_t start = *moved;
    enum splice_result result = SPLICE_MORE;
    if (flow->held > 0)
        result = flow_drain(flow, pool, sink, moved);
    while (result == SPLICE_MORE) {
        if (*moved - start >= budget)
            return SPLICE_MORE;
        result = flow_fill(flow, pool, source);
        if (result == SPLICE_MORE)
            result = flow_drain(flow, pool, sink, moved);
    }
    return result;
}

void splice_flow_clear(struct splice_flow *flow, struct splice_pool *pool)
{
    if (flow->held > 0)
        pipe_close(pool, &flow->pipe);
    flow->held = 0;
}
