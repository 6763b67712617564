#include "admin/status_page_events.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/html.h"
#include "admin/status_page.h"
#include "common/clock.h"

#define PHASES 4

struct phase {
    const char *class, *word;
    uint64_t end; /* nanoseconds since the machine was wanted; 0: not reached */
};

/* The newest events: the last one is at (count - 1) % STATUS_PAGE_EVENTS. */
struct recent {
    struct transition events[STATUS_PAGE_EVENTS];
    size_t count;
};

static void remember(void *argument, const struct transition *transition)
{
    struct recent *recent = argument;
    recent->events[recent->count++ % STATUS_PAGE_EVENTS] = *transition;
}

/* The event `age` steps before the newest. */
static const struct transition *event_at(const struct recent *recent, size_t age)
{
    return &recent->events[(recent->count - 1 - age) % STATUS_PAGE_EVENTS];
}

static size_t shown(const struct recent *recent)
{
    return recent->count < STATUS_PAGE_EVENTS ? recent->count : STATUS_PAGE_EVENTS;
}

static void phases_of(const struct transition *event, struct phase phases[PHASES])
{
    phases[0] = (struct phase){"spawned", "spawned", event->phases.spawned};
    phases[1] = (struct phase){"entered", "entered", event->phases.entered};
    phases[2] = (struct phase){"ready", "ready", event->phases.ready};
    phases[3] = (struct phase){"first-byte", "first byte", event->phases.first_byte};
}

/* Nanoseconds until the last phase that was reached; 0: none. */
static uint64_t duration_of(const struct transition *event)
{
    struct phase phases[PHASES];
    uint64_t longest = 0;

    phases_of(event, phases);
    for (unsigned i = 0; i < PHASES; i++)
        if (phases[i].end > longest)
            longest = phases[i].end;
    return longest;
}

/* A start is told twice, when ready and at the first byte. Is there a newer event of the same
 * start?
 */
static bool told_again(const struct recent *recent, size_t age)
{
    const struct transition *event = event_at(recent, age);

    for (size_t newer = 0; newer < age; newer++) {
        const struct transition *other = event_at(recent, newer);
        if (other->phases.first_byte && other->phases.ready == event->phases.ready &&
            strcmp(other->service, event->service) == 0)
            return true;
    }
    return false;
}

static double milliseconds(uint64_t nanoseconds)
{
    return (double)nanoseconds / (double)NANOSECONDS_PER_MILLISECOND;
}

/* Widths compare with the longest start on the page. */
static void write_bar(struct evbuffer *out, const struct transition *event, uint64_t longest)
{
    struct phase phases[PHASES];
    uint64_t before = 0;

    phases_of(event, phases);
    evbuffer_add_printf(out, "<div class=\"bar\" aria-hidden=\"true\" style=\"width:%.2f%%\">",
                        100.0 * (double)duration_of(event) / (double)longest);
    for (unsigned i = 0; i < PHASES; i++) {
        if (phases[i].end <= before)
            continue;
        evbuffer_add_printf(out, "<i class=\"%s\" style=\"flex:%.3f\"></i>", phases[i].class,
                            milliseconds(phases[i].end - before));
        before = phases[i].end;
    }
    evbuffer_add_printf(out, "</div><div class=\"phases\">");
    for (unsigned i = 0; i < PHASES; i++)
        if (phases[i].end)
            evbuffer_add_printf(out, "<span>%s <b>%.1f</b></span> ", phases[i].word,
                                milliseconds(phases[i].end));
    evbuffer_add_printf(out, "ms</div>");
}

static void write_cause(struct evbuffer *out, const struct transition *event)
{
    char client[ENDPOINT_TEXT_SIZE];

    html_text(out, event->cause);
    if (event->query[0]) {
        evbuffer_add_printf(out, ", ");
        html_text(out, event->query);
    }
    if (event->has_client) {
        evbuffer_add_printf(out, " from ");
        html_text(out, endpoint_format(&event->client, client));
    }
    if (event->reason[0]) {
        evbuffer_add_printf(out, ": ");
        html_text(out, event->reason);
    }
}

static void write_time(struct evbuffer *out, double moment)
{
    time_t seconds = (time_t)moment;
    struct tm local;
    char text[64], machine[64];

    localtime_r(&seconds, &local);
    strftime(text, sizeof text, "%H:%M:%S", &local);
    strftime(machine, sizeof machine, "%Y-%m-%dT%H:%M:%S%z", &local);
    evbuffer_add_printf(out, "<time datetime=\"%s\" title=\"%s\">%s.%03d</time>", machine, machine,
                        text, (int)((moment - (double)seconds) * 1000));
}

static void write_event(struct evbuffer *out, const struct recent *recent, size_t age,
                        uint64_t longest)
{
    const struct transition *event = event_at(recent, age);
    bool first_byte = event->from == MACHINE_RUNNING && event->to == MACHINE_RUNNING;

    evbuffer_add_printf(out, "<li>");
    write_time(out, event->time);
    evbuffer_add_printf(out, "<span class=\"service\">");
    html_text(out, event->service);
    evbuffer_add_printf(out, "</span><span class=\"state %s\">%s</span>",
                        machine_state_name(event->to), machine_state_name(event->to));
    evbuffer_add_printf(out, "<div class=\"detail\">");
    if (first_byte)
        evbuffer_add_printf(out, "first byte to a client");
    else
        write_cause(out, event);
    if (duration_of(event) > 0 && (first_byte || !told_again(recent, age)))
        write_bar(out, event, longest);
    evbuffer_add_printf(out, "</div></li>\n");
}

static void write_legend(struct evbuffer *out)
{
    struct phase phases[PHASES];

    phases_of(&(struct transition){.cause = ""}, phases);
    evbuffer_add_printf(out, "<ul class=\"legend\" aria-label=\"Phases of a start\">");
    for (unsigned i = 0; i < PHASES; i++)
        evbuffer_add_printf(out, "<li class=\"%s\"><span>until %s</span></li>", phases[i].class,
                            phases[i].word);
    evbuffer_add_printf(out, "</ul>");
}

void status_page_events(struct evbuffer *out, struct summoner *summoner)
{
    struct recent recent = {.count = 0};
    uint64_t longest = 1;

    summoner_history(summoner, remember, &recent);
    for (size_t age = 0; age < shown(&recent); age++)
        if (duration_of(event_at(&recent, age)) > longest)
            longest = duration_of(event_at(&recent, age));
    evbuffer_add_printf(out, "<section class=\"card\" aria-labelledby=\"events\">"
                             "<div class=\"heading\"><h2 id=\"events\">Recent events</h2>");
    if (longest > 1)
        write_legend(out);
    evbuffer_add_printf(out, "</div>\n");
    if (recent.count == 0)
        evbuffer_add_printf(out, "<p class=\"empty\">Nothing has happened yet.</p>");
    else
        evbuffer_add_printf(out, "<ol class=\"events\">\n");
    for (size_t age = 0; age < shown(&recent); age++)
        write_event(out, &recent, age, longest);
    evbuffer_add_printf(out, recent.count == 0 ? "</section>\n" : "</ol></section>\n");
}
