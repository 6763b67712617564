/* The xen backend as its own files see it. */
#ifndef JITSU_KEEPER_XEN_XEN_H
#define JITSU_KEEPER_XEN_XEN_H

#include <event2/event.h>
#include <libxl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "config/config.h"
#include "keeper/console.h"
#include "keeper/image.h"
#include "keeper/machine.h"
#include "keeper/record.h"
#include "keeper/xen/store.h"
#include "keeper/xen/worker.h"

struct keeper;
struct xen_domain;

struct xen {
    struct keeper *keeper;
    int directory; /* run-directory/xen: records */
    int saved;     /* state-directory/xen: suspended machines; -1: not usable */

    /* Connections to Xen, opened when the first machine needs them; NULL: not yet. */
    struct xen_tools *tools; /* for what does not block */
    struct xen_store *store;
    struct xen_watch *released; /* a domain has shut down, or is gone */
    struct xen_workers *workers;

    struct xen_domain *domains;              /* all, those of spares and of ends to come too */
    const struct config_service **prewarmed; /* those of the configuration that want spares */
    size_t prewarmed_count;
    struct event *refill;
    unsigned spare_number;   /* of the next one */
    unsigned spare_failures; /* in a row */
};

/* What is with a domain, between operations. */
enum xen_state {
    XEN_ABSENT,  /* there is none, yet or any more */
    XEN_WAITING, /* made; its first instruction is still to come */
    XEN_RUNNING,
    XEN_PAUSED, /* suspended, in memory */
    XEN_SAVED,  /* suspended, in a file, and no domain */
};

struct xen_domain {
    struct xen_domain *next; /* in xen->domains */
    struct xen *xen;
    struct machine *machine; /* whose it is; NULL: a spare, or one that is being ended */
    char service[CONFIG_NAME_TEXT_MAX];
    char directory_name[CONFIG_NAME_TEXT_MAX + 16];
    int directory; /* of its record */
    libxl_uuid uuid;
    uint32_t domid;             /* where there is one */
    libxl_domain_config config; /* what it is made from */
    uint8_t token[MESSAGE_TOKEN_SIZE];
    char bridge[CONFIG_NETWORK_MAX]; /* what its vif is to join */
    struct file_version image, ramdisk;
    bool has_ramdisk;

    enum xen_state state;
    /* What is wanted of it, in this order. */
    bool end_wanted, run_wanted, shutdown_wanted, suspend_wanted, make_wanted;
    bool begun; /* it has run */
    bool entered;
    char why[MESSAGE_TEXT_MAX]; /* of its end, for a person; "": nobody asks */

    bool busy; /* a thread works on the following */
    struct xen_job job;
    char terminal[64]; /* found by that: of its console; "": none */

    struct event *timer;
    struct console console;
    int console_terminal;
    struct event *console_readable;

    /* Readiness. */
    enum config_ready rule; /* never CONFIG_READY_DEFAULT */
    char *ready_text;
    uint16_t ready_port;
    uint64_t ready_after;
    struct xen_watch *ready_watch;
};

/* --- xen.c --- */

/* Opens the connections to Xen, if they are not open. -1 with the reason. */
int xen_connect(struct xen *xen, struct error *error);

/* The domain has ended, for the reason `domain->why`, and is to be freed by the callee, with its
 * record. */
void xen_domain_ended(struct xen_domain *domain);

/* It was made, and waits: to be run, if it has a machine. */
void xen_domain_made(struct xen_domain *domain);

/* It has begun to run, for the first time or again. */
void xen_domain_running(struct xen_domain *domain);

/* It takes traffic. */
void xen_domain_ready(struct xen_domain *domain);

/* --- domain.c: a domain, and what is done with it one after the other --- */

/* A domain for `service` with the record directory `directory_name`, not made yet. NULL with the
 * reason. */
struct xen_domain *xen_domain_new(struct xen *xen, const struct config_service *service,
                                  const char *directory_name, struct error *error);

/* The one that an earlier keeper's record is about; `directory` becomes its own. NULL: memory is
 * exhausted. */
struct xen_domain *xen_domain_known(struct xen *xen, const struct record *record,
                                    const char *directory_name, int directory);

