#include "summon_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/device_name.h"

struct world world;

/* --- clock --- */

static uint64_t moved_on;

static uint64_t real(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t clock_now(void)
{
    return real(CLOCK_MONOTONIC) + moved_on;
}

uint64_t clock_now_coarse(void)
{
    return clock_now();
}

double clock_wall(void)
{
    return (double)(real(CLOCK_REALTIME) + moved_on) / (double)NANOSECONDS_PER_SECOND;
}

double clock_to_wall(uint64_t moment)
{
    if (moment == 0)
        return 0;
    return clock_wall() - ((double)clock_now() - (double)moment) / (double)NANOSECONDS_PER_SECOND;
}

struct timeval clock_timeval(uint64_t nanoseconds)
{
    return (struct timeval){.tv_sec = (time_t)(nanoseconds / NANOSECONDS_PER_SECOND),
                            .tv_usec = (suseconds_t)(nanoseconds % NANOSECONDS_PER_SECOND / 1000)};
}

/* --- configuration --- */

static char bridge_name[] = "br0", network_name[] = "lan";
static struct config_network bridge_network = {.name = network_name,
                                               .type = CONFIG_NETWORK_BRIDGE,
                                               .hold = CONFIG_HOLD_DELAY,
                                               .bridge = bridge_name};
static struct config_network user_network = {.type = CONFIG_NETWORK_USER,
                                             .hold = CONFIG_HOLD_PROXY};

struct config *world_config(size_t count)
{
    struct config *config = calloc(1, sizeof *config);
    config->memory_limit = 1024 * MEGABYTE;
    config->machine_limit = 64;
    config->start_limit = 4;
    config->held_limit = 64 * MEGABYTE;
    config->held_connection_limit = 1024;
    config->service_count = count;
    config->services = calloc(count, sizeof *config->services);
    for (size_t i = 0; i < count; i++) {
        struct config_service *service = &config->services[i];
        assert_true(asprintf(&service->name, "s%zu.example.org", i) > 0);
        service->addresses = calloc(1, sizeof *service->addresses);
        service->ports = calloc(1, sizeof *service->ports);
        address_parse("127.0.0.1", &service->addresses[0]);
        service->ports[0] = (struct config_port){.listen = (uint16_t)(8000 + i), .machine = 80};
        service->network = &user_network;
        service->address_count = service->port_count = 1;
        service->summon = CONFIG_SUMMON_DNS | CONFIG_SUMMON_PACKET;
        service->memory = 16 * MEGABYTE;
        service->boot_timeout = 10 * NANOSECONDS_PER_SECOND;
        service->idle = 120 * NANOSECONDS_PER_SECOND;
    }
    return config;
}

void world_free_config(struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++) {
        free(config->services[i].name);
        free(config->services[i].addresses);
        free(config->services[i].ports);
    }
    free(config->services);
    free(config);
}

/* The services' names carry their number, which may not be their place. */
const struct config_service *config_find_service(const struct config *config, const char *name)
{
    size_t guess = (size_t)strtoul(name + (name[0] == 's'), NULL, 10);
    if (guess < config->service_count && strcmp(config->services[guess].name, name) == 0)
        return &config->services[guess];
    for (size_t i = 0; i < config->service_count; i++)
        if (strcmp(config->services[i].name, name) == 0)
            return &config->services[i];
    return NULL;
}

/* Only those with a wildcard of the world's own. */
const struct config_service *config_find_wildcard(const struct config *config, const char *name,
                                                  char *label)
{
    char wildcard[CONFIG_NAME_TEXT_MAX];
    size_t length = strcspn(name, ".");
    snprintf(wildcard, sizeof wildcard, "*%s", name + length);
    const struct config_service *found =
        config_find_service(config, name) ? NULL : config_find_service(config, wildcard);
    if (!found || !config_label_is_good(name, length))
        return NULL;
    snprintf(label, CONFIG_LABEL_MAX + 1, "%.*s", (int)length, name);
    return found;
}

const char *config_stop_name(unsigned stop)
{
    return stop == CONFIG_STOP_DESTROY ? "destroy"
                                       : (stop == CONFIG_STOP_SUSPEND ? "suspend" : "shutdown");
}

/* --- keeper --- */

static char link_made; /* its address stands for the link */

struct message message_make(enum message_type type, uint32_t serial, const char *service)
{
    struct message message;
    memset(&message, 0, sizeof message);
    message.type = type;
    message.serial = serial;
    if (service)
        strncpy(message.service, service, sizeof message.service - 1);
    return message;
}

