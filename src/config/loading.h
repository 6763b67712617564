/* One reading of a configuration file: the configuration that grows and what is needed only until
 * the file has been read and checked. */
#ifndef JITSU_CONFIG_LOADING_H
#define JITSU_CONFIG_LOADING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/config.h"
#include "config/faults.h"
#include "config/index.h"
#include "config/source.h"

/* A setting that the file does not give, until config_check() puts its default there. */
#define CONFIG_TTL_UNSET  UINT32_MAX
#define CONFIG_IDLE_UNSET UINT64_MAX
#define CONFIG_HOLD_UNSET UINT8_MAX

#define CONFIG_LISTEN_MAX 64

/* What the checks across the file need to know about a service besides its values. */
struct config_service_draft {
    struct config_mark entry, name, memory, network, backend; /* line 0: not given */
    const char *network_name;
    struct config_mark *alias_marks, *address_marks;
    struct config_mark image, ramdisk, cmdline, prewarm, keep, instances, prefix;
    struct prefix prefixes[2]; /* of the instances' addresses */
    uint32_t instance_count, prefix_count;
    bool address_given, vcpus_given; /* well or wrongly */
};

/* A service while its entry is being read: lists are collected here before they are copied. */
struct config_service_entry {
    struct config_service service;
    struct config_service_draft draft;
    char *aliases[CONFIG_ALIASES_MAX];
    struct config_mark alias_marks[CONFIG_ALIASES_MAX];
    struct address addresses[CONFIG_ADDRESSES_MAX];
    struct config_mark address_marks[CONFIG_ADDRESSES_MAX];
    struct config_port ports[CONFIG_PORTS_MAX];
    struct prefix summon_from[CONFIG_SUMMON_FROM_MAX];
    struct config_disk disks[CONFIG_DISKS_MAX];
};

struct config_loading {
    struct config *config;
    struct config_source *source;
    struct config_faults *faults;
    struct config_arena *scratch;        /* for the time of the loading */
    struct config_index *strings;        /* each string of the configuration once */
    struct config_index *networks;       /* names -> numbers */
    struct config_index *zones;          /* the same */
    char *directory;                     /* of the file, absolute: for relative paths */
    struct config_service_draft *drafts; /* one for each service */
    size_t service_capacity, network_capacity, zone_capacity;

    struct config_network network; /* the entry being read */
    struct config_zone zone;
    struct config_service_entry entry;
    struct config_disk disk;
    struct config_mark object_mark; /* where the entry being read begins */
    struct config_mark network_name_mark, zone_name_mark;

    struct endpoint listen[CONFIG_LISTEN_MAX];
    struct config_mark listen_marks[CONFIG_LISTEN_MAX];
    struct config_mark metrics_mark;

    struct endpoint forward_to[CONFIG_FORWARD_TO_MAX];
    struct config_mark forward_marks[CONFIG_FORWARD_TO_MAX];
    struct prefix forward_from[CONFIG_FORWARD_FROM_MAX];

    /* An entry has no usable name: who names it must not be told that it is missing. */
    bool networks_incomplete, zones_incomplete;
};

/* Memory is exhausted: reports that and ends the loading. */
void config_loading_exhausted(struct config_loading *loading);

/* The one copy of that text in the configuration, or NULL (reported) if memory is exhausted. */
char *config_loading_text(struct config_loading *loading, const char *text);

/* `array` with room for one more than `count` elements of `size` bytes, or NULL (reported). */
void *config_loading_grow(struct config_loading *loading, void *array, size_t count,
                          size_t *capacity, size_t size);

/* The checks across the whole file and the defaults that depend on other values (checks.c). */
void config_check(struct config_loading *loading);

/* The defaults of `forward`; and its checks, after which it is complete (forward.c). */
void config_forward_defaults(struct config_loading *loading);
void config_check_forward(struct config_loading *loading);

/* Of the services' addresses on bridge networks, which it also chooses (addresses.c). */
void config_check_addresses(struct config_loading *loading);

#endif
