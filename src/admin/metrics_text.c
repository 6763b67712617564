#include "config.h"

#include "admin/metrics_text.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin/dns_names.h"
#include "admin/utf8.h"
#include "common/clock.h"

/* The two lines that introduce a metric. */
static void introduce(struct evbuffer *out, const char *name, const char *type, const char *help)
{
    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

const char *metrics_label(const char *value, char label[METRICS_LABEL_ROOM])
{
    char text[UTF8_ROOM(METRICS_LABEL_MAX)];
    size_t length = utf8_replace_invalid(value, strnlen(value, METRICS_LABEL_MAX), text, NULL);
    char *end = label;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\' || text[i] == '"' || text[i] == '\n')
            *end++ = '\\';
        *end++ = text[i] == '\n' ? 'n' : text[i];
    }
    *end = '\0';
    return label;
}

static void sample(struct evbuffer *out, const char *name, const char *key, const char *value,
                   uint64_t count)
{
    char label[METRICS_LABEL_ROOM];
    evbuffer_add_printf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, key, metrics_label(value, label),
                        count);
}

static void sample2(struct evbuffer *out, const char *name, const char *key1, const char *value1,
                    const char *key2, const char *value2, uint64_t count)
{
    char label1[METRICS_LABEL_ROOM], label2[METRICS_LABEL_ROOM];
    evbuffer_add_printf(out, "%s{%s=\"%s\",%s=\"%s\"} %" PRIu64 "\n", name, key1,
                        metrics_label(value1, label1), key2, metrics_label(value2, label2), count);
}

