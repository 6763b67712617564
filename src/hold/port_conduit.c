/* What is said to a machine that speaks the conduit, and what it says. One message is under way at
 * a time; what else there is to say waits as something due. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "hold/port_private.h"
#include "hold/random_key.h"

static void transmit(void *owner, const uint8_t *payload, size_t length)
{
    port_speak_conduit(owner, payload, length);
}

/* A jitsud that ran before may have talked to the same machine: a number that is hardly near any
 * that it has used. */
static uint32_t pick_number(struct port *port)
{
    struct siphash_key random = random_key();
    uint32_t number = (uint32_t)siphash(&random, &port->now, sizeof port->now);
    return number ? number : 1;
}

void port_conduit_begin(struct port_service *service, const uint8_t *token)
{
    struct port_conduit *conduit = &service->conduit;
    conduit_link_start(&conduit->link, token, pick_number(service->port), transmit, service);
    conduit->is_open = true;
}

void port_conduit_end(struct port_service *service)
{
    struct port_conduit *conduit = &service->conduit;
    if (!conduit->is_open)
        return;
    service->port->statistics.strange += conduit->link.dropped;
    /* The machine may have taken it, and may have spoken to the client. */
    if (conduit->leaving)
        port_connection_reset(conduit->leaving);
    free(conduit->take);
    conduit_link_end(&conduit->link);
    *conduit = (struct port_conduit){0};
    port_service_due(service, MATTER_CONDUIT, NEVER);
}

/* --- out --- */

static void say(struct port_service *service, enum conduit_type type, size_t length)
{
    struct port_conduit *conduit = &service->conduit;
    conduit_link_send(&conduit->link, (uint8_t)type, conduit->body, length, service->port->now);
}

static size_t write_take(const struct connection *connection, uint8_t *body)
{
    bool has_ended = connection->flags & CONDUIT_CLIENT_ENDED;
    struct conduit_take take = {
        .id = connection->id,
        .family = connection->client.family == AF_INET ? 4 : 6,
        .state = connection->state,
        .flags = connection->flags,
        .send_scale = connection->send_scale,
        .client_segment_max = connection->segment_max,
        .machine_port = connection->machine_port,
        .client_port = connection->client_port,
        .send_next = connection->first + 1,
        .receive_next = connection->receive_next,
        .send_window = connection->send_window,
        .receive_window = (uint32_t)(CONDUIT_WINDOW - connection->length - has_ended),
        .round_trip = connection->round_trip,
        .data = connection->data,
        .data_length = connection->length,
    };
    memcpy(take.machine_address, connection->machine.bytes, sizeof take.machine_address);
    memcpy(take.client_address, connection->client.bytes, sizeof take.client_address);
    return conduit_write_take(&take, body, CONDUIT_TAKE_MAX);
}

/* Who waits for an answer already comes first; behind them those who may be nobody. */
static struct connection *next_to_hand_over(const struct port_service *service)
{
    struct connection *connection;
    TAILQ_FOREACH(connection, &service->connections, of_service)
    if (connection->state == CONDUIT_ESTABLISHED)
        return connection;
    return TAILQ_FIRST(&service->connections);
}

static void hand_over_next(struct port_service *service)
{
    struct port_conduit *conduit = &service->conduit;
    struct connection *connection;

    while ((connection = next_to_hand_over(service)) != NULL) {
        if (!conduit->take)
            conduit->take = malloc(CONDUIT_TAKE_MAX);
        size_t length = conduit->take ? write_take(connection, conduit->take) : 0;
        if (length > 0) {
            conduit->leaving = connection;
            conduit_link_send(&conduit->link, CONDUIT_TAKE, conduit->take, length,
                              service->port->now);
            return;
        }
        port_connection_reset(connection);
    }
    free(conduit->take);
    conduit->take = NULL;
    conduit->hands_over = false;
    conduit->settled_due = true;
    port_service_due(service, MATTER_MACHINE, service->port->now);
}

static void say_next(struct port_service *service)
{
    struct port_conduit *conduit = &service->conduit;
    if (conduit_link_is_busy(&conduit->link))
        return;
    if (conduit->hands_over && !conduit->stop_due) {
        if (!conduit->leaving)
            hand_over_next(service);
        if (conduit->hands_over)
            return;
    }
    if (conduit->stop_due) {
        const struct conduit_stop stop = {.deadline = conduit->stop_deadline};
        conduit->stop_due = false;
        say(service, CONDUIT_STOP, conduit_write_stop(&stop, conduit->body, sizeof conduit->body));
    } else if (conduit->hello_due) {
        const struct conduit_hello hello = {0};
        conduit->hello_due = false;
        say(service, CONDUIT_HELLO,
            conduit_write_hello(&hello, conduit->body, sizeof conduit->body));
    } else if (conduit->settled_due) {
        const struct conduit_settled settled = {.key = service->cookie_key,
                                                .now = service->port->now,
                                                .expires = service->port->cookies_until};
        conduit->settled_due = false;
        say(service, CONDUIT_SETTLED,
            conduit_write_settled(&settled, conduit->body, sizeof conduit->body));
    }
}

