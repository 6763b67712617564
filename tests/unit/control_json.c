/* What status, events and stats say, as JSON; and text from outside made valid UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "../admin/summon_double.h"
#include "admin/control_json.h"
#include "admin/utf8.h"

/* The line as it goes out; freed by the next call. */
static const char *dumped(json_t *value)
{
    static char *line;
    free(line);
    line = NULL;
    if (value) {
        line = json_dumps(value, CONTROL_JSON_FORMAT);
        json_decref(value);
        assert_non_null(line);
    }
    return line;
}

static void a_running_service_has_all_its_fields(void **state)
{
    struct summoner *summoner = double_new(NULL);
    struct service *service = double_add(summoner, "www.example.org");
    char *alias = (char *)(uintptr_t) "example.org";

    (void)state;
    double_config(service)->aliases[0] = alias;
    double_config(service)->alias_count = 1;
    *double_status(service) = (struct service_status){.config = double_config(service),
                                                      .state = MACHINE_RUNNING,
                                                      .pid = 4711,
                                                      .started = 1700000000.25,
                                                      .last_use = 1700000001.5,
                                                      .connections = 3,
                                                      .starts = 17,
                                                      .failures = 1};
    assert_string_equal(
        dumped(json_service(double_status(service))),
        "{\"name\":\"www.example.org\",\"aliases\":[\"example.org\"],\"state\":\"running\","
        "\"backend\":\"qemu\",\"network\":\"loopback\",\"hold\":\"proxy\",\"address\":[\"127.0.0."
        "1\"],"
        "\"ports\":[\"80\",\"8443:443\"],\"image\":\"/usr/lib/jitsu/unikernels/www.elf\","
        "\"memory\":16777216,\"pid\":4711,\"domain\":null,\"started\":1700000000.25,"
        "\"last_use\":1700000001.5,\"connections\":3,\"starts\":17,\"failures\":1,\"error\":null,"
        "\"retry\":null,\"wildcard\":null}");
    dumped(NULL);
    double_free(summoner);
}

static void what_a_service_does_not_have_is_null(void **state)
{
    struct summoner *summoner = double_new(NULL);
    struct service *service = double_add(summoner, "legacy.example.org");

    (void)state;
    double_config(service)->network = NULL;
    double_config(service)->image = NULL;
    double_status(service)->connections_unknown = true;
    strcpy(double_status(service)->domain, "legacy");
    strcpy(double_status(service)->error, "quoted \" and\nbroken \xe2\x82");
    json_t *object = json_service(double_status(service));
    assert_non_null(object);
    for (const char *const *key = (const char *const[]){"network", "image", "pid", "started",
                                                        "last_use", "connections", NULL};
         *key; key++)
        assert_true(json_is_null(json_object_get(object, *key)));
    assert_string_equal(json_string_value(json_object_get(object, "domain")), "legacy");
    assert_string_equal(json_string_value(json_object_get(object, "error")),
                        "quoted \" and\nbroken \xef\xbf\xbd");
    json_decref(object);
    double_free(summoner);
}

static void limits_are_complete(void **state)
{
    (void)state;
    assert_string_equal(
        dumped(json_limits(&(struct limits_status){.memory = 1,
                                                   .memory_limit = UINT64_C(4) << 30,
                                                   .machines = 3,
                                                   .machine_limit = 64,
                                                   .starts = 5,
                                                   .start_limit = 6,
                                                   .waiting = 7,
                                                   .held = 8,
                                                   .held_limit = 9})),
        "{\"memory\":1,\"memory_limit\":4294967296,\"machines\":3,"
        "\"machine_limit\":64,\"starts\":5,\"start_limit\":6,\"waiting\":7,"
        "\"held\":8,\"held_limit\":9}");
    dumped(NULL);
}

static void an_event_tells_cause_client_query_and_phases(void **state)
{
    struct transition transition = {
        .number = 9,
        .time = 1700000000.12345,
        .service = "www.example.org",
        .from = MACHINE_STARTING,
        .to = MACHINE_RUNNING,
        .cause = "ready",
        .has_client = true,
        .client = {{AF_INET6, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}}, 5353},
        .query = "www.example.org AAAA",
        .phases = {.spawned = 1234567, .entered = 48000000, .ready = 55000400},
    };
    (void)state;
    assert_string_equal(
        dumped(json_transition(&transition)),
        "{\"number\":9,\"time\":1700000000.12345,\"service\":\"www.example.org\","
        "\"from\":\"starting\",\"to\":\"running\",\"cause\":\"ready\",\"reason\":null,"
        "\"client\":\"2001:db8::1@5353\",\"query\":\"www.example.org AAAA\","
        "\"phases\":{\"spawned\":1.235,\"entered\":48.0,\"ready\":55.0,\"first_byte\":null}}");
    dumped(NULL);
}

