/* What front and keeper say to each other: fixed-size typed messages over a SOCK_SEQPACKET socket
 * pair, one a packet; a descriptor may come along. Both ends are the same program, so the layout is
 * the compiler's; each side still checks what it receives (message_receive). */
#ifndef JITSU_KEEPER_MESSAGE_H
#define JITSU_KEEPER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/error.h"
#include "config/config.h"

enum message_type {
    /* front -> keeper */
    MESSAGE_LISTEN =
        1,         /* open a listening socket that the configuration names; answered by LISTENING */
    MESSAGE_START, /* start the machine of a service */
    MESSAGE_STOP,  /* stop it, by `stop.mode` */
    MESSAGE_FILE,  /* open a file that the configuration is read from, for a reload; answered by
                      FILE_OPENED */
    MESSAGE_RELOAD,     /* take up the configuration that was opened; answered by RELOADED */
    MESSAGE_PORT,       /* make jitsud's port on a bridge network; answered by PORT_OPENED */
    MESSAGE_SEEN_READY, /* the port has seen that a machine takes traffic; READY comes of it, unless
                           the machine is ready already, is gone, or shows it in another way */
    MESSAGE_LOOK,       /* has the machine been used? Of machines on bridge networks; answered by
                           USED */
    /* keeper -> front */
    MESSAGE_LISTENING,    /* with the descriptor, or with an error */
    MESSAGE_FILE_OPENED,  /* with the descriptor, or with an error */
    MESSAGE_RELOADED,     /* done, or an error: the old configuration stays in force */
    MESSAGE_PORT_MISSING, /* a bridge network can have its port now, which it has not, or not any
                             more: to be asked for */
    MESSAGE_PORT_OPENED,  /* with the TAP device's descriptor, or with an error */
    MESSAGE_MACHINE, /* a machine that runs already: one for each, at the beginning of a link */
    MESSAGE_SYNCHRONISED, /* all MACHINE messages have been sent */
    MESSAGE_SPAWNED,      /* the machine's process exists */
    MESSAGE_ENTERED,      /* its kernel has been entered (bundled unikernels only) */
    MESSAGE_READY,        /* it takes traffic */
    MESSAGE_FAILED,       /* a START did not work; there is no machine */
    MESSAGE_EXITED,       /* a machine that was spawned is gone, asked for or not */
    MESSAGE_SUSPENDED,    /* it was suspended, as asked; the next START resumes it */
    MESSAGE_CONSOLE,      /* what its console printed */
    MESSAGE_USED,         /* whether it was used since the last of these, or the beginning */
    MESSAGE_FIRST_BYTE,   /* on a bridge network: it has sent a client something, for the first time
                             since it was started or resumed */
    MESSAGE_TYPES,
};

/* Where connections for a service's port reach its machine on a user network. */
struct message_forward {
    uint16_t machine; /* the machine's port */
    uint16_t host;    /* on 127.0.0.1 */
};

/* The addresses of an instance of a wildcard. */
struct message_place {
    uint8_t count; /* 0: it is no instance */
    struct address addresses[CONFIG_PLACE_ADDRESSES_MAX];
};

#define MESSAGE_TEXT_MAX    512
#define MESSAGE_CONSOLE_MAX 1024
#define MESSAGE_TOKEN_SIZE  16

