/* What is answered: names, types, wildcards, delegations, aliases, negative answers, sizes. */
#include "dns_fixture.h"

#include <stdlib.h>
#include <string.h>

enum {
    A = 1,
    NS = 2,
    CNAME = 5,
    SOA = 6,
    MX = 15,
    TXT = 16,
    AAAA = 28,
    DS = 43,
    RRSIG = 46,
    ANY = 255
};

static const char zone[] = "$TTL 600\n"
                           "@ 900 SOA ns1 hostmaster 7 3600 600 86400 300\n"
                           "@ NS ns1\n"
                           "@ NS ns.example.net.\n"
                           "@ MX 10 mail\n"
                           "ns1 A 192.0.2.1\n"
                           "ns1 AAAA 2001:db8::1\n"
                           "mail A 192.0.2.2\n"
                           "alias CNAME WWW\n"
                           "second CNAME alias\n"
                           "dangling CNAME nothing\n"
                           "away CNAME www.example.net.\n"
                           "into CNAME x.sub\n"
                           "loop CNAME pool\n"
                           "pool CNAME loop\n"
                           "*.wild TXT text\n"
                           "there.wild A 192.0.2.3\n"
                           "under.that.wild A 192.0.2.4\n"
                           "*.web CNAME www\n"
                           "deep.er.ent A 192.0.2.5\n"
                           "sub NS ns.sub\n"
                           "sub NS ns.example.net.\n"
                           "sub NS ns1\n"
                           "sub DS 1 13 2 "
                           "0000000000000000000000000000000000000000000000000000000000000000\n"
                           "ns.sub A 192.0.2.6\n"
                           "www TXT beside\n";

#define NEGATIVE                                                                                   \
    "example.org. 300 IN SOA ns1.example.org. hostmaster.example.org. 7 3600 600 86400 300"

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org", zone);
    fixture_zone(&fixture, "made.example", NULL);
    fixture_service(&fixture, "www.example.org", "example.org", "10.0.0.1 10.0.0.2 2001:db8::80");
    fixture_service(&fixture, "a.b.made.example", "", "10.0.0.3");
    fixture_build(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static void test_services_have_their_addresses(void **state)
{
    assert_answer(*state, "www.example.org", A, "NOERROR aa",
                  "www.example.org. 60 IN A 10.0.0.1\nwww.example.org. 60 IN A 10.0.0.2", "", "");
    assert_answer(*state, "www.example.org", AAAA, "NOERROR aa",
                  "www.example.org. 60 IN AAAA 2001:db8::80", "", "");
    assert_answer(*state, "example.org", A, "NOERROR aa",
                  "example.org. 60 IN A 10.0.0.1\nexample.org. 60 IN A 10.0.0.2", "", "");
    assert_answer(*state, "a.b.made.example", A, "NOERROR aa", "a.b.made.example. 60 IN A 10.0.0.3",
                  "", "");
}

static void test_static_records_stand_beside_a_service(void **state)
{
    assert_answer(*state, "www.example.org", TXT, "NOERROR aa",
                  "www.example.org. 600 IN TXT \"beside\"", "", "");
    assert_answer(*state, "example.org", MX, "NOERROR aa",
                  "example.org. 600 IN MX 10 mail.example.org.", "", "");
}

static void test_case_of_the_question_is_kept(void **state)
{
    assert_answer(*state, "wWw.eXAMPLE.orG", AAAA, "NOERROR aa",
                  "wWw.eXAMPLE.orG. 60 IN AAAA 2001:db8::80", "", "");
    assert_answer(*state, "X.Example.org", A, "NXDOMAIN aa", "",
                  "Example.org. 300 IN SOA ns1.Example.org. hostmaster.Example.org. 7 3600 600 "
                  "86400 300",
                  "");
}

static void test_apex(void **state)
{
    assert_answer(*state, "example.org", SOA, "NOERROR aa",
                  "example.org. 900 IN SOA ns1.example.org. hostmaster.example.org. 7 3600 600 "
                  "86400 300",
                  "", "");
    assert_answer(*state, "example.org", NS, "NOERROR aa",
                  "example.org. 600 IN NS ns1.example.org.\nexample.org. 600 IN NS "
                  "ns.example.net.",
                  "",
                  "ns1.example.org. 600 IN A 192.0.2.1\nns1.example.org. 600 IN AAAA 2001:db8::1");
}

static void test_no_data(void **state)
{
    assert_answer(*state, "mail.example.org", AAAA, "NOERROR aa", "", NEGATIVE, "");
}

static void test_signatures_are_no_data(void **state)
{
    assert_answer(*state, "www.example.org", RRSIG, "NOERROR aa", "", NEGATIVE, "");
}

static void test_empty_non_terminals_have_no_data(void **state)
{
    assert_answer(*state, "er.ent.example.org", A, "NOERROR aa", "", NEGATIVE, "");
    assert_answer(*state, "ent.example.org", ANY, "NOERROR aa", "", NEGATIVE, "");
    assert_answer(*state, "wild.example.org", A, "NOERROR aa", "", NEGATIVE, "");
}

static void test_names_that_do_not_exist(void **state)
{
    assert_answer(*state, "nothing.example.org", A, "NXDOMAIN aa", "", NEGATIVE, "");
    assert_answer(*state, "below.www.example.org", A, "NXDOMAIN aa", "", NEGATIVE, "");
    assert_answer(*state, "a.b.c.d.e.f.g.h.deep.er.ent.example.org", A, "NXDOMAIN aa", "", NEGATIVE,
                  "");
}

static void test_names_in_no_zone(void **state)
{
    assert_answer(*state, "example.net", A, "REFUSED", "", "", "");
    assert_answer(*state, "org", SOA, "REFUSED", "", "", "");
    assert_answer(*state, ".", NS, "REFUSED", "", "", "");
    assert_answer(*state, "notexample.org", A, "REFUSED", "", "", "");
}

static void test_transfers_are_refused(void **state)
{
    assert_answer(*state, "example.org", 251, "REFUSED", "", "", "");
    assert_answer(*state, "example.org", 252, "REFUSED", "", "", "");
}

static void test_other_classes_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const uint16_t classes[] = {3, 4, 254, 255};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        uint8_t packet[512];
        struct question question;
        struct answer answer;
        size_t length = fixture_query(packet, 1, "www.example.org", A, 0);
        packet[length - 1] = (uint8_t)classes[i];
        assert_true(question_parse(&question, packet, length, fixture->table->seed));
        answer_find(fixture->table, &question, &answer);
        assert_int_equal(answer.rcode, DNS_REFUSED);
    }
}

