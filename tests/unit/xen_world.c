#include "xen_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitsu/clock.h"
#include "platform/pvh/machine.h"
#include "platform/xen/events.h"
#include "platform/xen/grants.h"
#include "platform/xen/netfront.h"
#include "platform/xen/store.h"
#include "platform/xen/xen.h"

#define BACKEND    "/local/domain/7/backend/vif/3/0"
#define STORE_PORT 1u
#define NAMED      (size_t)1

struct world world;

/* --- xenstore --- */

static size_t find(const char *path)
{
    size_t i = 0;

    while (i < world.name_count && strcmp(world.names[i].path, path) != 0)
        i++;
    return i;
}

static size_t find_or_add(const char *path)
{
    size_t i = find(path);

    if (i < world.name_count)
        return i;
    if (i < WORLD_NAMES - 1)
        world.name_count++;
    snprintf(world.names[i].path, sizeof world.names[i].path, "%s", path);
    return i;
}

/* Gives the guest as much of the answers as there is room for. */
static void give_answers(void)
{
    struct xen_store *store = &world.store;
    size_t most = world.store_piece ? world.store_piece : SIZE_MAX;

    while (most-- > 0 && world.answers_begin < world.answers_end &&
           store->answers_given - store->answers_taken < sizeof store->answers)
        store->answers[store->answers_given++ % sizeof store->answers] =
            world.answers[world.answers_begin++];
    if (world.answers_begin == world.answers_end)
        world.answers_begin = world.answers_end = 0;
}

static void answer(uint32_t type, uint32_t id, const void *text, size_t length)
{
    const struct xen_store_header header = {.type = type, .id = id, .length = (uint32_t)length};

    if (world.answers_end + sizeof header + length > sizeof world.answers)
        return;
    memcpy(world.answers + world.answers_end, &header, sizeof header);
    memcpy(world.answers + world.answers_end + sizeof header, text, length);
    world.answers_end += sizeof header + length;
}

static void tell_of_change(size_t name)
{
    char text[2 * WORLD_TEXT_MAX];

    if (!world.names[name].token[0])
        return;
    int length = snprintf(text, sizeof text, "%s%c%s", world.names[name].path, '\0',
                          world.names[name].token);
    answer(XEN_STORE_CHANGED, 0, text, (size_t)length + 1);
}

void world_set(const char *path, const char *value)
{
    size_t name = find_or_add(path);

    snprintf(world.names[name].value, sizeof world.names[name].value, "%s", value);
    tell_of_change(name);
    give_answers();
}

const char *world_get(const char *path)
{
    size_t i = find(path);

    return i < world.name_count && world.names[i].value[0] ? world.names[i].value : NULL;
}

static void follow_frontend(const char *path, const char *value)
{
    if (strcmp(path, "device/vif/0/state") != 0 || world.backend_is_dead)
        return;
    if (strcmp(value, "4") == 0)
        world_set(BACKEND "/state", "4");
    if (strcmp(value, "6") == 0)
        world_set(BACKEND "/state", "6");
}

static void serve(const struct xen_store_header *request, const char *path, size_t length)
{
    const char *rest = path + strnlen(path, length);
    size_t rest_length = length - (size_t)(rest - path);
    char value[WORLD_TEXT_MAX];
    const char *found = world_get(path);

    if (rest_length > 0) {
        rest++;
        rest_length--;
    }
    switch (request->type) {
    case XEN_STORE_READ:
        if (found)
            answer(request->type, request->id, found, strlen(found));
        else
            answer(XEN_STORE_ERROR, request->id, "ENOENT", sizeof "ENOENT");
        break;
    case XEN_STORE_WRITE:
        snprintf(value, sizeof value, "%.*s", (int)rest_length, rest);
        answer(request->type, request->id, "OK", sizeof "OK");
        world_set(path, value);
        follow_frontend(path, value);
        break;
    case XEN_STORE_WATCH: {
        size_t name = find_or_add(path);
        if (strcmp(world.names[name].token, rest) == 0) {
            answer(XEN_STORE_ERROR, request->id, "EEXIST", sizeof "EEXIST");
            break;
        }
        snprintf(world.names[name].token, sizeof world.names[name].token, "%s", rest);
        answer(request->type, request->id, "OK", sizeof "OK");
        tell_of_change(name);
        break;
    }
    default:
        answer(XEN_STORE_ERROR, request->id, "EINVAL", sizeof "EINVAL");
    }
}

static void run_store(void)
{
    struct xen_store *store = &world.store;
    struct xen_store_header header = {0};

    if (store->requests_given - store->requests_taken > sizeof store->requests)
        return;
    while (store->requests_taken != store->requests_given) {
        world.request[world.request_length++] =
            store->requests[store->requests_taken++ % sizeof store->requests];
        memcpy(&header, world.request, sizeof header);
        bool too_long = header.length > XEN_STORE_BYTES_MAX;
        if (world.request_length < sizeof header ||
            (!too_long && world.request_length < sizeof header + header.length))
            continue;
        world.request[world.request_length] = '\0';
        world.request_length = 0;
        if (!too_long)
            serve(&header, (const char *)world.request + sizeof header, header.length);
    }
    give_answers();
}