void port_conduit_run(struct port_service *service)
{
    struct port_conduit *conduit = &service->conduit;
    /* What is said to a machine that the bridge believes to be here is lost. It is being asked for
     * a frame of its own. */
    conduit->is_cut_off = service->state == PORT_READY && service->location == LOCATION_PORT;
    if (conduit->is_cut_off) {
        port_service_due(service, MATTER_CONDUIT, NEVER);
        return;
    }
    say_next(service);
    conduit_link_flush(&conduit->link);
    port_service_due(service, MATTER_CONDUIT, conduit_link_run(&conduit->link, service->port->now));
}

void port_conduit_reach(struct port_service *service)
{
    if (service->conduit.is_cut_off)
        port_conduit_run(service);
}

void port_conduit_settle(struct port_service *service)
{
    struct port_conduit *conduit = &service->conduit;
    if (!(conduit->features & CONDUIT_CAN_TAKE))
        port_connections_reset(service);
    conduit->hands_over = true;
    port_conduit_run(service);
}

void port_conduit_greet(struct port_service *service)
{
    service->conduit.hello_due = true;
    port_conduit_run(service);
}

void port_conduit_stop(struct port_service *service, uint32_t deadline)
{
    service->conduit.stop_due = true;
    service->conduit.stop_deadline = deadline;
    port_conduit_run(service);
}

/* --- in --- */

static bool receive_hello(struct port_service *service, const struct conduit_hello *hello)
{
    struct port_conduit *conduit = &service->conduit;
    conduit->is_greeted = true;
    conduit->features = hello->features;
    if (service->state == PORT_STARTING && service->ready == PORT_READY_ANNOUNCE)
        return port_machine_shown(service);
    if (service->state == PORT_READY)
        port_conduit_settle(service);
    return true;
}

/* The machine has it. */
static void leave_to_machine(struct connection *connection)
{
    struct endpoint client = {connection->client, connection->client_port},
                    machine = {connection->machine, connection->machine_port};
    port_served_add(connection->service, connection->client_mac, connection->entry.hash, &client,
                    &machine);
    port_release_queue(&connection->late);
    port_connection_free(connection);
}

static void receive_taken(struct port_service *service, const struct conduit_taken *taken)
{
    struct port_conduit *conduit = &service->conduit;
    struct connection *connection = conduit->leaving;
    if (!connection || connection->id != taken->id)
        return;
    conduit->leaving = NULL;
    switch (taken->outcome) {
    case CONDUIT_DONE:
        service->handed_over++;
        service->port->statistics.handed_over++;
        leave_to_machine(connection);
        break;
    case CONDUIT_HAS_IT:
        leave_to_machine(connection);
        break;
    case CONDUIT_NO_MORE:
        /* Those that are left wait for its next start. */
        conduit->hands_over = false;
        break;
    default:
        port_connection_reset(connection);
        break;
    }
}

/* Bytes that came or went are use; that a connection was reset at its end is not. Where not
 * everybody's use counts, it cannot be told from this: the keeper knows. */
static void receive_load(struct port_service *service, const struct conduit_load *load)
{
    struct conduit_load *last = &service->conduit.load;
    bool is_use = load->received != last->received || load->sent != last->sent ||
                  load->connections > last->connections;
    if (is_use && service->summon_from_count == 0)
        service->last_use = service->port->now;
    *last = *load;
    service->conduit.load_moment = service->port->now;
    /* What the port has handed over since is none of those. */
    if (load->connections == 0 && !service->conduit.hands_over)
        port_served_forget(service);
}

static bool receive_stopped(struct port_service *service, const struct conduit_stopped *stopped)
{
    const struct port *port = service->port;
    if (!port->callbacks.stopped)
        return true;
    /* The owner may end the conduit. */
    conduit_link_flush(&service->conduit.link);
    port->callbacks.stopped(service->owner, stopped->cut, port->now);
    return false;
}

/* Returns false if the service may be gone. */
static bool handle(struct port_service *service, const struct conduit_message *message)
{
    struct conduit_hello hello;
    struct conduit_taken taken;
    struct conduit_load load;
    struct conduit_stopped stopped;

    switch (message->type) {
    case CONDUIT_HELLO:
        return !conduit_read_hello(&hello, message->body, message->length) ||
               receive_hello(service, &hello);
    case CONDUIT_TAKEN:
        if (conduit_read_taken(&taken, message->body, message->length))
            receive_taken(service, &taken);
        return true;
    case CONDUIT_LOAD:
        if (conduit_read_load(&load, message->body, message->length))
            receive_load(service, &load);
        return true;
    case CONDUIT_STOPPED:
        return !conduit_read_stopped(&stopped, message->body, message->length) ||
               receive_stopped(service, &stopped);
    default:
        return true;
    }
}

bool port_conduit_receive(struct port_service *service, const struct packet *packet)
{
    struct conduit_link *link = &service->conduit.link;
    struct conduit_message message;
    bool has_come =
        conduit_link_receive(link, packet->conduit.payload, packet->conduit.length, &message);

    if (has_come) {
        conduit_link_accept(link);
        if (!handle(service, &message))
            return false;
    }
    port_conduit_run(service);
    return true;
}
