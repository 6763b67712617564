/* The metrics in Prometheus' text exposition format, version 0.0.4. */
#ifndef JITSU_ADMIN_METRICS_TEXT_H
#define JITSU_ADMIN_METRICS_TEXT_H

#include "admin/start_durations.h"
#include "dns/dns.h"
#include "summon/summon.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct evbuffer;

/* Appends all metrics to `out`. */
void metrics_text(struct evbuffer *out, struct summoner *summoner, struct dns_server *dns,
                  const struct start_durations *durations);

/* Longest text of a label that is shown, in bytes, and room for it when it is escaped. */
#define METRICS_LABEL_MAX  255
#define METRICS_LABEL_ROOM (2 * 3 * METRICS_LABEL_MAX + 1)

/* Writes `value` as it stands between the quotes of a label, backslash, quote and line break
 * escaped; returns `label`. */
const char *metrics_label(const char *value, char label[METRICS_LABEL_ROOM]);

#endif
