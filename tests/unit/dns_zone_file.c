/* Zone files: what is understood, and the line of everything that is not. */
#include "dns_fixture.h"

#include <string.h>

#define SOA "@ SOA ns hostmaster 1 3600 600 86400 300\n"
#define TOP SOA "@ NS ns\n"

static void assert_errors(const char *zone, const char *expected)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org", zone);
    fixture_service(&fixture, "www.example.org", "web.example.org", "10.0.0.1");
    fixture_build_fails(&fixture);
    assert_string_equal(fixture.errors, expected);
    fixture_free(&fixture);
}

static void assert_record(const char *zone, const char *name, uint16_t type, const char *expected)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org", zone);
    fixture_build(&fixture);
    assert_answer(&fixture, name, type, "NOERROR aa", expected, "", "");
    fixture_free(&fixture);
}

static void test_entries_in_all_their_forms(void **state)
{
    (void)state;
    assert_record(TOP "\n; a comment\n  \nx 5 IN A 10.0.0.1 ; the end\n", "x.example.org", 1,
                  "x.example.org. 5 IN A 10.0.0.1");
    assert_record(TOP "x ( IN ; so\n 5 ; and\n) A 10.0.0.1\n", "x.example.org", 1,
                  "x.example.org. 5 IN A 10.0.0.1");
    assert_record(TOP "x A 10.0.0.1\n  IN 5 AAAA ::1\n", "x.example.org", 28,
                  "x.example.org. 5 IN AAAA ::1");
    assert_record(TOP "x TXT \"a ; ( b\" \"\\\"\" c\\;d", "x.example.org", 16,
                  "x.example.org. 30 IN TXT \"a ; ( b\" \"\\\"\" \"c;d\"");
    assert_record(TOP "x TYPE65280 \\# 3 010203\n", "x.example.org", 65280,
                  "x.example.org. 30 IN TYPE65280 \\# 3 010203");
    assert_record(TOP "X.Example.ORG. A 10.0.0.1\n", "x.example.org", 1,
                  "x.example.org. 30 IN A 10.0.0.1");
}

static void test_origin_and_ttl(void **state)
{
    (void)state;
    assert_record("$TTL 1h\n" TOP "x A 10.0.0.1\n", "x.example.org", 1,
                  "x.example.org. 3600 IN A 10.0.0.1");
    assert_record(TOP "$ORIGIN sub\nx A 10.0.0.1\n", "x.sub.example.org", 1,
                  "x.sub.example.org. 30 IN A 10.0.0.1");
    assert_record(TOP "$origin sub.example.org.\n$ttl 9\n@ A 10.0.0.1\n", "sub.example.org", 1,
                  "sub.example.org. 9 IN A 10.0.0.1");
}

static void test_the_same_record_twice_is_one(void **state)
{
    (void)state;
    assert_record(TOP "x A 10.0.0.1\nx A 10.0.0.2\nx A 10.0.0.1\n", "x.example.org", 1,
                  "x.example.org. 30 IN A 10.0.0.1\nx.example.org. 30 IN A 10.0.0.2");
    assert_record(TOP "x CNAME y\nx CNAME y\n", "x.example.org", 5,
                  "x.example.org. 30 IN CNAME y.example.org.");
}

static void test_ttls_of_an_rrset_are_made_the_same(void **state)
{
    (void)state;
    assert_record(TOP "x 9 A 10.0.0.1\nx 7 A 10.0.0.2\n", "x.example.org", 1,
                  "x.example.org. 7 IN A 10.0.0.1\nx.example.org. 7 IN A 10.0.0.2");
}

