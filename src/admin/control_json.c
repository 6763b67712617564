#include "admin/control_json.h"

#include <stdlib.h>
#include <string.h>

#include "admin/dns_names.h"
#include "admin/utf8.h"

/* Adds a member; after a failure `*object` is NULL and stays so. */
static void set(json_t **object, const char *key, json_t *value)
{
    if (json_object_set_new_nocheck(*object, key, value) == 0)
        return;
    json_decref(*object);
    *object = NULL;
}

static void append(json_t **array, json_t *value)
{
    if (json_array_append_new(*array, value) == 0)
        return;
    json_decref(*array);
    *array = NULL;
}

json_t *json_text(const char *text)
{
    if (!text || !text[0])
        return json_null();
    json_t *string = json_string(text);
    if (string)
        return string;
    size_t length = strlen(text);
    char *repaired = malloc(UTF8_ROOM(length));
    if (!repaired)
        return NULL;
    string = json_stringn(repaired, utf8_replace_invalid(text, length, repaired, NULL));
    free(repaired);
    return string;
}

static json_t *json_count(uint64_t count)
{
    return json_integer((json_int_t)count);
}

/* A moment in seconds since the epoch, or a duration; null for 0 (never). */
static json_t *json_seconds(double seconds)
{
    return seconds > 0 ? json_real(seconds) : json_null();
}

static json_t *json_addresses(const struct config_service *config)
{
    json_t *array = json_array();
    char text[ADDRESS_TEXT_SIZE];
    for (unsigned i = 0; i < config->address_count; i++)
        append(&array, json_string(address_format(&config->addresses[i], text)));
    return array;
}

static json_t *json_aliases(const struct config_service *config)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < config->alias_count; i++)
        append(&array, json_text(config->aliases[i]));
    return array;
}

/* As in the configuration: "80", or "8080:80" where the machine's differs. */
static json_t *json_ports(const struct config_service *config)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < config->port_count; i++) {
        const struct config_port *port = &config->ports[i];
        append(&array, port->listen == port->machine
                           ? json_sprintf("%u", port->listen)
                           : json_sprintf("%u:%u", port->listen, port->machine));
    }
    return array;
}

json_t *json_service(const struct service_status *status)
{
    const struct config_service *config = status->config;
    json_t *service = json_object();
    set(&service, "name", json_text(config->name));
    set(&service, "aliases", json_aliases(config));
    set(&service, "state", json_string(machine_state_name(status->state)));
    set(&service, "backend", json_string(config_backend_name(config->backend)));
    set(&service, "network", json_text(config->network ? config->network->name : NULL));
    set(&service, "hold", json_text(config->network ? config_hold_name(config->hold) : NULL));
    set(&service, "address", json_addresses(config));
    set(&service, "ports", json_ports(config));
    set(&service, "image", json_text(config->image));
    set(&service, "memory", json_count(config->memory));
    set(&service, "pid", status->pid ? json_integer(status->pid) : json_null());
    set(&service, "domain", json_text(status->domain));
    set(&service, "started", json_seconds(status->started));
    set(&service, "last_use", json_seconds(status->last_use));
    set(&service, "connections",
        status->connections_unknown ? json_null() : json_count(status->connections));
    set(&service, "starts", json_count(status->starts));
    set(&service, "failures", json_count(status->failures));
    set(&service, "error", json_text(status->error));
    set(&service, "retry", json_seconds(status->retry));
    set(&service, "wildcard", json_text(status->wildcard ? status->wildcard->name : NULL));
    if (config_is_wildcard(config)) {
        set(&service, "instances", json_count(status->instances));
        set(&service, "instance_limit", json_count(config->places->count));
    }
    return service;
}

json_t *json_limits(const struct limits_status *limits)
{
    json_t *object = json_object();
    set(&object, "memory", json_count(limits->memory));
    set(&object, "memory_limit", json_count(limits->memory_limit));
    set(&object, "machines", json_count(limits->machines));
    set(&object, "machine_limit", json_count(limits->machine_limit));
    set(&object, "starts", json_count(limits->starts));
    set(&object, "start_limit", json_count(limits->start_limit));
    set(&object, "waiting", json_count(limits->waiting));
    set(&object, "held", json_count(limits->held));
    set(&object, "held_limit", json_count(limits->held_limit));
    return object;
}