void message_link_send(struct message_link *link, const struct message *message, int descriptor)
{
    assert_ptr_equal(link, &link_made);
    assert_int_equal(descriptor, -1);
    if ((world.sent_count & (world.sent_count - 1)) == 0) /* full at each power of two */
        world.sent = reallocarray(world.sent, world.sent_count * 2 + 1, sizeof *world.sent);
    world.sent[world.sent_count++] = *message;
}

size_t sent(enum message_type type, const char *service)
{
    size_t count = 0;
    for (size_t i = 0; i < world.sent_count; i++)
        count +=
            world.sent[i].type == type && (!service || strcmp(world.sent[i].service, service) == 0);
    return count;
}

const struct message *last_sent(enum message_type type, const char *service)
{
    for (size_t i = world.sent_count; i > 0; i--)
        if (world.sent[i - 1].type == type &&
            (!service || strcmp(world.sent[i - 1].service, service) == 0))
            return &world.sent[i - 1];
    fail_msg("no message of type %d was sent about %s", (int)type, service ? service : "any");
    return NULL;
}

void keeper_arrives(void)
{
    summoner_set_keeper(world.summoner, (struct message_link *)&link_made);
}

void keeper_synchronised(void)
{
    struct message message = message_make(MESSAGE_SYNCHRONISED, 0, NULL);
    summoner_keeper_message(world.summoner, &message);
}

void keeper_leaves(void)
{
    summoner_keeper_lost(world.summoner);
}

static struct message about_last_run(enum message_type type, size_t index)
{
    const struct message *start = last_sent(MESSAGE_START, NAME(index));
    return message_make(type, start->serial, NAME(index));
}

static void describe(struct message *message)
{
    message->machine.moment = clock_now();
    message->machine.pid = 4711;
    message->machine.forward_count = 1;
    message->machine.forwards[0] = (struct message_forward){.machine = 80, .host = 40080};
    memcpy(message->machine.token, world.token, sizeof world.token);
    message->machine.ready_rule = world.ready_rule;
    message->machine.ready_port = 80;
}

void keeper_says(enum message_type type, size_t index)
{
    struct message message = about_last_run(type, index);
    if (type == MESSAGE_SPAWNED || type == MESSAGE_ENTERED || type == MESSAGE_READY)
        describe(&message);
    if (type == MESSAGE_FIRST_BYTE)
        message.first_byte.moment = clock_now();
    summoner_keeper_message(world.summoner, &message);
}

void keeper_ready(size_t index)
{
    keeper_says(MESSAGE_READY, index);
}

static struct message end_of(enum message_type type, size_t index, const char *why)
{
    struct message message = about_last_run(type, index);
    message.end.moment = clock_now();
    strncpy(message.end.text, why, sizeof message.end.text - 1);
    return message;
}

static void says_end(enum message_type type, size_t index, bool asked_for, const char *why)
{
    struct message message = end_of(type, index, why);
    message.end.asked_for = asked_for;
    summoner_keeper_message(world.summoner, &message);
}

void keeper_cannot(size_t index, const char *why)
{
    struct message message = end_of(MESSAGE_FAILED, index, why);
    message.end.blameless = true;
    summoner_keeper_message(world.summoner, &message);
}

void keeper_fails(size_t index, const char *why)
{
    says_end(MESSAGE_FAILED, index, false, why);
}

void keeper_exited(size_t index, bool asked_for, const char *why)
{
    says_end(MESSAGE_EXITED, index, asked_for, why);
}

void keeper_has(const char *service, uint32_t serial, bool ready)
{
    struct message message = message_make(MESSAGE_MACHINE, serial, service);
    describe(&message);
    message.machine.ready = ready;
    message.machine.started = clock_wall() - 60;
    summoner_keeper_message(world.summoner, &message);
}

void bring_up(size_t index)
{
    query(index);
    turn();
    assert_int_equal(state_of(index), MACHINE_STARTING);
    keeper_ready(index);
    assert_int_equal(state_of(index), MACHINE_RUNNING);
}

/* --- DNS --- */

static char dns_made;

void dns_server_release(struct dns_server *server, struct dns_host *host, bool ready)
{
    assert_ptr_equal(server, &dns_made);
    world.last_released = host;
    if (ready)
        world.released_ready++;
    else
        world.released_failed++;
}

void dns_server_tell(struct dns_server *server, unsigned worker, struct dns_host *wildcard,
                     const char *label, enum dns_label_fate fate)
{
    assert_ptr_equal(server, &dns_made);
    (void)worker, (void)wildcard;
    snprintf(world.told_label, sizeof world.told_label, "%s", label);
    world.told = fate;
    world.told_count++;
}

