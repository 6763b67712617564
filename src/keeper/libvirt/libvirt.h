/* The libvirt backend as its own files see it:
 *
 *   libvirt.c     what the keeper asks of the backend
 *   loop.c        libvirt's event loop on the keeper's
 *   work.c        threads for calls that block
 *   connection.c  opening and losing connections; what they tell of domains
 *   domain.c      the life of one domain: what is wanted of it, and what it does
 *   call.c        libvirt's calls about one domain
 *   launch.c      making a domain: record, console, description
 *   xml.c         the description of a domain
 *   console.c     what a domain prints
 *   ready.c       when a domain is ready
 *   saved.c       domains that are suspended to disk
 *   adopt.c       the domains that an earlier keeper left, and those that others started
 *   spare.c       prewarmed domains
 */
#ifndef JITSU_KEEPER_LIBVIRT_LIBVIRT_H
#define JITSU_KEEPER_LIBVIRT_LIBVIRT_H

#include <event2/event.h>
#include <libvirt/libvirt.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "config/config.h"
#include "keeper/console.h"
#include "keeper/device_name.h"
#include "keeper/image.h"
#include "keeper/libvirt/work.h"
#include "keeper/machine.h"
#include "keeper/process.h"
#include "keeper/record.h"

#define LIBVIRT_NAME_MAX CONFIG_DOMAIN_MAX

struct libvirt_call;

/* What a domain is to do, and what it does as far as we know. */
enum libvirt_wanted { WANTED_RUNNING, WANTED_PAUSED, WANTED_SHUT_DOWN, WANTED_GONE };
enum libvirt_actual {
    ACTUAL_UNKNOWN, /* nobody could be asked since the connection was lost */
    ACTUAL_ABSENT,
    ACTUAL_PAUSED,
    ACTUAL_RUNNING,
    ACTUAL_SAVED, /* on disk, and nowhere else */
};

struct libvirt_domain {
    TAILQ_ENTRY(libvirt_domain) entry; /* of its connection */
    struct libvirt_connection *connection;
    struct machine *machine; /* whose it is; NULL: a spare, or one that is being ended */
    char service[CONFIG_NAME_TEXT_MAX];
    char name[LIBVIRT_NAME_MAX]; /* of the domain; for an existing one its name or UUID */
    unsigned char uuid[VIR_UUID_BUFLEN];
    bool has_uuid;       /* of an existing one not before it has been found */
    bool existing;       /* it was not made by jitsud */
    bool spare;          /* paused before its first instruction */
    bool saves;          /* it is suspended to disk */
    bool leftover;       /* an earlier keeper had begun it, and it is being ended */
    bool begun;          /* it has been made or started, perhaps, or seen to run */
    bool ended;          /* while the call that made it had not returned */
    virDomainPtr handle; /* on the present connection; NULL: none yet */
    uint8_t wanted, actual;
    struct libvirt_call *call; /* that is under way; NULL: none */
    bool resuming;             /* the front waits for it to run again */
    bool asked_to_shut_down;
    bool expected, listed;         /* in the list of domains that is being made */
    char verdict[ERROR_TEXT_SIZE]; /* why it ends, or has ended while it was made; "": not known */

    char directory_name[16];  /* of its record */
    int directory;            /* the same; -1: none */
    char device[IF_NAMESIZE]; /* "": none that we know */
    uint8_t mac[MAC_SIZE];    /* of an existing domain on a bridge of this host; else 0 */
    uint8_t token[MESSAGE_TOKEN_SIZE];
    char *xml; /* until it has been made */
    struct image image;
    struct file_version ramdisk;
    bool has_ramdisk;

    int console_listening, console_socket;
    struct event *console_calls, *console_readable;
    struct console console;
    uid_t console_user; /* whose QEMU is; -1: not known */
    bool entered;

    enum config_ready rule; /* never CONFIG_READY_DEFAULT */
    char *ready_text;
    uint16_t ready_port;
    uint64_t ready_after;
    struct endpoint probed; /* on no network: where `tcp` is tried; port 0: nowhere */
    int probe;              /* the connection that is under way; -1: none */
    struct event *probe_writable;
    struct event *timer; /* a deadline, or of its readiness */
    struct event *again; /* what has not worked is tried again */
};

TAILQ_HEAD(libvirt_domains, libvirt_domain);

