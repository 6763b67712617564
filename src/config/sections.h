/* The tables of the file's sections. */
#ifndef JITSU_CONFIG_SECTIONS_H
#define JITSU_CONFIG_SECTIONS_H

#include "config/schema.h"

extern const struct config_schema config_file_schema;    /* into struct config (server.c) */
extern const struct config_schema config_server_schema;  /* the same */
extern const struct config_schema config_limits_schema;  /* the same */
extern const struct config_schema config_forward_schema; /* the same (forward.c) */
extern const struct config_schema config_network_schema; /* networks.c */
extern const struct config_schema config_zone_schema;    /* zones.c */
extern const struct config_schema config_service_schema; /* services.c */

/* Reads a domain name: its one copy in the configuration, or NULL if it is not one (reported). */
char *config_take_name(struct config_loading *loading, const struct config_scalar *scalar);
/* The same, or a wildcard: "*." and a domain name. */
char *config_take_service_name(struct config_loading *loading, const struct config_scalar *scalar);

#endif
