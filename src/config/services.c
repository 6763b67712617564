/* The section `services`. */
#include <stdalign.h>
#include <string.h>

#include "common/clock.h"
#include "config/backends.h"
#include "config/sections.h"
#include "config/value.h"
#include "config/wildcards.h"

#define MINUTE       (60 * NANOSECONDS_PER_SECOND)
#define HOUR         (60 * MINUTE)
#define DAY          (24 * HOUR)
#define MILLISECONDS NANOSECONDS_PER_MILLISECOND
#define SECONDS      NANOSECONDS_PER_SECOND
#define MIB          (UINT64_C(1) << 20)

/* The keys are read into a struct config_service_entry, whose first member is the service. */
#define SERVICE_MEMBER(member) CONFIG_MEMBER(struct config_service_entry, service.member)

_Static_assert(sizeof(struct config_service) <= 224, "a hundred thousand of these are kept");

static char *entry_text(struct config_loading *loading, const struct config_scalar *scalar)
{
    return config_loading_text(loading, scalar->text);
}

/* --- names and addresses --- */

static enum config_taken take_service_name(struct config_loading *loading, void *object,
                                           const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    entry->draft.name = scalar->mark;
    entry->service.name = config_take_service_name(loading, scalar);
    return entry->service.name ? CONFIG_TAKEN : CONFIG_REPORTED;
}

static enum config_taken take_alias(struct config_loading *loading, void *object,
                                    const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    char *name = config_take_service_name(loading, scalar);
    if (!name)
        return CONFIG_REPORTED;
    entry->alias_marks[entry->service.alias_count] = scalar->mark;
    entry->aliases[entry->service.alias_count++] = name;
    return CONFIG_TAKEN;
}

static enum config_taken take_network(struct config_loading *loading, void *object,
                                      const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    if (scalar->length == 0)
        return CONFIG_WRONG;
    entry->draft.network = scalar->mark;
    entry->draft.network_name = entry_text(loading, scalar);
    return CONFIG_TAKEN;
}

static enum config_taken take_address(struct config_loading *loading, void *object,
                                      const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    struct address address;
    if (address_parse(scalar->text, &address) != 0)
        return CONFIG_WRONG;
    for (size_t i = 0; i < entry->service.address_count; i++)
        if (address_equal(&entry->addresses[i], &address)) {
            config_fault(loading->faults, scalar->mark,
                         "address '%s' is listed twice; expected each address once", scalar->text);
            return CONFIG_REPORTED;
        }
    entry->address_marks[entry->service.address_count] = scalar->mark;
    entry->addresses[entry->service.address_count++] = address;
    return CONFIG_TAKEN;
}

static enum config_taken take_port(struct config_loading *loading, void *object,
                                   const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    struct config_port port;
    if (config_port_parse(scalar->text, &port) != 0)
        return CONFIG_WRONG;
    for (size_t i = 0; i < entry->service.port_count; i++)
        if (entry->ports[i].listen == port.listen) {
            config_fault(loading->faults, scalar->mark,
                         "port %u is listened on twice; expected each port once", port.listen);
            return CONFIG_REPORTED;
        }
    entry->ports[entry->service.port_count++] = port;
    return CONFIG_TAKEN;
}

/* --- the machine --- */

/* Where in the file the character `offset` of the scalar is, if that is certain; else its start. */
static struct config_mark mark_inside(const struct config_scalar *scalar, long offset)
{
    struct config_mark mark = scalar->mark;
    if (scalar->literal)
        mark.column += scalar->skip + (uint32_t)offset;
    return mark;
}

static enum config_taken take_cmdline(struct config_loading *loading, void *object,
                                      const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    for (const char *c = scalar->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            config_fault(loading->faults, scalar->mark,
                         "'cmdline' has a line break or control character; expected one line of "
                         "text");
            return CONFIG_REPORTED;
        }
    if (scalar->length >= CONFIG_CMDLINE_MAX) {
        config_fault(loading->faults, scalar->mark,
                     "'cmdline' is longer than %d bytes; expected a shorter one",
                     CONFIG_CMDLINE_MAX - 1);
        return CONFIG_REPORTED;
    }
    long offset = config_placeholder_fault(scalar->text);
    if (offset >= 0) {
        config_fault(loading->faults, mark_inside(scalar, offset),
                     "unknown placeholder at '%s' in 'cmdline'; expected %s",
                     config_quote(scalar->text + offset).text, CONFIG_PLACEHOLDERS);
        return CONFIG_REPORTED;
    }
    entry->service.cmdline = entry_text(loading, scalar);
    return CONFIG_TAKEN;
}

static void found_address(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    (void)mark;
    struct config_service_entry *entry = object;
    entry->draft.address_given = true;
}

