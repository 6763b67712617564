/* The frames held for machines. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "hold/port_private.h"

/* Whoever has not repeated itself for so long has given up: Linux's last pauses between SYNs are of
 * about a minute. */
#define HOLD_TIME (120 * NANOSECONDS_PER_SECOND)

/* While the device takes no more. */
#define RELEASE_RETRY NANOSECONDS_PER_MILLISECOND

/* --- the queues: those whose clients are there come last, and within each kind the oldest first
 * ---
 */

static void enqueue(struct held_frame *frame)
{
    struct port_service *service = frame->service;
    struct port_memory *memory = service->port->memory;
    bool is_late = frame->queue != &service->frames;
    struct held_frame *behind = frame->is_real || is_late ? NULL : service->first_real;
    if (behind)
        TAILQ_INSERT_BEFORE(behind, frame, of_service);
    else
        TAILQ_INSERT_TAIL(frame->queue, frame, of_service);
    behind = frame->is_real ? NULL : memory->first_real;
    if (behind)
        TAILQ_INSERT_BEFORE(behind, frame, of_all);
    else
        TAILQ_INSERT_TAIL(&memory->frames, frame, of_all);
    if (frame->is_real && !service->first_real)
        service->first_real = frame;
    if (frame->is_real && !memory->first_real)
        memory->first_real = frame;
}

static void dequeue(struct held_frame *frame)
{
    struct port_service *service = frame->service;
    struct port_memory *memory = service->port->memory;
    if (service->first_real == frame)
        service->first_real = TAILQ_NEXT(frame, of_service);
    if (memory->first_real == frame)
        memory->first_real = TAILQ_NEXT(frame, of_all);
    TAILQ_REMOVE(frame->queue, frame, of_service);
    TAILQ_REMOVE(&memory->frames, frame, of_all);
}

void port_hold_as_real(struct held_frame *frame)
{
    dequeue(frame);
    frame->is_real = true;
    enqueue(frame);
}

/* --- out --- */

static bool is_passing(const struct held_frame *frame)
{
    return frame->purpose == PURPOSE_NONE;
}

static void forget(struct held_frame *frame)
{
    struct port_service *service = frame->service;
    struct port *port = service->port;
    dequeue(frame);
    if (frame->is_opening)
        table_remove(&port->openings, &frame->opening);
    if (--service->frame_count == 0)
        service->is_crowded = false;
    service->passing_count -= is_passing(frame);
    port->statistics.frames--;
    port_memory_give(service, port_memory_of_frame(frame->length));
    free(frame);
}

void port_drop(struct held_frame *frame)
{
    frame->service->port->statistics.dropped++;
    forget(frame);
}

void port_drop_queue(struct held_frame_queue *queue)
{
    while (!TAILQ_EMPTY(queue))
        port_drop(TAILQ_FIRST(queue));
}

static bool is_old(const struct held_frame *frame, uint64_t now)
{
    return frame->moment + HOLD_TIME <= now;
}

void port_drop_old(struct port *port)
{
    const struct port_memory *memory = port->memory;
    struct held_frame *frame;
    while ((frame = TAILQ_FIRST(&memory->frames)) != NULL && is_old(frame, port->now))
        port_drop(frame);
    if (frame)
        port_wake_up(port, frame->moment + HOLD_TIME);
    while ((frame = memory->first_real) != NULL && is_old(frame, port->now))
        port_drop(frame);
    if (frame)
        port_wake_up(port, frame->moment + HOLD_TIME);
}

/* --- in --- */

/* The segment that opened the same connection, held already. */
static struct held_frame *find_opening(const struct port *port, const struct packet *packet,
                                       uint64_t hash, struct packet *found)
{
    struct table_entry *entry = table_first(&port->openings, hash);
    for (; entry; entry = table_next(entry)) {
        struct held_frame *frame = TABLE_OWNER(entry, struct held_frame, opening);
        if (packet_read(found, frame->bytes, frame->length) &&
            address_equal(&found->ip.source, &packet->ip.source) &&
            address_equal(&found->ip.destination, &packet->ip.destination) &&
            found->tcp.source_port == packet->tcp.source_port &&
            found->tcp.destination_port == packet->tcp.destination_port)
            return frame;
    }
    return NULL;
}

/* Is it held already? A new attempt by the same client takes the place of the one before. */
static bool is_repeated(struct port *port, const struct packet *packet, uint64_t hash)
{
    struct packet found;
    struct held_frame *frame = find_opening(port, packet, hash, &found);
    if (!frame)
        return false;
    if (found.tcp.sequence != packet->tcp.sequence) {
        port_drop(frame);
        return false;
    }
    port->statistics.repeated++;
    frame->moment = port->now;
    dequeue(frame);
    enqueue(frame);
    if (!frame->is_real)
        port_challenge(frame->service, packet);
    return true;
}

