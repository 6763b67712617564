/* The summoner: the services, their machines' states, limits, reaping and what is remembered. It
 * ties DNS, holding and the keeper together and decides; those rooms do. Main loop of the front,
 * one thread (DNS workers reach it through dns_wanted_function only, which it implements with a
 * queue and a wake-up). */
#ifndef JITSU_SUMMON_SUMMON_H
#define JITSU_SUMMON_SUMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"
#include "config/config.h"
#include "dns/dns.h"
#include "hold/port.h"
#include "hold/proxy.h"
#include "keeper/message.h"
#include "summon/machine_state.h"

struct event_base;
struct summoner;
struct service; /* one service of the running configuration */

/* Phases of a start, nanoseconds since the machine was wanted; 0: not reached (or not known). */
struct start_phases {
    uint64_t spawned, entered, ready, first_byte;
};

#define CAUSE_TEXT_MAX  64
#define REASON_TEXT_MAX 512

/* One transition, as `jitsuctl events` shows it. `from` == `to` == running marks the first byte
 * that reached a client after a start: it carries the complete phases. */
struct transition {
    uint64_t number; /* counts up from 1 within one life of the front */
    double time;     /* seconds since the epoch */
    char service[CONFIG_NAME_TEXT_MAX];
    bool is_of_instance; /* of a wildcard: "*" in the place of the first label is its name */
    enum machine_state from, to;
    char cause[CAUSE_TEXT_MAX];   /* "dns", "connection", "command", "keep", "idle", "ready",
                                     "first-byte", "boot-timeout", "exited", "start-failed", "reload",
                                     ... */
    char reason[REASON_TEXT_MAX]; /* more words where there are any: why a start failed; else "" */
    bool has_client;
    struct endpoint client;               /* who caused it */
    char query[CONFIG_NAME_TEXT_MAX + 8]; /* "www.example.org A", or "" */
    struct start_phases phases;
};

/* --- life --- */

struct summoner_options {
    struct event_base *base;
    const struct config
        *config;            /* owned by the caller, must outlive the summoner or the next reload */
    const char *store_path; /* the SQLite file; NULL: none yet, see summoner_open_store() */
};

/* Makes the services and recalls what is remembered of them. Nothing is started before a keeper has
 * said what it has (MESSAGE_SYNCHRONISED). A store that cannot be used is logged and tried again
 * later; it is no error. NULL, with `error`, if memory or descriptors are exhausted. */
struct summoner *summoner_new(const struct summoner_options *options, struct error *error);

/* Opens the store, if summoner_new() was not given its path: for those who change their identity in
 * between, because whoever opens it must also be able to make files beside it later. Before a
 * keeper is set. Returns -1, with `error`, if memory or descriptors are exhausted. */
int summoner_open_store(struct summoner *summoner, const char *path, struct error *error);

/* The hosts for dns_table_build(), in the order of config->services. Valid until the next reload or
 * free. */
struct dns_host *const *summoner_dns_hosts(const struct summoner *summoner);
/* Their argument: the summoner. */
dns_wanted_function summoner_dns_wanted;
dns_unknown_function summoner_dns_unknown;
dns_retired_function summoner_dns_retired;

/* Connects it to the running DNS server, whose queries it releases. */
void summoner_set_dns(struct summoner *summoner, struct dns_server *server);

/* Gives it a (new) link to a keeper: what that says it has is compared with what is remembered. */
void summoner_set_keeper(struct summoner *summoner, struct message_link *link);
/* A message from the keeper that concerns a machine (not LISTENING, RELOADED). */
void summoner_keeper_message(struct summoner *summoner, const struct message *message);
/* The keeper is gone: starts wait until the next summoner_set_keeper(). */
void summoner_keeper_lost(struct summoner *summoner);

/* Calls `function` for each socket that the services' configuration asks for and that has not been
 * given to summoner_listen() yet; `service` is its name and lives as long as the configuration. To
 * be asked after summoner_new() and after each summoner_reload_commit(). */
typedef void summoner_listener_function(void *argument, const char *service,
                                        const struct endpoint *endpoint, uint16_t machine_port);
void summoner_missing_listeners(const struct summoner *summoner,
                                summoner_listener_function *function, void *argument);

/* A listening socket for service and port has been opened: hands it to the hold. Takes over
 * `descriptor`. Returns 0, also if the service has gone meanwhile; -1 if memory is exhausted. */
int summoner_listen(struct summoner *summoner, const char *service, const struct endpoint *endpoint,
                    uint16_t machine_port, int descriptor);

/* Calls `function` for each bridge network whose port has not been given to summoner_port_opened()
 * yet, or is of no use any more; `network` is its name. To be asked like the above, and when there
 * is a new keeper. */
typedef void summoner_port_function(void *argument, const char *network);
void summoner_missing_ports(const struct summoner *summoner, summoner_port_function *function,
                            void *argument);

/* The keeper has made jitsud's port on the network, which sends in the name of `mac`, 6 bytes:
 * hands it to the hold. Takes over `descriptor`. Returns 0, also if the network has gone meanwhile;
 * -1 if memory is exhausted. */
int summoner_port_opened(struct summoner *summoner, const char *network, const uint8_t *mac,
                         int descriptor);