static void test_any_gets_one_rrset(void **state)
{
    assert_answer(*state, "ns1.example.org", ANY, "NOERROR aa",
                  "ns1.example.org. 600 IN A 192.0.2.1", "", "");
    assert_answer(*state, "alias.example.org", ANY, "NOERROR aa",
                  "alias.example.org. 600 IN CNAME WWW.example.org.", "", "");
}

static void test_aliases_are_followed(void **state)
{
    assert_answer(*state, "alias.example.org", AAAA, "NOERROR aa",
                  "alias.example.org. 600 IN CNAME WWW.example.org.\n"
                  "WWW.example.org. 60 IN AAAA 2001:db8::80",
                  "", "");
    assert_answer(*state, "second.example.org", A, "NOERROR aa",
                  "second.example.org. 600 IN CNAME alias.example.org.\n"
                  "alias.example.org. 600 IN CNAME WWW.example.org.\n"
                  "WWW.example.org. 60 IN A 10.0.0.1\n"
                  "WWW.example.org. 60 IN A 10.0.0.2",
                  "", "");
    assert_answer(*state, "alias.example.org", CNAME, "NOERROR aa",
                  "alias.example.org. 600 IN CNAME WWW.example.org.", "", "");
}

static void test_aliases_that_end_somewhere_else(void **state)
{
    assert_answer(*state, "alias.example.org", MX, "NOERROR aa",
                  "alias.example.org. 600 IN CNAME WWW.example.org.", NEGATIVE, "");
    assert_answer(*state, "dangling.example.org", A, "NXDOMAIN aa",
                  "dangling.example.org. 600 IN CNAME nothing.example.org.", NEGATIVE, "");
    assert_answer(*state, "away.example.org", A, "NOERROR aa",
                  "away.example.org. 600 IN CNAME www.example.net.", "", "");
    assert_answer(*state, "into.example.org", A, "NOERROR aa",
                  "into.example.org. 600 IN CNAME x.sub.example.org.", "", "");
    assert_answer(*state, "loop.example.org", A, "NOERROR aa",
                  "loop.example.org. 600 IN CNAME pool.example.org.\n"
                  "pool.example.org. 600 IN CNAME loop.example.org.",
                  "", "");
}