struct held_frame *port_find_opening(struct port *port, const struct packet *packet)
{
    struct packet found;
    return find_opening(port, packet, port_flow_hash(port, packet), &found);
}

void port_drop_opening(struct port *port, const struct packet *packet)
{
    struct held_frame *frame = port_find_opening(port, packet);
    if (frame)
        port_drop(frame);
}

static struct held_frame *keep(struct port_service *service, const struct packet *packet,
                               struct held_frame_queue *queue)
{
    struct port *port = service->port;
    struct held_frame *frame = port_memory_for_frame(service, packet->length)
                                   ? malloc(sizeof *frame + packet->length)
                                   : NULL;
    if (!frame) {
        port->statistics.dropped++;
        return NULL;
    }
    *frame = (struct held_frame){.service = service,
                                 .queue = queue,
                                 .moment = port->now,
                                 .length = (uint16_t)packet->length};
    memcpy(frame->bytes, packet->frame, packet->length);
    enqueue(frame);
    service->frame_count++;
    port->statistics.frames++;
    port_memory_take(service, port_memory_of_frame(packet->length));
    port->statistics.held++;
    port_wake_up(port, port->now + HOLD_TIME);
    return frame;
}

bool port_hold(struct port_service *service, const struct packet *packet, enum port_purpose purpose)
{
    struct port *port = service->port;
    bool is_opening = packet->kind == PACKET_TCP && tcp_is_opening(&packet->tcp);
    uint64_t hash = is_opening ? port_flow_hash(port, packet) : 0;

    if (is_opening && is_repeated(port, packet, hash))
        return false;
    struct held_frame *frame = keep(service, packet, &service->frames);
    if (!frame)
        return true;
    frame->is_opening = is_opening;
    frame->purpose = (uint8_t)purpose;
    service->passing_count += is_passing(frame);
    if (is_opening) {
        table_add(&port->openings, &frame->opening, hash);
        port_challenge(service, packet);
    }
    return true;
}

void port_hold_late(struct port_service *service, const struct packet *packet,
                    struct held_frame_queue *queue)
{
    keep(service, packet, queue);
}

/* --- to the machine --- */

bool port_pass_on(struct port_service *service, const uint8_t *bytes, size_t length)
{
    struct port *port = service->port;
    struct ethernet_header header;
    uint8_t frame[PORT_FRAME_MAX];
    struct reader reader = reader_over(bytes, length);
    struct writer writer = writer_over(frame, sizeof frame);

    if (!ethernet_read(&header, &reader))
        return false;
    /* Never the client's: the bridge would learn that the client lives here. */
    header.source = port->mac;
    header.destination = service->mac;
    ethernet_write(&writer, &header);
    writer_bytes(&writer, bytes + reader.position, reader_left(&reader));
    if (writer.failed || !port_transmit(port, frame, writer.position))
        return false;
    port->statistics.released++;
    return true;
}

static void note_client(const struct held_frame *frame)
{
    struct packet packet;
    if (!packet_read(&packet, frame->bytes, frame->length))
        return;
    struct endpoint client = packet_source(&packet),
                    machine = {packet.ip.destination, packet.tcp.destination_port};
    port_served_add(frame->service, packet.ethernet.source, frame->opening.hash, &client, &machine);
}

static bool release_one(struct held_frame *frame)
{
    struct port_service *service = frame->service;
    if (!port_pass_on(service, frame->bytes, frame->length)) {
        port_service_due(service, MATTER_MACHINE, service->port->now + RELEASE_RETRY);
        return false;
    }
    if (frame->is_opening)
        note_client(frame);
    forget(frame);
    return true;
}

void port_release_queue(struct held_frame_queue *queue)
{
    while (!TAILQ_EMPTY(queue))
        if (!release_one(TAILQ_FIRST(queue)))
            return;
}

void port_release(struct port_service *service)
{
    while (service->first_real)
        if (!release_one(service->first_real))
            return;
    port_release_queue(&service->frames);
}

void port_release_passing(struct port_service *service)
{
    struct held_frame *frame = TAILQ_FIRST(&service->frames), *next;
    for (; frame && service->passing_count > 0; frame = next) {
        next = TAILQ_NEXT(frame, of_service);
        if (is_passing(frame) && !release_one(frame))
            return;
    }
}

/* --- or back --- */

static void reject(struct held_frame *frame)
{
    struct packet packet;
    if (packet_read(&packet, frame->bytes, frame->length))
        port_reject(frame->service, &packet);
    forget(frame);
}

void port_reject_held(struct port_service *service)
{
    while (!TAILQ_EMPTY(&service->frames))
        reject(TAILQ_FIRST(&service->frames));
}

void port_reject_others(struct port_service *service)
{
    struct held_frame *frame = TAILQ_FIRST(&service->frames), *next;
    for (; frame; frame = next) {
        next = TAILQ_NEXT(frame, of_service);
        if (frame->purpose != PURPOSE_SUMMONS)
            reject(frame);
    }
}
