/* Services, and what their owner says of them. */
#include <stdlib.h>
#include <string.h>

#include "hold/port_private.h"

/* --- which --- */

uint64_t port_hash_mac(const struct port *port, struct mac mac)
{
    return siphash(&port->key, mac.bytes, sizeof mac.bytes);
}

uint64_t port_hash_address(const struct port *port, const struct address *address)
{
    return siphash(&port->key, address->bytes, ip_address_size(address->family));
}

struct port_service *port_service_of_mac(const struct port *port, struct mac mac)
{
    struct table_entry *entry = table_first(&port->by_mac, port_hash_mac(port, mac));
    for (; entry; entry = table_next(entry)) {
        struct port_service *service = TABLE_OWNER(entry, struct port_service, entry);
        if (mac_equal(service->mac, mac))
            return service;
    }
    return NULL;
}

struct port_service *port_service_of_address(const struct port *port, const struct address *address)
{
    struct table_entry *entry = table_first(&port->by_address, port_hash_address(port, address));
    for (; entry; entry = table_next(entry)) {
        struct port_address *found = TABLE_OWNER(entry, struct port_address, entry);
        if (address_equal(&found->address, address))
            return found->service;
    }
    return NULL;
}

/* --- life --- */

static int refuse_taken(const struct port *port, const struct port_machine *machine, struct mac mac,
                        struct error *error)
{
    char text[ADDRESS_TEXT_SIZE];
    if (port_service_of_mac(port, mac) || mac_equal(mac, port->mac))
        return error_set(error, "another machine of the network has its MAC address");
    for (size_t i = 0; i < machine->address_count; i++)
        if (port_service_of_address(port, &machine->addresses[i]))
            return error_set(error, "another machine of the network has the address %s",
                             address_format(&machine->addresses[i], text));
    return 0;
}

static int refuse_untried(const struct port *port, enum port_ready ready, bool has_ipv6,
                          struct error *error)
{
    if (ready != PORT_READY_TCP || port->address4.family != 0 || has_ipv6)
        return 0;
    return error_set(error, "whether it accepts connections cannot be tried without an IPv4 "
                            "address of the port's own");
}

static bool list_has_ipv6(const struct port_machine *machine)
{
    for (size_t i = 0; i < machine->address_count; i++)
        if (machine->addresses[i].family == AF_INET6)
            return true;
    return false;
}

/* NULL for none of them; the caller has checked that memory was there. */
static void *copy_of(const void *array, size_t count, size_t size)
{
    void *copy = calloc(count ? count : 1, size);
    if (copy && count)
        memcpy(copy, array, count * size);
    return copy;
}

static void list_addresses(struct port_service *service, const struct address *addresses)
{
    struct port *port = service->port;
    for (uint32_t i = 0; i < service->address_count; i++) {
        struct port_address *address = &service->addresses[i];
        address->service = service;
        address->address = addresses[i];
        table_add(&port->by_address, &address->entry, port_hash_address(port, &addresses[i]));
    }
}

/* One of its own, for its machine is to know it: with it connections can be forged. */
static struct siphash_key pick_cookie_key(const struct port *port, struct mac mac)
{
    struct siphash_key key;
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t text[] = {[0] = i, [sizeof mac.bytes] = 0};
        memcpy(text + 1, mac.bytes, sizeof mac.bytes);
        key.words[i] = siphash(&port->key, text, sizeof text);
    }
    return key;
}

static void service_destroy(struct port_service *service)
{
    free(service->addresses);
    free(service->ports);
    free(service->summon_from);
    free(service);
}

struct port_service *port_service_new(struct port *port, void *owner,
                                      const struct port_machine *machine, struct error *error)
{
    struct mac mac;
    memcpy(mac.bytes, machine->mac, sizeof mac.bytes);
    if (refuse_taken(port, machine, mac, error) != 0 ||
        refuse_untried(port, (enum port_ready)machine->ready, list_has_ipv6(machine), error) != 0)
        return NULL;

    struct port_service *service = calloc(1, sizeof *service);
    if (!service) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    service->port = port;
    service->owner = owner;
    service->mac = mac;
    service->cookie_key = pick_cookie_key(port, mac);
    service->ready = machine->ready;
    service->hold = machine->hold;
    service->ready_port = machine->ready_port;
    for (unsigned matter = 0; matter < MATTERS; matter++)
        service->due[matter] = NEVER;
    service->address_count = (uint32_t)machine->address_count;
    service->port_count = (uint32_t)machine->port_count;
    service->summon_from_count = (uint32_t)machine->summon_from_count;
    service->addresses = calloc(machine->address_count, sizeof *service->addresses);
    service->ports = copy_of(machine->ports, machine->port_count, sizeof *service->ports);
    service->summon_from =
        copy_of(machine->summon_from, machine->summon_from_count, sizeof *service->summon_from);
    TAILQ_INIT(&service->frames);
    TAILQ_INIT(&service->connections);
    if (!service->addresses || !service->ports || !service->summon_from) {
        service_destroy(service);
        error_set(error, "memory is exhausted");
        return NULL;
    }
    list_addresses(service, machine->addresses);
    table_add(&port->by_mac, &service->entry, port_hash_mac(port, mac));
    return service;
}

