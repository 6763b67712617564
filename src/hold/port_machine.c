/* How a machine becomes ready, and how its frames are drawn to the port meanwhile.
 *
 * A guest that has booted as far as its network, but not as far as its service, would refuse
 * clients: until it is ready its frames belong here. But nothing can be sent to it as long as the
 * bridge believes so. So it is asked for a frame of its own from time to time; when that has come,
 * its service is tried, what is not from clients let in, and its frames are drawn here again, all
 * within a moment. */
#include <sys/random.h>

#include "common/clock.h"
#include "hold/port_private.h"

/* From one time to the next: a fraction of what the start has taken, so that trying costs a slow
 * guest little and a fast one waits little. */
#define PAUSE_FRACTION 16
#define PAUSE_LEAST    (5 * NANOSECONDS_PER_MILLISECOND)
#define PAUSE_MOST     (100 * NANOSECONDS_PER_MILLISECOND)

/* A machine that leaves may still speak, which draws its frames to it. */
#define LEAVING_PAUSE_LEAST (2 * NANOSECONDS_PER_MILLISECOND)

#define ATTEMPT_PORT_LEAST 49152u /* RFC 6335, section 6 */

static uint64_t pause_of(const struct port_service *service, uint64_t least)
{
    uint64_t pause = (service->port->now - service->began) / PAUSE_FRACTION;
    if (pause < least)
        return least;
    return pause < PAUSE_MOST ? pause : PAUSE_MOST;
}

static void run_again(struct port_service *service, uint64_t least)
{
    port_service_due(service, MATTER_MACHINE, service->port->now + pause_of(service, least));
}

static void enter(struct port_service *service, enum port_state state)
{
    service->state = (uint8_t)state;
    service->began = service->port->now;
    service->attempt.is_under_way = false;
    service->want_due = false;
    port_service_due(service, MATTER_MACHINE, NEVER);
}

/* --- starting --- */

/* A unikernel must hear what it is told by the conduit; it listens as soon as it is on the network.
 */
static void draw_guest(struct port_service *service)
{
    if (!service->conduit.is_open)
        port_draw(service);
}

static void run_starting(struct port_service *service)
{
    service->attempt.is_under_way = false;
    /* Whatever the location is believed to be: what it sends to others is not seen here. */
    draw_guest(service);
    if (service->ready != PORT_READY_TOLD || service->passing_count > 0)
        port_ask(service);
    run_again(service, PAUSE_LEAST);
}

void port_machine_starting(struct port_service *service)
{
    service->resumes = service->state == PORT_SUSPENDED;
    enter(service, PORT_STARTING);
    if (service->ready != PORT_READY_ANNOUNCE)
        run_again(service, PAUSE_LEAST);
}

static void attempt(struct port_service *service)
{
    struct port_attempt *attempt = &service->attempt;
    uint16_t offset;
    if (attempt->is_under_way)
        return;
    if (getrandom(&attempt->sequence, sizeof attempt->sequence, 0) < 0 ||
        getrandom(&offset, sizeof offset, 0) < 0)
        return;
    attempt->port = (uint16_t)(ATTEMPT_PORT_LEAST | offset);
    attempt->is_under_way = true;
    port_attempt_open(service);
}

/* Shows the machine that its service answers? Then `*is_accepted` says what. */
static bool is_answer(const struct port_service *service, const struct packet *packet,
                      bool *is_accepted)
{
    const struct port_attempt *attempt = &service->attempt;
    const struct tcp_segment *tcp = &packet->tcp;
    if (!attempt->is_under_way || packet->kind != PACKET_TCP ||
        !mac_equal(packet->ethernet.destination, service->port->mac) ||
        tcp->source_port != service->ready_port || tcp->destination_port != attempt->port ||
        !(tcp->flags & TCP_ACK) || tcp->acknowledgement != attempt->sequence + 1)
        return false;
    *is_accepted = (tcp->flags & (TCP_SYN | TCP_RST)) == TCP_SYN;
    return true;
}

bool port_machine_shown(struct port_service *service)
{
    const struct port *port = service->port;
    port_machine_ready(service);
    port->callbacks.ready(service->owner, port->now);
    return false;
}