static void found_image(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    struct config_service_entry *entry = object;
    entry->draft.image = mark;
}

static void found_ramdisk(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    struct config_service_entry *entry = object;
    entry->draft.ramdisk = mark;
}

static void found_cmdline(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    struct config_service_entry *entry = object;
    entry->draft.cmdline = mark;
}

static void found_prewarm(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    struct config_service_entry *entry = object;
    entry->draft.prewarm = mark;
}

static void found_keep(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    struct config_service_entry *entry = object;
    entry->draft.keep = mark;
}

static void found_memory(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    struct config_service_entry *entry = object;
    entry->draft.memory = mark;
}

/* --- summoning and readiness --- */

/* The default gives way to what the key says, be it nothing. */
static void found_summon(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    (void)mark;
    struct config_service_entry *entry = object;
    entry->service.summon = 0;
}

static enum config_taken take_summon(struct config_loading *loading, void *object,
                                     const struct config_scalar *scalar)
{
    (void)loading;
    struct config_service_entry *entry = object;
    if (strcmp(scalar->text, "dns") == 0)
        entry->service.summon |= CONFIG_SUMMON_DNS;
    else if (strcmp(scalar->text, "packet") == 0)
        entry->service.summon |= CONFIG_SUMMON_PACKET;
    else
        return CONFIG_WRONG;
    return CONFIG_TAKEN;
}

static enum config_taken take_summon_from(struct config_loading *loading, void *object,
                                          const struct config_scalar *scalar)
{
    (void)loading;
    struct config_service_entry *entry = object;
    struct prefix prefix;
    if (prefix_parse(scalar->text, &prefix) != 0)
        return CONFIG_WRONG;
    entry->summon_from[entry->service.summon_from_count++] = prefix;
    return CONFIG_TAKEN;
}

/* What follows `head` in `text`, or NULL if `text` does not begin with it or ends there. */
static const char *after(const char *text, const char *head)
{
    size_t length = strlen(head);
    return strncmp(text, head, length) == 0 && text[length] ? text + length : NULL;
}

static enum config_taken take_ready(struct config_loading *loading, void *object,
                                    const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    struct config_service *service = &entry->service;
    const char *rest;
    uint64_t port;
    if (strcmp(scalar->text, "announce") == 0) {
        service->ready = CONFIG_READY_ANNOUNCE;
    } else if (strcmp(scalar->text, "arp") == 0) {
        service->ready = CONFIG_READY_ARP;
    } else if ((rest = after(scalar->text, "tcp:")) != NULL) {
        if (config_number_parse(rest, &port) != 0 || port < 1 || port > UINT16_MAX)
            return CONFIG_WRONG;
        service->ready = CONFIG_READY_TCP;
        service->ready_port = (uint16_t)port;
    } else if ((rest = after(scalar->text, "console:")) != NULL) {
        service->ready = CONFIG_READY_CONSOLE;
        service->ready_text = config_loading_text(loading, rest);
    } else if ((rest = after(scalar->text, "xenstore:")) != NULL) {
        service->ready = CONFIG_READY_XENSTORE;
        service->ready_text = config_loading_text(loading, rest);
    } else if ((rest = after(scalar->text, "after:")) != NULL) {
        if (config_parse_duration(rest, &service->ready_after) != 0 || service->ready_after > HOUR)
            return CONFIG_WRONG;
        service->ready = CONFIG_READY_AFTER;
    } else {
        return CONFIG_WRONG;
    }
    return CONFIG_TAKEN;
}