static void test_wildcards(void **state)
{
    assert_answer(*state, "x.wild.example.org", TXT, "NOERROR aa",
                  "x.wild.example.org. 600 IN TXT \"text\"", "", "");
    assert_answer(*state, "x.y.wild.example.org", TXT, "NOERROR aa",
                  "x.y.wild.example.org. 600 IN TXT \"text\"", "", "");
    assert_answer(*state, "*.wild.example.org", TXT, "NOERROR aa",
                  "*.wild.example.org. 600 IN TXT \"text\"", "", "");
    assert_answer(*state, "x.wild.example.org", A, "NOERROR aa", "", NEGATIVE, "");
    assert_answer(*state, "x.web.example.org", AAAA, "NOERROR aa",
                  "x.web.example.org. 600 IN CNAME www.example.org.\n"
                  "www.example.org. 60 IN AAAA 2001:db8::80",
                  "", "");
}

static void test_wildcards_do_not_cover_what_exists(void **state)
{
    assert_answer(*state, "there.wild.example.org", TXT, "NOERROR aa", "", NEGATIVE, "");
    assert_answer(*state, "below.there.wild.example.org", TXT, "NXDOMAIN aa", "", NEGATIVE, "");
    /* an empty non-terminal exists too (RFC 4592, 2.2.2) */
    assert_answer(*state, "that.wild.example.org", TXT, "NOERROR aa", "", NEGATIVE, "");
    assert_answer(*state, "x.that.wild.example.org", TXT, "NXDOMAIN aa", "", NEGATIVE, "");
}

#define REFERRAL                                                                                   \
    "sub.example.org. 600 IN NS ns.sub.example.org.\n"                                             \
    "sub.example.org. 600 IN NS ns.example.net.\n"                                                 \
    "sub.example.org. 600 IN NS ns1.example.org."
#define GLUE                                                                                       \
    "ns.sub.example.org. 600 IN A 192.0.2.6\n"                                                     \
    "ns1.example.org. 600 IN A 192.0.2.1\n"                                                        \
    "ns1.example.org. 600 IN AAAA 2001:db8::1"

static void test_delegations_refer(void **state)
{
    assert_answer(*state, "sub.example.org", A, "NOERROR", "", REFERRAL, GLUE);
    assert_answer(*state, "sub.example.org", NS, "NOERROR", "", REFERRAL, GLUE);
    assert_answer(*state, "a.b.c.sub.example.org", TXT, "NOERROR", "", REFERRAL, GLUE);
    assert_answer(*state, "ns.sub.example.org", A, "NOERROR", "", REFERRAL, GLUE);
}

static void test_ds_is_answered_above_the_cut(void **state)
{
    ldns_pkt *packet = fixture_ask(*state, "sub.example.org", DS);
    assert_true(ldns_pkt_aa(packet));
    assert_int_equal(ldns_pkt_ancount(packet), 1);
    ldns_pkt_free(packet);
    assert_answer(*state, "example.org", DS, "NOERROR aa", "", NEGATIVE, "");
}

static void test_ds_of_a_zone_below_is_answered_by_the_zone_above(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org",
                 "@ SOA ns1 hostmaster 7 3600 600 86400 300\n@ NS ns1\nsigned.x NS ns1\n"
                 "signed.x DS 1 13 1 0000000000000000000000000000000000000000\n");
    fixture_zone(&fixture, "signed.x.example.org", NULL);
    fixture_zone(&fixture, "plain.y.example.org", NULL);
    fixture_build(&fixture);
    assert_answer(&fixture, "signed.x.example.org", DS, "NOERROR aa",
                  "signed.x.example.org. 30 IN DS 1 13 1 "
                  "0000000000000000000000000000000000000000",
                  "", "");
    assert_answer(&fixture, "plain.y.example.org", DS, "NOERROR aa", "",
                  "example.org. 30 IN SOA ns1.example.org. hostmaster.example.org. 7 3600 600 "
                  "86400 300",
                  "");
    /* between the two zones there is an empty non-terminal */
    assert_answer(&fixture, "y.example.org", A, "NOERROR aa", "",
                  "example.org. 30 IN SOA ns1.example.org. hostmaster.example.org. 7 3600 600 "
                  "86400 300",
                  "");
    fixture_free(&fixture);
}

