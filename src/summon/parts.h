/* The summoner's inside: its data, and what its files offer each other. Which file does what:
 *
 *   summoner.c     life, and the services by name and number
 *   commands.c     starts and stops by command; stopping all
 *   listeners.c    sockets for the hold, on user networks
 *   ports.c        jitsud's ports, on bridge networks
 *   holding.c      the hold of a service, whichever its network has
 *   remember.c     what goes to the store and comes from it
 *   service.c      one service: made, freed, shown to DNS and to the hold
 *   wants.c        wants from DNS workers and the hold; what becomes of a want
 *   instances.c    the instances of wildcards: made, forgotten, kept over a reload
 *   places.c       their wildcards' places: which are free, who listens there
 *   labels.c       what DNS workers ask of labels that have no instance
 *   start_queue.c  limits, the starts that wait for their turn, the services refused
 *   machine.c      what is done at each change of a machine's state
 *   deadlines.c    the moments at which something is due for a service
 *   reaper.c       what is due: is a running machine idle? boot timeout, the end of a back-off
 *   from_keeper.c  the keeper's messages; comparing its machines with ours
 *   reload.c       taking up another configuration
 *   history.c      transitions: remembered, logged, told to subscribers
 *   console.c      what consoles print
 *   counters.c     counters for metrics
 *   store.c        the file of what is to outlive the front
 */
#ifndef JITSU_SUMMON_PARTS_H
#define JITSU_SUMMON_PARTS_H

#include <pthread.h>
#include <sys/queue.h>

#include "summon/service.h"
#include "summon/store.h"
#include "summon/summon.h"

#define HISTORY_LENGTH 1024

TAILQ_HEAD(service_list, service);
TAILQ_HEAD(run_list, machine_run);
TAILQ_HEAD(console_list, console);
TAILQ_HEAD(bridge_port_list, bridge_port);
TAILQ_HEAD(subscription_list, subscription);

/* Shares of limits: memory and machines. */
struct share {
    uint64_t memory;
    unsigned machines;
};

/* Wants on their way from the DNS workers to the main loop, newest first. */
struct want_queue {
    pthread_mutex_t lock;
    struct want *newest;
    int wake_up; /* eventfd */
    struct event *event;
};

/* What DNS workers ask of labels, oldest first; and the instances that they see no more. */
struct label_queue {
    pthread_mutex_t lock;
    struct label_question *first, **last;
    struct dns_host **retired;
    size_t retired_count, retired_capacity;
    int wake_up; /* eventfd */
    struct event *event;
};

/* Services by deadline: a heap, the earliest first. */
struct deadlines {
    struct service **heap; /* [1] is the first */
    uint32_t count, capacity;
    struct event *timer;
    uint64_t armed; /* what the timer is set to; 0: not set */
};

struct history {
    struct transition *ring;
    uint64_t count; /* transitions so far: the number of the last one */
    struct subscription_list subscriptions;
    struct subscription *next_told; /* after the one being told now, which may unsubscribe */
};

struct prepared_reload {
    const struct config *config;
    struct service **services; /* NULL: no reload is prepared */
    struct dns_host **hosts;
};

struct summoner {
    struct event_base *base;
    const struct config *config;
    struct service **services; /* in the order of config->services */
    struct dns_host **hosts;   /* likewise */
    size_t service_count;
    struct service **instances; /* of all wildcards, in no order */
    size_t instance_count;
    struct service_list closed;    /* wildcards that can have no further instance now */
    struct service_list forgotten; /* instances that a DNS worker may still see */
    struct proxy *proxy;
    struct bridge_port_list ports;
    struct port_memory *port_memory; /* of all of them */
    struct dns_server *dns;          /* NULL until summoner_set_dns() */
    struct message_link *link;       /* NULL: the keeper is away */
    bool synchronised;               /* the keeper has said what it has: starts may be sent */
    bool kept_are_started; /* keep: always has been seen to after the first synchronisation */
    bool stopping_all;
    void (*all_stopped)(void *argument);
    void *all_stopped_argument;
    uint32_t last_serial;