static const struct config_key service_keys[] = {
    {.name = "name",
     .type = CONFIG_KEY_OWN,
     .required = true,
     .take = take_service_name,
     .expected = "a domain name such as www.example.org"},
    {.name = "aliases",
     .type = CONFIG_KEY_LIST,
     .take = take_alias,
     .most = CONFIG_ALIASES_MAX,
     .expected = "domain names such as www.example.org"},
    {.name = "network",
     .type = CONFIG_KEY_OWN,
     .take = take_network,
     .expected = "the name of a network"},
    {.name = "address",
     .type = CONFIG_KEY_LIST,
     .found = found_address,
     .take = take_address,
     .least = 1,
     .most = CONFIG_ADDRESSES_MAX,
     .expected = "addresses such as 127.0.0.10 or \"fd00::10\""},
    {.name = "ports",
     .type = CONFIG_KEY_LIST,
     .take = take_port,
     .most = CONFIG_PORTS_MAX,
     .expected = "ports from 1 to 65535, such as 80, or 8080:80 to listen on 8080 for the "
                 "machine's 80"},
    {.name = "backend",
     .type = CONFIG_KEY_WORD,
     SERVICE_MEMBER(backend),
     .words = config_backend_words,
     .found = config_found_backend},
    {.name = "connect",
     .type = CONFIG_KEY_OWN,
     .take = config_take_connect,
     .expected = "a libvirt URI such as qemu:///system"},
    {.name = "domain",
     .type = CONFIG_KEY_OWN,
     .take = config_take_domain,
     .expected = "the name or UUID of a domain"},
    {.name = "domain-xml", .type = CONFIG_KEY_PATH, SERVICE_MEMBER(domain_xml)},
    {.name = "mac",
     .type = CONFIG_KEY_OWN,
     .take = config_take_mac,
     .expected = "the MAC address of a machine, such as 02:00:5e:10:00:01"},
    {.name = "disks",
     .type = CONFIG_KEY_LIST,
     .take = config_take_disk,
     .schema = &config_disk_schema,
     .most = CONFIG_DISKS_MAX,
     .expected = "paths of disk images or block devices, each alone or as a mapping with 'path', "
                 "'format' and 'read-only'"},
    {.name = "xl", .type = CONFIG_KEY_PATH, SERVICE_MEMBER(xl)},
    {.name = "image", .type = CONFIG_KEY_PATH, SERVICE_MEMBER(image), .found = found_image},
    {.name = "ramdisk", .type = CONFIG_KEY_PATH, SERVICE_MEMBER(ramdisk), .found = found_ramdisk},
    {.name = "cmdline",
     .type = CONFIG_KEY_OWN,
     .take = take_cmdline,
     .found = found_cmdline,
     .expected = "the kernel's command line"},
    {.name = "memory",
     .type = CONFIG_KEY_SIZE,
     SERVICE_MEMBER(memory),
     .least = MIB,
     .most = UINT64_C(1) << 40,
     .found = found_memory},
    {.name = "vcpus",
     .type = CONFIG_KEY_NUMBER,
     SERVICE_MEMBER(vcpus),
     .least = 1,
     .most = 64,
     .found = config_found_vcpus},
    {.name = "accel", .type = CONFIG_KEY_WORD, SERVICE_MEMBER(accel), .words = config_accel_words},
    {.name = "summon",
     .type = CONFIG_KEY_LIST,
     .take = take_summon,
     .most = 2,
     .expected = "'dns', 'packet', both, or an empty list",
     .found = found_summon},
    {.name = "answer",
     .type = CONFIG_KEY_WORD,
     SERVICE_MEMBER(answer),
     .words = config_answer_words},
    {.name = "answer-delay",
     .type = CONFIG_KEY_DURATION,
     SERVICE_MEMBER(answer_delay),
     .most = 10 * SECONDS},
    {.name = "hold", .type = CONFIG_KEY_WORD, SERVICE_MEMBER(hold), .words = config_hold_words},
    {.name = "ready",
     .type = CONFIG_KEY_OWN,
     .take = take_ready,
     .expected = "'announce', tcp:PORT, 'arp', console:TEXT, xenstore:KEY or after:TIME"},
    {.name = "boot-timeout",
     .type = CONFIG_KEY_DURATION,
     SERVICE_MEMBER(boot_timeout),
     .least = MILLISECONDS,
     .most = HOUR},
    {.name = "shutdown-timeout",
     .type = CONFIG_KEY_DURATION,
     SERVICE_MEMBER(shutdown_timeout),
     .least = MILLISECONDS,
     .most = HOUR},
    {.name = "summon-from",
     .type = CONFIG_KEY_LIST,
     .take = take_summon_from,
     .least = 1,
     .most = CONFIG_SUMMON_FROM_MAX,
     .expected = "prefixes without host bits, such as 10.0.0.0/8 or \"::/0\""},
    {.name = "idle",
     .type = CONFIG_KEY_DURATION,
     SERVICE_MEMBER(idle),
     .least = MILLISECONDS,
     .most = 365 * DAY},
    {.name = "idle-connections",
     .type = CONFIG_KEY_WORD,
     SERVICE_MEMBER(idle_connections),
     .words = config_idle_connections_words},
    {.name = "stop", .type = CONFIG_KEY_WORD, SERVICE_MEMBER(stop), .words = config_stop_words},
    {.name = "suspend-to",
     .type = CONFIG_KEY_WORD,
     SERVICE_MEMBER(suspend_to),
     .words = config_suspend_to_words},
    {.name = "ttl", .type = CONFIG_KEY_NUMBER, SERVICE_MEMBER(ttl), .most = INT32_MAX},
    {.name = "prewarm",
     .type = CONFIG_KEY_NUMBER,
     SERVICE_MEMBER(prewarm),
     .most = CONFIG_PREWARM_MAX,
     .found = found_prewarm},
    {.name = "keep",
     .type = CONFIG_KEY_WORD,
     SERVICE_MEMBER(keep),
     .words = config_keep_words,
     .found = found_keep},
    {.name = "instances",
     .type = CONFIG_KEY_NUMBER,
     CONFIG_MEMBER(struct config_service_entry, draft.instance_count),
     .least = 1,
     .most = CONFIG_INSTANCES_MAX,
     .found = config_found_instances},
    {.name = "prefix",
     .type = CONFIG_KEY_LIST,
     .take = config_take_prefix,
     .least = 1,
     .most = 2,
     .expected = "a prefix without host bits, such as 127.1.0.0/16",
     .found = config_found_prefix},
};

