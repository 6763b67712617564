/* Words, sizes, times, names, ports and placeholders: what is taken, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/clock.h"
#include "config/value.h"

static void durations_need_a_unit_unless_they_are_zero(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t nanoseconds;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"1ms", 1000000},
        {"150ms", 150000000},
        {"10s", 10 * NANOSECONDS_PER_SECOND},
        {"2m", 120 * NANOSECONDS_PER_SECOND},
        {"3h", 10800 * NANOSECONDS_PER_SECOND},
        {"1d", 86400 * NANOSECONDS_PER_SECOND},
        {"18446744073s", UINT64_C(18446744073000000000)},
    };
    static const char *const bad[] = {
        "",    "s",   "1",  "-1s",   "+1s",  "1.5s",         "1 s",
        " 1s", "1s ", "1S", "1m30s", "1min", "18446744074s", "99999999999999999999s",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t value = 1;
        assert_int_equal(config_parse_duration(good[i].text, &value), 0);
        assert_true(value == good[i].nanoseconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t value;
        if (config_parse_duration(bad[i], &value) != -1)
            fail_msg("'%s' was taken as a time", bad[i]);
    }
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"123", 123},
        {"1K", 1024},
        {"16M", 16 << 20},
        {"4G", UINT64_C(4) << 30},
        {"2T", UINT64_C(2) << 40},
        {"16777215T", UINT64_C(16777215) << 40},
    };
    static const char *const bad[] = {"",    "M",   "16MB",      "16m",
                                      "-1M", "1 M", "16777216T", "18446744073709551616"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t value = 1;
        assert_int_equal(config_parse_size(good[i].text, &value), 0);
        assert_true(value == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t value;
        if (config_parse_size(bad[i], &value) != -1)
            fail_msg("'%s' was taken as a size", bad[i]);
    }
}

static void values_are_written_in_their_largest_whole_unit(void **state)
{
    (void)state;
    char text[CONFIG_UNIT_TEXT_SIZE];
    assert_string_equal(config_duration_format(0, text), "0");
    assert_string_equal(config_duration_format(1500 * NANOSECONDS_PER_MILLISECOND, text), "1500ms");
    assert_string_equal(config_duration_format(7200 * NANOSECONDS_PER_SECOND, text), "2h");
    assert_string_equal(config_size_format(0, text), "0");
    assert_string_equal(config_size_format(1, text), "1");
    assert_string_equal(config_size_format(1536, text), "1536");
    assert_string_equal(config_size_format(3 << 20, text), "3M");
}

static void words_of_values_read_back(void **state)
{
    (void)state;
    enum config_stop stop = CONFIG_STOP_DESTROY;
    assert_string_equal(config_backend_name(CONFIG_BACKEND_QEMU), "qemu");
    assert_string_equal(config_backend_name(CONFIG_BACKEND_LIBVIRT), "libvirt");
    assert_string_equal(config_backend_name(CONFIG_BACKEND_XEN), "xen");
    assert_string_equal(config_hold_name(CONFIG_HOLD_DELAY), "delay");
    assert_string_equal(config_hold_name(CONFIG_HOLD_HANDOFF), "handoff");
    assert_string_equal(config_hold_name(CONFIG_HOLD_PROXY), "proxy");
    assert_string_equal(config_stop_name(CONFIG_STOP_DESTROY), "destroy");
    assert_int_equal(config_stop_parse("shutdown", &stop), 0);
    assert_int_equal(stop, CONFIG_STOP_SHUTDOWN);
    assert_int_equal(config_stop_parse("suspend", &stop), 0);
    assert_int_equal(stop, CONFIG_STOP_SUSPEND);
    assert_int_equal(config_stop_parse("Suspend", &stop), -1);
    assert_int_equal(config_stop_parse("", &stop), -1);
}

static void names_are_lowered_and_lose_their_last_dot(void **state)
{
    (void)state;
    char name[CONFIG_NAME_TEXT_MAX];
    assert_null(config_name_parse("WWW.Example.ORG.", name));
    assert_string_equal(name, "www.example.org");
    assert_null(config_name_parse("localhost", name));
    assert_string_equal(name, "localhost");
    assert_null(config_name_parse("_sip._tcp.xn--bcher-kva.example", name));
    assert_null(config_name_parse("1.0.0.127.in-addr.arpa", name));
}

static void names_keep_to_the_lengths_of_rfc_1035(void **state)
{
    (void)state;
    char name[CONFIG_NAME_TEXT_MAX];
    char text[300];
    memset(text, 'a', sizeof text);
    text[63] = '\0';
    assert_null(config_name_parse(text, name));
    text[63] = 'a';
    text[64] = '\0';
    assert_non_null(config_name_parse(text, name));

    /* 253 characters, then 254; a last dot does not count. */
    memset(text, 'a', sizeof text);
    for (size_t i = 50; i < 253; i += 51)
        text[i] = '.';
    text[253] = '\0';
    assert_null(config_name_parse(text, name));
    assert_int_equal(strlen(name), 253);
    text[253] = '.';
    text[254] = '\0';
    assert_null(config_name_parse(text, name));
    text[253] = 'a';
    assert_non_null(config_name_parse(text, name));
}

static void malformed_names_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",    ".",   "..",  ".a", "a..b",         "a..", "-a",   "a-.b",  "a b",
        "a/b", "a@b", "*.a", "a*", "\xc3\xa9.org", "a:b", "a\tb", "a\x7f", "(a).b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char name[CONFIG_NAME_TEXT_MAX];
        if (!config_name_parse(bad[i], name))
            fail_msg("'%s' was taken as a name", bad[i]);
    }
}

static void a_port_may_differ_from_the_machine_s(void **state)
{
    (void)state;
    struct config_port port;
    assert_int_equal(config_port_parse("80", &port), 0);
    assert_int_equal(port.listen, 80);
    assert_int_equal(port.machine, 80);
    assert_int_equal(config_port_parse("65535:1", &port), 0);
    assert_int_equal(port.listen, 65535);
    assert_int_equal(port.machine, 1);
    assert_int_equal(config_port_parse("65536:1", &port), -1);
    assert_int_equal(config_port_parse("1:65536", &port), -1);
    assert_int_equal(config_port_parse("80:", &port), -1);
    assert_int_equal(config_port_parse("80:80 ", &port), -1);
    assert_int_equal(config_port_parse("", &port), -1);
}

static void only_known_placeholders_pass(void **state)
{
    (void)state;
    assert_int_equal(config_placeholder_fault(""), -1);
    assert_int_equal(config_placeholder_fault("100% %name {name} %"), -1);
    assert_int_equal(
        config_placeholder_fault("%{name}%{address}%{prefixlen}%{gateway}%{mac}%{name}"), -1);
    assert_int_equal(config_placeholder_fault("ab %{ip}"), 3);
    assert_int_equal(config_placeholder_fault("%{name} %{name"), 8);
    assert_int_equal(config_placeholder_fault("%{"), 0);
    assert_int_equal(config_placeholder_fault("%{%{name}}"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_need_a_unit_unless_they_are_zero),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(values_are_written_in_their_largest_whole_unit),
        cmocka_unit_test(words_of_values_read_back),
        cmocka_unit_test(names_are_lowered_and_lose_their_last_dot),
        cmocka_unit_test(names_keep_to_the_lengths_of_rfc_1035),
        cmocka_unit_test(malformed_names_are_refused),
        cmocka_unit_test(a_port_may_differ_from_the_machine_s),
        cmocka_unit_test(only_known_placeholders_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
