/* What a query for a service's addresses does: who counts, what is wanted, which answer follows. */
#include "dns_fixture.h"

#include <string.h>

#include "common/clock.h"
#include "dns/host.h"

struct seen {
    int wanted;
    struct dns_host *host;
    struct dns_want want;
};

static void wanted(void *argument, struct dns_host *host, const struct dns_want *want)
{
    struct seen *seen = argument;
    seen->wanted++;
    seen->host = host;
    seen->want = *want;
}

struct asking {
    struct fixture fixture;
    struct seen seen;
    struct dns_host *host;
    struct answer answer;
    uint64_t now;
};

static struct asking *begin(void)
{
    static struct asking asking;
    memset(&asking, 0, sizeof asking);
    fixture_init(&asking.fixture);
    fixture_zone(&asking.fixture, "example.org",
                 "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nalias CNAME www\n*.all CNAME web\n");
    asking.host =
        fixture_service(&asking.fixture, "www.example.org", "web.example.org", "10.0.0.1");
    fixture_build(&asking.fixture);
    asking.now = NANOSECONDS_PER_SECOND;
    return &asking;
}

/* A query from `client`; the host's verdict, or -1 if no host was asked for. */
static int ask(struct asking *asking, const char *name, uint16_t type, const char *client)
{
    uint8_t packet[512];
    struct question question;
    struct sockaddr_storage address;
    struct endpoint endpoint;
    struct host_observer observer = {wanted, &asking->seen};
    const struct dns_table *table = asking->fixture.table;

    assert_int_equal(endpoint_parse(client, &endpoint), 0);
    endpoint_to_sockaddr(&endpoint, &address);
    size_t length = fixture_query(packet, 1, name, type, 0);
    assert_true(question_parse(&question, packet, length, table->seed));
    answer_find(table, &question, &asking->answer);
    if (!asking->answer.host)
        return -1;
    assert_ptr_equal(asking->answer.host, asking->host);
    return (int)host_ask(&asking->answer, &question, (struct sockaddr *)&address, asking->now,
                         &observer);
}

#define CLIENT "192.0.2.7@5000"

static void test_the_first_address_query_wants_the_host(void **state)
{
    struct asking *asking = begin();
    char text[ENDPOINT_TEXT_SIZE];
    (void)state;
    uint64_t before = clock_now();
    assert_int_equal(ask(asking, "WWW.example.org", 1, CLIENT), HOST_SEND);
    assert_true(asking->host->wanted);
    assert_int_equal(asking->seen.wanted, 1);
    assert_ptr_equal(asking->seen.host, asking->host);
    assert_string_equal(asking->seen.want.name, "www.example.org");
    assert_int_equal(asking->seen.want.type, 1);
    assert_string_equal(endpoint_format(&asking->seen.want.client, text), CLIENT);
    assert_true(asking->seen.want.moment >= before);

    ask(asking, "www.example.org", 1, CLIENT);
    assert_int_equal(asking->seen.wanted, 1);

    asking->host->wanted = false;
    ask(asking, "www.example.org", 28, "2001:db8::7@5000");
    assert_int_equal(asking->seen.wanted, 2);
    assert_int_equal(asking->seen.want.type, 28);
    fixture_free(&asking->fixture);
}

static void test_aliases_want_the_host_by_the_name_asked(void **state)
{
    static const char *const names[] = {"web.example.org", "alias.example.org",
                                        "x.all.example.org"};
    struct asking *asking = begin();
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        asking->host->wanted = false;
        ask(asking, names[i], 1, CLIENT);
        assert_int_equal(asking->seen.wanted, i + 1);
        assert_string_equal(asking->seen.want.name, names[i]);
    }
    fixture_free(&asking->fixture);
}

static void test_other_types_do_not_count(void **state)
{
    static const uint16_t types[] = {2, 6, 16, 15, 43, 255};
    struct asking *asking = begin();
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_int_equal(ask(asking, "www.example.org", types[i], CLIENT), -1);
    fixture_free(&asking->fixture);
}

static void test_a_family_without_addresses_counts(void **state)
{
    struct asking *asking = begin();
    (void)state;
    assert_int_equal(ask(asking, "www.example.org", 28, CLIENT), HOST_SEND);
    assert_int_equal(asking->answer.count, 0);
    assert_int_equal(asking->seen.wanted, 1);
    fixture_free(&asking->fixture);
}

static void test_a_host_that_queries_do_not_summon_is_used_only(void **state)
{
    struct asking *asking = begin();
    (void)state;
    asking->host->summons = false;
    assert_int_equal(ask(asking, "www.example.org", 1, CLIENT), HOST_SEND);
    assert_int_equal(asking->seen.wanted, 0);
    assert_false(asking->host->wanted);
    assert_int_equal(asking->host->last_query, asking->now);
    fixture_free(&asking->fixture);
}

static void test_last_query_is_written_every_50_ms_at_most(void **state)
{
    struct asking *asking = begin();
    uint64_t first = asking->now;
    (void)state;
    ask(asking, "www.example.org", 1, CLIENT);
    assert_int_equal(asking->host->last_query, first);
    asking->now = first + 49 * NANOSECONDS_PER_MILLISECOND;
    ask(asking, "www.example.org", 1, CLIENT);
    assert_int_equal(asking->host->last_query, first);
    asking->now = first + 50 * NANOSECONDS_PER_MILLISECOND;
    ask(asking, "www.example.org", 1, CLIENT);
    assert_int_equal(asking->host->last_query, asking->now);
    fixture_free(&asking->fixture);
}

