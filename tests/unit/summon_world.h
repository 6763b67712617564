/* The world around a summoner under test: doubles of DNS, hold, keeper and configuration that note
 * what they are told, and a clock that can be moved on. One summoner at a time. */
#ifndef JITSU_TESTS_SUMMON_WORLD_H
#define JITSU_TESTS_SUMMON_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/clock.h"
#include "summon/parts.h"

#define MEGABYTE ((uint64_t)1 << 20)

/* What the hold was told about one service, and what the test says of it. */
struct proxy_service {
    void *owner;
    bool ready, refusing;
    unsigned targets, listeners, waiting, connected, failed, gone, allowed;
    struct proxy_target target; /* the first one */
    uint64_t last_use;
};

/* The same of a port. */
struct port_service {
    void *owner;
    const char *said; /* what it was told last of the machine */
    bool refusing, cannot_expect, can_stop;
    uint8_t hold;
    enum port_ready ready;
    uint16_t ready_port;
    uint32_t deadline; /* of the stop that it was told of */
    unsigned conduits, waiting;
    uint8_t token[MESSAGE_TOKEN_SIZE];
    struct address address;
    size_t connections;
    uint64_t last_use, handed_over;
};

struct world {
    struct event_base *base;
    struct config *config;
    struct summoner *summoner;
    struct message *sent; /* to the keeper */
    size_t sent_count;
    size_t released_ready, released_failed; /* calls of dns_server_release() */
    struct dns_host *last_released;
    /* What DNS was told last of a label, and how often. */
    char told_label[CONFIG_LABEL_MAX + 1];
    enum dns_label_fate told;
    size_t told_count, retired;
    struct transition *transitions;
    size_t transition_count;
    unsigned resets; /* connections refused or reset by the hold */
    unsigned ports;  /* that are open */
    struct port_limits port_limits;
    bool port_refuses; /* new services */
    /* What the keeper says of machines. */
    uint8_t token[MESSAGE_TOKEN_SIZE];
    uint8_t ready_rule;
    bool is_used; /* what LOOK is answered with, at the end of pass() */
    bool is_mute; /* it is not answered */
    size_t looks; /* messages sent, up to the last LOOK that was answered */
};
extern struct world world;

/* A configuration of `count` services "s0.example.org", ... on a user network, each with one port
 * and 16 MB; limits: 1 GB, 64 machines, 4 starts at a time. It may be changed until it is used, and
 * is freed by world_end(). */
struct config *world_config(size_t count);
void world_free_config(struct config *config);

/* cmocka set-up and tear-down: begin with nothing, end all that is there. */
int world_begin(void **state);
int world_end(void **state);

/* Makes the summoner, with a listener for each service, and lets the keeper say that it has nothing
 * (synchronise) or lets it be away. */
void world_summon(struct config *config, bool synchronise);
void world_summon_with_store(struct config *config, const char *store_path);
/* Ends the summoner but nothing else. */
void world_dismiss(void);

struct service *service_at(size_t index);
enum machine_state state_of(size_t index);
enum dns_disposition disposition_of(size_t index);
struct proxy_service *hold_of(size_t index);

/* --- what happens --- */

/* A DNS worker answers a query for the service. Returns how. */
enum dns_disposition query(size_t index);
/* A client connects; true if it is kept (waiting or connected), false if it was reset. */
bool connects(size_t index);

/* Moves all services to one bridge network, on which nothing listens. Before world_summon(). */
void put_on_bridge(struct config *config);
void port_opens(void);
size_t ports_missing(void);
struct port_service *port_of(size_t index);
/* A client's packet comes to the port; true if it is held, false if it was refused. */
bool packet(size_t index);
/* The port tells of the client that still waits, as it does when the machine is gone. */
void port_wants_again(size_t index);
void port_sees_ready(size_t index);
void machine_finishes(size_t index);

void keeper_arrives(void); /* a link; nothing is said yet */
void keeper_synchronised(void);
void keeper_leaves(void);
/* About the run that was last started. */
void keeper_says(enum message_type type, size_t index);
void keeper_ready(size_t index);
void keeper_fails(size_t index, const char *why);
void keeper_cannot(size_t index, const char *why); /* for want of a hypervisor */
void keeper_exited(size_t index, bool asked_for, const char *why);
void keeper_has(const char *service, uint32_t serial, bool ready);
/* From off to running by a query. */
void bring_up(size_t index);

/* Runs the loop's events that are due now. */
void turn(void);
/* Moves the clock on, and does what is due then. */
void pass(uint64_t nanoseconds);
/* Runs the loop until `condition` holds; fails the test after a generous while. */
void wait_for(bool (*condition)(void));

/* --- what was said --- */

/* Messages of that type to the keeper about the service; NULL: about any. */
size_t sent(enum message_type type, const char *service);
/* The last of them. */
const struct message *last_sent(enum message_type type, const char *service);
const struct transition *last_transition(void);
#define NAME(index) world.config->services[index].name

#endif
