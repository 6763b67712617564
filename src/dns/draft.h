/* The names and records of all zones while they are collected, before they are compiled. Memory is
 * taken from an arena and given back all at once. */
#ifndef JITSU_DNS_DRAFT_H
#define JITSU_DNS_DRAFT_H

#include "config/config.h"
#include "dns/dns.h"
#include "dns/name.h"

#define DRAFT_NO_ZONE UINT32_MAX

struct draft_record {
    struct draft_record *next; /* in the order of the file */
    uint32_t ttl;
    uint32_t line; /* in the zone's file; 0: made from the configuration */
    uint16_t type;
    uint16_t length;
    uint8_t data[]; /* names in it are not compressed */
};

enum draft_flags {
    DRAFT_APEX = 1,
    DRAFT_DELEGATION = 2,
    DRAFT_OCCLUDED = 4, /* below a delegation: glue, if anything */
};

struct draft_name {
    struct name name; /* folded */
    uint32_t hash;
    uint32_t zone;     /* index into config->zones */
    uint32_t place;    /* of its node, once compiled */
    uint32_t negative; /* of an apex: place of its SOA tail */
    uint8_t flags;     /* enum draft_flags */
    struct draft_record *records, *last;
    const struct config_service *service; /* NULL: none has this name */
    struct dns_host *host;
};

struct draft {
    const struct config *config;
    config_error_function *report;
    void *argument;
    size_t errors;

    const struct dns_zone_text *texts; /* of config->zones; NULL: their files are opened */
    struct draft_name **apexes;        /* of config->zones, in their order */
    struct draft_name **names;         /* in the order they came */
    uint32_t count, capacity;
    uint32_t *slots; /* index into names + 1; 0: empty */
    uint32_t mask;
    uint64_t seed;
    struct draft_chunk *chunks;
};

/* Report an error: "FILE:LINE: ...", without the line if that is 0. Return -1. */
int draft_error(struct draft *draft, const char *file, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int draft_out_of_memory(struct draft *draft);

/* Makes an empty draft for about `names` names. Returns -1 if memory is exhausted (reported); free
 * it in any case. */
int draft_init(struct draft *draft, const struct config *config, size_t names,
               config_error_function *report, void *argument);
void draft_free(struct draft *draft);

/* The name, or NULL. */
struct draft_name *draft_find(const struct draft *draft, struct name name);

/* The same, added (as part of `zone`) if it is not there. NULL: memory is exhausted (reported). */
struct draft_name *draft_add(struct draft *draft, struct name name, uint32_t zone);

/* Adds a record at the end of the name's. One that is there already (same type and data) is left
 * out, RFC 2181, 5. Returns -1 if memory is exhausted (reported). */
int draft_add_record(struct draft *draft, struct draft_name *at, uint16_t type, uint32_t ttl,
                     uint32_t line, const void *data, size_t length);

/* The name's first record of that type, or NULL. */
struct draft_record *draft_record(const struct draft_name *at, uint16_t type);

/* Index of the zone with the longest name at or above `name` (all apexes must have been added);
 * DRAFT_NO_ZONE: none. */
uint32_t draft_zone_of(const struct draft *draft, struct name name);

#endif
