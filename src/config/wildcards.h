/* The keys of services that are for wildcards, and what wildcards must not have. */
#ifndef JITSU_CONFIG_WILDCARDS_H
#define JITSU_CONFIG_WILDCARDS_H

#include "config/schema.h"

/* Of the keys `instances` and `prefix`. */
void config_found_instances(struct config_loading *loading, void *object, struct config_mark mark);
void config_found_prefix(struct config_loading *loading, void *object, struct config_mark mark);
enum config_taken config_take_prefix(struct config_loading *loading, void *object,
                                     const struct config_scalar *scalar);

/* Checks what can be checked in the entry of a service alone. */
void config_check_wildcard(struct config_loading *loading,
                           const struct config_service_entry *entry);

#endif
