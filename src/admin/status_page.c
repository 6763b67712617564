#include "config.h"

#include "admin/status_page.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/html.h"
#include "admin/status_page_events.h"
#include "admin/text.h"
#include "common/clock.h"

static const char style[] =
#include "src/admin/status_page_style.inc"
    ;

static const char script[] =
#include "src/admin/status_page_script.inc"
    ;

/* The mark beside the title, and the same as the page's icon. */
#define MARK                                                                                       \
    "<svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><circle cx=\"8\" cy=\"8\" r=\"8\" "           \
    "fill=\"#2f9d78\"/><path d=\"M9 2.5 4.5 9H8l-1 4.5L11.5 7H8z\" fill=\"#fff\"/></svg>"
#define ICON                                                                                       \
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"          \
    "%3Ccircle cx='8' cy='8' r='8' fill='%232f9d78'/%3E"                                           \
    "%3Cpath d='M9 2.5 4.5 9H8l-1 4.5L11.5 7H8z' fill='%23fff'/%3E%3C/svg%3E"

/* Those first that somebody looks for. */
static const enum machine_state order[MACHINE_STATES] = {
    MACHINE_FAILED,   MACHINE_STARTING,  MACHINE_RUNNING,
    MACHINE_STOPPING, MACHINE_SUSPENDED, MACHINE_OFF,
};

/* What a page shows of the services. */
struct selection {
    size_t counts[MACHINE_STATES];
    size_t first[MACHINE_STATES]
                [STATUS_PAGE_SERVICES]; /* indices of the first ones in each state */
    size_t wildcard_count;
    size_t wildcards[STATUS_PAGE_SERVICES]; /* likewise; they are in no state */
};

static void add(struct evbuffer *out, const char *text)
{
    evbuffer_add(out, text, strlen(text));
}

static void select_services(struct summoner *summoner, struct selection *selection)
{
    size_t count = summoner_service_count(summoner);

    memset(selection->counts, 0, sizeof selection->counts);
    selection->wildcard_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (service_is_wildcard(summoner_service(summoner, i))) {
            if (selection->wildcard_count < STATUS_PAGE_SERVICES)
                selection->wildcards[selection->wildcard_count++] = i;
            continue;
        }
        enum machine_state state = service_state(summoner_service(summoner, i));
        size_t place = selection->counts[state]++;
        if (place < STATUS_PAGE_SERVICES)
            selection->first[state][place] = i;
    }
}

/* --- summary --- */

static void write_states(struct evbuffer *out, const struct selection *selection)
{
    static const enum machine_state shown[] = {MACHINE_RUNNING,  MACHINE_STARTING,
                                               MACHINE_STOPPING, MACHINE_SUSPENDED,
                                               MACHINE_FAILED,   MACHINE_OFF};

    add(out, "<dl class=\"card states\">\n");
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        size_t count = selection->counts[shown[i]];
        const char *name = machine_state_name(shown[i]);
        evbuffer_add_printf(
            out, "<div%s><dt><span class=\"state %s\">%s</span></dt><dd>%zu</dd></div>\n",
            count == 0 ? " class=\"zero\"" : "", name, name, count);
    }
    add(out, "</dl>\n");
}

static void write_limit(struct evbuffer *out, const char *label, uint64_t used, uint64_t limit,
                        const char *words)
{
    double share = limit > 0 ? 100.0 * (double)used / (double)limit : 0;

    evbuffer_add_printf(out,
                        "<div class=\"limit\"><span>%s</span><span class=\"track\" role=\"meter\" "
                        "aria-label=\"%s\" aria-valuemin=\"0\" aria-valuenow=\"%" PRIu64
                        "\" aria-valuemax=\"%" PRIu64 "\" aria-valuetext=\"%s\">"
                        "<i%s style=\"width:%.1f%%\"></i></span><span>%s</span></div>\n",
                        label, label, used, limit, words, used >= limit ? " class=\"full\"" : "",
                        share > 100 ? 100 : share, words);
}