    struct run_list runs;
    struct share used;    /* by all runs */
    struct share leaving; /* by those of them that will end soon */
    struct share waiting; /* by those of them that have not been started yet */
    unsigned starting;    /* machines in MACHINE_STARTING */
    struct service_list queue;
    unsigned queue_length;
    struct service_list refused;
    uint64_t refused_least; /* no refused service needs less memory than this */
    uint64_t refused_count; /* in this episode */
    struct service_list departed;

    struct want_queue wants;
    struct label_queue labels;
    struct deadlines deadlines;
    struct history history;
    struct console_list consoles; /* the one that printed last comes last */
    unsigned console_count;
    struct service_counters *counters; /* of the services that have any */
    struct prepared_reload reload;
    struct store *store; /* NULL: nothing is remembered */
    bool recalled;       /* what the store had of earlier lives has been added to what is here */
    struct store_row *recalled_rows; /* until the keeper has said what it has: for instances */
    size_t recalled_count;
    struct event *use_timer;
};

/* --- summoner.c --- */

/* The service of that very name, instances and departed ones included; NULL if there is none. */
struct service *summoner_service_of_name(struct summoner *summoner, const char *name);
/* The same without instances. */
struct service *summoner_configured_or_departed(struct summoner *summoner, const char *name);
/* The service of the wildcard that has that name as an instance, known or not; NULL: none has. */
struct service *summoner_wildcard_of(const struct summoner *summoner, const char *name,
                                     char label[CONFIG_LABEL_MAX + 1]);

/* A machine has ended or was suspended: was it the last one that somebody waits for? */
void summoner_machine_ended(struct summoner *summoner);
/* The machine of a service that is no longer configured has ended. */
void summoner_bury(struct service *service);
/* A send that does nothing while the keeper is away. */
void summoner_send(struct summoner *summoner, const struct message *message);

/* --- remember.c --- */

/* The last use of running machines is to be remembered from time to time, from now on until none
 * runs. */
void remember_while_running(struct summoner *summoner);
/* The store's file can be read, again or at last. `argument` is the summoner. */
void remember_again(void *argument);
/* What was remembered of an instance that has just been adopted. */
void remember_instance(struct service *instance);
/* The keeper has said what it has: instances that it has not are not remembered any more. */
void remember_no_more(struct summoner *summoner);
/* Remembers what there is to remember, and closes the store. */
void remember_end(struct summoner *summoner);

/* --- wants.c --- */

int wants_new(struct summoner *summoner);
void wants_free(struct summoner *summoner);
/* Sees to those that have come from the workers. */
void wants_run(struct summoner *summoner);

/* Somebody wants the machine: begins what can be begun. Takes over `want`. */
void service_want(struct service *service, struct want *want);

/* The hold's callback. */
void wants_from_hold(void *owner, const struct endpoint *client, uint16_t port, uint64_t moment);

/* Wants the machine of a service with keep: always, unless that does not hold now. */
void service_keep(struct service *service);

/* A stop has ended: was there a query in the moment of the stop that no worker reported, as it
 * still saw the host marked as wanted? */
void wants_look_for_missed(struct service *service);

/* The machine has gone: does what its end was waited for, or lets the service rest. */
void service_rest(struct service *service);

/* --- instances.c and places.c --- */

/* Of the service of a wildcard: makes and frees what it has for its instances. */
int instances_open(struct service *service);
void instances_close(struct service *service);

/* Like summoner_missing_listeners() and summoner_listen() for a wildcard's service. */
void instances_missing_listeners(const struct service *service,
                                 summoner_listener_function *function, void *argument);
int instances_listen(struct service *service, const struct endpoint *endpoint,
                     uint16_t machine_port, int descriptor);

/* The known instance of a label, or NULL. */
struct service *instances_find(const struct service *service, const char *label);
uint32_t instances_known(const struct service *service);

/* Makes it, in that place or, for -1, in the one that has been free longest. NULL with the reason.
 */
struct service *instances_make(struct service *service, const char *label, long place,
                               struct error *error);

/* None can be added now: says so, once, and to DNS, until something changes. */
void instances_refuse(struct service *service, const struct error *why);
void instances_reopen(struct summoner *summoner);