/* Does what is wanted of it next. May free it, through xen_domain_ended(). */
void xen_domain_proceed(struct xen_domain *domain);

/* It is to be ended, for that reason. */
void xen_domain_condemn(struct xen_domain *domain, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Calls `function` once after `delay` nanoseconds, instead of what was set before. */
void xen_domain_after(struct xen_domain *domain, uint64_t delay, event_callback_fn function);

/* Looks at all domains, as one has shut down or is gone. */
void xen_domains_look(void *xen);

/* Writes its record, from its machine. */
void xen_domain_remember(struct xen_domain *domain);

/* The network device of its vif in the host, as the kernel calls it; scripts would rename it. */
struct xen_device {
    char name[IF_NAMESIZE];
};
struct xen_device xen_domain_device(const struct xen_domain *domain);

/* What Xen calls it. */
const char *xen_domain_name(const struct xen_domain *domain);

/* Frees what is known of it, once no thread works on it; the domain itself and its record stay. */
void xen_domain_free(struct xen_domain *domain);

/* --- config.c --- */

/* Fills in what `domain` is made from: of `service`, or of its xl.cfg. -1 with the reason. */
int xen_config_make(struct xen_domain *domain, const struct config_service *service,
                    struct error *error);

/* --- operations.c: work of threads --- */

void xen_work_create(struct xen_job *job, struct xen_tools *tools);
void xen_work_unpause(struct xen_job *job, struct xen_tools *tools);
void xen_work_pause(struct xen_job *job, struct xen_tools *tools);
void xen_work_save(struct xen_job *job, struct xen_tools *tools);
void xen_work_restore(struct xen_job *job, struct xen_tools *tools);
void xen_work_destroy(struct xen_job *job, struct xen_tools *tools);

/* --- console.c --- */

/* Begins to read what it prints. */
void xen_console_open(struct xen_domain *domain);

/* What is there now, before the domain goes. */
void xen_console_drain(struct xen_domain *domain);
void xen_console_close(struct xen_domain *domain);

/* --- ready.c --- */

/* Chooses the rule. -1 with the reason if there is none that fits. */
int xen_ready_choose(struct xen_domain *domain, const struct config_service *service,
                     bool announces, struct error *error);

/* It runs since now: for the first time, or again after it was saved. */
void xen_ready_begin(struct xen_domain *domain);
void xen_ready_begin_again(struct xen_domain *domain);
void xen_ready_console(struct xen_domain *domain, enum console_event event);
void xen_ready_seen(struct xen_domain *domain);
void xen_ready_end(struct xen_domain *domain);

/* --- spare.c --- */

/* A spare of that service, taken out of the list; NULL: none. Those that have become out of date
 * are ended. */
struct xen_domain *xen_spare_take(struct xen *xen, const struct config_service *service);

/* The timer of the next look at what is missing; NULL if memory is exhausted. */
struct event *xen_spare_timer(struct xen *xen);
void xen_spare_refill_soon(struct xen *xen);

/* One was made, or has ended: then it is still to be freed. */
void xen_spare_made(struct xen_domain *domain);
void xen_spare_ended(struct xen_domain *domain);

/* Finds out who of `config` wants spares, and ends those there are. -1: memory is exhausted. */
int xen_spare_configure(struct xen *xen, const struct config *config);

/* --- adopt.c --- */

/* Adopts what an earlier keeper left, or ends it. -1 with the reason. */
int xen_take_over(struct xen *xen, struct error *error);

/* --- saved.c: the files of suspended machines --- */

/* Opens state-directory/xen, which must be its own user's alone. -1 with the reason. */
int xen_saved_open(const char *state_directory, struct error *error);

/* A file for the domain that is not its file yet; or that which is. -1 with errno. */
int xen_saved_create(const struct xen_domain *domain);
int xen_saved_read(const struct xen_domain *domain);

/* It is complete: it is the domain's file from now on. -1 with errno. */
int xen_saved_keep(const struct xen_domain *domain, int file);
bool xen_saved_exists(const struct xen_domain *domain);
void xen_saved_remove(const struct xen_domain *domain);

/* Removes the files of machines that nobody knows any more. */
void xen_saved_clean(const struct xen *xen);

#endif