static void test_syntax_errors_name_their_line_and_do_not_stop_reading(void **state)
{
    (void)state;
    assert_errors(TOP "\nbad A 1.2.3\n\nx ( A\n\n 10.0.0.1 ) \ny MX\n",
                  "ZONE0:4: syntax error, could not parse the RR's rdata: 'bad A 1.2.3'\n"
                  "ZONE0:9: syntax error, value expected: 'y MX'\n");
    assert_errors(TOP "x A 10.0.0.1 10.0.0.2\n",
                  "ZONE0:3: syntax error, superfluous text present: 'x A 10.0.0.1 10.0.0.2'\n");
    assert_errors(TOP "x A ) 10.0.0.1\n", "ZONE0:3: ')' without '('\n");
    assert_errors(TOP "x A ( 10.0.0.1\ny A 10.0.0.2\n",
                  "ZONE0:3: '(' is not closed before the end of the file\n");
    assert_errors(TOP "x TXT \"abc\n", "ZONE0:3: the quoted text is not closed on its line\n");
    assert_errors(TOP "$TTL x\n$TTL\n$ORIGIN a..b\n$INCLUDE file\n",
                  "ZONE0:3: 'x' is not a TTL, expected seconds up to 2147483647\n"
                  "ZONE0:4: expected one value after $TTL\n"
                  "ZONE0:5: 'a..b' is not a domain name\n"
                  "ZONE0:6: $INCLUDE is not supported, expected $ORIGIN, $TTL or a record\n");
    assert_errors(TOP "x CH A 10.0.0.1\n", "ZONE0:3: expected class IN: 'x CH A 10.0.0.1'\n");
    assert_errors(TOP "x 3000000000 A 10.0.0.1\n",
                  "ZONE0:3: TTL 3000000000 is too large, expected at most 2147483647\n");
}

#define LABEL "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_names_that_are_too_long(void **state)
{
    (void)state;
    assert_errors(TOP "$ORIGIN " LABEL "." LABEL ".example.org.\n" LABEL "." LABEL " A 10.0.0.1\n",
                  "ZONE0:4: a name is too long: '" LABEL "."
                  "xxxxxxxxxxxxxxxx'\n");
    assert_errors(TOP "$ORIGIN " LABEL "." LABEL ".example.org.\nx MX 1 " LABEL "." LABEL "\n",
                  "ZONE0:4: a name is too long: 'x MX 1 " LABEL ".xxxxxxxxx'\n");
}

static void test_data_of_another_form(void **state)
{
    (void)state;
    assert_record(TOP "x TYPE1 \\# 4 0a000001\n", "x.example.org", 1,
                  "x.example.org. 30 IN A 10.0.0.1");
    assert_record(TOP "x CNAME \\# 3 016100\n", "x.example.org", 5,
                  "x.example.org. 30 IN CNAME a.");
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org", TOP "x NS \\# 2 0161\n");
    fixture_build_fails(&fixture);
    fixture_free(&fixture);
}

static void test_records_that_may_not_be_there(void **state)
{
    (void)state;
    assert_errors(TOP "www.example.net. A 10.0.0.1\n",
                  "ZONE0:3: www.example.net is outside the zone example.org\n");
    assert_errors(TOP "x DNAME y\n",
                  "ZONE0:3: DNAME records are not supported (at x.example.org)\n");
    assert_errors(TOP "x SOA a b 1 2 3 4 5\n", "ZONE0:3: SOA record at x.example.org, expected at "
                                               "the top of the zone only\n");
    assert_errors(TOP SOA "@ SOA other hostmaster 1 3600 600 86400 300\n",
                  "ZONE0:3: a second SOA record; the first is on line 1\n"
                  "ZONE0:4: a second SOA record; the first is on line 1\n");
    assert_errors(TOP "*.x NS y\n", "ZONE0:3: NS record at the wildcard *.x.example.org, which "
                                    "delegates nothing\n");
    assert_errors(TOP "x TYPE252 \\# 0\n", "ZONE0:3: AXFR is not a type that a zone may hold\n");
}

