/* Requests of the control protocol: what is understood, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "admin/control_request.h"
#include "common/clock.h"

static struct control_request parsed(const char *line)
{
    struct control_request request;
    struct error error = {""};
    if (control_request_parse(line, strlen(line), &request, &error) != 0)
        fail_msg("%s: %s", line, error.text);
    return request;
}

static void assert_refused(const char *line, const char *why)
{
    struct control_request request;
    struct error error = {""};
    if (control_request_parse(line, strlen(line), &request, &error) == 0)
        fail_msg("%s: accepted", line);
    if (!strstr(error.text, why))
        fail_msg("%s: refused with \"%s\", not with \"%s\"", line, error.text, why);
}

static void every_command_is_known(void **state)
{
    static const char *const words[CONTROL_COMMANDS] = {
        [CONTROL_STATUS] = "status", [CONTROL_START] = "start",   [CONTROL_STOP] = "stop",
        [CONTROL_WAIT] = "wait",     [CONTROL_EVENTS] = "events", [CONTROL_CONSOLE] = "console",
        [CONTROL_RELOAD] = "reload", [CONTROL_STATS] = "stats",   [CONTROL_VERSION] = "version",
    };
    char line[128];

    (void)state;
    for (unsigned i = 0; i < CONTROL_COMMANDS; i++) {
        bool named =
            i == CONTROL_START || i == CONTROL_STOP || i == CONTROL_WAIT || i == CONTROL_CONSOLE;
        snprintf(line, sizeof line, "{\"command\": \"%s\"%s}", words[i],
                 named ? ", \"name\": \"a\"" : "");
        assert_int_equal(parsed(line).command, i);
        if (named) {
            snprintf(line, sizeof line, "{\"command\": \"%s\"}", words[i]);
            assert_refused(line, "needs a \"name\"");
        }
    }
}

static void names_are_made_canonical(void **state)
{
    (void)state;
    assert_string_equal(parsed("{\"command\":\"status\",\"name\":\"WWW.Example.ORG.\"}").name,
                        "www.example.org");
    assert_string_equal(parsed("{\"command\":\"status\"}").name, "");
    assert_refused("{\"command\":\"start\",\"name\":\".\"}", "not a domain name");
    assert_refused("{\"command\":\"start\",\"name\":\"\"}", "must be a service's name");
    assert_refused("{\"command\":\"start\",\"name\":7}", "must be a service's name");
    assert_refused("{\"command\":\"start\",\"name\":\"a\\u0000b\"}", "not JSON");
}

static void the_longest_name_fits_and_a_longer_one_is_refused(void **state)
{
    char name[CONFIG_NAME_TEXT_MAX + 1], line[512];

    (void)state;
    memset(name, 'a', sizeof name);
    name[CONFIG_NAME_TEXT_MAX - 1] = '\0';
    snprintf(line, sizeof line, "{\"command\":\"start\",\"name\":\"%s.\"}", name);
    assert_string_equal(parsed(line).name, name);
    snprintf(line, sizeof line, "{\"command\":\"start\",\"name\":\"a%s\"}", name);
    assert_refused(line, "not a domain name");
}

static void members_are_checked(void **state)
{
    (void)state;
    struct control_request request =
        parsed("{\"command\":\"stop\",\"name\":\"a\",\"mode\":\"suspend\"}");
    assert_true(request.has_mode);
    assert_int_equal(request.mode, CONFIG_STOP_SUSPEND);
    assert_false(parsed("{\"command\":\"stop\",\"name\":\"a\"}").has_mode);
    assert_refused("{\"command\":\"stop\",\"name\":\"a\",\"mode\":\"nicely\"}", "\"mode\" must be");

    request = parsed("{\"command\":\"wait\",\"name\":\"a\",\"timeout\":1.5,\"state\":\"off\"}");
    assert_true(request.has_timeout);
    assert_int_equal(request.timeout, 3 * NANOSECONDS_PER_SECOND / 2);
    assert_int_equal(request.state, MACHINE_OFF);
    request = parsed("{\"command\":\"wait\",\"name\":\"a\"}");
    assert_int_equal(request.state, MACHINE_RUNNING);
    assert_false(request.has_timeout);
    assert_refused("{\"command\":\"wait\",\"name\":\"a\",\"timeout\":-0.1}", "\"timeout\" must be");
    assert_refused("{\"command\":\"wait\",\"name\":\"a\",\"timeout\":1e300}",
                   "\"timeout\" must be");
    assert_refused("{\"command\":\"wait\",\"name\":\"a\",\"timeout\":\"1\"}",
                   "\"timeout\" must be");
    assert_refused("{\"command\":\"wait\",\"name\":\"a\",\"state\":\"up\"}", "\"state\" must be");

    request = parsed("{\"command\":\"events\",\"follow\":true,\"last\":10}");
    assert_true(request.follow && request.has_last);
    assert_int_equal(request.last, 10);
    assert_false(parsed("{\"command\":\"events\",\"follow\":false}").follow);
    assert_refused("{\"command\":\"events\",\"follow\":1}", "\"follow\" must be");
    assert_refused("{\"command\":\"events\",\"last\":-1}", "\"last\" must be");
    assert_refused("{\"command\":\"events\",\"last\":1.5}", "\"last\" must be");
}

static void a_command_takes_only_its_own_members(void **state)
{
    (void)state;
    assert_refused("{\"command\":\"start\",\"name\":\"a\",\"mode\":\"destroy\"}",
                   "\"start\" does not take \"mode\"");
    assert_refused("{\"command\":\"version\",\"colour\":1}", "does not take \"colour\"");
}

static void what_is_no_request_is_refused(void **state)
{
    (void)state;
    assert_refused("", "not JSON");
    assert_refused("status", "not JSON");
    assert_refused("{\"command\":\"status\"} x", "not JSON");
    assert_refused("{\"command\":\"status\",\"command\":\"stop\"}", "not JSON");
    assert_refused("{\"command\":\"\xff\"}", "not JSON");
    assert_refused("[\"status\"]", "a request is a JSON object");
    assert_refused("{}", "\"command\" is missing");
    assert_refused("{\"command\":null}", "\"command\" must be a string");
    assert_refused("{\"command\":\"Status\"}", "unknown command \"Status\"");
}

static void deep_nesting_and_length_are_bounded(void **state)
{
    static char line[CONTROL_REQUEST_MAX + 2];

    (void)state;
    memset(line, '[', CONTROL_REQUEST_MAX);
    assert_refused(line, "not JSON");
    memset(line, ' ', CONTROL_REQUEST_MAX + 1);
    memcpy(line, "{\"command\":\"version\"}", 21);
    assert_refused(line, "at most");
    line[CONTROL_REQUEST_MAX] = '\0';
    assert_int_equal(parsed(line).command, CONTROL_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_known),
        cmocka_unit_test(names_are_made_canonical),
        cmocka_unit_test(the_longest_name_fits_and_a_longer_one_is_refused),
        cmocka_unit_test(members_are_checked),
        cmocka_unit_test(a_command_takes_only_its_own_members),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(deep_nesting_and_length_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
