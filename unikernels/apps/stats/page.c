#include "stats/page.h"

#include <string.h>

#include "jitsu/clock.h"
#include "jitsu/options.h"

#define MEGABYTE (1024u * 1024)

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--dim:#68707b;--paper:#fbfaf7;--card:#fff;"
    "--line:#e4e1d9;--bar:#9db4c8;--mark:#c8452b}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#eceae4;--dim:#9aa0a8;--paper:#15171a;"
    "--card:#1c1f23;--line:#2c3036;--bar:#4d6a83;--mark:#ff7a5c}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;padding:clamp(1.25rem,5vw,4rem) clamp(1rem,5vw,3rem);background:var(--paper);"
    "color:var(--ink);font:1rem/1.5 ui-sans-serif,system-ui,sans-serif;"
    "font-variant-numeric:tabular-nums}\n"
    "main{max-width:58rem;margin:auto}\n"
    ".word{font:600 .9rem/1 ui-monospace,monospace;letter-spacing:.08em;color:var(--mark)}\n"
    "h1{font-size:clamp(2rem,7vw,3.4rem);line-height:1.1;letter-spacing:-.025em;"
    "margin:1rem 0 .8rem}\n"
    "h1 b{color:var(--mark);white-space:nowrap}\n"
    "h2{font-size:1.05rem;margin:0 0 1rem}\n"
    "p{margin:0;max-width:40rem}\n"
    "section{margin-top:2.5rem}\n"
    "ol{list-style:none;margin:0;padding:0;border-top:1px solid var(--line)}\n"
    "li{display:grid;grid-template-columns:minmax(0,17rem) minmax(0,1fr) 5.5rem;gap:0 1.25rem;"
    "align-items:center;padding:.55rem 0;border-bottom:1px solid var(--line)}\n"
    "li small{display:block;color:var(--dim);font-size:.82rem;line-height:1.35}\n"
    "li strong{font-weight:600}\n"
    ".track{height:.9rem}\n"
    ".track i{display:block;height:100%;min-width:2px;border-radius:3px;background:var(--bar);"
    "margin-left:calc(var(--from)*1%);width:calc(var(--part)*1%)}\n"
    ".longest i{background:var(--mark)}\n"
    ".time{text-align:right;font-family:ui-monospace,monospace;white-space:nowrap}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,17rem),1fr));"
    "gap:1rem}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:12px;"
    "padding:1.1rem 1.25rem}\n"
    ".card h2{color:var(--dim);font-size:.85rem;font-weight:400;margin:0}\n"
    ".big{font:600 1.5rem/1.35 ui-monospace,monospace}\n"
    ".meter{height:.5rem;margin:.5rem 0;border-radius:4px;background:var(--line);"
    "overflow:hidden}\n"
    ".meter i{display:block;height:100%;min-width:2px;background:var(--bar);"
    "width:calc(var(--part)*1%)}\n"
    ".card p{color:var(--dim);font-size:.9rem}\n"
    "dl{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.3rem 1rem;margin:0;"
    "font-size:.95rem}\n"
    "dt{color:var(--dim)}\n"
    "dd{margin:0;overflow-wrap:anywhere}\n"
    "footer{margin-top:2rem;color:var(--dim);font-size:.9rem}\n"
    "a{color:inherit}\n"
    "@media(max-width:40rem){li{grid-template-columns:minmax(0,1fr) auto;gap:.35rem 1rem;"
    "align-items:start}.track{grid-area:2/1/3/3;height:.6rem}}\n";

/* So many hundredths of a part of a whole, as a number of per cent. */
static void add_percent(struct text *text, uint64_t part, uint64_t whole)
{
    uint64_t hundredths = whole > 0 ? part * 10000 / whole : 0;

    text_add(text, "%lu.%02lu", hundredths / 100, hundredths % 100);
}

static void add_megabytes(struct text *text, size_t bytes)
{
    size_t tenths = bytes / (MEGABYTE / 10);

    text_add(text, "%zu.%zu&nbsp;MB", tenths / 10, tenths % 10);
}

/* As people tell a while: in two units at most. */
static void add_while(struct text *text, uint64_t nanoseconds)
{
    uint64_t seconds = nanoseconds / CLOCK_SECOND;

    if (seconds < 1) {
        text_add_brief_milliseconds(text, nanoseconds);
        text_add(text, " ms");
    } else if (seconds < 60) {
        text_add(text, "%lu.%lu s", seconds, nanoseconds / (CLOCK_SECOND / 10) % 10);
    } else if (seconds < 60 * 60) {
        text_add(text, "%lu min %lu s", seconds / 60, seconds % 60);
    } else if (seconds < 24 * 60 * 60) {
        text_add(text, "%lu h %lu min", seconds / 3600, seconds / 60 % 60);
    } else {
        text_add(text, "%lu d %lu h", seconds / 86400, seconds / 3600 % 24);
    }
}

static void add_name(struct text *text, const struct facts *facts, const char *otherwise)
{
    if (facts->name.length > 0)
        text_add_html(text, facts->name.value, facts->name.length);
    else
        text_add(text, "%s", otherwise);
}

static void add_head(struct text *text, const struct facts *facts)
{
    text_add(text, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                   "<link rel=\"icon\" href=\"data:,\">\n<title>");
    add_name(text, facts, "stats");
    text_add(text, ": ready in ");
    text_add_brief_milliseconds(text, facts->ready);
    text_add(text, " ms</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n", style);
}

