/* One service and the run of its machine, as the files of this room share them. Other rooms see
 * struct service as opaque (summon/summon.h).
 *
 * There may be a hundred thousand services, nearly all of them off: what a service only has while
 * its machine exists, or once something went wrong, is allocated then. */
#ifndef JITSU_SUMMON_SERVICE_H
#define JITSU_SUMMON_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "summon/store.h"
#include "summon/summon.h"

/* Why a machine's state changes: the `cause` of a transition. */
enum cause {
    /* of starts */
    CAUSE_DNS,
    CAUSE_CONNECTION,
    CAUSE_KEEP,
    CAUSE_COMMAND, /* and of stops */
    /* of stops */
    CAUSE_IDLE,
    CAUSE_RELOAD,
    CAUSE_SHUTDOWN,
    /* of failures */
    CAUSE_START_FAILED,
    CAUSE_BOOT_TIMEOUT,
    CAUSE_EXITED,
    /* of the rest */
    CAUSE_READY,
    CAUSE_FIRST_BYTE,
    CAUSE_ADOPTED,
    CAUSE_STOPPED,
    CAUSE_SUSPENDED,
    CAUSES,
};

/* The word for it, as in events and metrics. */
const char *cause_name(enum cause cause);

/* Somebody wants the machine of a service. */
struct want {
    struct want *next;       /* in the queue from the DNS workers */
    struct service *service; /* likewise */
    uint64_t moment;         /* clock_now() when it came up */
    enum cause cause;
    bool has_client;
    struct endpoint client;
    uint16_t type; /* of the query: 1 or 28; 0: there was none */
    char name[];   /* as asked, if there was a query */
};

/* NULL if memory is exhausted. `client` and `name` may be NULL. */
struct want *want_new(struct service *service, enum cause cause, uint64_t moment,
                      const struct endpoint *client, const char *name, uint16_t type);

/* A machine from the decision to start it until it is gone; it holds its share of the limits. */
struct machine_run {
    TAILQ_ENTRY(machine_run) entry; /* in summoner.runs */
    struct service *service;
    struct want *want; /* what it was started for; NULL: adopted, so not known */
    uint64_t memory;   /* its share of limits: memory */
    uint32_t serial;   /* 0: no START sent yet */
    bool leaving;      /* it has been told to end and will free its share */
    bool reported;     /* by the keeper, since the link to it was made */
    uint8_t stop_mode; /* enum config_stop; of the STOP sent */
    uint8_t forward_count;
    struct message_forward forwards[CONFIG_PORTS_MAX];
    int32_t pid;
    char domain[64];
    uint8_t token[MESSAGE_TOKEN_SIZE]; /* all 0: it does not speak the conduit */
    uint8_t ready_rule;                /* enum config_ready */
    uint16_t ready_port;
    bool is_resuming;     /* it was suspended when it was last started */
    bool is_useless;      /* to the service: it is told to end as soon as its start has failed */
    bool is_finishing;    /* it was asked to power off by itself */
    double started;       /* seconds since the epoch; 0: not yet */
    uint64_t ready;       /* clock_now(); likewise the three below */
    uint64_t shown_ready; /* to the port; 0: not by that */
    uint64_t first_byte;  /* that came before it was known to be ready; 0: did not */
    uint64_t was_in_use;  /* when the reaper last saw open connections, or the keeper packets */
    uint64_t stored_use;  /* clock_now(): last use as the store has it */
    struct start_phases phases;
};

/* A socket that the hold listens on for a service. */
struct service_listener {
    struct endpoint endpoint;
    uint16_t machine_port;
};

struct console;
struct service_counters;
struct wildcard;

