/* The section `zones`. */
#include <string.h>

#include "config/sections.h"
#include "config/value.h"

/* RFC 2181, section 8. */
#define TTL_MAX     INT32_MAX
#define DEFAULT_TTL 60

static char *take_name(struct config_loading *loading, const struct config_scalar *scalar,
                       const char *beginning, const char *rest)
{
    char name[2 + CONFIG_NAME_TEXT_MAX];
    size_t length = strlen(beginning);
    memcpy(name, beginning, length);
    const char *fault = config_name_parse(rest, name + length);
    if (!fault && strlen(name) >= CONFIG_NAME_TEXT_MAX)
        fault = "it is longer than 253 characters";
    if (!fault)
        return config_loading_text(loading, name);
    config_fault(loading->faults, scalar->mark,
                 "'%s' is not a domain name: %s; expected a name such as www.example.org",
                 config_quote(scalar->text).text, fault);
    return NULL;
}

char *config_take_name(struct config_loading *loading, const struct config_scalar *scalar)
{
    return take_name(loading, scalar, "", scalar->text);
}

char *config_take_service_name(struct config_loading *loading, const struct config_scalar *scalar)
{
    bool wildcard = strncmp(scalar->text, "*.", 2) == 0;
    return take_name(loading, scalar, wildcard ? "*." : "", scalar->text + (wildcard ? 2 : 0));
}

static enum config_taken take_zone_name(struct config_loading *loading, void *object,
                                        const struct config_scalar *scalar)
{
    struct config_zone *zone = object;
    loading->zone_name_mark = scalar->mark;
    zone->name = config_take_name(loading, scalar);
    return zone->name ? CONFIG_TAKEN : CONFIG_REPORTED;
}

static const struct config_key zone_keys[] = {
    {.name = "name",
     .type = CONFIG_KEY_OWN,
     .required = true,
     .take = take_zone_name,
     .expected = "a domain name such as example.org"},
    {.name = "file", .type = CONFIG_KEY_PATH, CONFIG_MEMBER(struct config_zone, file)},
    {.name = "ttl",
     .type = CONFIG_KEY_NUMBER,
     CONFIG_MEMBER(struct config_zone, ttl),
     .most = TTL_MAX},
};

static void *begin_zone(struct config_loading *loading)
{
    loading->zone = (struct config_zone){.ttl = DEFAULT_TTL};
    return &loading->zone;
}

static void end_zone(struct config_loading *loading, void *object)
{
    struct config_zone *zone = object;
    struct config *config = loading->config;
    if (!zone->name) {
        loading->zones_incomplete = true;
        return;
    }
    uint32_t present;
    int added =
        config_index_add(loading->zones, zone->name, (uint32_t)config->zone_count, &present);
    if (added > 0) {
        config_fault(loading->faults, loading->zone_name_mark,
                     "zone '%s' is defined twice; expected each zone once", zone->name);
        return;
    }
    if (added < 0)
        config_loading_exhausted(loading);
    struct config_zone *zones = config_loading_grow(loading, config->zones, config->zone_count,
                                                    &loading->zone_capacity, sizeof *zones);
    if (!zones)
        return;
    config->zones = zones;
    zones[config->zone_count++] = *zone;
}

const struct config_schema config_zone_schema = {
    .what = "a zone",
    .keys = zone_keys,
    .count = sizeof zone_keys / sizeof zone_keys[0],
    .begin = begin_zone,
    .end = end_zone,
};