/* Takes up a new configuration: services that are the same keep their machine and connections,
 * those that are gone are stopped, changed ones get the new settings at their next start. Call the
 * DNS table's build and swap between prepare and commit: prepare makes the new hosts, commit frees
 * what is no longer there. */
int summoner_reload_prepare(struct summoner *summoner, const struct config *config,
                            struct error *error);
struct dns_host *const *summoner_reload_hosts(const struct summoner *summoner);
void summoner_reload_commit(struct summoner *summoner);
void summoner_reload_abandon(struct summoner *summoner);

/* Asks every machine to stop by its stop mode (--stop-machines), and starts none any more; `done`
 * is called when all are off or suspended, perhaps before this returns. */
void summoner_stop_all(struct summoner *summoner, void (*done)(void *argument), void *argument);

/* Writes what is to be remembered and frees it; machines stay as they are. */
void summoner_free(struct summoner *summoner);

/* --- what admin asks --- */

/* The service or known instance of that name or alias, or NULL; then `*wildcard`, which may be
 * NULL, is the configuration of the wildcard that would have an instance of that name, or NULL. */
struct service *summoner_find(struct summoner *summoner, const char *name,
                              const struct config_service **wildcard);
/* The same, and an instance that is not known becomes known. NULL with the reason. */
struct service *summoner_find_or_make(struct summoner *summoner, const char *name,
                                      struct error *error);
/* In the order of the configuration, and then the instances that are known now. */
size_t summoner_service_count(const struct summoner *summoner);
struct service *summoner_service(const struct summoner *summoner, size_t index);
const struct config *summoner_config(const struct summoner *summoner);

/* Starts or stops by command; returns -1 with the reason if that is refused now. Both return 0 also
 * if it is (being) done already. A start by command does not wait for the end of a back-off. After
 * a stop by command `keep: always` does not hold until the service is wanted again. */
int summoner_start(struct summoner *summoner, struct service *service, struct error *error);
int summoner_stop(struct summoner *summoner, struct service *service, enum config_stop mode,
                  struct error *error);

struct service_status {
    const struct config_service *config;
    enum machine_state state;
    int pid;         /* 0: none */
    char domain[64]; /* "" : none */
    double started;  /* seconds since the epoch; 0: not running */
    double last_use; /* 0: never */
    double retry;    /* failed: when it may be tried again; else 0 */
    size_t connections;
    bool connections_unknown;              /* the machine does not tell; there may be more */
    uint64_t starts, failures;             /* since it is remembered */
    char error[REASON_TEXT_MAX];           /* of the last failure; "" after a good start */
    const struct config_service *wildcard; /* that it is an instance of; NULL: it is none */
    uint32_t instances;                    /* of a wildcard: how many are known */
};
void service_status(const struct service *service, struct service_status *status);
enum machine_state
service_state(const struct service *service); /* that alone: cheap, for counting */

/* It has no machine itself: its instances have. */
bool service_is_wildcard(const struct service *service);

/* What counts against the limits: machines that run, start or stop, and suspended ones, which keep
 * their memory. */
struct limits_status {
    uint64_t memory, memory_limit;
    unsigned machines, machine_limit;
    unsigned starts, start_limit; /* at this moment */
    unsigned waiting;             /* starts that wait for their turn; not in the above */
    uint64_t held, held_limit;    /* bytes of memory, on bridges */
};
void summoner_limits(const struct summoner *summoner, struct limits_status *limits);

/* --- what happened --- */

typedef void transition_function(void *argument, const struct transition *transition);

/* Calls `function` for each of the last transitions that are remembered in memory (1,024), oldest
 * first. */
void summoner_history(struct summoner *summoner, transition_function *function, void *argument);

/* Calls `function` at every transition from now on, until unsubscribed. It may unsubscribe, but
 * call nothing else of the summoner that changes something. NULL if memory is exhausted. */
struct subscription;
struct subscription *summoner_subscribe(struct summoner *summoner, transition_function *function,
                                        void *argument);
void summoner_unsubscribe(struct summoner *summoner, struct subscription *subscription);

/* What a console printed: the last of it (at most 64 KiB, oldest first), and what comes. */
typedef void console_function(void *argument, const struct service *service, const void *bytes,
                              size_t length);
size_t service_console(const struct service *service, const char **bytes);
struct subscription *summoner_subscribe_console(struct summoner *summoner, struct service *service,
                                                console_function *function, void *argument);

/* Counters for metrics, since the front started. */
struct summon_counter_visitor {
    void (*starts)(void *argument, const char *service, const char *cause, uint64_t count);
    void (*failures)(void *argument, const char *service, const char *reason, uint64_t count);
    void (*stops)(void *argument, const char *service, const char *reason, uint64_t count);
    void *argument;
};
void summoner_counters(const struct summoner *summoner,
                       const struct summon_counter_visitor *visitor);

/* Calls `function` for each service whose machines have taken connections over, with how many. */
typedef void summoner_handed_over_function(void *argument, const char *service, uint64_t count);
void summoner_handed_over(const struct summoner *summoner, summoner_handed_over_function *function,
                          void *argument);

/* Over all bridge networks. */
void summoner_port_statistics(const struct summoner *summoner, struct port_statistics *statistics);

void summoner_proxy_statistics(const struct summoner *summoner,
                               struct proxy_statistics *statistics);

#endif
