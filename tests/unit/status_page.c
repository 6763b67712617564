/* The status page: nothing from outside gets into its markup, and what matters is shown first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "../admin/summon_double.h"
#include "admin/html.h"
#include "admin/status_page.h"

static char *contents(struct evbuffer *out)
{
    size_t length = evbuffer_get_length(out);
    char *text = malloc(length + 1);
    evbuffer_remove(out, text, length);
    text[length] = '\0';
    evbuffer_free(out);
    return text;
}

/* The caller frees it. */
static char *page_of(struct summoner *summoner)
{
    struct evbuffer *out = evbuffer_new();
    status_page(out, summoner, (struct dns_server *)summoner);
    return contents(out);
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;
    for (; (text = strstr(text, part)); text++)
        found++;
    return found;
}

static void assert_escaped(const char *text, const char *expected)
{
    struct evbuffer *out = evbuffer_new();
    html_text(out, text);
    char *escaped = contents(out);
    assert_string_equal(escaped, expected);
    free(escaped);
}

static void text_is_escaped(void **state)
{
    (void)state;
    assert_escaped("", "");
    assert_escaped("www.example.org", "www.example.org");
    assert_escaped("<a href=\"x\" id='y'>&amp;",
                   "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;");
    assert_escaped("\x1b[2J\n\x7f", "&#x241b;[2J&#x240a;&#x2421;");
    assert_escaped("caf\xc3\xa9 \xff", "caf\xc3\xa9 \xef\xbf\xbd");
}

/* Every text that can come from outside, with markup in it. */
static void no_text_from_outside_becomes_markup(void **state)
{
    static const char evil[] = "\"'><script>evil()</script><!--";
    struct summoner *summoner = double_new(NULL);
    struct service *service = double_add(summoner, evil);
    struct transition details = {.has_client = true, .client = {{AF_INET, {10}}, 1}};

    (void)state;
    double_config(service)->aliases[0] = (char *)(uintptr_t)evil;
    double_config(service)->alias_count = 1;
    double_status(service)->state = MACHINE_FAILED;
    strcpy(double_status(service)->error, evil);
    strcpy(double_status(service)->domain, evil);
    strcpy(details.cause, evil);
    strcpy(details.reason, evil);
    strcpy(details.query, evil);
    double_move(service, MACHINE_FAILED, &details);
    char *page = page_of(summoner);
    assert_null(strstr(page, "<script>evil"));
    assert_null(strstr(page, "<!--"));
    assert_null(strstr(page, "\"'>"));
    assert_int_equal(count(page, "<script>"), 1);
    assert_int_equal(count(page, "evil()"), 7);
    free(page);
    double_free(summoner);
}

static void at_most_so_many_services_those_in_trouble_first(void **state)
{
    struct summoner *summoner = double_new(NULL);
    char name[32];

    (void)state;
    for (unsigned i = 0; i < STATUS_PAGE_SERVICES + 100; i++) {
        snprintf(name, sizeof name, "service-%03u", i);
        struct service *service = double_add(summoner, name);
        if (i == STATUS_PAGE_SERVICES + 98)
            double_status(service)->state = MACHINE_RUNNING;
        if (i == STATUS_PAGE_SERVICES + 99)
            double_status(service)->state = MACHINE_FAILED;
    }
    char *page = page_of(summoner);
    assert_int_equal(count(page, "<th scope=\"row\">"), STATUS_PAGE_SERVICES);
    assert_non_null(strstr(page, "500 shown, 100 more"));
    char *failed = strstr(page, "service-599"), *running = strstr(page, "service-598"),
         *off = strstr(page, "service-000");
    assert_true(failed && running && off && failed < running && running < off);
    assert_null(strstr(page, "service-498"));
    free(page);
    double_free(summoner);
}

