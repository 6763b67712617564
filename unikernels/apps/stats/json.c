#include "stats/json.h"

#include <string.h>

#include "jitsu/options.h"

static void write_string(struct text *text, const char *bytes, size_t length)
{
    text_add(text, "\"");
    text_add_json(text, bytes, length);
    text_add(text, "\"");
}

static void write_addresses(struct text *text)
{
    static const char *const names[] = {"ip", "ip6"};
    const char *separator = "";

    text_add(text, "[");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct option option;
        size_t position = 0;
        while ((option = option_next(names[i], &position)).value) {
            text_add(text, "%s", separator);
            write_string(text, option.value, option.length);
            separator = ", ";
        }
    }
    text_add(text, "]");
}

static void write_phases(struct text *text, const struct facts *facts)
{
    text_add(text, "[");
    for (size_t i = 0; i < facts->phase_count; i++) {
        text_add(text, "%s\n    {\"name\": ", i > 0 ? "," : "");
        write_string(text, facts->phases[i].name, strlen(facts->phases[i].name));
        text_add(text, ", \"ended\": ");
        text_add_milliseconds(text, (int64_t)facts->phases[i].ended);
        text_add(text, ", \"took\": ");
        text_add_milliseconds(text, (int64_t)facts_phase_time(facts, i));
        text_add(text, "}");
    }
    text_add(text, "\n  ]");
}

static void write_first_connection(struct text *text, const struct facts *facts)
{
    bool handed_over = facts->arrivals.first_origin == STREAM_HANDED_OVER;

    if (facts->arrivals.count == 0) {
        text_add(text, "null");
        return;
    }
    text_add(text,
             "{\"origin\": \"%s\", \"after_ready\": ", handed_over ? "handed over" : "accepted");
    text_add_milliseconds(text, (int64_t)(facts->arrivals.first_time - facts->ready));
    text_add(text, "}");
}

void json_write(struct text *text, const struct facts *facts)
{
    text_add(text, "{\n\"image\": \"stats\",\n\"name\": ");
    if (facts->name.value)
        write_string(text, facts->name.value, facts->name.length);
    else
        text_add(text, "null");
    text_add(text,
             ",\n\"platform\": \"%s\",\n\"hypervisor\": \"%s\",\n\"addresses\": ", facts->platform,
             facts->hypervisor);
    write_addresses(text);
    text_add(text, ",\n\"boot\": {\"ready\": ");
    text_add_milliseconds(text, (int64_t)facts->ready);
    text_add(text, ", \"phases\": ");
    write_phases(text, facts);
    text_add(text, "},\n\"since_entry\": ");
    text_add_milliseconds(text, (int64_t)facts->now);
    text_add(text, ",\n\"memory\": {\"total\": %zu, \"used\": %zu, \"free\": %zu},\n",
             facts->memory_total, facts->memory_total - facts->memory_free, facts->memory_free);
    text_add(text, "\"connections\": {\"open\": %zu, \"total\": %lu, \"limit\": %zu, \"first\": ",
             facts->connections_open, facts->arrivals.count, facts->connections_limit);
    write_first_connection(text, facts);
    text_add(text, "}\n}\n");
}
