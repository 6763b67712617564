#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "keeper/libvirt/libvirt.h"
#include "keeper/libvirt/xml.h"

void libvirt_explain(const char *what, struct error *error)
{
    const virError *last = virGetLastError();
    error_set(error, "%s: %s", what,
              last && last->message ? last->message : "libvirt gives no reason");
    /* Some of its messages have several lines. */
    for (char *c = error->text; *c; c++)
        if (*c == '\n')
            *c = ' ';
}

/* --- on a thread --- */

static const char *const words[] = {
    [CALL_MAKE] = "libvirt cannot make the domain",
    [CALL_START] = "libvirt cannot start the domain",
    [CALL_RESUME] = "libvirt cannot resume the domain",
    [CALL_SUSPEND] = "libvirt cannot suspend the domain",
    [CALL_SAVE] = "libvirt cannot save the domain",
    [CALL_RESTORE] = "libvirt cannot restore the domain",
    [CALL_DISCARD] = "the saved domain cannot be removed",
    [CALL_SHUT_DOWN] = "libvirt cannot shut the domain down",
    [CALL_DESTROY] = "libvirt cannot destroy the domain",
    [CALL_LOOK] = "libvirt cannot find the domain",
};

static int find(struct libvirt_call *call)
{
    if (!call->handle && call->has_uuid)
        call->handle = virDomainLookupByUUID(call->connection, call->uuid);
    /* The configuration has a name or a UUID. */
    if (!call->handle && !call->has_uuid)
        call->handle = virDomainLookupByName(call->connection, call->name);
    if (!call->handle && !call->has_uuid)
        call->handle = virDomainLookupByUUIDString(call->connection, call->name);
    return call->handle ? 0 : -1;
}

static enum libvirt_actual actual_of(int state)
{
    switch (state) {
    case VIR_DOMAIN_SHUTOFF:
    case VIR_DOMAIN_CRASHED:
        return ACTUAL_ABSENT;
    case VIR_DOMAIN_PAUSED:
    case VIR_DOMAIN_PMSUSPENDED:
        return ACTUAL_PAUSED;
    default:
        return ACTUAL_RUNNING;
    }
}

static int look(struct libvirt_call *call)
{
    int state;
    if (virDomainGetState(call->handle, &state, NULL, 0) != 0)
        return -1;
    call->actual = actual_of(state);
    return 0;
}

static int start_existing(struct libvirt_call *call)
{
    if (look(call) != 0)
        return -1;
    /* Somebody else has been faster. */
    if (call->actual != ACTUAL_ABSENT)
        return 0;
    call->actual = ACTUAL_RUNNING;
    return virDomainCreateWithFlags(call->handle, 0);
}

static int make(struct libvirt_call *call)
{
    call->actual = call->paused ? ACTUAL_PAUSED : ACTUAL_RUNNING;
    call->handle = virDomainCreateXML(call->connection, call->xml,
                                      call->paused ? VIR_DOMAIN_START_PAUSED : VIR_DOMAIN_NONE);
    return call->handle ? 0 : -1;
}

static int save(struct libvirt_call *call)
{
    call->actual = ACTUAL_SAVED;
    return call->saved[0] ? virDomainSave(call->handle, call->saved)
                          : virDomainManagedSave(call->handle, 0);
}

/* libvirt restores by itself what it manages. */
static int restore(struct libvirt_call *call)
{
    call->actual = ACTUAL_RUNNING;
    if (!call->saved[0])
        return find(call) == 0 ? start_existing(call) : -1;
    if (virDomainRestore(call->connection, call->saved) != 0)
        return -1;
    unlink(call->saved);
    return find(call);
}

static int discard(struct libvirt_call *call)
{
    call->actual = ACTUAL_ABSENT;
    if (!call->saved[0])
        return find(call) == 0 ? virDomainManagedSaveRemove(call->handle, 0) : -1;
    unlink(call->saved);
    return 0;
}