/* The workers of this world never see an instance for long. */
void dns_server_retire(struct dns_server *server, struct dns_host *instance)
{
    assert_ptr_equal(server, &dns_made);
    world.retired++;
    summoner_dns_retired(world.summoner, instance);
}

enum dns_disposition query(size_t index)
{
    struct dns_host *host = summoner_dns_hosts(world.summoner)[index];
    struct dns_want want = {.type = 1, .moment = clock_now()};
    endpoint_parse("127.0.0.1@40000", &want.client);
    snprintf(want.name, sizeof want.name, "%s", NAME(index));

    enum dns_disposition disposition = (enum dns_disposition)atomic_load(&host->disposition);
    atomic_store(&host->last_query, clock_now_coarse());
    if (host->summons && !atomic_exchange(&host->wanted, true))
        summoner_dns_wanted(world.summoner, host, &want);
    return disposition;
}

/* --- hold --- */

static char proxy_made;
static struct proxy_callbacks hold_callbacks;

struct proxy *proxy_new(struct event_base *base, const struct proxy_callbacks *callbacks,
                        const struct proxy_limits *limits)
{
    (void)base, (void)limits;
    hold_callbacks = *callbacks;
    return (struct proxy *)&proxy_made;
}

void proxy_free(struct proxy *proxy)
{
    (void)proxy;
}

struct proxy_service *proxy_service_new(struct proxy *proxy, void *owner)
{
    (void)proxy;
    struct proxy_service *service = calloc(1, sizeof *service);
    service->owner = owner;
    return service;
}

void proxy_service_own(struct proxy_service *service, void *owner)
{
    service->owner = owner;
}

int proxy_service_listen(struct proxy_service *service, int descriptor,
                         const struct endpoint *endpoint, uint16_t port)
{
    (void)descriptor, (void)endpoint, (void)port;
    service->listeners++;
    return 0;
}

void proxy_service_unlisten(struct proxy_service *service)
{
    service->listeners = 0;
}

void proxy_service_allow(struct proxy_service *service, const struct prefix *prefixes, size_t count)
{
    (void)prefixes;
    service->allowed = (unsigned)count;
}

void proxy_service_ready(struct proxy_service *service, const struct proxy_target *targets,
                         size_t count)
{
    service->ready = true;
    service->refusing = false;
    service->targets = (unsigned)count;
    if (count)
        service->target = targets[0];
    service->connected += service->waiting;
    service->waiting = 0;
}

void proxy_service_not_ready(struct proxy_service *service)
{
    service->ready = false;
}

void proxy_service_fail(struct proxy_service *service)
{
    service->failed++;
    service->ready = false;
    world.resets += service->waiting;
    service->waiting = 0;
}

void proxy_service_gone(struct proxy_service *service)
{
    service->gone++;
    service->ready = false;
    world.resets += service->connected;
    service->connected = 0;
}

void proxy_service_refuse(struct proxy_service *service, bool refuse)
{
    service->refusing = refuse;
    if (refuse) {
        world.resets += service->waiting;
        service->waiting = 0;
    }
}

size_t proxy_service_connections(const struct proxy_service *service)
{
    return service->waiting + service->connected;
}

uint64_t proxy_service_last_use(const struct proxy_service *service)
{
    return service->last_use;
}

void proxy_service_free(struct proxy_service *service)
{
    free(service);
}

void proxy_statistics(const struct proxy *proxy, struct proxy_statistics *statistics)
{
    (void)proxy;
    *statistics = (struct proxy_statistics){0};
}

bool connects(size_t index)
{
    struct proxy_service *service = hold_of(index);
    struct endpoint client;
    endpoint_parse("127.0.0.1@50000", &client);
    if (!service->ready && service->refusing) {
        world.resets++;
        return false;
    }
    service->last_use = clock_now();
    if (service->ready) {
        service->connected++;
        return true;
    }
    unsigned resets = world.resets;
    service->waiting++;
    hold_callbacks.wanted(service->owner, &client, 80, clock_now());
    return world.resets == resets;
}

/* --- hold: ports of bridge networks --- */

struct port {
    bool deaf;
};

static struct port_callbacks port_callbacks;

static struct port_memory {
    bool is_in_use;
} port_memory;

struct port_memory *port_memory_new(const struct port_limits *limits)
{
    assert_false(port_memory.is_in_use);
    port_memory.is_in_use = true;
    world.port_limits = *limits;
    return &port_memory;
}

