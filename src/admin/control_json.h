/* What the control protocol says, as JSON values. Each function returns a new value, or NULL if
 * memory is exhausted. Text that is not UTF-8 is repaired; what is not known is null. */
#ifndef JITSU_ADMIN_CONTROL_JSON_H
#define JITSU_ADMIN_CONTROL_JSON_H

#include <jansson.h>

#include "dns/dns.h"
#include "summon/summon.h"

/* How lines are written: one line, ASCII, numbers to 15 digits (times then have 10 microseconds).
 */
#define CONTROL_JSON_FORMAT (JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15))

/* A string; null for "" and NULL. */
json_t *json_text(const char *text);

/* One member of "services" in the answer to `status`. */
json_t *json_service(const struct service_status *status);
json_t *json_limits(const struct limits_status *limits);

/* One event. */
json_t *json_transition(const struct transition *transition);

/* The members "dns", "proxy" and "bridges" in the answer to `stats`. */
json_t *json_dns_statistics(const struct dns_statistics *statistics);
json_t *json_proxy_statistics(const struct proxy_statistics *statistics);
json_t *json_port_statistics(const struct port_statistics *statistics);

#endif
