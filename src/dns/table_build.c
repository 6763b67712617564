/* dns_table_build: collects all zones and services in a draft and has it compiled. */
#include <malloc.h>

#include "dns/compile.h"
#include "dns/forward_rules.h"
#include "dns/question.h"
#include "dns/zone_file.h"
#include "dns/zone_made.h"

static void add_apexes(struct draft *draft)
{
    for (size_t i = 0; i < draft->config->zone_count; i++) {
        const char *text = draft->config->zones[i].name;
        uint8_t wire[NAME_WIRE_MAX];
        struct name name;
        if (!name_from_text(text, wire, &name)) {
            draft_error(draft, draft->config->file, 0, "zone '%s': not a domain name", text);
            continue;
        }
        struct draft_name *apex = draft_find(draft, name);
        if (apex) {
            draft_error(draft, draft->config->file, 0, "zone %s is there twice", text);
            continue;
        }
        apex = draft_add(draft, name, (uint32_t)i);
        if (!apex)
            return;
        apex->flags |= DRAFT_APEX;
        draft->apexes[i] = apex;
    }
}

/* Gives a name or alias to a service. */
static int add_service_name(struct draft *draft, const struct config_service *service,
                            struct dns_host *host, const char *text)
{
    const char *file = draft->config->file;
    uint8_t wire[NAME_WIRE_MAX];
    struct name name;

    if (!name_from_text(text, wire, &name))
        return draft_error(draft, file, service->line, "service %s: '%s' is not a domain name",
                           service->name, text);
    uint32_t zone = draft_zone_of(draft, name);
    if (zone == DRAFT_NO_ZONE)
        return draft_error(draft, file, service->line, "service %s: %s is in none of the zones",
                           service->name, text);
    struct draft_name *at = draft_add(draft, name, zone);
    if (!at)
        return -1;
    if (at->service)
        return draft_error(draft, file, service->line,
                           "service %s: %s is a name of the service %s (line %u) already",
                           service->name, text, at->service->name, at->service->line);
    at->service = service;
    at->host = host;
    return 0;
}

static void add_services(struct draft *draft, struct dns_host *const *hosts)
{
    for (size_t i = 0; i < draft->config->service_count; i++) {
        const struct config_service *service = &draft->config->services[i];
        add_service_name(draft, service, hosts[i], service->name);
        for (uint16_t alias = 0; alias < service->alias_count; alias++)
            add_service_name(draft, service, hosts[i], service->aliases[alias]);
    }
}

static void add_zones(struct draft *draft)
{
    for (size_t i = 0; i < draft->config->zone_count; i++) {
        if (draft->config->zones[i].file)
            zone_file_load(draft, (uint32_t)i);
        else
            zone_made_add(draft, (uint32_t)i);
    }
}

/* Adds the names between a name and its apex, which exist because it does (RFC 4592, 2.2.2); above
 * an apex, those up to the next one around it, if there is one. */
static int add_parents(struct draft *draft, struct name name)
{
    uint32_t zone = name.labels > 0 ? draft_zone_of(draft, name_parent(name)) : DRAFT_NO_ZONE;
    if (zone == DRAFT_NO_ZONE)
        return 0;
    for (name = name_parent(name); !draft_find(draft, name); name = name_parent(name))
        if (!draft_add(draft, name, zone))
            return -1;
    return 0;
}

static void mark_occluded(struct draft *draft, struct draft_name *at)
{
    struct name above = at->name;
    const struct draft_name *parent = at;
    while (!(parent->flags & DRAFT_APEX)) {
        above = name_parent(above);
        parent = draft_find(draft, above);
        if (!(parent->flags & DRAFT_DELEGATION))
            continue;
        at->flags |= DRAFT_OCCLUDED;
        if (at->service) {
            char cut[NAME_TEXT_SIZE], name[NAME_TEXT_SIZE];
            draft_error(draft, draft->config->file, at->service->line,
                        "service %s: %s lies below %s, which %s:%u delegates to other servers",
                        at->service->name, name_to_text(at->name, name, sizeof name),
                        name_to_text(above, cut, sizeof cut), draft->config->zones[at->zone].file,
                        draft_record(parent, DNS_TYPE_NS)->line);
        }
        return;
    }
}

/* Room for each name with its share of parents, so that the draft need not grow. */
static size_t expected_names(const struct config *config)
{
    size_t names = 3 * config->zone_count;
    for (size_t i = 0; i < config->service_count; i++)
        names += 1u + config->services[i].alias_count;
    return names;
}

static bool add_forwarding(struct draft *draft, struct dns_table *table)
{
    if (draft->config->forward.to_count == 0)
        return true;
    table->forward = forward_rules_new(&draft->config->forward);
    if (!table->forward)
        draft_out_of_memory(draft);
    return table->forward;
}

struct dns_table *dns_table_build(const struct config *config, struct dns_host *const *hosts,
                                  config_error_function *report, void *argument)
{
    return dns_table_build_from(config, hosts, NULL, report, argument);
}

struct dns_table *dns_table_build_from(const struct config *config, struct dns_host *const *hosts,
                                       const struct dns_zone_text *texts,
                                       config_error_function *report, void *argument)
{
    struct dns_table *table = NULL;
    struct draft draft;

    if (draft_init(&draft, config, expected_names(config), report, argument) == 0) {
        draft.texts = texts;
        add_apexes(&draft);
        if (draft.errors == 0)
            add_services(&draft, hosts);
        if (draft.errors == 0)
            add_zones(&draft);
        for (uint32_t i = 0; draft.errors == 0 && i < draft.count; i++)
            add_parents(&draft, draft.names[i]->name);
        for (uint32_t i = 0; draft.errors == 0 && i < draft.count; i++)
            mark_occluded(&draft, draft.names[i]);
        if (draft.errors == 0)
            table = table_compile(&draft);
    }
    if (table && !add_forwarding(&draft, table)) {
        dns_table_free(table);
        table = NULL;
    }
    draft_free(&draft);
    malloc_trim(0); /* the draft took several times what the table takes */
    return table;
}