/* --- what the drivers call --- */

void machine_fatal(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(world.fatal, sizeof world.fatal, format, arguments);
    va_end(arguments);
    if (!world.on_fatal) {
        fprintf(stderr, "fatal: %s\n", world.fatal);
        abort();
    }
    longjmp(*world.on_fatal, 1);
}

uint64_t clock_now(void)
{
    return world.now += CLOCK_MILLISECOND;
}

bool xen_can_wait(void)
{
    return true;
}

uint64_t xen_parameter(uint32_t index)
{
    return index == XEN_PARAM_STORE_PORT ? STORE_PORT : 0;
}

void *xen_parameter_page(uint32_t index)
{
    return index == XEN_PARAM_STORE_FRAME ? &world.store : NULL;
}

uint32_t events_open(uint16_t remote)
{
    return remote == WORLD_DOMAIN ? ++world.next_port : 0;
}

void events_close(uint32_t port)
{
    (void)port;
}

void events_clear(uint32_t port)
{
    (void)port;
}

void events_send(uint32_t port)
{
    if (port == STORE_PORT)
        run_store();
    else
        world.events++;
}

void events_wait(const uint32_t *ports, unsigned count, uint64_t deadline)
{
    (void)ports;
    (void)count;
    (void)deadline;
    run_store();
}

void grant(uint32_t number, uint16_t domain, const void *address, bool read_only)
{
    world.grants[number].page = (const uint8_t *)((uintptr_t)address & ~(uintptr_t)(XEN_PAGE - 1));
    world.grants[number].domain = domain;
    world.grants[number].read_only = read_only;
}

bool grant_end(uint32_t number)
{
    if (world.grants[number].is_mapped)
        return false;
    world.grants[number].page = NULL;
    return true;
}

/* --- the network --- */

static void received(unsigned buffer, void *bytes, uint32_t length, bool checksum_good)
{
    world.received++;
    world.frame_buffer = buffer;
    world.frame_length = length;
    world.frame_is_good = checksum_good;
    memcpy(world.frame, bytes, length);
}

static void sent(void *owner)
{
    world.owners[world.sent++ % (sizeof world.owners / sizeof world.owners[0])] = owner;
}

static void connected(void)
{
    world.connected++;
}

static void finish(void)
{
}

void world_start(void)
{
    memset(&world, 0, sizeof world);
    world.next_port = 4;
    world_set("device/vif/0/backend", BACKEND);
    world_set("device/vif/0/backend-id", "7");
    world_set("device/vif/0/mac", "00:16:3e:00:00:10");
    world_set(BACKEND "/state", "2");
    world_set(BACKEND "/feature-sg", "1");
    world_set(BACKEND "/feature-gso-tcpv4", "1");
    world_set(BACKEND "/feature-gso-tcpv6", "1");
    world_set(BACKEND "/feature-ipv6-csum-offload", "1");
    store_start();
}

bool world_ends(void (*action)(void))
{
    jmp_buf here;

    world.on_fatal = &here;
    bool ended = setjmp(here) != 0;
    if (!ended)
        action();
    world.on_fatal = NULL;
    return ended;
}

struct network_device *world_network(void)
{
    static const struct network_events events = {received, sent, connected, finish};
    static uint8_t pages[NETFRONT_PAGES * XEN_PAGE] __attribute__((aligned(XEN_PAGE)));

    memset(pages, 0, sizeof pages);
    if (!netfront_begin(pages))
        return NULL;
    struct network_device *network = netfront_finish();
    network->events = &events;
    return network;
}

static void *granted(const char *name)
{
    return (void *)(uintptr_t)world.grants[atoi(world_get(name))].page;
}

struct xen_ring *world_send_ring(void)
{
    return granted("device/vif/0/tx-ring-ref");
}

struct xen_ring *world_receive_ring(void)
{
    return granted("device/vif/0/rx-ring-ref");
}

union xen_send_slot *world_send_slot(uint32_t index)
{
    return (union xen_send_slot *)(world_send_ring() + NAMED) + index % 256;
}

union xen_receive_slot *world_receive_slot(uint32_t index)
{
    return (union xen_receive_slot *)(world_receive_ring() + NAMED) + index % 256;
}

const uint8_t *world_bytes(const struct xen_send_request *request)
{
    return world.grants[request->grant].page + request->offset;
}

void world_answer(uint16_t id, int16_t status)
{
    struct xen_ring *ring = world_send_ring();

    world_send_slot(ring->response_given)->response =
        (struct xen_send_response){.id = id, .status = status};
    ring->response_given++;
}

void world_receive(const void *bytes, size_t length, uint16_t flags)
{
    struct xen_ring *ring = world_receive_ring();
    union xen_receive_slot *slot = world_receive_slot(ring->response_given);
    struct xen_receive_request request = slot->request;

    memcpy((uint8_t *)(uintptr_t)world.grants[request.grant].page, bytes, length);
    slot->response =
        (struct xen_receive_response){.id = request.id, .flags = flags, .status = (int16_t)length};
    ring->response_given++;
}