void port_memory_limit(struct port_memory *memory, const struct port_limits *limits)
{
    assert_ptr_equal(memory, &port_memory);
    world.port_limits = *limits;
}

void port_memory_free(struct port_memory *memory)
{
    assert_int_equal(world.ports, 0);
    memory->is_in_use = false;
}

struct port *port_new(struct event_base *base, int descriptor, const struct port_identity *identity,
                      const struct port_callbacks *callbacks, struct port_memory *memory)
{
    (void)base, (void)descriptor, (void)identity;
    assert_ptr_equal(memory, &port_memory);
    port_callbacks = *callbacks;
    world.ports++;
    return calloc(1, sizeof(struct port));
}

void port_free(struct port *port)
{
    world.ports--;
    free(port);
}

bool port_is_deaf(const struct port *port)
{
    return port->deaf;
}

struct port_service *port_service_new(struct port *port, void *owner,
                                      const struct port_machine *machine, struct error *error)
{
    assert_non_null(port);
    if (world.port_refuses) {
        error_set(error, "refused");
        return NULL;
    }
    struct port_service *service = calloc(1, sizeof *service);
    service->owner = owner;
    service->hold = machine->hold;
    service->address = machine->addresses[0];
    service->said = "nothing";
    return service;
}

int port_service_expect(struct port_service *service, enum port_ready ready, uint16_t ready_port,
                        struct error *error)
{
    if (service->cannot_expect)
        return error_set(error, "it cannot be tried");
    service->ready = ready;
    service->ready_port = ready_port;
    return 0;
}

void port_service_conduit(struct port_service *service, const uint8_t *token)
{
    service->conduits++;
    memcpy(service->token, token, sizeof service->token);
}

void port_service_starting(struct port_service *service)
{
    service->said = "starting";
}

void port_service_ready(struct port_service *service)
{
    service->said = "ready";
    service->waiting = 0;
}

bool port_service_stop(struct port_service *service, uint32_t deadline)
{
    if (service->can_stop)
        service->deadline = deadline;
    return service->can_stop;
}

void port_service_attract(struct port_service *service)
{
    service->said = "attract";
}

void port_service_gone(struct port_service *service)
{
    service->said = "gone";
}

void port_service_suspended(struct port_service *service)
{
    service->said = "suspended";
}

void port_service_refuse(struct port_service *service, bool refuse)
{
    service->refusing = refuse;
    if (refuse) {
        world.resets += service->waiting;
        service->waiting = 0;
    }
}

bool port_service_is_wanted(const struct port_service *service)
{
    return service->waiting > 0;
}

uint64_t port_service_last_use(const struct port_service *service)
{
    return service->last_use;
}

size_t port_service_connections(const struct port_service *service)
{
    return service->connections;
}

uint64_t port_service_handed_over(const struct port_service *service)
{
    return service->handed_over;
}

void port_service_free(struct port_service *service)
{
    free(service);
}

void port_statistics(const struct port *port, struct port_statistics *statistics)
{
    (void)port;
    *statistics = (struct port_statistics){.frames = 1};
}

void device_service_mac(const struct config_service *service, uint8_t mac[MAC_SIZE])
{
    (void)service;
    memset(mac, 2, MAC_SIZE);
}

struct port_service *port_of(size_t index)
{
    return service_at(index)->port;
}

void put_on_bridge(struct config *config)
{
    config->networks = &bridge_network;
    config->network_count = 1;
    for (size_t i = 0; i < config->service_count; i++)
        config->services[i].network = &bridge_network;
}

void port_opens(void)
{
    static const uint8_t mac[PORT_MAC_SIZE] = {2};
    assert_int_equal(summoner_port_opened(world.summoner, bridge_network.name, mac, -1), 0);
}

static void count_missing(void *argument, const char *network)
{
    assert_string_equal(network, bridge_network.name);
    ++*(size_t *)argument;
}

size_t ports_missing(void)
{
    size_t count = 0;
    summoner_missing_ports(world.summoner, count_missing, &count);
    return count;
}

bool packet(size_t index)
{
    struct port_service *service = port_of(index);
    struct endpoint client;
    endpoint_parse("10.0.0.100@50000", &client);
    if (service->refusing) {
        world.resets++;
        return false;
    }
    unsigned resets = world.resets;
    service->last_use = clock_now();
    service->waiting++;
    if (strcmp(service->said, "starting") != 0 && strcmp(service->said, "attract") != 0)
        port_callbacks.wanted(service->owner, &client, 80, clock_now());
    return world.resets == resets;
}

