/* The memory for what all ports hold, and who gives way when there is no more. */
#include <stdlib.h>

#include "hold/port_private.h"

/* Of an allocation, beside what was asked for; and its place in a table. */
#define ALLOCATION_COST 32u

#define FRAMES_SHARE 4 /* one in so many bytes is for frames only */
#define SERVED_SHARE 8 /* one in so many at most is for remembering clients */

struct port_memory *port_memory_new(const struct port_limits *limits)
{
    struct port_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return NULL;
    memory->limits = *limits;
    TAILQ_INIT(&memory->frames);
    return memory;
}

void port_memory_free(struct port_memory *memory)
{
    free(memory);
}

/* --- how much --- */

size_t port_memory_of_frame(size_t length)
{
    return sizeof(struct held_frame) + length + ALLOCATION_COST;
}

size_t port_memory_of_connection(void)
{
    return sizeof(struct connection) + ALLOCATION_COST;
}

void port_memory_take(struct port_service *service, size_t bytes)
{
    service->bytes += bytes;
    service->port->statistics.bytes += bytes;
    service->port->memory->bytes += bytes;
}

void port_memory_give(struct port_service *service, size_t bytes)
{
    service->bytes -= bytes;
    service->port->statistics.bytes -= bytes;
    service->port->memory->bytes -= bytes;
}

void port_memory_take_for_connection(struct port_service *service, size_t bytes)
{
    service->port->memory->connection_bytes += bytes;
    port_memory_take(service, bytes);
}

void port_memory_give_of_connection(struct port_service *service, size_t bytes)
{
    service->port->memory->connection_bytes -= bytes;
    port_memory_give(service, bytes);
}

void port_memory_take_for_served(struct port_service *service, size_t bytes)
{
    service->port->memory->served_bytes += bytes;
    port_memory_take(service, bytes);
}

void port_memory_give_of_served(struct port_service *service, size_t bytes)
{
    service->port->memory->served_bytes -= bytes;
    port_memory_give(service, bytes);
}

/* --- who gives way --- */

static bool has_room(const struct port_memory *memory, size_t bytes)
{
    return memory->bytes + bytes <= memory->limits.bytes;
}

/* In what frames cannot be made to give back. */
static bool leaves_frames_share(const struct port_memory *memory, size_t bytes)
{
    size_t most = memory->limits.bytes - memory->limits.bytes / FRAMES_SHARE;
    return memory->connection_bytes + memory->served_bytes + bytes <= most;
}

static bool has_share(const struct port_service *service, size_t bytes, size_t frames)
{
    const struct port_limits *limits = &service->port->memory->limits;
    return service->bytes + bytes <= limits->bytes_per_service &&
           service->frame_count + frames <= limits->frames_per_service;
}

/* The service's own first, so that no crowd of one takes what another's clients have sent. */
static bool make_room(struct port_service *service, size_t bytes, size_t frames)
{
    struct port_memory *memory = service->port->memory;
    while (!has_share(service, bytes, frames) && !TAILQ_EMPTY(&service->frames))
        port_drop(TAILQ_FIRST(&service->frames));
    if (!has_share(service, bytes, frames))
        return false;
    while (!has_room(memory, bytes) && !TAILQ_EMPTY(&memory->frames))
        port_drop(TAILQ_FIRST(&memory->frames));
    return has_room(memory, bytes);
}

bool port_memory_for_served(const struct port_service *service, size_t bytes)
{
    const struct port_memory *memory = service->port->memory;
    return memory->served_bytes + bytes <= memory->limits.bytes / SERVED_SHARE &&
           leaves_frames_share(memory, bytes) && has_share(service, bytes, 0) &&
           has_room(memory, bytes);
}

bool port_memory_for_frame(struct port_service *service, size_t length)
{
    return make_room(service, port_memory_of_frame(length), 1);
}

bool port_memory_for_connection(struct port_service *service, size_t bytes)
{
    return leaves_frames_share(service->port->memory, bytes) && make_room(service, bytes, 0);
}

void port_memory_limit(struct port_memory *memory, const struct port_limits *limits)
{
    memory->limits = *limits;
    while (!has_room(memory, 0) && !TAILQ_EMPTY(&memory->frames))
        port_drop(TAILQ_FIRST(&memory->frames));
}