static int perform(struct libvirt_call *call)
{
    if (call->kind == CALL_MAKE)
        return make(call);
    if (call->kind == CALL_RESTORE)
        return restore(call);
    if (call->kind == CALL_DISCARD)
        return discard(call);
    if (find(call) != 0)
        return -1;
    switch (call->kind) {
    case CALL_START:
        return start_existing(call);
    case CALL_RESUME:
        call->actual = ACTUAL_RUNNING;
        return virDomainResume(call->handle);
    case CALL_SUSPEND:
        call->actual = ACTUAL_PAUSED;
        return virDomainSuspend(call->handle);
    case CALL_SAVE:
        return save(call);
    case CALL_SHUT_DOWN:
        call->actual = ACTUAL_RUNNING;
        return virDomainShutdown(call->handle);
    case CALL_DESTROY:
        call->actual = ACTUAL_ABSENT;
        return virDomainDestroy(call->handle);
    default:
        return look(call);
    }
}

/* What is no longer there needs no destroying. */
static bool says_gone(const struct libvirt_call *call)
{
    return call->failed && call->kind != CALL_MAKE && call->kind != CALL_START &&
           call->kind != CALL_RESTORE &&
           (call->code == VIR_ERR_NO_DOMAIN ||
            (call->kind == CALL_DESTROY && call->code == VIR_ERR_OPERATION_INVALID));
}

/* What a failure means. */
static void judge(struct libvirt_call *call)
{
    const virError *last = virGetLastError();
    call->code = last ? last->code : VIR_ERR_INTERNAL_ERROR;
    libvirt_explain(words[call->kind], &call->error);
    call->lost = virConnectIsAlive(call->connection) != 1;
    if (!call->lost && says_gone(call)) {
        call->failed = false;
        call->actual = ACTUAL_ABSENT;
    }
}

/* That it cannot be found is no failure. */
static void find_device(struct libvirt_call *call)
{
    char *description = virDomainGetXMLDesc(call->handle, 0);
    if (description)
        libvirt_xml_find_device(description, call->mac, call->device);
    free(description);
}

static void work(struct libvirt_job *job)
{
    struct libvirt_call *call = (struct libvirt_call *)job;
    virResetLastError();
    call->failed = perform(call) != 0;
    if (call->failed)
        judge(call);
    else if (call->finds_device && call->actual != ACTUAL_ABSENT)
        find_device(call);
    virConnectClose(call->connection);
    call->connection = NULL;
}
/* --- on the loop --- */

static void done(struct libvirt_job *job, bool dropped)
{
    struct libvirt_call *call = (struct libvirt_call *)job;
    if (!dropped && call->domain) {
        struct libvirt_domain *domain = call->domain;
        domain->call = NULL;
        libvirt_domain_called(domain, call);
    }
    if (call->handle)
        virDomainFree(call->handle);
    if (call->connection)
        virConnectClose(call->connection);
    free(call->xml);
    free(call);
}

static bool is_mac(const uint8_t mac[MAC_SIZE])
{
    static const uint8_t none[MAC_SIZE];
    return memcmp(mac, none, sizeof none) != 0;
}

void libvirt_call_begin(struct libvirt_domain *domain, enum libvirt_call_kind kind)
{
    struct libvirt_connection *connection = domain->connection;
    struct libvirt_call *call = calloc(1, sizeof *call);
    if (!call) {
        log_error("%s: memory is exhausted", domain->service);
        abort();
    }
    call->job = (struct libvirt_job){
        .slow = kind == CALL_DESTROY || kind == CALL_SAVE, .work = work, .done = done};
    call->owner = connection;
    call->domain = domain;
    call->kind = kind;
    call->connection = connection->connection;
    virConnectRef(call->connection);
    if (domain->handle) {
        call->handle = domain->handle;
        virDomainRef(call->handle);
    }
    call->xml = domain->xml;
    domain->xml = NULL;
    memcpy(call->name, domain->name, sizeof call->name);
    memcpy(call->uuid, domain->uuid, sizeof call->uuid);
    call->has_uuid = domain->has_uuid;
    call->paused = domain->spare;
    libvirt_saved_path(domain, call->saved, sizeof call->saved);
    call->finds_device = domain->existing && !domain->device[0] && is_mac(domain->mac);
    memcpy(call->mac, domain->mac, sizeof call->mac);
    domain->call = call;
    libvirt_workers_do(connection->workers, &call->job);
}
