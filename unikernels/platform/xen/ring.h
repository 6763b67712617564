/* The frontend's side of a ring of requests and responses (Xen's io/ring.h): indices that only ever
 * grow, of which the backend's are not trusted. */
#ifndef JITSU_XEN_RING_H
#define JITSU_XEN_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/xen/interface.h"

struct ring {
    struct xen_ring *shared;
    uint32_t size;     /* a power of two */
    uint32_t given;    /* requests that were written */
    uint32_t told;     /* of them, those that the backend may see */
    uint32_t consumed; /* responses that were taken */
};

static inline void ring_start(struct ring *ring, struct xen_ring *shared, uint32_t size)
{
    *ring = (struct ring){.shared = shared, .size = size};
    *shared = (struct xen_ring){.request_event = 1, .response_event = 1};
}

/* Room for so many requests. */
static inline uint32_t ring_room(const struct ring *ring)
{
    return ring->size - (ring->given - ring->consumed);
}

/* Lets the backend see what was given since. Returns whether it wants to be told. */
static inline bool ring_publish(struct ring *ring)
{
    uint32_t told = ring->told;

    if (told == ring->given)
        return false;
    ring->told = ring->given;
    __atomic_store_n(&ring->shared->request_given, ring->given, __ATOMIC_RELEASE);
    /* What was published must be seen before the backend's wish is read. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint32_t event = __atomic_load_n(&ring->shared->request_event, __ATOMIC_RELAXED);
    return ring->given - event < ring->given - told;
}

/* How many responses wait to be taken; UINT32_MAX if the backend claims more than were asked for.
 */
static inline uint32_t ring_waiting(const struct ring *ring)
{
    uint32_t given = __atomic_load_n(&ring->shared->response_given, __ATOMIC_ACQUIRE);
    uint32_t waiting = given - ring->consumed;

    return waiting <= ring->told - ring->consumed ? waiting : UINT32_MAX;
}

/* Asks for an event once `more` further responses have come, counted from those taken. Returns
 * false if they have already. */
static inline bool ring_arm(struct ring *ring, uint32_t more)
{
    __atomic_store_n(&ring->shared->response_event, ring->consumed + more, __ATOMIC_RELAXED);
    /* The wish must be seen before the ring is read. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return ring_waiting(ring) < more;
}

/* Asks for no events: what has been passed is not passed again for as long as it matters. */
static inline void ring_disarm(struct ring *ring)
{
    __atomic_store_n(&ring->shared->response_event, ring->consumed, __ATOMIC_RELAXED);
}

#endif