static void test_cname_beside_other_data(void **state)
{
    (void)state;
    assert_errors(TOP "x A 10.0.0.1\nx CNAME y\n",
                  "ZONE0:4: CNAME beside other data at x.example.org: a A record is on line 3 (RFC "
                  "1034, 3.6.2)\n");
    assert_errors(TOP "x CNAME y\nx TXT z\n",
                  "ZONE0:4: CNAME beside other data at x.example.org: a CNAME record is on line 3 "
                  "(RFC 1034, 3.6.2)\n");
    assert_errors(TOP "x CNAME y\nx CNAME z\n",
                  "ZONE0:4: a second CNAME record at x.example.org; the first is on line 3\n");
    assert_errors(TOP "@ CNAME y\n",
                  "ZONE0:3: CNAME beside other data at example.org: a SOA record "
                  "is on line 1 (RFC 1034, 3.6.2)\n");
}

static void test_what_a_zone_must_have(void **state)
{
    (void)state;
    assert_errors("@ NS ns\n", "ZONE0: no SOA record for example.org\n");
    assert_errors(SOA, "ZONE0: no NS record for example.org\n");
    assert_errors("", "ZONE0: no SOA record for example.org\n"
                      "ZONE0: no NS record for example.org\n");
}

static void test_addresses_at_the_name_of_a_service(void **state)
{
    (void)state;
    assert_errors(TOP "www A 10.0.0.9\nweb AAAA ::9\nweb CNAME x\n",
                  "ZONE0:3: A record at www.example.org, which is a name of the service "
                  "www.example.org (jitsud.yaml:10)\n"
                  "ZONE0:4: AAAA record at web.example.org, which is a name of the service "
                  "www.example.org (jitsud.yaml:10)\n"
                  "ZONE0:5: CNAME record at web.example.org, which is a name of the service "
                  "www.example.org (jitsud.yaml:10)\n");
    assert_errors(TOP "www NS x\n", "ZONE0:3: NS record at www.example.org, which is a name of the "
                                    "service www.example.org (jitsud.yaml:10)\n");
}

static void test_a_service_below_a_delegation(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org", TOP "sub NS ns\n");
    fixture_service(&fixture, "www.sub.example.org", "", "10.0.0.1");
    fixture_build_fails(&fixture);
    char expected[512];
    snprintf(expected, sizeof expected,
             "jitsud.yaml:10: service www.sub.example.org: www.sub.example.org lies below "
             "sub.example.org, which ZONE0:3 delegates to other servers\n");
    assert_string_equal(fixture.errors, expected);
    fixture_free(&fixture);
}

static void test_records_of_a_zone_below(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org", TOP "sub NS ns.sub\nns.sub A 10.0.0.1\nsub TXT x\n");
    fixture_zone(&fixture, "sub.example.org", NULL);
    fixture_build_fails(&fixture);
    assert_string_equal(fixture.errors, "ZONE0:5: TXT record belongs into the zone "
                                        "sub.example.org, which is configured too\n");
    fixture_free(&fixture);
}

static void test_a_file_that_is_not_there(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org", NULL);
    fixture.zones[0].file = (char *)"/nonexistent/zone";
    fixture_build_fails(&fixture);
    assert_string_equal(fixture.errors, "ZONE0: cannot be opened (zone example.org): No such file "
                                        "or directory\n");
    fixture_free(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_in_all_their_forms),
        cmocka_unit_test(test_origin_and_ttl),
        cmocka_unit_test(test_the_same_record_twice_is_one),
        cmocka_unit_test(test_ttls_of_an_rrset_are_made_the_same),
        cmocka_unit_test(test_syntax_errors_name_their_line_and_do_not_stop_reading),
        cmocka_unit_test(test_names_that_are_too_long),
        cmocka_unit_test(test_data_of_another_form),
        cmocka_unit_test(test_records_that_may_not_be_there),
        cmocka_unit_test(test_cname_beside_other_data),
        cmocka_unit_test(test_what_a_zone_must_have),
        cmocka_unit_test(test_addresses_at_the_name_of_a_service),
        cmocka_unit_test(test_a_service_below_a_delegation),
        cmocka_unit_test(test_records_of_a_zone_below),
        cmocka_unit_test(test_a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
