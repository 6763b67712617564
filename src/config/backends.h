/* The keys of a service that say what machine it has on which backend, and how they go together. */
#ifndef JITSU_CONFIG_BACKENDS_H
#define JITSU_CONFIG_BACKENDS_H

#include "config/schema.h"

extern const struct config_schema config_disk_schema;

void config_found_backend(struct config_loading *loading, void *object, struct config_mark mark);
void config_found_vcpus(struct config_loading *loading, void *object, struct config_mark mark);
enum config_taken config_take_connect(struct config_loading *loading, void *object,
                                      const struct config_scalar *scalar);
enum config_taken config_take_domain(struct config_loading *loading, void *object,
                                     const struct config_scalar *scalar);
enum config_taken config_take_disk(struct config_loading *loading, void *object,
                                   const struct config_scalar *scalar);

enum config_taken config_take_mac(struct config_loading *loading, void *object,
                                  const struct config_scalar *scalar);

/* Of a complete entry: is the backend there, and do its keys go together? Puts defaults that depend
 * on the backend. */
void config_check_backend(struct config_loading *loading, struct config_service_entry *entry);

#endif
