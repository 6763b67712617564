#include <libvirt/virterror.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "keeper/libvirt/libvirt.h"
#include "keeper/libvirt/loop.h"

/* A peer that says nothing for so long, asked so often, is gone. */
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT   3

#define RETRY_FIRST (100 * NANOSECONDS_PER_MILLISECOND)
/* A socket of this host costs nothing to try, a login to another one does. */
#define RETRY_MOST_HERE  (2 * NANOSECONDS_PER_SECOND)
#define RETRY_MOST_THERE (30 * NANOSECONDS_PER_SECOND)

/* How long the keeper's end waits for calls that are under way. */
#define PATIENCE_MILLISECONDS 5000

/* --- the domains that run there --- */

struct listing {
    struct libvirt_job job;
    struct libvirt_connection *owner;
    char *uri; /* to be opened first; NULL: `connection` is open */
    virConnectPtr connection;
    int lifecycle;
    virDomainPtr *running, *paused;
    int running_count, paused_count;
    bool failed;
    struct error error;
};

static void begin_listing(struct libvirt_connection *connection);
static void connection_lost(struct libvirt_connection *connection, const char *why);

static void free_domains(virDomainPtr *domains, int count)
{
    for (int i = 0; i < count; i++)
        virDomainFree(domains[i]);
    free(domains);
}

static int list(struct listing *listing)
{
    listing->running_count = virConnectListAllDomains(listing->connection, &listing->running,
                                                      VIR_CONNECT_LIST_DOMAINS_RUNNING);
    if (listing->running_count >= 0)
        listing->paused_count = virConnectListAllDomains(listing->connection, &listing->paused,
                                                         VIR_CONNECT_LIST_DOMAINS_PAUSED);
    if (listing->running_count < 0 || listing->paused_count < 0) {
        libvirt_explain("libvirt cannot list the domains", &listing->error);
        return -1;
    }
    return 0;
}

/* --- what libvirt tells by itself --- */

static int compare_uuids(const void *a, const void *b)
{
    const struct libvirt_domain *x = a, *y = b;
    return memcmp(x->uuid, y->uuid, sizeof x->uuid);
}

static struct libvirt_domain *find_domain(const struct libvirt_connection *connection,
                                          virDomainPtr handle)
{
    struct libvirt_domain key;
    if (virDomainGetUUID(handle, key.uuid) != 0)
        return NULL;
    struct libvirt_domain **found = tfind(&key, &connection->by_uuid, compare_uuids);
    return found ? *found : NULL;
}

void libvirt_connection_know(struct libvirt_domain *domain, const unsigned char *uuid)
{
    memcpy(domain->uuid, uuid, sizeof domain->uuid);
    struct libvirt_domain **place = tsearch(domain, &domain->connection->by_uuid, compare_uuids);
    domain->has_uuid = place && *place == domain;
    if (!domain->has_uuid)
        log_error("%s: %s", domain->service,
                  place ? "its domain is another service's already" : "memory is exhausted");
}

void libvirt_connection_forget(struct libvirt_domain *domain)
{
    if (domain->has_uuid)
        tdelete(domain, &domain->connection->by_uuid, compare_uuids);
    domain->has_uuid = false;
}

static void seen(struct libvirt_connection *connection, virDomainPtr handle,
                 enum libvirt_actual actual, const char *why)
{
    struct libvirt_domain *domain = find_domain(connection, handle);
    if (domain)
        libvirt_domain_seen(domain, actual, why);
    else if (actual != ACTUAL_ABSENT)
        libvirt_adopt_stranger(connection, handle);
}

static const char *why_stopped(int detail)
{
    switch (detail) {
    case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
        return "the machine powered itself off or reset";
    case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
        return "somebody else destroyed it";
    case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
        return "the machine crashed";
    case VIR_DOMAIN_EVENT_STOPPED_MIGRATED:
        return "somebody else moved it to another host";
    case VIR_DOMAIN_EVENT_STOPPED_SAVED:
        return "somebody else saved it";
    case VIR_DOMAIN_EVENT_STOPPED_FAILED:
        return "its hypervisor failed";
    default:
        return "libvirt says that it has stopped";
    }
}