static void write_limits(struct evbuffer *out, const struct summoner *summoner)
{
    char words[3 * TEXT_SIZE], used[TEXT_SIZE], limit[TEXT_SIZE];
    struct limits_status limits;

    summoner_limits(summoner, &limits);
    add(out, "<div class=\"card limits\">\n");
    snprintf(words, sizeof words, "%u of %u", limits.machines, limits.machine_limit);
    write_limit(out, "Machines", limits.machines, limits.machine_limit, words);
    snprintf(words, sizeof words, "%s of %s", text_size(limits.memory, used),
             text_size(limits.memory_limit, limit));
    write_limit(out, "Memory", limits.memory, limits.memory_limit, words);
    snprintf(words, sizeof words, "%u of %u", limits.starts, limits.start_limit);
    if (limits.waiting > 0)
        snprintf(words + strlen(words), sizeof words - strlen(words), ", %u waiting",
                 limits.waiting);
    write_limit(out, "Starting", limits.starts, limits.start_limit, words);
    add(out, "</div>\n");
}

/* --- services --- */

static void write_addresses(struct evbuffer *out, const struct config_service *config,
                            const char *separator)
{
    char text[ADDRESS_TEXT_SIZE];

    for (unsigned i = 0; i < config->address_count; i++) {
        add(out, i > 0 ? separator : "");
        html_text(out, address_format(&config->addresses[i], text));
    }
}

/* The name, and small below it the aliases and, on a narrow screen, the addresses. */
static void write_name(struct evbuffer *out, const struct config_service *config)
{
    add(out, "<th scope=\"row\">");
    html_text(out, config->name);
    for (unsigned i = 0; i < config->alias_count; i++) {
        add(out, i == 0 ? "<small>" : ", ");
        html_text(out, config->aliases[i]);
    }
    add(out, config->alias_count > 0 ? "</small>" : "");
    add(out, "<small class=\"beside\">");
    write_addresses(out, config, ", ");
    add(out, "</small></th>");
}

static void write_since(struct evbuffer *out, double moment, double now, const char *suffix)
{
    char text[TEXT_SIZE];

    if (moment > 0)
        evbuffer_add_printf(out, "<td class=\"number\">%s%s</td>",
                            text_duration(now - moment, text), suffix);
    else
        add(out, "<td class=\"number never\">–</td>");
}

static void write_error(struct evbuffer *out, const struct service_status *status, double now)
{
    char text[TEXT_SIZE];

    add(out, "<tr class=\"error\"><td colspan=\"7\">");
    html_text(out, status->error);
    if (status->retry > now)
        evbuffer_add_printf(out, " <small>tries again on demand in %s</small>",
                            text_duration(status->retry - now, text));
    add(out, "</td></tr>\n");
}

static void write_service(struct evbuffer *out, const struct service *service, double now)
{
    struct service_status status;

    service_status(service, &status);
    const char *state = machine_state_name(status.state);
    add(out, "<tr>");
    write_name(out, status.config);
    if (config_is_wildcard(status.config))
        evbuffer_add_printf(out, "<td>%" PRIu32 " of %" PRIu32 "</td><td class=\"address\">",
                            status.instances, status.config->places->count);
    else
        evbuffer_add_printf(
            out, "<td><span class=\"state %s\">%s</span></td><td class=\"address\">", state, state);
    write_addresses(out, status.config, "<br>");
    add(out, "</td>");
    write_since(out, status.started, now, "");
    write_since(out, status.last_use, now, " ago");
    if (status.connections_unknown)
        add(out, "<td class=\"number never\">–</td>");
    else
        evbuffer_add_printf(out, "<td class=\"number\">%zu</td>", status.connections);
    evbuffer_add_printf(out, "<td class=\"number\">%" PRIu64 "</td></tr>\n", status.starts);
    if (status.error[0])
        write_error(out, &status, now);
}

