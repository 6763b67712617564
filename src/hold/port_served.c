/* Clients whose connections a machine has, as far as the port has brought them together. One that
 * only waits would never hear that its machine is gone: so it is sent what no connection expects,
 * answers with an acknowledgement (RFC 9293, section 3.10.7.4), and that is reset. */
#include <stdlib.h>

#include "common/conduit.h"
#include "hold/port_private.h"

#define COUNT_FIRST 16u
#define COUNT_MOST  1024u /* then the oldest is forgotten: the latest are the likeliest to wait */

struct served_client {
    uint64_t connection; /* its hash */
    struct endpoint client, machine;
    struct mac mac;
};

static void grow(struct port_service *service)
{
    struct served_clients *served = &service->served;
    size_t capacity = served->capacity ? 2 * served->capacity : COUNT_FIRST;
    size_t more = (capacity - served->capacity) * sizeof *served->list;
    if (capacity > COUNT_MOST || !port_memory_for_served(service, more))
        return;
    struct served_client *list = reallocarray(served->list, capacity, sizeof *list);
    if (!list)
        return;
    served->list = list;
    served->capacity = capacity;
    port_memory_take_for_served(service, more);
}

/* NULL: there is none. */
static struct served_client *next_place(struct port_service *service)
{
    struct served_clients *served = &service->served;
    if (served->count == served->capacity)
        grow(service);
    if (served->count < served->capacity)
        return &served->list[served->count++];
    return served->capacity ? &served->list[served->oldest++ % served->capacity] : NULL;
}

void port_served_add(struct port_service *service, struct mac mac, uint64_t connection,
                     const struct endpoint *client, const struct endpoint *machine)
{
    struct served_client *place = next_place(service);
    if (place)
        *place = (struct served_client){
            .connection = connection, .client = *client, .machine = *machine, .mac = mac};
}

void port_served_forget(struct port_service *service)
{
    struct served_clients *served = &service->served;
    port_memory_give_of_served(service, served->capacity * sizeof *served->list);
    free(served->list);
    *served = (struct served_clients){0};
}

/* It has told how many, and would have told by now if there were none any more. */
static bool has_some(const struct port_service *service)
{
    const struct port_conduit *conduit = &service->conduit;
    return conduit->load.connections > 0 &&
           service->port->now - conduit->load_moment > 2 * CONDUIT_LOAD_INTERVAL;
}

void port_served_leave(struct port_service *service)
{
    if (!has_some(service))
        port_served_forget(service);
}

/* Any number will do that is not about to be expected: of 2^32 numbers those are few. */
static void provoke(struct port_service *service, const struct served_client *client)
{
    struct ip_packet packet = {.source = client->machine.address,
                               .destination = client->client.address};
    struct tcp_segment segment = {.source_port = client->machine.port,
                                  .destination_port = client->client.port,
                                  .sequence = (uint32_t)(service->port->now >> 8),
                                  .flags = TCP_ACK};
    port_speak_segment(service, client->mac, &packet, &segment);
}

void port_served_tell(struct port_service *service)
{
    const struct served_clients *served = &service->served;
    for (size_t i = 0; i < served->count; i++)
        provoke(service, &served->list[(served->oldest + i) % served->count]);
}

bool port_served_is(const struct port_service *service, const struct packet *packet)
{
    const struct served_clients *served = &service->served;
    if (served->count == 0)
        return false;
    uint64_t connection = port_flow_hash(service->port, packet);
    for (size_t i = 0; i < served->count; i++)
        if (served->list[i].connection == connection)
            return true;
    return false;
}