static void add_opening(struct text *text, const struct facts *facts)
{
    text_add(text, "<div class=\"word\">jitsu</div>\n<h1>Ready in <b>");
    text_add_brief_milliseconds(text, facts->ready);
    text_add(text, " ms</b></h1>\n<p>");
    if (strcmp(facts->platform, "unix") == 0)
        text_add(text, "This is a process, and no machine, of the image that is one elsewhere. ");
    else
        text_add(text, "This is a virtual machine with nothing in it but what serves this page. ");
    text_add(text, "Its first instruction ran ");
    add_while(text, facts->now);
    text_add(text, " ago; ");
    text_add_brief_milliseconds(text, facts->ready);
    text_add(text, " ms later it took connections.</p>\n");
}

static void add_phase(struct text *text, const struct facts *facts, size_t i, bool longest)
{
    const struct boot_phase *phase = &facts->phases[i];
    uint64_t took = facts_phase_time(facts, i);

    text_add(text, "<li%s><span><strong>", longest ? " class=\"longest\"" : "");
    text_add_html(text, phase->name, strlen(phase->name));
    text_add(text, "</strong><small>%s</small></span><span class=\"track\"><i style=\"--from:",
             facts_phase_meaning(phase->name));
    add_percent(text, phase->ended - took, facts->ready);
    text_add(text, ";--part:");
    add_percent(text, took, facts->ready);
    text_add(text, "\"></i></span><span class=\"time\">");
    text_add_brief_milliseconds(text, took);
    text_add(text, " ms</span></li>\n");
}

static void add_boot(struct text *text, const struct facts *facts)
{
    size_t longest = 0;

    for (size_t i = 1; i < facts->phase_count; i++)
        if (facts_phase_time(facts, i) > facts_phase_time(facts, longest))
            longest = i;
    text_add(text, "<section>\n<h2>Where the time went</h2>\n<ol>\n");
    for (size_t i = 0; i < facts->phase_count; i++)
        add_phase(text, facts, i, i == longest);
    text_add(text, "</ol>\n</section>\n");
}

static void add_meter(struct text *text, uint64_t part, uint64_t whole)
{
    text_add(text, "<div class=\"meter\"><i style=\"--part:");
    add_percent(text, part, whole);
    text_add(text, "\"></i></div>\n");
}

static void add_memory(struct text *text, const struct facts *facts)
{
    text_add(text, "<div class=\"card\"><h2>Memory in use</h2><div class=\"big\">");
    add_megabytes(text, facts->memory_total - facts->memory_free);
    text_add(text, "</div>\n");
    add_meter(text, facts->memory_total - facts->memory_free, facts->memory_total);
    text_add(text, "<p>of ");
    add_megabytes(text, facts->memory_total);
    text_add(text, "; ");
    add_megabytes(text, facts->memory_free);
    text_add(text, " are free.</p></div>\n");
}

static void add_connections(struct text *text, const struct facts *facts)
{
    text_add(text, "<div class=\"card\"><h2>Connections open</h2><div class=\"big\">%zu</div>\n",
             facts->connections_open);
    add_meter(text, facts->connections_open, facts->connections_limit);
    text_add(text, "<p>of at most %zu at a time; %lu since the start.</p></div>\n",
             facts->connections_limit, facts->arrivals.count);
}

static void add_first_connection(struct text *text, const struct facts *facts)
{
    bool before = facts->arrivals.first_time < facts->ready;

    if (facts->arrivals.count == 0)
        return;
    text_add(text, "<div class=\"card\"><h2>First connection</h2><div class=\"big\">");
    add_while(text, before ? facts->ready - facts->arrivals.first_time
                           : facts->arrivals.first_time - facts->ready);
    text_add(text, "</div>\n<p>%s the machine was ready. %s</p></div>\n",
             before ? "before" : "after",
             facts->arrivals.first_origin == STREAM_HANDED_OVER
                 ? "Its client came while the machine still booted: jitsud took the connection, "
                   "and handed it over."
                 : "The machine accepted it itself.");
}

static void add_option(struct text *text, const char *label, const char *name)
{
    struct option option;
    size_t position = 0;

    while ((option = option_next(name, &position)).value) {
        text_add(text, "<dt>%s</dt><dd>", label);
        text_add_html(text, option.value, option.length);
        text_add(text, "</dd>\n");
    }
}

static void add_machine(struct text *text, const struct facts *facts)
{
    text_add(text, "<section class=\"card\">\n<dl>\n<dt>Service</dt><dd>");
    add_name(text, facts, "without a name");
    text_add(text,
             "</dd>\n<dt>Image</dt><dd>stats</dd>\n<dt>Platform</dt><dd>%s</dd>\n"
             "<dt>Runs on</dt><dd>%s</dd>\n",
             facts->platform, facts->hypervisor);
    add_option(text, "IPv4", "ip");
    add_option(text, "IPv6", "ip6");
    text_add(text, "</dl>\n</section>\n");
}

void page_write(struct text *text, const struct facts *facts)
{
    add_head(text, facts);
    add_opening(text, facts);
    add_boot(text, facts);
    text_add(text, "<section class=\"cards\">\n");
    add_memory(text, facts);
    add_connections(text, facts);
    add_first_connection(text, facts);
    text_add(text, "</section>\n");
    add_machine(text, facts);
    text_add(text,
             "<footer>The same for programs: <a href=\"/stats.json\">stats.json</a></footer>\n"
             "</main>\n</body>\n</html>\n");
}