static void write_services(struct evbuffer *out, struct summoner *summoner,
                           const struct selection *selection)
{
    size_t count = summoner_service_count(summoner), left = STATUS_PAGE_SERVICES;
    double now = clock_wall();

    add(out, "<section class=\"card\" aria-labelledby=\"services\">"
             "<div class=\"heading\"><h2 id=\"services\">Services</h2>");
    if (count > left)
        evbuffer_add_printf(out, "<p class=\"note\">%zu shown, %zu more: see jitsuctl status</p>",
                            left, count - left);
    add(out, "</div>\n");
    if (count == 0) {
        add(out, "<p class=\"empty\">No services are configured.</p></section>\n");
        return;
    }
    add(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"services\">"
             "<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">State</th>"
             "<th scope=\"col\" class=\"address\">Address</th><th scope=\"col\" "
             "class=\"number\">Uptime</th>"
             "<th scope=\"col\" class=\"number\">Last use</th>"
             "<th scope=\"col\" class=\"number\">Connections</th>"
             "<th scope=\"col\" class=\"number\">Starts</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < MACHINE_STATES; i++) {
        if (order[i] == MACHINE_OFF)
            for (size_t w = 0; w < selection->wildcard_count && left > 0; w++, left--)
                write_service(out, summoner_service(summoner, selection->wildcards[w]), now);
        for (size_t place = 0; place < selection->counts[order[i]] && left > 0; place++, left--)
            write_service(out, summoner_service(summoner, selection->first[order[i]][place]), now);
    }
    add(out, "</tbody></table></div></section>\n");
}

/* --- the document --- */

static void write_head(struct evbuffer *out, const struct selection *selection)
{
    add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n"
             "<link rel=\"icon\" href=\"" ICON "\">\n");
    evbuffer_add_printf(out, "<title>Jitsu: %zu running", selection->counts[MACHINE_RUNNING]);
    if (selection->counts[MACHINE_FAILED] > 0)
        evbuffer_add_printf(out, ", %zu failed", selection->counts[MACHINE_FAILED]);
    add(out, "</title>\n<style>\n");
    add(out, style);
    add(out, "</style>\n</head>\n");
}

static void write_header(struct evbuffer *out)
{
    time_t now = time(NULL);
    struct tm local;
    char text[32];

    localtime_r(&now, &local);
    strftime(text, sizeof text, "%H:%M:%S", &local);
    evbuffer_add_printf(
        out,
        "<body>\n<header><h1>" MARK "Jitsu</h1>"
        "<p id=\"updated\">as of %s</p>"
        "<p id=\"lost\" role=\"status\" hidden>jitsud does not answer</p></header>\n",
        text);
}

static void write_footer(struct evbuffer *out, const struct dns_server *dns)
{
    struct dns_statistics statistics;
    uint64_t queries = 0;

    dns_server_statistics(dns, &statistics);
    for (unsigned type = 0; type < DNS_TYPE_COUNTERS; type++)
        for (unsigned transport = 0; transport < DNS_TRANSPORTS; transport++)
            queries += statistics.queries[type][transport];
    evbuffer_add_printf(out,
                        "<footer>%" PRIu64 " DNS queries answered since the start of this process. "
                        "jitsud %s.</footer>\n",
                        queries, PACKAGE_VERSION);
}

void status_page(struct evbuffer *out, struct summoner *summoner, struct dns_server *dns)
{
    struct selection selection;

    select_services(summoner, &selection);
    write_head(out, &selection);
    write_header(out);
    add(out, "<main>\n<div class=\"summary\">\n");
    write_states(out, &selection);
    write_limits(out, summoner);
    add(out, "</div>\n");
    write_services(out, summoner, &selection);
    status_page_events(out, summoner);
    write_footer(out, dns);
    add(out, "</main>\n<script>\n");
    add(out, script);
    add(out, "</script>\n</body>\n</html>\n");
}