static int on_lifecycle(virConnectPtr from, virDomainPtr handle, int event, int detail,
                        void *argument)
{
    struct libvirt_connection *connection = argument;
    if (connection->listing)
        connection->look_again = true; /* the list may be older than this */
    if (from != connection->connection)
        return 0;
    switch (event) {
    case VIR_DOMAIN_EVENT_STARTED:
        if (detail == VIR_DOMAIN_EVENT_STARTED_BOOTED)
            seen(connection, handle, ACTUAL_RUNNING, "");
        break;
    case VIR_DOMAIN_EVENT_RESUMED:
        seen(connection, handle, ACTUAL_RUNNING, "");
        break;
    case VIR_DOMAIN_EVENT_SUSPENDED:
        seen(connection, handle, ACTUAL_PAUSED, "");
        break;
    case VIR_DOMAIN_EVENT_STOPPED:
        seen(connection, handle, ACTUAL_ABSENT, why_stopped(detail));
        break;
    default:
        break;
    }
    return 0;
}

/* The end of the connection, told on whatever thread. */
struct farewell {
    struct libvirt_job job;
    struct libvirt_connection *owner;
    virConnectPtr connection;
    int reason;
};

static void on_farewell(struct libvirt_job *job, bool dropped)
{
    static const char *const reasons[] = {
        [VIR_CONNECT_CLOSE_REASON_ERROR] = "it failed",
        [VIR_CONNECT_CLOSE_REASON_EOF] = "the other end has gone",
        [VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "the other end says nothing any more",
        [VIR_CONNECT_CLOSE_REASON_CLIENT] = "it was closed",
    };
    struct farewell *farewell = (struct farewell *)job;
    size_t reason = (size_t)farewell->reason;
    if (!dropped && farewell->owner->connection == farewell->connection)
        connection_lost(farewell->owner, reason < sizeof reasons / sizeof reasons[0]
                                             ? reasons[reason]
                                             : "it is closed");
    free(farewell);
}

static void on_close(virConnectPtr closed, int reason, void *argument)
{
    struct libvirt_connection *connection = argument;
    struct farewell *farewell = calloc(1, sizeof *farewell);
    if (!farewell)
        return;
    *farewell = (struct farewell){
        .job = {.done = on_farewell}, .owner = connection, .connection = closed, .reason = reason};
    libvirt_workers_tell(connection->workers, &farewell->job);
}

/* --- opening --- */

static int open_connection(struct listing *listing)
{
    struct libvirt_connection *owner = listing->owner;
    listing->connection = virConnectOpen(listing->uri);
    if (!listing->connection) {
        libvirt_explain("cannot be opened", &listing->error);
        return -1;
    }
    /* A hypervisor in this process has neither of these. */
    virConnectRegisterCloseCallback(listing->connection, on_close, owner, NULL);
    virConnectSetKeepAlive(listing->connection, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
    listing->lifecycle =
        virConnectDomainEventRegisterAny(listing->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), owner, NULL);
    if (listing->lifecycle < 0) {
        libvirt_explain("cannot tell of domains", &listing->error);
        return -1;
    }
    return 0;
}

static void close_connection(virConnectPtr connection)
{
    virConnectUnregisterCloseCallback(connection, on_close);
    virConnectClose(connection);
}

static void list_work(struct libvirt_job *job)
{
    struct listing *listing = (struct listing *)job;
    virResetLastError();
    listing->failed = (listing->uri && open_connection(listing) != 0) || list(listing) != 0;
    if (listing->failed && listing->connection) {
        if (listing->uri)
            close_connection(listing->connection);
        else
            virConnectClose(listing->connection);
        listing->connection = NULL;
    }
}

static void retry_later(struct libvirt_connection *connection)
{
    uint64_t most = connection->here ? RETRY_MOST_HERE : RETRY_MOST_THERE;
    struct timeval wait = clock_timeval(connection->delay);
    evtimer_add(connection->retry, &wait);
    connection->delay *= 2;
    if (connection->delay > most)
        connection->delay = most;
}

static void mark_listed(const struct libvirt_connection *connection, virDomainPtr *handles,
                        int count)
{
    for (int i = 0; i < count; i++) {
        struct libvirt_domain *domain = find_domain(connection, handles[i]);
        if (domain)
            domain->listed = true;
    }
}

/* Tells each domain what has become of it, and finds those that we do not know. What is told may
 * be the end of a domain, and the beginning of the next. */
static void compare(struct libvirt_connection *connection, struct listing *listing)
{
    struct libvirt_domain *domain, *next;
    mark_listed(connection, listing->running, listing->running_count);
    mark_listed(connection, listing->paused, listing->paused_count);
    for (domain = TAILQ_FIRST(&connection->domains); domain; domain = next) {
        next = TAILQ_NEXT(domain, entry);
        if (domain->expected && !domain->listed && !domain->call)
            libvirt_domain_seen(domain, ACTUAL_ABSENT, "it ended while nobody looked");
    }
    for (int i = 0; i < listing->running_count; i++)
        seen(connection, listing->running[i], ACTUAL_RUNNING, "");
    for (int i = 0; i < listing->paused_count; i++)
        seen(connection, listing->paused[i], ACTUAL_PAUSED, "");
}

/* Which of them it is that ends in the meantime does not matter: each is stepped once. */
static void step_all(struct libvirt_connection *connection)
{
    struct libvirt_domain *domain, *next;
    for (domain = TAILQ_FIRST(&connection->domains); domain; domain = next) {
        next = TAILQ_NEXT(domain, entry);
        libvirt_domain_step(domain);
    }
}

static void opened(struct libvirt_connection *connection, struct listing *listing)
{
    connection->connection = listing->connection;
    connection->opening = false;
    connection->tried = true;
    connection->delay = RETRY_FIRST;
    listing->connection = NULL;
    log_info("libvirt %s: connected, %d domains run there", connection->uri,
             listing->running_count + listing->paused_count);
}

static void not_opened(struct libvirt_connection *connection, const struct listing *listing)
{
    struct libvirt_domain *domain, *next;
    bool first = !connection->why[0];
    connection->opening = false;
    connection->tried = true;
    snprintf(connection->why, sizeof connection->why, "%s", listing->error.text);
    if (first)
        log_warning("libvirt %s: %s; trying again until it answers", connection->uri,
                    listing->error.text);
    else
        log_debug("libvirt %s: %s", connection->uri, listing->error.text);
    retry_later(connection);
    for (domain = TAILQ_FIRST(&connection->domains); domain; domain = next) {
        next = TAILQ_NEXT(domain, entry);
        libvirt_domain_lost(domain);
    }
}

static void list_done(struct libvirt_job *job, bool dropped)
{
    struct listing *listing = (struct listing *)job;
    struct libvirt_connection *connection = listing->owner;
    if (!dropped) {
        connection->listing = false;
        if (listing->uri && listing->failed)
            not_opened(connection, listing);
        else if (listing->uri)
            opened(connection, listing);
        if (!listing->failed && connection->connection) {
            connection->why[0] = '\0';
            compare(connection, listing);
            step_all(connection);
        }
        if (connection->look_again && connection->connection)
            begin_listing(connection);
    }
    free_domains(listing->running, listing->running_count);
    free_domains(listing->paused, listing->paused_count);
    if (listing->connection)
        virConnectClose(listing->connection);
    free(listing->uri);
    free(listing);
}

static struct listing *listing_new(struct libvirt_connection *connection)
{
    struct libvirt_domain *domain;
    struct listing *listing = calloc(1, sizeof *listing);
    if (!listing) {
        log_error("libvirt %s: memory is exhausted", connection->uri);
        abort();
    }
    listing->job = (struct libvirt_job){.work = list_work, .done = list_done};
    listing->owner = connection;
    connection->listing = true;
    connection->look_again = false;
    TAILQ_FOREACH(domain, &connection->domains, entry)
    {
        domain->expected =
            domain->has_uuid && domain->begun && !domain->call && domain->actual != ACTUAL_SAVED;
        domain->listed = false;
    }
    return listing;
}

static void begin_listing(struct libvirt_connection *connection)
{
    struct listing *listing = listing_new(connection);
    listing->connection = connection->connection;
    virConnectRef(listing->connection);
    libvirt_workers_do(connection->workers, &listing->job);
}

static void begin_opening(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct libvirt_connection *connection = argument;
    struct listing *listing = listing_new(connection);
    listing->uri = strdup(connection->uri);
    connection->opening = true;
    libvirt_workers_do(connection->workers, &listing->job);
}

/* --- losing --- */

/* Giving it back may ask the other end, or wait for it. */
struct ending {
    struct libvirt_job job;
    virConnectPtr connection;
};

static void end_work(struct libvirt_job *job)
{
    close_connection(((struct ending *)job)->connection);
}

static void end_done(struct libvirt_job *job, bool dropped)
{
    (void)dropped;
    free(job);
}

static void give_back(struct libvirt_connection *connection)
{
    struct ending *ending = calloc(1, sizeof *ending);
    if (!ending) {
        log_error("libvirt %s: memory is exhausted", connection->uri);
        abort();
    }
    *ending = (struct ending){.job = {.work = end_work, .done = end_done},
                              .connection = connection->connection};
    connection->connection = NULL;
    libvirt_workers_do(connection->workers, &ending->job);
}

static void connection_lost(struct libvirt_connection *connection, const char *why)
{
    struct libvirt_domain *domain, *next;
    log_warning("libvirt %s: the connection is lost: %s; connecting again", connection->uri, why);
    snprintf(connection->why, sizeof connection->why, "the connection was lost: %s", why);
    give_back(connection);
    connection->delay = RETRY_FIRST;
    retry_later(connection);
    for (domain = TAILQ_FIRST(&connection->domains); domain; domain = next) {
        next = TAILQ_NEXT(domain, entry);
        libvirt_domain_lost(domain);
    }
}

void libvirt_connection_check(struct libvirt_connection *connection)
{
    if (connection->connection && virConnectIsAlive(connection->connection) != 1)
        connection_lost(connection, "a call failed");
}

/* --- life --- */

bool libvirt_connection_is_down(const struct libvirt_connection *connection)
{
    return !connection->connection && connection->tried;
}

/* "qemu:///system" is here, "qemu+ssh://host/system" is not. */
static bool is_here(const char *uri)
{
    const char *host = strstr(uri, "://");
    return !host || host[3] == '/' || host[3] == '\0';
}

static struct libvirt_connection *connection_new(struct libvirt *libvirt, const char *uri)
{
    struct libvirt_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    TAILQ_INIT(&connection->domains);
    connection->libvirt = libvirt;
    connection->here = is_here(uri);
    connection->delay = RETRY_FIRST;
    connection->uri = strdup(uri);
    connection->workers = libvirt_workers_new(libvirt->keeper->base);
    connection->retry = evtimer_new(libvirt->keeper->base, begin_opening, connection);
    if (connection->uri && connection->workers && connection->retry)
        return connection;
    libvirt_connection_free(connection);
    return NULL;
}

struct libvirt_connection *libvirt_connection_get(struct libvirt *libvirt, const char *uri,
                                                  struct error *error)
{
    struct libvirt_connection *connection;
    SLIST_FOREACH(connection, &libvirt->connections, entry)
    {
        if (strcmp(connection->uri, uri) == 0)
            return connection;
    }
    if (!libvirt->has_loop && libvirt_loop_open(libvirt->keeper->base, error) != 0)
        return NULL;
    libvirt->has_loop = true;
    connection = connection_new(libvirt, uri);
    if (!connection) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    SLIST_INSERT_HEAD(&libvirt->connections, connection, entry);
    begin_opening(-1, 0, connection);
    return connection;
}

void libvirt_connections_finish(struct libvirt *libvirt)
{
    struct libvirt_connection *connection;
    SLIST_FOREACH(connection, &libvirt->connections, entry)
    {
        if (!connection->connection)
            continue;
        /* First what has been asked for, and what comes of that. */
        libvirt_workers_finish(connection->workers, PATIENCE_MILLISECONDS);
        if (connection->connection)
            give_back(connection);
        libvirt_workers_finish(connection->workers, PATIENCE_MILLISECONDS);
    }
}

void libvirt_connection_free(struct libvirt_connection *connection)
{
    struct libvirt_domain *domain;
    while ((domain = TAILQ_FIRST(&connection->domains)))
        libvirt_domain_free(domain);
    libvirt_workers_free(connection->workers);
    if (connection->retry)
        event_free(connection->retry);
    free(connection->existing);
    free(connection->uri);
    free(connection);
}