/* Has it forgotten in due time, if it is at rest. Of every change of an instance's state. */
void instance_watch(struct service *instance);
/* It is about to be wanted: it is not forgotten meanwhile. Any service may be given. */
void instance_hold(struct service *service);
/* Its deadline has come while it was at rest. */
void instance_due(struct service *instance);
/* No DNS worker sees it any more: frees what was forgotten. */
void instances_bury(struct service *instance);

/* The wildcard is not configured any more; or it is, and was `old`: `host` is its new one. */
void instances_depart(struct service *service);
void instances_reload(struct service *service, const struct config_service *old,
                      struct dns_host *host);

/* --- labels.c --- */

int labels_new(struct summoner *summoner);
void labels_free(struct summoner *summoner);
/* Sees to what was asked, as far as that can be now. */
void labels_run(struct summoner *summoner);
/* A reload: drops what was asked of hosts that are about to be freed. */
void labels_drop_old(struct summoner *summoner);
/* Somebody wants an instance that was forgotten a moment before. Takes over `want`. */
void labels_want_forgotten(struct service *forgotten, struct want *want);

/* --- start_queue.c --- */

/* Do the limits allow another machine for the service, if need be by reaping an idle one or when
 * those that are stopping have stopped? */
bool start_queue_has_room(struct service *service);

/* Starts the machine, for which there is room, as soon as its turn comes. Takes over `want`. */
void start_queue_add(struct service *service, struct want *want);

/* Takes a start back that waits for its turn. */
void start_queue_remove(struct service *service);

/* The service is over the limits: turns everybody away until there is room. Takes over `want`. */
void start_queue_refuse(struct service *service, struct want *want);
/* Ends that, with nothing else done. */
void start_queue_unrefuse(struct service *service);

/* Something was freed or finished: starts what can be started now. */
void start_queue_run(struct summoner *summoner);

/* Why the limits refuse the service now, in words. */
void start_queue_explain(const struct service *service, struct error *error);

/* --- machine.c --- */

/* Makes the run of a service that has none, with its share of the limits, as one that waits to be
 * started. NULL if memory is exhausted. */
struct machine_run *machine_run_new(struct service *service);
void machine_run_free(struct machine_run *run);

/* Each of these makes one move of the table of states, with all that belongs to it; an event that
 * the state does not expect is logged and ignored. */
void machine_start(struct service *service);
void machine_ready(struct service *service, enum machine_event event,
                   const struct message *message);
/* The keeper has a machine for a service that is off. */
void machine_adopt(struct service *service, const struct message *message);
/* service_expect_wants() has been called before it was decided. */
void machine_stop(struct service *service, enum config_stop mode, enum cause cause);
/* For one that is stopping already. */
void machine_destroy(struct service *service);
void machine_suspended(struct service *service);
/* Nothing is running any more (or will soon, after EVENT_BOOT_TIMEOUT). `reason` may be NULL. */
void machine_gone(struct service *service, enum machine_event event, const char *reason);
/* Gives up on a service that failed. */
void machine_give_up(struct service *service, enum cause cause);

/* The machine of a service that failed, which had been told to end, has ended. */
void machine_buried(struct service *service);

/* Takes over what the message says of process, domain and ports. Returns whether ports differ. */
bool machine_describe(struct service *service, const struct message *message);

/* It was started, but will never be of use: ends it, and the start has failed. */
void machine_condemn(struct service *service, const char *reason);

/* Tells the keeper to start the service's run. */
void machine_send_start(struct service *service);
/* Tells the keeper to end a machine: one that failed, is not ours, or was told before. */
void machine_send_stop(struct summoner *summoner, const char *service, uint32_t serial,
                       enum config_stop mode);

/* The hold's callbacks. */
void machine_first_byte(void *owner, uint64_t moment, uint64_t accepted);
void machine_shows_ready(void *owner, uint64_t moment);
void machine_finished(void *owner, uint32_t cut, uint64_t moment);

/* --- holding.c --- */

/* Makes the hold of a service on a bridge network, if there is none yet and its port is open, and
 * tells it how things are. What hinders it is logged. */
void holding_open(struct service *service);
/* Makes that of a service on a user network. Returns -1 if memory is exhausted. */
int holding_open_proxy(struct service *service);
/* Clients that wait, and their connections, are reset. */
void holding_close(struct service *service);
void holding_close_port(struct service *service);