static bool seen_starting(struct port_service *service, const struct packet *packet)
{
    bool is_accepted;
    if (service->ready == PORT_READY_ARP &&
        (packet->kind == PACKET_ARP || packet->kind == PACKET_NEIGHBOUR))
        return port_machine_shown(service);
    if (service->ready == PORT_READY_ANNOUNCE)
        return true;
    if (service->location != LOCATION_MACHINE)
        return true;
    if (is_answer(service, packet, &is_accepted)) {
        service->attempt.is_under_way = false;
        if (is_accepted) {
            port_attempt_end(service);
            return port_machine_shown(service);
        }
    } else {
        port_release_passing(service);
        if (service->ready == PORT_READY_TCP)
            attempt(service);
    }
    /* At once: a client whose packet got through now would be refused. */
    draw_guest(service);
    return true;
}

/* --- ready --- */

static void run_ready(struct port_service *service)
{
    if (service->location == LOCATION_MACHINE) {
        port_release(service);
    } else if (service->location == LOCATION_PORT || service->frame_count > 0) {
        port_ask(service);
        run_again(service, PAUSE_LEAST);
    }
}

void port_machine_ready(struct port_service *service)
{
    if (service->state == PORT_READY)
        return;
    if (!service->resumes)
        port_served_forget(service);
    enter(service, PORT_READY);
    run_ready(service);
    if (service->conduit.is_greeted)
        port_conduit_settle(service);
    else if (!service->conduit.is_open)
        port_connections_reset(service); /* they cannot be handed over */
}

/* --- leaving --- */

void port_machine_leaving(struct port_service *service)
{
    enter(service, PORT_LEAVING);
    port_served_leave(service);
    port_announce(service);
    run_again(service, LEAVING_PAUSE_LEAST);
}

/* A suspended machine keeps its connections: what is held of them wants it, too. */
static void want_for_connections(struct port_service *service)
{
    struct held_frame *frame;
    TAILQ_FOREACH(frame, &service->frames, of_service)
    if (frame->purpose == PURPOSE_STALE)
        frame->purpose = PURPOSE_SUMMONS;
}

bool port_machine_is_there(const struct port_service *service)
{
    return service->state != PORT_OFF && (service->state != PORT_STARTING || service->resumes);
}

void port_machine_off(struct port_service *service, enum port_state state)
{
    bool was_there = port_machine_is_there(service);
    enter(service, state);
    if (state == PORT_SUSPENDED)
        want_for_connections(service);
    port_announce(service);
    if (state == PORT_OFF && was_there)
        port_served_tell(service);
    if (port_service_is_wanted(service)) {
        service->want_due = true;
        port_service_due(service, MATTER_MACHINE, service->port->now);
    }
}

/* The owner learns of the oldest that waits. */
static void run_off(struct port_service *service)
{
    const struct port *port = service->port;
    const struct held_frame *frame;
    struct packet packet;
    const struct connection *connection = TAILQ_FIRST(&service->connections);

    if (!service->want_due)
        return;
    service->want_due = false;
    if (connection) {
        struct endpoint client = {connection->client, connection->client_port};
        port->callbacks.wanted(service->owner, &client, connection->machine_port,
                               connection->moment);
        return;
    }
    TAILQ_FOREACH(frame, &service->frames, of_service)
    if (frame->purpose == PURPOSE_SUMMONS && packet_read(&packet, frame->bytes, frame->length)) {
        struct endpoint client = packet_source(&packet);
        port->callbacks.wanted(service->owner, &client, packet_destination_port(&packet),
                               frame->moment);
        return;
    }
}

/* --- in any state --- */

void port_machine_run(struct port_service *service)
{
    switch ((enum port_state)service->state) {
    case PORT_STARTING:
        run_starting(service);
        return;
    case PORT_READY:
        run_ready(service);
        return;
    case PORT_LEAVING:
        port_draw(service);
        run_again(service, LEAVING_PAUSE_LEAST);
        return;
    case PORT_OFF:
    case PORT_SUSPENDED:
        run_off(service);
        return;
    }
}

bool port_machine_seen(struct port_service *service, const struct packet *packet)
{
    /* Not if the frame may have passed the bridge before what the port said in its name. */
    if (service->spoke != service->port->batch)
        service->location = LOCATION_MACHINE;
    if (service->state == PORT_STARTING)
        return seen_starting(service, packet);
    if (service->state == PORT_READY && service->location == LOCATION_MACHINE) {
        port_release(service);
        port_conduit_reach(service);
    }
    return true;
}