void port_service_free(struct port_service *service)
{
    if (!service)
        return;
    struct port *port = service->port;
    port_connections_reset(service);
    port_drop_queue(&service->frames);
    port_conduit_end(service);
    port_served_forget(service);
    port_service_due(service, MATTER_MACHINE, NEVER);
    table_remove(&port->by_mac, &service->entry);
    for (uint32_t i = 0; i < service->address_count; i++)
        table_remove(&port->by_address, &service->addresses[i].entry);
    service_destroy(service);
}

static bool has_ipv6(const struct port_service *service)
{
    for (uint32_t i = 0; i < service->address_count; i++)
        if (service->addresses[i].address.family == AF_INET6)
            return true;
    return false;
}

int port_service_expect(struct port_service *service, enum port_ready ready, uint16_t ready_port,
                        struct error *error)
{
    if (refuse_untried(service->port, ready, has_ipv6(service), error) != 0)
        return -1;
    service->ready = (uint8_t)ready;
    service->ready_port = ready_port;
    return 0;
}

bool port_service_is_wanted(const struct port_service *service)
{
    const struct held_frame *frame;
    if (service->connection_count > 0)
        return true;
    TAILQ_FOREACH(frame, &service->frames, of_service)
    if (frame->purpose == PURPOSE_SUMMONS)
        return true;
    return false;
}

uint64_t port_service_last_use(const struct port_service *service)
{
    return service->last_use;
}

size_t port_service_connections(const struct port_service *service)
{
    return service->connection_count + service->conduit.load.connections;
}

uint64_t port_service_handed_over(const struct port_service *service)
{
    return service->handed_over;
}

/* --- what the owner says --- */

static void listen_to_owner(struct port_service *service)
{
    service->port->now = service->port->clock();
}

void port_service_conduit(struct port_service *service, const uint8_t *token)
{
    listen_to_owner(service);
    port_conduit_end(service);
    port_conduit_begin(service, token);
}

bool port_service_stop(struct port_service *service, uint32_t deadline)
{
    listen_to_owner(service);
    if (!service->conduit.is_greeted || !(service->conduit.features & CONDUIT_CAN_STOP))
        return false;
    port_conduit_stop(service, deadline);
    return true;
}

void port_service_starting(struct port_service *service)
{
    listen_to_owner(service);
    port_machine_starting(service);
}

void port_service_ready(struct port_service *service)
{
    listen_to_owner(service);
    bool says_hello = service->state == PORT_STARTING && !service->resumes;
    port_machine_ready(service);
    if (service->conduit.is_open && !service->conduit.is_greeted && !says_hello)
        port_conduit_greet(service);
}

void port_service_attract(struct port_service *service)
{
    listen_to_owner(service);
    port_machine_leaving(service);
}

void port_service_gone(struct port_service *service)
{
    listen_to_owner(service);
    port_conduit_end(service);
    port_machine_off(service, PORT_OFF);
    port_reject_others(service);
}

void port_service_suspended(struct port_service *service)
{
    listen_to_owner(service);
    port_machine_off(service, PORT_SUSPENDED);
}

static void reject_all(struct port_service *service)
{
    port_connections_reset(service);
    port_reject_held(service);
    service->want_due = false;
}

void port_service_fail(struct port_service *service)
{
    listen_to_owner(service);
    port_conduit_end(service);
    port_machine_off(service, PORT_OFF);
    reject_all(service);
}

void port_service_refuse(struct port_service *service, bool refuse)
{
    listen_to_owner(service);
    service->refuse = refuse;
    if (!refuse || service->state == PORT_READY)
        return;
    reject_all(service);
}