void port_wants_again(size_t index)
{
    struct port_service *service = port_of(index);
    struct endpoint client;
    endpoint_parse("10.0.0.100@50000", &client);
    port_callbacks.wanted(service->owner, &client, 80, clock_now());
}

void port_sees_ready(size_t index)
{
    port_of(index)->said = "ready";
    port_callbacks.ready(port_of(index)->owner, clock_now());
}

void machine_finishes(size_t index)
{
    port_callbacks.stopped(port_of(index)->owner, 0, clock_now());
}

/* --- the world --- */

static void note_transition(void *argument, const struct transition *transition)
{
    (void)argument;
    if ((world.transition_count & (world.transition_count - 1)) == 0)
        world.transitions = reallocarray(world.transitions, world.transition_count * 2 + 1,
                                         sizeof *world.transitions);
    world.transitions[world.transition_count++] = *transition;
}

int world_begin(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_DEBUG);
    memset(&world, 0, sizeof world);
    world.base = event_base_new();
    return world.base ? 0 : -1;
}

void world_summon_with_store(struct config *config, const char *store_path)
{
    struct error error;
    struct summoner_options options = {
        .base = world.base, .config = config, .store_path = store_path};
    world.config = config;
    world.summoner = summoner_new(&options, &error);
    if (!world.summoner)
        fail_msg("%s", error.text);
    summoner_set_dns(world.summoner, (struct dns_server *)&dns_made);
    summoner_subscribe(world.summoner, note_transition, NULL);
    for (size_t i = 0; i < config->service_count && i < 1000; i++) {
        if (config->services[i].network->type == CONFIG_NETWORK_BRIDGE)
            continue;
        struct endpoint endpoint = {config->services[i].addresses[0],
                                    config->services[i].ports[0].listen};
        assert_int_equal(
            summoner_listen(world.summoner, config->services[i].name, &endpoint, 80, -1), 0);
    }
}

void world_summon(struct config *config, bool synchronise)
{
    world_summon_with_store(config, NULL);
    if (synchronise) {
        keeper_arrives();
        keeper_synchronised();
    }
}

void world_dismiss(void)
{
    struct subscription *own = TAILQ_FIRST(&world.summoner->history.subscriptions);
    summoner_unsubscribe(world.summoner, own);
    summoner_free(world.summoner);
    world.summoner = NULL;
}

int world_end(void **state)
{
    (void)state;
    if (world.summoner)
        world_dismiss();
    if (world.config)
        world_free_config(world.config);
    free(world.sent);
    free(world.transitions);
    event_base_free(world.base);
    libevent_global_shutdown();
    return 0;
}

struct service *service_at(size_t index)
{
    return summoner_service(world.summoner, index);
}

enum machine_state state_of(size_t index)
{
    struct service_status status;
    service_status(service_at(index), &status);
    return status.state;
}

enum dns_disposition disposition_of(size_t index)
{
    return (enum dns_disposition)atomic_load(
        &summoner_dns_hosts(world.summoner)[index]->disposition);
}

struct proxy_service *hold_of(size_t index)
{
    return service_at(index)->proxy;
}

const struct transition *last_transition(void)
{
    assert_true(world.transition_count > 0);
    return &world.transitions[world.transition_count - 1];
}

void turn(void)
{
    event_base_loop(world.base, EVLOOP_NONBLOCK);
}

static void answer_looks(void)
{
    for (; world.looks < world.sent_count; world.looks++) {
        struct message message = world.sent[world.looks];
        if (message.type != MESSAGE_LOOK || world.is_mute)
            continue;
        message.type = MESSAGE_USED;
        message.use.used = world.is_used;
        summoner_keeper_message(world.summoner, &message);
    }
}

void pass(uint64_t nanoseconds)
{
    moved_on += nanoseconds;
    deadlines_run(world.summoner);
    answer_looks();
    turn();
}

static void tick(evutil_socket_t descriptor, short events, void *argument)
{
    (void)descriptor, (void)events, (void)argument;
}

void wait_for(bool (*condition)(void))
{
    struct timeval interval = {.tv_usec = 5000};
    uint64_t limit = real(CLOCK_MONOTONIC) + 60 * NANOSECONDS_PER_SECOND;
    struct event *ticker = event_new(world.base, -1, EV_PERSIST, tick, NULL);
    event_add(ticker, &interval);
    bool holds;
    while (!(holds = condition()) && real(CLOCK_MONOTONIC) < limit)
        event_base_loop(world.base, EVLOOP_ONCE);
    event_free(ticker);
    assert_true(holds);
}