/* --- the whole entry --- */

static void *begin_service(struct config_loading *loading)
{
    struct config_service_entry *entry = &loading->entry;
    entry->service = (struct config_service){
        .cmdline = config_loading_text(loading, ""),
        .line = loading->object_mark.line,
        .hold = CONFIG_HOLD_UNSET,
        .summon = CONFIG_SUMMON_DNS | CONFIG_SUMMON_PACKET,
        .vcpus = 1,
        .ttl = CONFIG_TTL_UNSET,
        .memory = 16 * MIB,
        .boot_timeout = 10 * SECONDS,
        .shutdown_timeout = 10 * SECONDS,
        .idle = CONFIG_IDLE_UNSET,
    };
    entry->draft = (struct config_service_draft){.entry = loading->object_mark};
    return entry;
}

/* Copies the lists to where they stay. */
static void keep_lists(struct config_loading *loading, struct config_service_entry *entry)
{
    struct config_arena *arena = loading->config->arena;
    struct config_service *service = &entry->service;
    struct config_service_draft *draft = &entry->draft;
    service->aliases = config_arena_copy(arena, entry->aliases, service->alias_count,
                                         sizeof(char *), alignof(char *));
    service->addresses = config_arena_copy(arena, entry->addresses, service->address_count,
                                           sizeof(struct address), alignof(struct address));
    service->ports = config_arena_copy(arena, entry->ports, service->port_count,
                                       sizeof(struct config_port), alignof(struct config_port));
    service->summon_from = config_arena_copy(arena, entry->summon_from, service->summon_from_count,
                                             sizeof(struct prefix), alignof(struct prefix));
    service->disks = config_arena_copy(arena, entry->disks, service->disk_count,
                                       sizeof(struct config_disk), alignof(struct config_disk));
    draft->alias_marks =
        config_arena_copy(loading->scratch, entry->alias_marks, service->alias_count,
                          sizeof(struct config_mark), alignof(struct config_mark));
    draft->address_marks =
        config_arena_copy(loading->scratch, entry->address_marks, service->address_count,
                          sizeof(struct config_mark), alignof(struct config_mark));
    if (config_arena_failed(arena) || config_arena_failed(loading->scratch))
        config_loading_exhausted(loading);
}

static void add_name(struct config_loading *loading, const char *name, struct config_mark mark)
{
    const struct config *config = loading->config;
    uint32_t present;
    int added = config_index_add(config->index, name, (uint32_t)config->service_count, &present);
    if (added < 0)
        config_loading_exhausted(loading);
    if (added > 0 && present == config->service_count)
        config_fault(loading->faults, mark,
                     "'%s' is given twice in this service; expected each name and alias once",
                     name);
    else if (added > 0)
        config_fault(loading->faults, mark,
                     "'%s' is a name of the service in line %u already; expected another name",
                     name, config->services[present].line);
}

static bool make_room(struct config_loading *loading)
{
    struct config *config = loading->config;
    size_t capacity = loading->service_capacity;
    struct config_service *services =
        config_loading_grow(loading, config->services, config->service_count,
                            &loading->service_capacity, sizeof *services);
    if (!services)
        return false;
    config->services = services;
    struct config_service_draft *drafts = config_loading_grow(
        loading, loading->drafts, config->service_count, &capacity, sizeof *drafts);
    if (!drafts)
        return false;
    loading->drafts = drafts;
    return true;
}

static void end_service(struct config_loading *loading, void *object)
{
    struct config_service_entry *entry = object;
    struct config *config = loading->config;
    config_check_backend(loading, entry);
    config_check_wildcard(loading, entry);
    keep_lists(loading, entry);
    if (!make_room(loading))
        return;
    config->services[config->service_count] = entry->service;
    loading->drafts[config->service_count] = entry->draft;
    if (entry->service.name)
        add_name(loading, entry->service.name, entry->draft.name);
    for (size_t i = 0; i < entry->service.alias_count; i++)
        add_name(loading, entry->aliases[i], entry->alias_marks[i]);
    config->service_count++;
}

const struct config_schema config_service_schema = {
    .what = "a service",
    .keys = service_keys,
    .count = sizeof service_keys / sizeof service_keys[0],
    .begin = begin_service,
    .end = end_service,
};