static void hostile_text_stays_one_line_of_ascii(void **state)
{
    struct transition transition = {.service = "a", .cause = "exited"};

    (void)state;
    strcpy(transition.reason, "\r\n{\"ok\":true}\xff\xc3\xa9\x7f\x1b[2J");
    strcpy(transition.query, "\xc0\x80.example.org A");
    const char *line = dumped(json_transition(&transition));
    for (const char *c = line; *c; c++)
        assert_in_range((unsigned char)*c, 0x20, 0x7f);
    assert_non_null(strstr(line, "\\r\\n{\\\"ok\\\":true}\\uFFFD\\u00E9"));
    dumped(NULL);
}

static void statistics_name_types_transports_and_codes(void **state)
{
    struct dns_statistics dns = {.dropped = 1, .truncated = 2};
    struct proxy_statistics proxy = {
        .waiting = 1, .connections = 2, .accepted = 3, .refused = 4, .bytes_to_machines = 5};

    (void)state;
    dns.queries[DNS_COUNT_AAAA][DNS_TCP] = 3;
    dns.answers[5] = 4;
    dns.answers[16] = 5;
    const char *line = dumped(json_dns_statistics(&dns));
    assert_non_null(strstr(line, "\"AAAA\":{\"udp\":0,\"tcp\":3}"));
    assert_non_null(strstr(line, "\"answers\":{\"REFUSED\":4,\"BADVERS\":5},\"dropped\":1"));
    assert_string_equal(dumped(json_proxy_statistics(&proxy)),
                        "{\"connections\":2,\"waiting\":1,\"accepted\":3,\"refused\":4,"
                        "\"bytes_to_machines\":5,\"bytes_to_clients\":0}");
    dumped(NULL);
}

/* --- UTF-8 --- */

static void assert_repaired(const char *bytes, const char *expected)
{
    char text[UTF8_ROOM(64) + 1];
    size_t length = utf8_replace_invalid(bytes, strlen(bytes), text, NULL);
    text[length] = '\0';
    assert_string_equal(text, expected);
}

#define R "\xef\xbf\xbd"

static void what_is_not_utf8_is_replaced(void **state)
{
    (void)state;
    assert_repaired("", "");
    assert_repaired("plain caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
                    "plain caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    assert_repaired("\x80z", R "z");
    assert_repaired("\xc0\xaf", R R);                        /* overlong */
    assert_repaired("\xe0\x80\xaf", R R R);                  /* overlong */
    assert_repaired("\xed\xa0\x80", R R R);                  /* a surrogate */
    assert_repaired("\xf4\x90\x80\x80", R R R R);            /* beyond U+10FFFF */
    assert_repaired("\xf5\xff", R R);                        /* never in UTF-8 */
    assert_repaired("\xe2\x82z", R "z");                     /* cut short by another character */
    assert_repaired("\xf0\x9f\x98", R);                      /* cut short by the end */
    assert_repaired("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"); /* U+10FFFF itself */
    assert_repaired("\xef\xbf\xbf\xed\x9f\xbf", "\xef\xbf\xbf\xed\x9f\xbf");
}

static void an_unfinished_sequence_can_wait_for_the_rest(void **state)
{
    char text[UTF8_ROOM(8)];
    size_t unfinished;

    (void)state;
    assert_int_equal(utf8_replace_invalid("a\xe2\x82", 3, text, &unfinished), 1);
    assert_int_equal(unfinished, 2);
    assert_int_equal(utf8_replace_invalid("\xe2\x82\xac", 3, text, &unfinished), 3);
    assert_int_equal(unfinished, 0);
    assert_int_equal(utf8_replace_invalid("a\xff", 2, text, &unfinished), 4);
    assert_int_equal(unfinished, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_service_has_all_its_fields),
        cmocka_unit_test(what_a_service_does_not_have_is_null),
        cmocka_unit_test(limits_are_complete),
        cmocka_unit_test(an_event_tells_cause_client_query_and_phases),
        cmocka_unit_test(hostile_text_stays_one_line_of_ascii),
        cmocka_unit_test(statistics_name_types_transports_and_codes),
        cmocka_unit_test(what_is_not_utf8_is_replaced),
        cmocka_unit_test(an_unfinished_sequence_can_wait_for_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