/* The service's host says anew who may summon. */
void holding_allow(struct service *service);
/* The service's configuration was `old`, which is still there. What cannot be changed under a
 * machine that exists changes when it has ended. */
void holding_reconfigure(struct service *service, const struct config_service *old);

/* The machine's process exists, as its run describes. May find that it will never be of use. */
void holding_spawned(struct service *service);
void holding_resumes(struct service *service);
void holding_ready(struct service *service);
/* Asks the machine itself to finish and to power off. Returns false if it cannot be asked. */
bool holding_shut_down(struct service *service);
void holding_leaves(struct service *service); /* it is about to be stopped or suspended */
void holding_suspended(struct service *service);
void holding_gone(struct service *service);
/* There is no machine, and nothing of an earlier one. */
void holding_rest(struct service *service);

/* Refuses those who come while the machine is not ready, or keeps them. */
void holding_refuse(struct service *service, bool refuse);
/* Resets those who wait. */
void holding_turn_away(struct service *service);
/* Somebody waits for whom the hold will want the machine in a moment. */
bool holding_is_wanted(const struct service *service);
uint64_t holding_last_use(const struct service *service);
size_t holding_connections(const struct service *service);
/* Does nobody know how many there are? */
bool holding_hides_connections(const struct service *service);
/* Does only the keeper know what the machine is used for? */
bool holding_is_counted(const struct service *service);
/* Are the open connections known to be of clients who count as use? */
bool holding_knows_whose(const struct service *service);
uint64_t holding_handed_over(const struct service *service); /* by holds made anew, too */

/* --- ports.c --- */

int ports_new(struct summoner *summoner);
/* The open port of the network, or NULL. */
struct port *ports_find(const struct summoner *summoner, const char *network);
/* Closes those of networks that are no longer configured; limits are those of the configuration. */
void ports_reconfigure(struct summoner *summoner);
void ports_free(struct summoner *summoner);

/* --- deadlines.c --- */

int deadlines_new(struct summoner *summoner);
void deadlines_free(struct summoner *summoner);
/* Sets or moves the one deadline of the service; service_due() is called then. */
void deadline_set(struct service *service, uint64_t moment);
void deadline_clear(struct service *service);
/* Does at once what is due, instead of when the timer fires. */
void deadlines_run(struct summoner *summoner);

/* --- reaper.c --- */

/* The deadline of the service has come. */
void service_due(struct service *service);
/* Sets the deadline at which the running machine may be idle at the earliest, or is to be looked
 * at. */
void reaper_watch(struct service *service);
/* The keeper says whether the machine has been used since it was last asked. */
void reaper_learn(struct service *service, bool used);
/* There is another keeper: it does not know what the machine was used for meanwhile. */
void reaper_begin_anew(struct service *service);

/* --- history.c --- */

int history_new(struct summoner *summoner);
void history_free(struct summoner *summoner);
/* Something happened to the service's machine: remembers, logs and tells it. `want` and `reason`
 * may be NULL. */
void history_add(struct service *service, enum machine_state from, enum machine_state to,
                 enum cause cause, const struct want *want, const char *reason);

struct subscription {
    TAILQ_ENTRY(subscription) entry;
    struct subscription_list *list; /* that it is in; NULL: what it was for is gone */
    transition_function *function;
    console_function *console;
    void *argument;
};

/* --- console.c --- */

void console_add(struct service *service, const void *bytes, size_t length);
void console_free(struct service *service);
bool console_is_followed(const struct service *service);

/* --- counters.c --- */

void counters_start(struct service *service, enum cause cause);
void counters_failure(struct service *service, enum cause cause);
void counters_stop(struct service *service, enum cause cause);
void counters_free(struct service *service);

/* --- reload.c --- */

/* It is not configured any more: stops its machine, from a copy of what is needed of its
 * configuration. */
void service_depart(struct service *service);
/* Its configuration and host are new ones. */
void service_taken_up(struct service *service);

/* --- from_keeper.c: summoner_set_keeper() and its like of summon.h --- */

/* --- reload.c: summoner_reload_*() of summon.h --- */

#endif