struct message {
    uint32_t type;   /* enum message_type */
    uint32_t serial; /* LISTEN, FILE, RELOAD and PORT: chosen by the front, repeated in the answer.
                        START: number of this run of the machine, chosen by the front, repeated in
                        every message about the machine that came of it. */
    char service[CONFIG_NAME_TEXT_MAX]; /* its name; "" where it does not concern one */
    union {
        struct {
            struct endpoint endpoint;
            bool stream;     /* TCP, listening; else UDP */
            bool reuse_port; /* SO_REUSEPORT: several sockets of one address (DNS workers) */
        } listen;
        struct {
            uint8_t mode; /* enum config_stop */
        } stop;
        struct {
            struct message_place place;
        } start;
        struct {
            uint32_t number; /* 0: the configuration itself; else of the zone, counted from 1, of
                                the configuration that was opened last */
        } file;              /* FILE */
        struct {
            uint64_t
                digest; /* of the file's content (message_digest): both must have read the same */
        } reload;
        struct {
            char network[CONFIG_NETWORK_MAX]; /* its name */
        } port;                               /* PORT, PORT_MISSING */
        struct {
            bool failed;
            char text[MESSAGE_TEXT_MAX]; /* why; for a person */
        } answer;                        /* LISTENING, FILE_OPENED, RELOADED */
        struct {
            bool failed;
            uint8_t mac[6];              /* of the port, in whose name it sends */
            char text[MESSAGE_TEXT_MAX]; /* as above */
        } opened;                        /* PORT_OPENED */
        struct {
            uint64_t moment; /* clock_now() of what is reported */
            int32_t pid;     /* 0: no process of its own */
            bool ready;      /* MACHINE: it takes traffic already */
            bool prewarmed;  /* SPAWNED: a spare one was used */
            uint8_t forward_count;
            struct message_forward forwards[CONFIG_PORTS_MAX];
            char domain[64];                   /* libvirt, Xen: its name or id; else "" */
            uint8_t token[MESSAGE_TOKEN_SIZE]; /* by which it is known on the conduit; all 0: it
                                                  does not speak it */
            /* Until it is ready, how that is found out, never CONFIG_READY_DEFAULT. On a bridge
             * network the port watches for `arp` and `tcp`, and may for `announce`; it says
             * SEEN_READY. */
            uint8_t ready_rule;         /* enum config_ready */
            uint16_t ready_port;        /* of `tcp` */
            struct message_place place; /* MACHINE */
            double started;             /* MACHINE: seconds since the epoch */
        } machine;                      /* MACHINE, SPAWNED, ENTERED, READY */
        struct {
            uint64_t moment;
            bool asked_for; /* EXITED: by a STOP */
            bool blameless; /* FAILED: for want of a hypervisor that answers, which may come back
                               any moment */
            char text[MESSAGE_TEXT_MAX]; /* why, in words for a person: exit status, signal, last
                                            console line; "" if asked for */
        } end;                           /* FAILED, EXITED */
        struct {
            uint16_t length;
            uint8_t bytes[MESSAGE_CONSOLE_MAX];
        } console;
        struct {
            bool used;
        } use; /* USED */
        struct {
            uint64_t moment;
        } first_byte;
    };
};

/* A zeroed message of that type about `service` (NULL: none). */
struct message message_make(enum message_type type, uint32_t serial, const char *service);

/* How many bytes of a valid `message` are sent: texts and console bytes only as long as they are.
 */
size_t message_size(const struct message *message);

/* Checks bytes that another process sent, and copies them into `message`, whose rest becomes zero:
 * known type, right length, strings ended, values in range. Returns 0, or -1 with errno EBADMSG. */
int message_check(const void *bytes, size_t length, struct message *message);

/* Sends it, with `descriptor` if that is not -1 (the caller keeps its own). Only as many bytes as
 * the type needs are sent. Returns 0, or -1 with errno (EAGAIN: full). */
int message_send(int socket, const struct message *message, int descriptor);

/* Receives one and checks it (message_check; only LISTENING, FILE_OPENED and PORT_OPENED come with
 * a descriptor). Returns 1; 0 at the end of the stream; -1 with errno (EAGAIN: none there; EBADMSG:
 * not a message).
 * `*descriptor` is -1 or belongs to the caller. */
int message_receive(int socket, struct message *message, int *descriptor);

/* FNV-1a, 64 bits: to notice that a file changed, not to protect it. */
uint64_t message_digest(const void *bytes, uint64_t length);

/* One end of a link on an event loop: queues what the socket does not take at once, in order. */
struct event_base;
struct message_link;

/* `received` owns `descriptor` (-1: none). It may free the link. `lost` is called once, when the
 * other end has gone or talks nonsense; the link is then closed but not freed. */
typedef void message_received_function(void *argument, const struct message *message,
                                       int descriptor);
typedef void message_lost_function(void *argument, const char *why);

/* Takes over `socket`. NULL if memory is exhausted. */
struct message_link *message_link_new(struct event_base *base, int socket,
                                      message_received_function *received,
                                      message_lost_function *lost, void *argument);

/* Sends or queues; never fails (a lost link drops it). Takes a duplicate of `descriptor`. */
void message_link_send(struct message_link *link, const struct message *message, int descriptor);

/* From now on receives nothing while more than `most_queued` messages wait to be sent: an end that
 * asks and never reads the answers then waits too, instead of filling the memory. Of two ends only
 * one may do so, or both may wait for each other forever. */
void message_link_hold_back(struct message_link *link, size_t most_queued);

/* How many messages wait to be sent. */
size_t message_link_queued(const struct message_link *link);

/* Closes and frees it (NULL is allowed); what is still queued is not sent. */
void message_link_free(struct message_link *link);

#endif