static void test_made_zone(void **state)
{
    assert_answer(*state, "made.example", NS, "NOERROR aa",
                  "made.example. 30 IN NS ns.made.example.", "",
                  "ns.made.example. 30 IN A 192.0.2.53");
    assert_answer(*state, "ns.made.example", A, "NOERROR aa", "ns.made.example. 30 IN A 192.0.2.53",
                  "", "");
    ldns_pkt *packet = fixture_ask(*state, "made.example", SOA);
    assert_int_equal(ldns_pkt_ancount(packet), 1);
    const ldns_rr *soa = ldns_rr_list_rr(ldns_pkt_answer(packet), 0);
    char *text = ldns_rdf2str(ldns_rr_rdf(soa, 0));
    assert_string_equal(text, "ns.made.example.");
    free(text);
    text = ldns_rdf2str(ldns_rr_rdf(soa, 1));
    assert_string_equal(text, "hostmaster.made.example.");
    free(text);
    assert_int_equal(ldns_rdf2native_int32(ldns_rr_rdf(soa, 6)), 30);
    ldns_pkt_free(packet);
}

/* The addresses that a made zone gives its name server, by what is listened on. */
static void assert_glue(const char *const *listen, size_t count, const char *expected)
{
    struct fixture fixture;
    fixture_init(&fixture);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(endpoint_parse(listen[i], &fixture.listen[i]), 0);
    fixture.config.listen_count = count;
    fixture_zone(&fixture, "made.example", NULL);
    fixture_build(&fixture);
    assert_answer(&fixture, "made.example", NS, "NOERROR aa",
                  "made.example. 30 IN NS ns.made.example.", "", expected);
    fixture_free(&fixture);
}

static void test_addresses_of_a_made_zone(void **state)
{
    (void)state;
    assert_glue((const char *const[]){"0.0.0.0@53", "::@53"}, 2, "");
    assert_glue((const char *const[]){"127.0.0.1@53", "::1@53"}, 2,
                "ns.made.example. 30 IN A 127.0.0.1\nns.made.example. 30 IN AAAA ::1");
    assert_glue((const char *const[]){"127.0.0.1@53", "192.0.2.1@53", "192.0.2.1@5353"}, 3,
                "ns.made.example. 30 IN A 192.0.2.1");
}

static void test_a_service_may_be_the_made_name_server(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_zone(&fixture, "made.example", NULL);
    fixture_service(&fixture, "ns.made.example", "", "10.0.0.1");
    fixture_build(&fixture);
    assert_answer(&fixture, "ns.made.example", A, "NOERROR aa", "ns.made.example. 60 IN A 10.0.0.1",
                  "", "");
    fixture_free(&fixture);
}

static void test_services_that_collide(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org", NULL);
    fixture_service(&fixture, "www.example.org", "", "10.0.0.1");
    fixture_service(&fixture, "web.example.org", "www.example.org www.example.net", "10.0.0.2");
    fixture_build_fails(&fixture);
    assert_string_equal(fixture.errors,
                        "jitsud.yaml:11: service web.example.org: www.example.org is a name of the "
                        "service www.example.org (line 10) already\n"
                        "jitsud.yaml:11: service web.example.org: www.example.net is in none of "
                        "the zones\n");
    fixture_free(&fixture);
}

/* --- EDNS and sizes --- */

static void test_opt_only_if_asked(void **state)
{
    ldns_pkt *packet = fixture_ask_sized(*state, "www.example.org", A, 4096, 1232);
    assert_true(ldns_pkt_edns(packet));
    assert_int_equal(ldns_pkt_edns_udp_size(packet), 1232);
    assert_int_equal(ldns_pkt_edns_version(packet), 0);
    assert_false(ldns_pkt_edns_do(packet));
    ldns_pkt_free(packet);
    packet = fixture_ask_sized(*state, "www.example.org", A, 0, 1232);
    assert_false(ldns_pkt_edns(packet));
    ldns_pkt_free(packet);
}

/* Answers a query whose bytes are changed beforehand. */
static ldns_pkt *ask_changed(struct fixture *fixture, size_t from_end, uint8_t value)
{
    static uint8_t packet[1232];
    struct question question;
    struct answer answer;
    size_t length = fixture_query(packet, 1, "www.example.org", A, 1232);
    packet[length - from_end] = value;
    assert_true(question_parse(&question, packet, length, fixture->table->seed));
    answer_find(fixture->table, &question, &answer);
    length = answer_write(&answer, &question, packet, sizeof packet);
    return fixture_parse(packet, length);
}

static void test_dnssec_ok_is_repeated(void **state)
{
    ldns_pkt *packet = ask_changed(*state, 4, 0x80);
    assert_true(ldns_pkt_edns_do(packet));
    assert_int_equal(ldns_pkt_ancount(packet), 2);
    ldns_pkt_free(packet);
}