/* A service whose domain exists already, found by what the configuration calls that. */
struct libvirt_existing {
    const char *domain;
    const struct config_service *service;
};

struct libvirt_connection {
    SLIST_ENTRY(libvirt_connection) entry;
    struct libvirt *libvirt;
    char *uri;
    bool here; /* its hypervisor is on this host */
    struct libvirt_workers *workers;
    virConnectPtr connection; /* NULL: down */
    bool opening;
    bool tried;      /* the first attempt is over */
    bool look_again; /* something happened while the domains were listed */
    bool listing;
    char why[ERROR_TEXT_SIZE]; /* it is down */
    struct event *retry;
    uint64_t delay; /* before the next attempt */
    struct libvirt_domains domains;
    void *by_uuid;                     /* the same, as a tree of tsearch(3) */
    struct libvirt_existing *existing; /* in the order of `domain` */
    size_t existing_count;
};

SLIST_HEAD(libvirt_connections, libvirt_connection);

struct libvirt {
    struct keeper *keeper;
    int directory; /* run-directory/libvirt; -1: not needed so far */
    bool has_loop;
    struct libvirt_connections connections;
    const struct config_service **prewarmed; /* those of the configuration that want spares */
    size_t prewarmed_count;
    struct libvirt_domain *warming; /* the spare that is being made; one at a time */
    struct event *refill;
    unsigned spare_failures; /* in a row */
};

/* --- connection.c --- */

/* The connection of that URI, which is opened if it is new. NULL with the reason. */
struct libvirt_connection *libvirt_connection_get(struct libvirt *libvirt, const char *uri,
                                                  struct error *error);

/* Has it been tried and found down? Else it is up, or it shows soon whether it is. */
bool libvirt_connection_is_down(const struct libvirt_connection *connection);

/* Waits until all calls are over that are under way on all connections, but not long. */
void libvirt_connections_finish(struct libvirt *libvirt);

/* What libvirt says last on this thread, in words. */
void libvirt_explain(const char *what, struct error *error);

/* A call has failed for want of a connection: sees to it, should nobody have told. */
void libvirt_connection_check(struct libvirt_connection *connection);

/* From now on the domain is found by its UUID, until it is freed. */
void libvirt_connection_know(struct libvirt_domain *domain, const unsigned char *uuid);
void libvirt_connection_forget(struct libvirt_domain *domain);

/* Ends it, with the domains that are still in its list, which run on. */
void libvirt_connection_free(struct libvirt_connection *connection);

/* --- domain.c --- */

struct libvirt_domain *libvirt_domain_new(struct libvirt_connection *connection,
                                          const char *service);

/* Frees what is known of it; it runs on if it runs. */
void libvirt_domain_free(struct libvirt_domain *domain);

/* Does the next thing towards what is wanted, if there is one and nothing is under way. May report
 * the machine's end, with which the domain is freed. */
void libvirt_domain_step(struct libvirt_domain *domain);

/* Something else is wanted of it from now on. */
void libvirt_domain_want(struct libvirt_domain *domain, enum libvirt_wanted wanted);

/* Ends it for that reason. */
void libvirt_domain_condemn(struct libvirt_domain *domain, const char *why);

/* An event, or a list of all domains, says so. */
void libvirt_domain_seen(struct libvirt_domain *domain, enum libvirt_actual actual,
                         const char *why);

/* The call that was under way is over. */
void libvirt_domain_called(struct libvirt_domain *domain, const struct libvirt_call *call);

/* Its connection has been lost. */
void libvirt_domain_lost(struct libvirt_domain *domain);

/* Calls `function` once after `delay` nanoseconds, instead of what was set before. */
void libvirt_domain_after(struct libvirt_domain *domain, uint64_t delay,
                          event_callback_fn function);

/* The machine's process is seen to exist. */
void libvirt_domain_spawned(struct libvirt_domain *domain);

/* Writes its record, from its machine. */
void libvirt_domain_remember(struct libvirt_domain *domain);

/* --- call.c --- */

enum libvirt_call_kind {
    CALL_MAKE,  /* a transient domain of `xml` */
    CALL_START, /* an existing domain */
    CALL_RESUME,
    CALL_SUSPEND,
    CALL_SAVE,
    CALL_RESTORE,
    CALL_DISCARD, /* what was saved */
    CALL_SHUT_DOWN,
    CALL_DESTROY,
    CALL_LOOK,
};

