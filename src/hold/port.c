/* The port's life, and frames in and out of its device. */
#include "hold/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "hold/port_private.h"
#include "hold/random_key.h"

/* Then everybody else has a turn. */
#define FRAMES_PER_TURN 64

/* After the device could not be read: the keeper may be mending it. */
#define DEAF_TIME NANOSECONDS_PER_SECOND

/* --- when --- */

void port_wake_up(struct port *port, uint64_t moment)
{
    if (moment >= port->next)
        return;
    port->next = moment;
    struct timeval pause =
        clock_timeval(moment > port->now ? moment - port->now + 999 /* not too early */ : 0);
    event_add(port->timer, &pause);
}

static uint64_t earliest(const struct port_service *service)
{
    uint64_t due = NEVER;
    for (unsigned matter = 0; matter < MATTERS; matter++)
        if (service->due[matter] < due)
            due = service->due[matter];
    return due;
}

void port_service_due(struct port_service *service, enum port_matter matter, uint64_t due)
{
    struct port *port = service->port;
    service->due[matter] = due;
    bool is_active = earliest(service) != NEVER;
    if (is_active && !service->is_active)
        TAILQ_INSERT_TAIL(&port->active, service, in_active);
    else if (!is_active && service->is_active)
        TAILQ_REMOVE(&port->active, service, in_active);
    service->is_active = is_active;
    port_wake_up(port, due);
}

static bool is_due(struct port_service *service, enum port_matter matter)
{
    if (service->due[matter] > service->port->now)
        return false;
    port_service_due(service, matter, NEVER);
    return true;
}

/* Every service that is due now; any may be freed by an owner. */
static void run_services(struct port *port)
{
    size_t count = 0;
    struct port_service *service;
    TAILQ_FOREACH(service, &port->active, in_active)
    count++;
    while (count-- > 0 && (service = TAILQ_FIRST(&port->active)) != NULL) {
        TAILQ_REMOVE(&port->active, service, in_active);
        TAILQ_INSERT_TAIL(&port->active, service, in_active);
        if (is_due(service, MATTER_CONDUIT))
            port_conduit_run(service);
        if (is_due(service, MATTER_MACHINE))
            port_machine_run(service);
    }
}

uint64_t port_run(struct port *port)
{
    struct port_service *service;

    port->now = port->clock();
    port->next = NEVER;
    if (port->deaf_until <= port->now) {
        port->deaf_until = NEVER;
        event_add(port->readable, NULL);
    }
    run_services(port);
    port_drop_old(port);
    port_connections_run(port);
    TAILQ_FOREACH(service, &port->active, in_active)
    port_wake_up(port, earliest(service));
    port_wake_up(port, port->deaf_until);
    return port->next;
}

/* --- in and out --- */

bool port_transmit(struct port *port, const uint8_t *frame, size_t length)
{
    if (write(port->descriptor, frame, length) == (ssize_t)length)
        return true;
    port->statistics.not_sent++;
    return false;
}

void port_receive(struct port *port, const uint8_t *frame, size_t length)
{
    struct packet packet;
    port->now = port->clock();
    if (packet_read(&packet, frame, length))
        port_receive_packet(port, &packet);
}

static void be_deaf(struct port *port)
{
    log_error("the port of a bridge network cannot be read: %s; its machines' clients are not "
              "served meanwhile; trying again every second",
              strerror(errno));
    event_del(port->readable);
    port->deaf_until = port->clock() + DEAF_TIME;
    port_wake_up(port, port->deaf_until);
}

/* Returns whether the device had no more. */
static bool read_frames(struct port *port)
{
    for (int turn = 0; turn < FRAMES_PER_TURN; turn++) {
        ssize_t length = read(port->descriptor, port->frame, sizeof port->frame);
        if (length > 0) {
            port->is_drained = false;
            port_receive(port, port->frame, (size_t)length);
        } else {
            if (length == 0 || (errno != EAGAIN && errno != EINTR))
                be_deaf(port);
            port->is_drained = true;
            port->batch++;
            return true;
        }
    }
    return false;
}

static void readable(evutil_socket_t descriptor, short what, void *argument)
{
    (void)descriptor;
    (void)what;
    read_frames(argument);
}

static void timer_fired(evutil_socket_t descriptor, short what, void *argument)
{
    struct port *port = argument;
    (void)descriptor;
    (void)what;
    if (port->deaf_until == NEVER)
        read_frames(port);
    port_run(port);
}

/* --- life --- */

struct port *port_new(struct event_base *base, int descriptor, const struct port_identity *identity,
                      const struct port_callbacks *callbacks, struct port_memory *memory)
{
    struct port *port = calloc(1, sizeof *port);
    if (!port) {
        close(descriptor);
        return NULL;
    }
    port->descriptor = descriptor;
    port->base = base;
    port->clock = clock_now;
    port->now = clock_now();
    port->callbacks = *callbacks;
    port->memory = memory;
    port->key = random_key();
    memcpy(port->mac.bytes, identity->mac, sizeof port->mac.bytes);
    port->address4 = identity->address;
    port->address6 = neighbour_link_local(port->mac);
    port->next = port->deaf_until = NEVER;
    port->is_drained = true;
    port->batch = 1;
    TAILQ_INIT(&port->active);
    TAILQ_INIT(&port->half_open);
    TAILQ_INIT(&port->established);
    port->readable = event_new(base, descriptor, EV_READ | EV_PERSIST, readable, port);
    port->timer = evtimer_new(base, timer_fired, port);
    if (table_init(&port->by_mac) != 0 || table_init(&port->by_address) != 0 ||
        table_init(&port->openings) != 0 || table_init(&port->connections) != 0 ||
        !port->readable || !port->timer || event_add(port->readable, NULL) != 0) {
        port_free(port);
        return NULL;
    }
    return port;
}

void port_free(struct port *port)
{
    if (!port)
        return;
    if (port->readable)
        event_free(port->readable);
    if (port->timer)
        event_free(port->timer);
    table_clear(&port->by_mac);
    table_clear(&port->by_address);
    table_clear(&port->openings);
    table_clear(&port->connections);
    descriptor_close(&port->descriptor);
    free(port);
}

bool port_is_deaf(const struct port *port)
{
    return port->deaf_until != NEVER;
}

void port_statistics(const struct port *port, struct port_statistics *statistics)
{
    *statistics = port->statistics;
}