static void a_wildcard_shows_how_many_it_has_and_is_in_no_state(void **state)
{
    static struct config_places places = {.count = 77};
    struct summoner *summoner = double_new(NULL);
    struct service *wildcard = double_add(summoner, "*.apps.example.org");
    double_add(summoner, "off.example.org");
    double_status(double_add(summoner, "failed.example.org"))->state = MACHINE_FAILED;

    (void)state;
    double_config(wildcard)->places = &places;
    double_status(wildcard)->instances = 33;
    char *page = page_of(summoner);
    assert_int_equal(count(page, "<td>33 of 77</td>"), 1);
    const char *failed = strstr(page, "failed.example.org"), *off = strstr(page, "off.example.org"),
               *apps = strstr(page, "*.apps.example.org");
    assert_true(failed && apps && off && failed < apps && apps < off);
    assert_non_null(strstr(page, "<span class=\"state off\">off</span></dt><dd>1</dd>"));
    free(page);
    double_free(summoner);
}

static void connections_that_nobody_knows_are_not_none(void **state)
{
    struct summoner *summoner = double_new(NULL);
    struct service *service = double_add(summoner, "www.example.org");

    (void)state;
    double_status(service)->connections = 4321;
    char *page = page_of(summoner);
    assert_int_equal(count(page, "<td class=\"number\">4321</td>"), 1);
    free(page);
    double_status(service)->connections_unknown = true;
    page = page_of(summoner);
    assert_int_equal(count(page, "4321"), 0);
    assert_int_equal(count(page, "never\">\xe2\x80\x93</td><td class=\"number\">"), 1);
    free(page);
    double_free(summoner);
}

static void a_start_is_drawn_once_with_its_phases(void **state)
{
    struct summoner *summoner = double_new(NULL);
    struct service *service = double_add(summoner, "www.example.org");
    struct transition details = {
        .cause = "ready", .phases = {.spawned = 10000000, .entered = 40000000, .ready = 50000000}};

    (void)state;
    double_move(service, MACHINE_STARTING, NULL);
    double_move(service, MACHINE_RUNNING, &details);
    char *page = page_of(summoner);
    assert_int_equal(count(page, "class=\"bar\""), 1);
    assert_non_null(strstr(page, "width:100.00%"));
    free(page);

    details.phases.first_byte = 100000000;
    double_move(service, MACHINE_RUNNING, &details);
    page = page_of(summoner);
    assert_int_equal(count(page, "class=\"bar\""), 1);
    assert_non_null(strstr(page, "<i class=\"spawned\" style=\"flex:10.000\"></i>"
                                 "<i class=\"entered\" style=\"flex:30.000\"></i>"
                                 "<i class=\"ready\" style=\"flex:10.000\"></i>"
                                 "<i class=\"first-byte\" style=\"flex:50.000\"></i>"));
    assert_non_null(strstr(page, "first byte <b>100.0</b>"));
    free(page);
    double_free(summoner);
}

static void the_newest_events_come_first_and_are_bounded(void **state)
{
    struct summoner *summoner = double_new(NULL);
    struct service *service = double_add(summoner, "a");
    struct transition details = {.cause = "command"};

    (void)state;
    for (unsigned i = 0; i < STATUS_PAGE_EVENTS + 10; i++) {
        snprintf(details.reason, sizeof details.reason, "reason-%02u", i);
        double_move(service, MACHINE_OFF, &details);
    }
    char *page = page_of(summoner);
    assert_int_equal(count(page, "reason-"), STATUS_PAGE_EVENTS);
    assert_true(strstr(page, "reason-39") < strstr(page, "reason-10"));
    assert_null(strstr(page, "reason-09"));
    free(page);
    double_free(summoner);
}

static void without_services_or_events_it_says_so(void **state)
{
    struct summoner *summoner = double_new(NULL);

    (void)state;
    char *page = page_of(summoner);
    assert_non_null(strstr(page, "No services are configured."));
    assert_non_null(strstr(page, "Nothing has happened yet."));
    free(page);
    double_free(summoner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(no_text_from_outside_becomes_markup),
        cmocka_unit_test(at_most_so_many_services_those_in_trouble_first),
        cmocka_unit_test(a_wildcard_shows_how_many_it_has_and_is_in_no_state),
        cmocka_unit_test(connections_that_nobody_knows_are_not_none),
        cmocka_unit_test(a_start_is_drawn_once_with_its_phases),
        cmocka_unit_test(the_newest_events_come_first_and_are_bounded),
        cmocka_unit_test(without_services_or_events_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