struct libvirt_call {
    struct libvirt_job job;
    struct libvirt_connection *owner;
    struct libvirt_domain *domain; /* NULL: it has been forgotten meanwhile */
    enum libvirt_call_kind kind;
    virConnectPtr connection;
    virDomainPtr handle; /* in and out */
    char *xml;
    char name[LIBVIRT_NAME_MAX];
    char saved[CONFIG_PATH_MAX + 64]; /* path of the file; "": libvirt manages it */
    unsigned char uuid[VIR_UUID_BUFLEN];
    bool has_uuid, paused;
    bool finds_device; /* the network device of the interface with this MAC address is looked for */
    uint8_t mac[MAC_SIZE];
    char device[IF_NAMESIZE]; /* "": not found */
    /* What came of it. */
    bool failed;
    bool lost; /* with the connection: it may have worked */
    int code;  /* virErrorNumber */
    enum libvirt_actual actual;
    struct error error;
};

/* Begins it; libvirt_domain_called() tells of its end. The connection is up. */
void libvirt_call_begin(struct libvirt_domain *domain, enum libvirt_call_kind kind);

/* --- launch.c --- */

/* Makes what a new domain of `service` needs, up to its description. NULL with the reason. */
struct libvirt_domain *libvirt_launch(struct libvirt_connection *connection,
                                      const struct config_service *service, bool spare,
                                      struct error *error);

/* The same for a domain that exists. */
struct libvirt_domain *libvirt_launch_existing(struct libvirt_connection *connection,
                                               const struct config_service *service,
                                               struct error *error);

/* --- console.c --- */

/* Makes the socket that the domain connects to; its path goes to `path`. */
int libvirt_console_listen(struct libvirt_domain *domain, char *path, size_t size,
                           struct error *error);
void libvirt_console_close(struct libvirt_domain *domain);

/* --- saved.c --- */

/* Where a domain that jitsud has made is saved to; "": libvirt manages that, as the domain exists
 * without us. */
void libvirt_saved_path(const struct libvirt_domain *domain, char *path, size_t size);

/* Makes the directory of saved domains, which must be its own user's alone: to be asked before
 * anything is read from there, too. Returns 0, or -1 with the reason. */
int libvirt_saved_open(const struct keeper *keeper, struct error *error);

/* Removes the files of domains that nobody knows any more, as after the host's restart. */
void libvirt_saved_clean(const struct libvirt *libvirt);

/* --- ready.c --- */

int libvirt_ready_choose(struct libvirt_domain *domain, const struct config_service *service,
                         struct error *error);

/* The machine runs since now: begins to watch for what needs watching. */
void libvirt_ready_begin(struct libvirt_domain *domain);
void libvirt_ready_console(struct libvirt_domain *domain, enum console_event event);
void libvirt_ready_seen(struct libvirt_domain *domain);
void libvirt_ready_end(struct libvirt_domain *domain);

/* --- adopt.c --- */

/* Takes over what the records of an earlier keeper tell of. */
int libvirt_adopt_all(struct libvirt *libvirt, struct error *error);

/* The domain's connection has been up or tried: the machine is known to be there, or taken to be.
 */
void libvirt_adopted(struct libvirt_domain *domain);

/* A domain that runs and that nobody has asked us for: is it a service's? */
void libvirt_adopt_stranger(struct libvirt_connection *connection, virDomainPtr handle);

/* Finds out which domains of each connection services have. -1: memory is exhausted. */
int libvirt_existing_configure(struct libvirt *libvirt, const struct config *config);

/* --- spare.c --- */

/* A spare of that service, no longer one, which is to be resumed; NULL: there is none. */
struct libvirt_domain *libvirt_spare_take(struct libvirt_connection *connection,
                                          const struct config_service *service);
int libvirt_spare_configure(struct libvirt *libvirt, const struct config *config);
void libvirt_spare_refill_soon(struct libvirt *libvirt);
void libvirt_spare_made(struct libvirt_domain *domain);
void libvirt_spare_ended(struct libvirt_domain *domain, const char *why);
void libvirt_spare_end_all(struct libvirt *libvirt);
struct event *libvirt_spare_timer(struct libvirt *libvirt);

#endif