static void test_clients_outside_summon_from_do_not_count_or_wait(void **state)
{
    static const enum dns_disposition dispositions[] = {DNS_ANSWER, DNS_DELAY, DNS_WHEN_READY,
                                                        DNS_NO_RESOURCES, DNS_FAILED};
    struct prefix prefixes[2];
    struct asking *asking = begin();
    (void)state;
    assert_int_equal(prefix_parse("192.0.2.0/24", &prefixes[0]), 0);
    assert_int_equal(prefix_parse("2001:db8::/32", &prefixes[1]), 0);
    asking->host->summon_from = prefixes;
    asking->host->summon_from_count = 2;
    for (size_t i = 0; i < sizeof dispositions / sizeof *dispositions; i++) {
        asking->host->disposition = dispositions[i];
        assert_int_equal(ask(asking, "www.example.org", 1, "198.51.100.1@5000"), HOST_SEND);
        assert_int_equal(asking->answer.rcode, DNS_NOERROR);
        assert_int_equal(asking->answer.count, 1);
    }
    assert_int_equal(asking->seen.wanted, 0);
    assert_int_equal(asking->host->last_query, 0);

    asking->host->disposition = DNS_ANSWER;
    ask(asking, "www.example.org", 1, "2001:db8::1@5000");
    assert_int_equal(asking->seen.wanted, 1);
    asking->host->wanted = false;
    ask(asking, "www.example.org", 1, CLIENT);
    assert_int_equal(asking->seen.wanted, 2);
    fixture_free(&asking->fixture);
}

static void test_dispositions(void **state)
{
    struct asking *asking = begin();
    (void)state;
    asking->host->disposition = DNS_DELAY;
    assert_int_equal(ask(asking, "www.example.org", 1, CLIENT), HOST_DELAY);
    asking->host->disposition = DNS_WHEN_READY;
    assert_int_equal(ask(asking, "www.example.org", 1, CLIENT), HOST_WHEN_READY);
    assert_int_equal(asking->answer.rcode, DNS_NOERROR);

    asking->host->wanted = false;
    asking->host->disposition = DNS_NO_RESOURCES;
    assert_int_equal(ask(asking, "www.example.org", 1, CLIENT), HOST_SEND);
    assert_int_equal(asking->answer.rcode, DNS_SERVFAIL);
    assert_int_equal(asking->answer.extended->code, 0);
    assert_string_equal(asking->answer.extended->text, "no room for another machine");
    assert_true(asking->host->wanted); /* so that it may be tried again */

    asking->host->disposition = DNS_FAILED;
    assert_int_equal(ask(asking, "alias.example.org", 1, CLIENT), HOST_SEND);
    assert_int_equal(asking->answer.rcode, DNS_SERVFAIL);
    assert_int_equal(asking->answer.count, 0);
    assert_int_equal(asking->answer.extended->code, 14);
    assert_string_equal(asking->answer.extended->text, "the machine did not start");
    fixture_free(&asking->fixture);
}

static void test_extended_errors_need_edns(void **state)
{
    struct asking *asking = begin();
    uint8_t packet[1232];
    struct question question;
    (void)state;
    for (int edns = 0; edns < 2; edns++) {
        size_t length = fixture_query(packet, 1, "www.example.org", 1, edns ? 1232 : 0);
        assert_true(question_parse(&question, packet, length, asking->fixture.table->seed));
        answer_find(asking->fixture.table, &question, &asking->answer);
        asking->host->disposition = DNS_FAILED;
        answer_fail(&asking->answer, host_error(asking->host));
        length = answer_write(&asking->answer, &question, packet, 512);
        ldns_pkt *response = fixture_parse(packet, length);
        assert_int_equal(ldns_pkt_get_rcode(response), DNS_SERVFAIL);
        assert_false(ldns_pkt_aa(response));
        const ldns_rdf *options = ldns_pkt_edns_data(response);
        if (edns) {
            assert_int_equal(ldns_rdf_size(options), 6 + 25);
            assert_memory_equal(ldns_rdf_data(options),
                                "\0\x0f\0\x1b\0\x0e"
                                "the machine did not start",
                                6 + 25);
        } else {
            assert_null(options);
        }
        ldns_pkt_free(response);
    }
    fixture_free(&asking->fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_address_query_wants_the_host),
        cmocka_unit_test(test_aliases_want_the_host_by_the_name_asked),
        cmocka_unit_test(test_other_types_do_not_count),
        cmocka_unit_test(test_a_family_without_addresses_counts),
        cmocka_unit_test(test_a_host_that_queries_do_not_summon_is_used_only),
        cmocka_unit_test(test_last_query_is_written_every_50_ms_at_most),
        cmocka_unit_test(test_clients_outside_summon_from_do_not_count_or_wait),
        cmocka_unit_test(test_dispositions),
        cmocka_unit_test(test_extended_errors_need_edns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