static void gauge(struct evbuffer *out, const char *name, const char *help, uint64_t value)
{
    introduce(out, name, "gauge", help);
    evbuffer_add_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void counter(struct evbuffer *out, const char *name, const char *help, uint64_t value)
{
    introduce(out, name, "counter", help);
    evbuffer_add_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* --- machines --- */

static void write_machines(struct evbuffer *out, struct summoner *summoner)
{
    uint64_t counts[MACHINE_STATES] = {0};

    for (size_t i = 0; i < summoner_service_count(summoner); i++)
        if (!service_is_wildcard(summoner_service(summoner, i)))
            counts[service_state(summoner_service(summoner, i))]++;
    introduce(out, "jitsu_machines", "gauge", "Services by the state of their machine.");
    for (unsigned state = 0; state < MACHINE_STATES; state++)
        sample(out, "jitsu_machines", "state", machine_state_name(state), counts[state]);
}

static uint32_t known_instances(const struct service_status *status)
{
    return status->instances;
}

static uint32_t most_instances(const struct service_status *status)
{
    return status->config->places->count;
}

/* One gauge of all wildcards, if there are any. */
static void write_wildcards(struct evbuffer *out, const struct summoner *summoner, const char *name,
                            const char *help, uint32_t (*value)(const struct service_status *))
{
    bool introduced = false;
    for (size_t i = 0; i < summoner_service_count(summoner); i++) {
        const struct service *service = summoner_service(summoner, i);
        struct service_status status;
        if (!service_is_wildcard(service))
            continue;
        if (!introduced)
            introduce(out, name, "gauge", help);
        introduced = true;
        service_status(service, &status);
        sample(out, name, "service", status.config->name, value(&status));
    }
}

static void write_instances(struct evbuffer *out, const struct summoner *summoner)
{
    write_wildcards(out, summoner, "jitsu_instances", "Instances of wildcards that are known.",
                    known_instances);
    write_wildcards(out, summoner, "jitsu_instance_limit",
                    "Instances of wildcards that there may be at a time.", most_instances);
}

static void write_limits(struct evbuffer *out, const struct summoner *summoner)
{
    struct limits_status limits;

    summoner_limits(summoner, &limits);
    gauge(out, "jitsu_memory_bytes", "Memory of all machines together.", limits.memory);
    gauge(out, "jitsu_memory_limit_bytes", "Memory that all machines together may have.",
          limits.memory_limit);
    gauge(out, "jitsu_machine_limit", "Machines that may exist at a time.", limits.machine_limit);
    gauge(out, "jitsu_held_limit_bytes", "Memory for what may be held on bridges.",
          limits.held_limit);
    gauge(out, "jitsu_starts_waiting", "Starts that wait for their turn.", limits.waiting);
}

/* --- starts, failures and stops: one visit of the counters for each, as a metric's samples must
 * stand together --- */

static void write_start(void *argument, const char *service, const char *cause, uint64_t count)
{
    sample2(argument, "jitsu_starts_total", "service", service, "cause", cause, count);
}

static void write_failure(void *argument, const char *service, const char *reason, uint64_t count)
{
    sample2(argument, "jitsu_start_failures_total", "service", service, "reason", reason, count);
}

static void write_stop(void *argument, const char *service, const char *reason, uint64_t count)
{
    sample2(argument, "jitsu_stops_total", "service", service, "reason", reason, count);
}

static void skip(void *argument, const char *service, const char *word, uint64_t count)
{
    (void)argument, (void)service, (void)word, (void)count;
}

static void write_counters(struct evbuffer *out, const struct summoner *summoner)
{
    introduce(out, "jitsu_starts_total", "counter", "Starts of machines, by what caused them.");
    summoner_counters(summoner, &(struct summon_counter_visitor){write_start, skip, skip, out});
    introduce(out, "jitsu_start_failures_total", "counter",
              "Machines that did not start, or that ended unasked.");
    summoner_counters(summoner, &(struct summon_counter_visitor){skip, write_failure, skip, out});
    introduce(out, "jitsu_stops_total", "counter", "Machines that were stopped.");
    summoner_counters(summoner, &(struct summon_counter_visitor){skip, skip, write_stop, out});
}

/* --- durations of starts --- */

static double seconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / (double)NANOSECONDS_PER_SECOND;
}

static void write_histogram(void *argument, const char *service, enum start_phase phase,
                            const struct start_histogram *histogram)
{
    static const char name[] = "jitsu_start_duration_seconds";
    const char *word = start_phase_name(phase);
    struct evbuffer *out = argument;
    char label[METRICS_LABEL_ROOM];
    uint64_t count = 0;

    metrics_label(service, label);
    for (size_t i = 0; i < START_BUCKETS; i++) {
        count += histogram->buckets[i];
        evbuffer_add_printf(out, "%s_bucket{service=\"%s\",phase=\"%s\",le=\"%g\"} %" PRIu64 "\n",
                            name, label, word, seconds(start_bucket_bounds[i]), count);
    }
    count += histogram->buckets[START_BUCKETS];
    evbuffer_add_printf(out, "%s_bucket{service=\"%s\",phase=\"%s\",le=\"+Inf\"} %" PRIu64 "\n",
                        name, label, word, count);
    evbuffer_add_printf(out, "%s_sum{service=\"%s\",phase=\"%s\"} %.9f\n", name, label, word,
                        seconds(histogram->sum));
    evbuffer_add_printf(out, "%s_count{service=\"%s\",phase=\"%s\"} %" PRIu64 "\n", name, label,
                        word, count);
}

static void write_durations(struct evbuffer *out, const struct start_durations *durations)
{
    introduce(out, "jitsu_start_duration_seconds", "histogram",
              "Time from when a machine was wanted until a phase of its start was reached.");
    start_durations_visit(durations, write_histogram, out);
}

/* --- holding --- */

static void write_service_handed_over(void *argument, const char *service, uint64_t count)
{
    sample(argument, "jitsu_handed_over_total", "service", service, count);
}

static void write_handed_over(struct evbuffer *out, const struct summoner *summoner)
{
    introduce(out, "jitsu_handed_over_total", "counter", "Connections handed over to machines.");
    summoner_handed_over(summoner, write_service_handed_over, out);
}

static void write_held(struct evbuffer *out, const struct summoner *summoner)
{
    struct proxy_statistics proxy;
    struct port_statistics port;

    summoner_proxy_statistics(summoner, &proxy);
    summoner_port_statistics(summoner, &port);
    gauge(out, "jitsu_held_frames", "Frames held on bridges for machines that are not ready.",
          port.frames);
    gauge(
        out, "jitsu_held_bytes",
        "Memory for what is held on bridges for machines that are not ready, accepted connections "
        "among it.",
        port.bytes);
    write_handed_over(out, summoner);
    gauge(out, "jitsu_port_connections", "Connections accepted on bridges and not handed over yet.",
          port.connections);
    gauge(out, "jitsu_port_half_open", "Those of them whose client has not answered yet.",
          port.half_open);
    counter(out, "jitsu_port_accepted_total", "Connections accepted on bridges.", port.accepted);
    counter(out, "jitsu_port_cookies_total", "SYN cookies sent on bridges.", port.cookies);
    counter(out, "jitsu_port_challenges_total",
            "Clients that were asked on bridges, in a crowd, whether they are there.",
            port.challenges);
    counter(out, "jitsu_port_held_frames_total", "Frames that were held on bridges.", port.held);
    counter(out, "jitsu_port_released_frames_total",
            "Frames that were held on bridges and went to their machine.", port.released);
    counter(out, "jitsu_port_dropped_frames_total",
            "Frames that were held on bridges and never went to a machine.", port.dropped);
    counter(out, "jitsu_port_refused_total",
            "Clients' packets answered on bridges with a reset or ICMP unreachable.", port.refused);
    counter(out, "jitsu_port_unsent_frames_total", "Frames that bridges did not take.",
            port.not_sent);
    counter(out, "jitsu_conduit_strange_frames_total",
            "Frames of the conduit that were not of a machine's.", port.strange);
    gauge(out, "jitsu_held_connections",
          "Connections accepted by the proxy for machines that are not ready.", proxy.waiting);
    gauge(out, "jitsu_proxy_connections", "Connections open in the proxy, held ones among them.",
          proxy.connections);
    counter(out, "jitsu_proxy_accepted_total", "Connections accepted by the proxy.",
            proxy.accepted);
    counter(out, "jitsu_proxy_refused_total", "Connections refused by the proxy.", proxy.refused);
    introduce(out, "jitsu_proxy_bytes_total", "counter", "Bytes passed by the proxy.");
    sample(out, "jitsu_proxy_bytes_total", "to", "machines", proxy.bytes_to_machines);
    sample(out, "jitsu_proxy_bytes_total", "to", "clients", proxy.bytes_to_clients);
}

/* --- DNS --- */

static void write_dns(struct evbuffer *out, const struct dns_server *dns)
{
    struct dns_statistics statistics;

    dns_server_statistics(dns, &statistics);
    introduce(out, "jitsu_dns_queries_total", "counter", "DNS queries, by type and transport.");
    for (unsigned type = 0; type < DNS_TYPE_COUNTERS; type++)
        for (unsigned transport = 0; transport < DNS_TRANSPORTS; transport++)
            sample2(out, "jitsu_dns_queries_total", "type", dns_type_counter_name(type),
                    "transport", dns_transport_name(transport),
                    statistics.queries[type][transport]);
    introduce(out, "jitsu_dns_answers_total", "counter", "DNS answers, by response code.");
    for (unsigned rcode = 0; rcode < DNS_RCODE_COUNTERS; rcode++)
        if (rcode <= 5 || statistics.answers[rcode])
            sample(out, "jitsu_dns_answers_total", "rcode", dns_rcode_name(rcode),
                   statistics.answers[rcode]);
    counter(out, "jitsu_dns_truncated_total", "DNS answers that were cut to fit (TC).",
            statistics.truncated);
    counter(out, "jitsu_dns_dropped_total", "Packets that were no DNS query.", statistics.dropped);
    counter(out, "jitsu_dns_forwarded_total", "DNS queries that were put to an upstream resolver.",
            statistics.forwarded);
    introduce(out, "jitsu_dns_forward_failures_total", "counter",
              "DNS queries that no upstream resolver answered, or that were not put to one because "
              "too many were under way.");
    sample(out, "jitsu_dns_forward_failures_total", "reason", "unanswered",
           statistics.forward_unanswered);
    sample(out, "jitsu_dns_forward_failures_total", "reason", "too-many",
           statistics.forward_refused);
    counter(out, "jitsu_dns_forward_strange_total",
            "Packets in the name of an upstream resolver that did not answer our query.",
            statistics.forward_strange);
}

void metrics_text(struct evbuffer *out, struct summoner *summoner, struct dns_server *dns,
                  const struct start_durations *durations)
{
    introduce(out, "jitsu_build_info", "gauge", "Always 1; the version of jitsud.");
    sample(out, "jitsu_build_info", "version", PACKAGE_VERSION, 1);
    write_machines(out, summoner);
    write_instances(out, summoner);
    write_limits(out, summoner);
    write_counters(out, summoner);
    write_durations(out, durations);
    write_held(out, summoner);
    write_dns(out, dns);
}
