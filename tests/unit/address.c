/* Addresses, prefixes and endpoints: text forms, comparison, socket addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/un.h>

#include "common/address.h"

static struct address address_of(const char *text)
{
    struct address address;
    if (address_parse(text, &address) != 0)
        fail_msg("'%s' was not taken as an address", text);
    return address;
}

static struct prefix prefix_of(const char *text)
{
    struct prefix prefix;
    if (prefix_parse(text, &prefix) != 0)
        fail_msg("'%s' was not taken as a prefix", text);
    return prefix;
}

static void addresses_are_written_in_their_usual_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"10.0.0.1", "10.0.0.1"},
        {"::", "::"},
        {"::1", "::1"},
        {"FD00:0:0:0:0:0:0:10", "fd00::10"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[ADDRESS_TEXT_SIZE];
        struct address address = address_of(cases[i].text);
        assert_int_equal(address.family, strchr(cases[i].text, ':') ? AF_INET6 : AF_INET);
        assert_string_equal(address_format(&address, text), cases[i].written);
    }
}

static void an_ipv4_address_leaves_no_rubbish_behind_it(void **state)
{
    (void)state;
    static const uint8_t zero[12];
    struct address address;
    memset(&address, 0xff, sizeof address);
    assert_int_equal(address_parse("1.2.3.4", &address), 0);
    assert_memory_equal(address.bytes, "\1\2\3\4", 4);
    assert_memory_equal(address.bytes + 4, zero, sizeof zero);
}

static void other_texts_are_no_addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          " 1.2.3.4",   "1.2.3.4 ", "1.2.3",
                                      "1.2.3.4.5", "256.1.1.1",  "01.2.3.4", "0x1.2.3.4",
                                      "localhost", ":::",        "1::2::3",  "fe80::1%lo",
                                      "[::1]",     "1.2.3.4/32", "g::1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct address address;
        if (address_parse(bad[i], &address) != -1)
            fail_msg("'%s' was taken as an address", bad[i]);
    }
}

static void no_address_is_written_as_none(void **state)
{
    (void)state;
    char text[ADDRESS_TEXT_SIZE];
    assert_string_equal(address_format(&(struct address){0}, text), "none");
}

static void prefixes_have_no_host_bits(void **state)
{
    (void)state;
    static const char *const good[] = {"0.0.0.0/0",  "10.0.0.0/8",         "10.128.0.0/9",
                                       "1.2.3.4/32", "255.255.255.254/31", "::/0",
                                       "fd00::/8",   "2001:db8::/33",      "::1/128"};
    static const char *const bad[] = {"10.0.0.1/8",
                                      "10.64.0.0/9",
                                      "10.0.0.0/33",
                                      "::1/127",
                                      "::/129",
                                      "10.0.0.0/",
                                      "10.0.0.0",
                                      "/8",
                                      "10.0.0.0/08",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/8 ",
                                      "10.0.0.0//8",
                                      "10.0.0.0/99999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[PREFIX_TEXT_SIZE];
        struct prefix prefix = prefix_of(good[i]);
        assert_string_equal(prefix_format(&prefix, text), good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct prefix prefix;
        if (prefix_parse(bad[i], &prefix) != -1)
            fail_msg("'%s' was taken as a prefix", bad[i]);
    }
}

static void a_prefix_holds_what_agrees_in_its_bits(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *address;
        bool holds;
    } cases[] = {
        {"0.0.0.0/0", "1.2.3.4", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "::1", true},
        {"::/0", "1.2.3.4", false},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.128.0.0/9", "10.128.0.1", true},
        {"10.128.0.0/9", "10.127.255.255", false},
        {"1.2.3.4/32", "1.2.3.4", true},
        {"1.2.3.4/32", "1.2.3.5", false},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fe00::1", false},
        {"::1/128", "::1", true},
        {"::1/128", "::2", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct prefix prefix = prefix_of(cases[i].prefix);
        struct address address = address_of(cases[i].address);
        if (prefix_contains(&prefix, &address) != cases[i].holds)
            fail_msg("%s in %s: not as expected", cases[i].address, cases[i].prefix);
    }
}

static void endpoints_have_an_address_and_a_port(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1@53", "::1@53", "0.0.0.0@1", "fd00::1@65535"};
    static const char *const bad[] = {"",
                                      "@53",
                                      "127.0.0.1",
                                      "127.0.0.1@",
                                      "127.0.0.1@0",
                                      "127.0.0.1@65536",
                                      "::1@053",
                                      "[::1]@53",
                                      "127.0.0.1:53",
                                      "127.0.0.1@53@54",
                                      "host@53",
                                      "127.0.0.1@ 53",
                                      "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000@53"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[ENDPOINT_TEXT_SIZE];
        struct endpoint endpoint;
        assert_int_equal(endpoint_parse(good[i], &endpoint), 0);
        assert_string_equal(endpoint_format(&endpoint, text), good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct endpoint endpoint;
        if (endpoint_parse(bad[i], &endpoint) != -1)
            fail_msg("'%s' was taken as an endpoint", bad[i]);
    }
}

static void the_longest_texts_fit(void **state)
{
    (void)state;
    static const char longest[] = "1111:2222:3333:4444:5555:6666:7777:8888";
    char endpoint_text[ENDPOINT_TEXT_SIZE], prefix_text[PREFIX_TEXT_SIZE];
    struct endpoint endpoint = {address_of(longest), 65535};
    struct prefix prefix = {address_of(longest), 128};
    assert_string_equal(endpoint_format(&endpoint, endpoint_text),
                        "1111:2222:3333:4444:5555:6666:7777:8888@65535");
    assert_string_equal(prefix_format(&prefix, prefix_text),
                        "1111:2222:3333:4444:5555:6666:7777:8888/128");
}

static void equality_looks_at_family_address_and_port(void **state)
{
    (void)state;
    struct address a = address_of("10.0.0.1"), b = address_of("10.0.0.2");
    struct address mapped = address_of("a00:1::");
    struct endpoint x = {a, 53}, y = {a, 54}, z = {b, 53}, same = {a, 53};
    assert_true(address_equal(&a, &a));
    assert_false(address_equal(&a, &b));
    assert_memory_equal(a.bytes, mapped.bytes, 16);
    assert_false(address_equal(&a, &mapped));
    assert_true(endpoint_equal(&x, &same));
    assert_false(endpoint_equal(&x, &y));
    assert_false(endpoint_equal(&x, &z));
}

static void loopback_is_127_and_one(void **state)
{
    (void)state;
    static const char *const yes[] = {"127.0.0.1", "127.255.255.254", "::1"};
    static const char *const no[] = {"126.0.0.1", "128.0.0.1", "::", "::2", "7f00::1", "fe80::1"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        struct address address = address_of(yes[i]);
        assert_true(address_is_loopback(&address));
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        struct address address = address_of(no[i]);
        assert_false(address_is_loopback(&address));
    }
    assert_false(address_is_loopback(&(struct address){0}));
}

static void socket_addresses_read_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1@53", "fd00::1@65535"};
    static const socklen_t lengths[] = {sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6)};
    for (size_t i = 0; i < 2; i++) {
        struct endpoint endpoint, back;
        struct sockaddr_storage storage;
        memset(&storage, 0xff, sizeof storage);
        assert_int_equal(endpoint_parse(texts[i], &endpoint), 0);
        assert_int_equal(endpoint_to_sockaddr(&endpoint, &storage), lengths[i]);
        assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&storage, &back), 0);
        assert_true(endpoint_equal(&endpoint, &back));
    }
}

static void a_mapped_socket_address_becomes_ipv4(void **state)
{
    (void)state;
    struct endpoint endpoint = {address_of("::ffff:10.0.0.1"), 53}, back;
    struct sockaddr_storage storage;
    char text[ENDPOINT_TEXT_SIZE];
    endpoint_to_sockaddr(&endpoint, &storage);
    assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&storage, &back), 0);
    assert_string_equal(endpoint_format(&back, text), "10.0.0.1@53");
}

static void other_families_are_no_endpoints(void **state)
{
    (void)state;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct endpoint endpoint;
    assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&local, &endpoint), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_written_in_their_usual_form),
        cmocka_unit_test(an_ipv4_address_leaves_no_rubbish_behind_it),
        cmocka_unit_test(other_texts_are_no_addresses),
        cmocka_unit_test(no_address_is_written_as_none),
        cmocka_unit_test(prefixes_have_no_host_bits),
        cmocka_unit_test(a_prefix_holds_what_agrees_in_its_bits),
        cmocka_unit_test(endpoints_have_an_address_and_a_port),
        cmocka_unit_test(the_longest_texts_fit),
        cmocka_unit_test(equality_looks_at_family_address_and_port),
        cmocka_unit_test(loopback_is_127_and_one),
        cmocka_unit_test(socket_addresses_read_back),
        cmocka_unit_test(a_mapped_socket_address_becomes_ipv4),
        cmocka_unit_test(other_families_are_no_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