/* Milliseconds, to the microsecond; null for a phase that was not reached. */
static json_t *json_phase(uint64_t nanoseconds)
{
    return nanoseconds ? json_real((double)((nanoseconds + 500) / 1000) / 1000) : json_null();
}

static json_t *json_client(const struct transition *transition)
{
    char text[ENDPOINT_TEXT_SIZE];
    if (!transition->has_client)
        return json_null();
    return json_string(endpoint_format(&transition->client, text));
}

static json_t *json_phases(const struct start_phases *phases)
{
    json_t *object = json_object();
    set(&object, "spawned", json_phase(phases->spawned));
    set(&object, "entered", json_phase(phases->entered));
    set(&object, "ready", json_phase(phases->ready));
    set(&object, "first_byte", json_phase(phases->first_byte));
    return object;
}

json_t *json_transition(const struct transition *transition)
{
    json_t *event = json_object();
    set(&event, "number", json_count(transition->number));
    set(&event, "time", json_real(transition->time));
    set(&event, "service", json_text(transition->service));
    set(&event, "from", json_string(machine_state_name(transition->from)));
    set(&event, "to", json_string(machine_state_name(transition->to)));
    set(&event, "cause", json_text(transition->cause));
    set(&event, "reason", json_text(transition->reason));
    set(&event, "client", json_client(transition));
    set(&event, "query", json_text(transition->query));
    set(&event, "phases", json_phases(&transition->phases));
    return event;
}

static json_t *json_queries(const struct dns_statistics *statistics)
{
    json_t *queries = json_object();
    for (unsigned type = 0; type < DNS_TYPE_COUNTERS; type++) {
        json_t *transports = json_object();
        for (unsigned transport = 0; transport < DNS_TRANSPORTS; transport++)
            set(&transports, dns_transport_name(transport),
                json_count(statistics->queries[type][transport]));
        set(&queries, dns_type_counter_name(type), transports);
    }
    return queries;
}

/* Only those that were given. */
static json_t *json_answers(const struct dns_statistics *statistics)
{
    json_t *answers = json_object();
    for (unsigned rcode = 0; rcode < DNS_RCODE_COUNTERS; rcode++)
        if (statistics->answers[rcode])
            set(&answers, dns_rcode_name(rcode), json_count(statistics->answers[rcode]));
    return answers;
}

json_t *json_dns_statistics(const struct dns_statistics *statistics)
{
    json_t *object = json_object();
    set(&object, "queries", json_queries(statistics));
    set(&object, "answers", json_answers(statistics));
    set(&object, "dropped", json_count(statistics->dropped));
    set(&object, "truncated", json_count(statistics->truncated));
    set(&object, "forwarded", json_count(statistics->forwarded));
    set(&object, "forward_unanswered", json_count(statistics->forward_unanswered));
    set(&object, "forward_refused", json_count(statistics->forward_refused));
    set(&object, "forward_strange", json_count(statistics->forward_strange));
    return object;
}

json_t *json_proxy_statistics(const struct proxy_statistics *statistics)
{
    json_t *object = json_object();
    set(&object, "connections", json_count(statistics->connections));
    set(&object, "waiting", json_count(statistics->waiting));
    set(&object, "accepted", json_count(statistics->accepted));
    set(&object, "refused", json_count(statistics->refused));
    set(&object, "bytes_to_machines", json_count(statistics->bytes_to_machines));
    set(&object, "bytes_to_clients", json_count(statistics->bytes_to_clients));
    return object;
}

json_t *json_port_statistics(const struct port_statistics *statistics)
{
    json_t *object = json_object();
    set(&object, "connections", json_count(statistics->connections));
    set(&object, "accepted", json_count(statistics->accepted));
    set(&object, "handed_over", json_count(statistics->handed_over));
    set(&object, "held_frames", json_count(statistics->frames));
    set(&object, "held_bytes", json_count(statistics->bytes));
    set(&object, "released", json_count(statistics->released));
    set(&object, "dropped", json_count(statistics->dropped));
    set(&object, "refused", json_count(statistics->refused));
    return object;
}