struct service {
    struct summoner *summoner;
    const struct config_service *config;
    struct dns_host *host;
    struct dns_host *next_host;  /* between reload's prepare and commit, if it will differ */
    struct proxy_service *proxy; /* on a user network; NULL: listens on nothing */
    struct port_service *port;   /* on a bridge; NULL: its port is not open */
    struct service_listener *listeners;
    struct machine_run *run; /* NULL: there is no machine and none is to be started */
    struct want *pending;    /* a start for it waits: for room, or for the old machine to go */
    struct console *console;
    struct service_counters *counters; /* of an instance: NULL, its wildcard's count */
    struct wildcard *wildcard;         /* of a wildcard, which has no machine itself; else NULL */
    struct service *of;                /* of an instance: its wildcard's service; else NULL */
    uint64_t made;                     /* of an instance: clock_now() */
    uint32_t place, number;       /* of an instance: its wildcard's place, in summoner.instances */
    char *error;                  /* of the last failure; NULL after a good start */
    TAILQ_ENTRY(service) waiting; /* in summoner.queue, .refused, .departed, ... */
    uint64_t deadline;            /* clock_now(); what is due then depends on the state */
    uint32_t deadline_place;      /* in the heap, from 1; 0: there is no deadline */
    uint64_t starts, failures;
    uint64_t handed_over;   /* connections, by holds that were made anew since */
    uint64_t earlier_query; /* last query when wants were last expected anew */
    double remembered_use;  /* last use in an earlier life of the front, seconds since the epoch */
    struct store_slot stored;
    uint32_t earlier_serial; /* of the machine it had in an earlier life of the front; 0: none */
    uint16_t listener_count;
    uint8_t state;           /* enum machine_state */
    uint8_t failures_in_row; /* without a run of over a minute in between */
    bool queued;             /* in summoner.queue: waits for its turn to be started */
    bool refused;            /* in summoner.refused: wanted, but over the limits */
    bool backing_off;        /* failed a moment ago: not tried again before the deadline */
    bool stopped_by_command; /* keep: always does not hold until it is started again */
    bool refusing;           /* what the hold was told last */
    bool has_conduit;        /* the port was told how to talk to the machine */
    bool is_outdated;        /* the port is to be told anew what is configured, without a machine */
    bool is_moving;          /* the machine is still on another network */
    bool departed;           /* not configured any more; in summoner.departed until its machine
                                has ended; `config` is then a copy of its own */
    bool forgotten;          /* an instance that is in summoner.forgotten */
    bool was_suspended;      /* that machine was */
    bool claimed;            /* the configuration being prepared has it, too */
};

/* Makes a service that is off. NULL if memory is exhausted. */
struct service *service_new(struct summoner *summoner, const struct config_service *config);

/* Frees it with all it has. It must be in no list and have no deadline. */
void service_free(struct service *service);

/* A host with what `config` says of it, for `service`. NULL if memory is exhausted. */
struct dns_host *service_host_new(struct service *service, const struct config_service *config);
void service_host_free(struct dns_host *host);
/* Does `host` say what `config` says? */
bool service_host_fits(const struct dns_host *host, const struct config_service *config);

/* Tells DNS and the hold how to treat those who ask for the service in its present state. To be
 * called after every change of state, queued, refused or backing_off. */
void service_publish(struct service *service);

/* From now on a query wants the machine (again). To be called before deciding that nobody wants it
 * any more, so that no query falls between: wants_look_for_missed(). */
void service_expect_wants(struct service *service);
/* clock_now_coarse() of the last address query; 0: never. */
uint64_t service_last_query(const struct service *service);
/* clock_now() of the last query, connection or byte; 0: none in this life of the front. */
uint64_t service_last_use(const struct service *service);
/* The same in seconds since the epoch, earlier lives included. */
double service_last_use_wall(const struct service *service);
size_t service_connections(const struct service *service);

/* Queries that are kept are answered and connections that wait are reset: no machine will come. */
void service_turn_away(struct service *service);

/* Gives what is to be remembered of it to the store. */
void service_remember(struct service *service);
/* Has the store forget it. */
void service_unremember(struct service *service);

#endif