static void test_unknown_edns_version(void **state)
{
    ldns_pkt *packet = ask_changed(*state, 5, 1);
    assert_int_equal(ldns_pkt_get_rcode(packet), 0);
    assert_int_equal(ldns_pkt_edns_extended_rcode(packet), 1); /* 16: BADVERS */
    assert_int_equal(ldns_pkt_edns_version(packet), 0);
    assert_int_equal(ldns_pkt_ancount(packet), 0);
    assert_int_equal(ldns_pkt_qdcount(packet), 1);
    ldns_pkt_free(packet);
}

/* A zone whose name big has TXT records of 100 bytes each. */
static void build_big(struct fixture *fixture, int records)
{
    static char text[8192];
    int used = snprintf(text, sizeof text, "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\n");
    for (int i = 0; i < records; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "big TXT %087d\n", i);
    fixture_init(fixture);
    fixture_zone(fixture, "example.org", text);
    fixture_build(fixture);
}

static void assert_truncation(uint16_t edns_size, size_t limit, int records, bool truncated)
{
    struct fixture fixture;
    build_big(&fixture, records);
    ldns_pkt *packet = fixture_ask_sized(&fixture, "big.example.org", TXT, edns_size, limit);
    assert_int_equal(ldns_pkt_tc(packet), truncated);
    assert_int_equal(ldns_pkt_ancount(packet), truncated ? 0 : records);
    assert_int_equal(ldns_pkt_edns(packet), edns_size > 0);
    assert_true(ldns_pkt_aa(packet));
    assert_int_equal(ldns_pkt_qdcount(packet), 1);
    ldns_pkt_free(packet);
    fixture_free(&fixture);
}

static void test_truncation(void **state)
{
    (void)state;
    /* 33 bytes of header and question, 100 for each record, 11 for OPT */
    assert_truncation(0, 512, 4, false);
    assert_truncation(0, 512, 5, true);
    assert_truncation(1232, 1232, 11, false);
    assert_truncation(1232, 1232, 12, true);
    assert_truncation(1143, 1144, 11, false);
    assert_truncation(1143, 1143, 11, true);
    assert_truncation(1232, UINT16_MAX, 60, false);
}

static void test_extra_addresses_are_left_out_before_anything_is_cut(void **state)
{
    struct fixture fixture;
    char text[4096] = "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\n";
    (void)state;
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "ns A 10.0.0.%d\n", i);
    fixture_init(&fixture);
    fixture_zone(&fixture, "example.org", text);
    fixture_build(&fixture);
    ldns_pkt *packet = fixture_ask_sized(&fixture, "example.org", NS, 0, 512);
    assert_false(ldns_pkt_tc(packet));
    assert_int_equal(ldns_pkt_ancount(packet), 1);
    assert_int_equal(ldns_pkt_arcount(packet), 0);
    ldns_pkt_free(packet);
    packet = fixture_ask_sized(&fixture, "example.org", NS, 0, UINT16_MAX);
    assert_int_equal(ldns_pkt_arcount(packet), 40);
    ldns_pkt_free(packet);
    fixture_free(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services_have_their_addresses),
        cmocka_unit_test(test_static_records_stand_beside_a_service),
        cmocka_unit_test(test_case_of_the_question_is_kept),
        cmocka_unit_test(test_apex),
        cmocka_unit_test(test_no_data),
        cmocka_unit_test(test_signatures_are_no_data),
        cmocka_unit_test(test_empty_non_terminals_have_no_data),
        cmocka_unit_test(test_names_that_do_not_exist),
        cmocka_unit_test(test_names_in_no_zone),
        cmocka_unit_test(test_transfers_are_refused),
        cmocka_unit_test(test_other_classes_are_refused),
        cmocka_unit_test(test_any_gets_one_rrset),
        cmocka_unit_test(test_aliases_are_followed),
        cmocka_unit_test(test_aliases_that_end_somewhere_else),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_wildcards_do_not_cover_what_exists),
        cmocka_unit_test(test_delegations_refer),
        cmocka_unit_test(test_ds_is_answered_above_the_cut),
        cmocka_unit_test(test_ds_of_a_zone_below_is_answered_by_the_zone_above),
        cmocka_unit_test(test_made_zone),
        cmocka_unit_test(test_addresses_of_a_made_zone),
        cmocka_unit_test(test_a_service_may_be_the_made_name_server),
        cmocka_unit_test(test_services_that_collide),
        cmocka_unit_test(test_opt_only_if_asked),
        cmocka_unit_test(test_dnssec_ok_is_repeated),
        cmocka_unit_test(test_unknown_edns_version),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_extra_addresses_are_left_out_before_anything_is_cut),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
