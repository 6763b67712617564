/* Forwarding by the running server, to upstream resolvers that the tests play themselves. */
#include "dns_client.h"
#include "dns_upstream.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { A = 1, TXT = 16, AAAA = 28 };

/* Upstreams that answer late do so within a turn of this, and silent ones cost as long. */
#define SHORT_TIMEOUT UINT64_C(400000000)
#define LONG_TIMEOUT  UINT64_C(60000000000)

static struct serving serving;

static struct upstream upstreams[2];
static struct endpoint to[2];
static struct prefix from[1];

static int setup(void **state)
{
    (void)state;
    serving_init(&serving);
    struct config_forward *forward = &serving.fixture.config.forward;
    for (size_t i = 0; i < 2; i++) {
        upstream_open(&upstreams[i], "127.0.0.1");
        to[i] = upstreams[i].endpoint;
    }
    assert_int_equal(prefix_parse("127.0.0.1/32", &from[0]), 0);
    *forward = (struct config_forward){.to = to,
                                       .to_count = 1,
                                       .from = from,
                                       .from_count = 1,
                                       .timeout = LONG_TIMEOUT,
                                       .queries = 1000,
                                       .client_queries = 1000};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    serving_stop(&serving);
    for (size_t i = 0; i < 2; i++)
        upstream_close(&upstreams[i]);
    return 0;
}

static int udp_client(void)
{
    return client_open(&serving, "127.0.0.1", SOCK_DGRAM);
}

static void assert_answered(int client, uint16_t id)
{
    ldns_pkt *response = client_receive(client);
    assert_int_equal(ldns_pkt_ancount(response), 1);
    assert_response(response, id, LDNS_RCODE_NOERROR);
}

/* --- who and what --- */

static void names_outside_the_zones_are_forwarded(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "WWW.example.COM", A);
    struct received query = upstream_receive(&upstreams[0]);
    ldns_pkt *asked = NULL;
    assert_int_equal(ldns_wire2pkt(&asked, query.packet, query.length), LDNS_STATUS_OK);
    assert_true(ldns_pkt_rd(asked));
    assert_false(ldns_pkt_qr(asked));
    assert_int_equal(ldns_pkt_edns_udp_size(asked), 1232);
    assert_section(ldns_pkt_question(asked), "www.example.com. IN A");
    ldns_pkt_free(asked);

    upstream_answer(&upstreams[0], &query, 0);
    ldns_pkt *response = client_receive(client);
    assert_true(ldns_pkt_ra(response));
    assert_true(ldns_pkt_rd(response));
    assert_false(ldns_pkt_aa(response));
    assert_false(ldns_pkt_ad(response));
    assert_true(ldns_pkt_edns(response));
    assert_section(ldns_pkt_question(response), "WWW.example.COM. IN A");
    assert_section(ldns_pkt_answer(response), "WWW.example.COM. 60 IN A 192.0.2.7");
    assert_response(response, 7, LDNS_RCODE_NOERROR);
    close(client);
}

static void our_own_names_are_not_forwarded(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.org", A);
    ldns_pkt *response = client_receive(client);
    assert_true(ldns_pkt_aa(response));
    assert_true(ldns_pkt_ra(response));
    assert_response(response, 7, LDNS_RCODE_NOERROR);
    client_ask(client, 8, "nothing.example.org", A);
    assert_response(client_receive(client), 8, LDNS_RCODE_NXDOMAIN);
    assert_true(upstream_has_nothing(&upstreams[0]));
    close(client);
}

static void names_below_a_delegation_are_forwarded(void **state)
{
    (void)state;
    fixture_zone(&serving.fixture, "example.net",
                 "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nsub NS ns.example.com.\n");
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.sub.example.net", A);
    struct received query = upstream_receive(&upstreams[0]);
    upstream_answer(&upstreams[0], &query, 0);
    assert_answered(client, 7);
    close(client);
}

static void other_clients_are_refused(void **state)
{
    (void)state;
    assert_int_equal(prefix_parse("127.0.0.2/32", &from[0]), 0);
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.com", A);
    ldns_pkt *response = client_receive(client);
    assert_false(ldns_pkt_ra(response));
    assert_response(response, 7, LDNS_RCODE_REFUSED);
    client_ask(client, 8, "www.example.org", A);
    response = client_receive(client);
    assert_false(ldns_pkt_ra(response));
    assert_response(response, 8, LDNS_RCODE_NOERROR);
    assert_true(upstream_has_nothing(&upstreams[0]));
    close(client);
}

static void anyone_means_anyone(void **state)
{
    (void)state;
    serving.fixture.config.forward.from_count = 0;
    serving.fixture.config.forward.anyone = true;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.com", A);
    struct received query = upstream_receive(&upstreams[0]);
    upstream_answer(&upstreams[0], &query, 0);
    assert_answered(client, 7);
    close(client);
}

static void who_does_not_desire_recursion_is_refused(void **state)
{
    uint8_t packet[512];
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    size_t length = fixture_query(packet, 7, "www.example.com", A, 0);
    packet[2] = 0;
    assert_int_equal(send(client, packet, length, 0), length);
    assert_response(client_receive(client), 7, LDNS_RCODE_REFUSED);
    assert_true(upstream_has_nothing(&upstreams[0]));
    close(client);
}

static void do_and_cd_reach_the_upstream_and_nothing_else_of_edns_does(void **state)
{
    uint8_t packet[512];
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    size_t length = fixture_query(packet, 7, "www.example.com", A, 4096);
    packet[3] |= 0x10;
    packet[length - 4] = 0x80;
    packet[length - 1] = 12; /* a cookie, which is between the client and us */
    memcpy(packet + length, (uint8_t[]){0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}, 12);
    assert_int_equal(send(client, packet, length + 12, 0), length + 12);
    struct received query = upstream_receive(&upstreams[0]);
    assert_int_equal(query.packet[3], 0x10);
    static const uint8_t opt[] = {0, 0, 41, 1232 >> 8, 1232 & 255, 0, 0, 0x80, 0, 0, 0};
    assert_memory_equal(query.packet + query.length - sizeof opt, opt, sizeof opt);
    upstream_answer(&upstreams[0], &query, 0);
    ldns_pkt *response = client_receive(client);
    assert_true(ldns_pkt_edns_do(response));
    assert_true(ldns_pkt_cd(response));
    assert_response(response, 7, LDNS_RCODE_NOERROR);
    close(client);
}

static void a_client_without_edns_gets_none(void **state)
{
    uint8_t packet[512];
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    size_t length = fixture_query(packet, 7, "www.example.com", A, 0);
    assert_int_equal(send(client, packet, length, 0), length);
    struct received query = upstream_receive(&upstreams[0]);
    upstream_answer(&upstreams[0], &query, 0);
    ldns_pkt *response = client_receive(client);
    assert_false(ldns_pkt_edns(response));
    assert_int_equal(ldns_pkt_ancount(response), 1);
    assert_response(response, 7, LDNS_RCODE_NOERROR);
    close(client);
}

/* --- long answers --- */

static void a_cut_answer_is_fetched_over_tcp(void **state)
{
    static uint8_t packet[UINT16_MAX];
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int datagram = udp_client(), stream = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_ask(datagram, 7, "big.example.com", TXT);
    struct received query = upstream_receive(&upstreams[0]);
    client_write(stream, 8, "big.example.com", TXT);
    client_write(stream, 9, "www.example.org", A); /* when this is answered the other is known */
    assert_response(client_read(stream), 9, LDNS_RCODE_NOERROR);
    size_t length = upstream_respond(&query, packet, 0, 0);
    packet[2] |= 2;
    upstream_send(&upstreams[0], &query, packet, length);
    upstream_answer_stream(&upstreams[0], 40);

    ldns_pkt *response = client_read(stream);
    assert_int_equal(ldns_pkt_ancount(response), 40);
    assert_false(ldns_pkt_tc(response));
    assert_response(response, 8, LDNS_RCODE_NOERROR);
    assert_true(upstream_has_nothing(&upstreams[0]));
    response = client_receive(datagram);
    assert_int_equal(ldns_pkt_ancount(response), 0);
    assert_true(ldns_pkt_tc(response));
    assert_response(response, 7, LDNS_RCODE_NOERROR);
    close(datagram);
    close(stream);
}

static void a_connection_that_ends_forgets_its_queries(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 8, "www.example.com", A);
    struct received query = upstream_receive(&upstreams[0]);
    struct linger reset = {.l_onoff = 1};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(client);
    client = udp_client();
    assert_silence(client); /* the reset has come before */
    upstream_answer(&upstreams[0], &query, 0);
    client_ask(client, 9, "www.example.com", AAAA);
    query = upstream_receive(&upstreams[0]);
    upstream_answer(&upstreams[0], &query, 0);
    assert_answered(client, 9);
    close(client);
}

static void what_nobody_waits_for_any_more_is_not_asked_on(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 8, "www.example.com", A);
    upstream_receive(&upstreams[0]);
    struct linger reset = {.l_onoff = 1};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(client);
    client = udp_client();
    assert_silence(client); /* the reset has come before */
    client_ask(client, 9, "www.example.com", A);
    struct received query = upstream_receive(&upstreams[0]); /* a second one */
    upstream_answer(&upstreams[0], &query, 0);
    assert_answered(client, 9);
    close(client);
}

static void an_upstream_may_have_an_ipv6_address(void **state)
{
    static uint8_t packet[UINT16_MAX];
    (void)state;
    upstream_close(&upstreams[0]);
    upstream_open(&upstreams[0], "::1");
    to[0] = upstreams[0].endpoint;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.com", A);
    struct received query = upstream_receive(&upstreams[0]);
    size_t length = upstream_respond(&query, packet, 0, 0);
    packet[2] |= 2;
    upstream_send(&upstreams[0], &query, packet, length);
    upstream_answer_stream(&upstreams[0], 0);
    assert_answered(client, 7);
    close(client);
}

/* --- guessing --- */

static void only_an_answer_to_our_query_counts(void **state)
{
    static uint8_t packet[UINT16_MAX];
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.com", A);
    struct received query = upstream_receive(&upstreams[0]);
    size_t length = upstream_respond(&query, packet, 3, 0);
    upstream_send(&upstreams[1], &query, packet, length); /* from somewhere else */
    packet[0] ^= 1;
    upstream_send(&upstreams[0], &query, packet, length); /* another id */
    packet[0] ^= 1;
    packet[13] ^= 1;
    upstream_send(&upstreams[0], &query, packet, length); /* another name */
    packet[13] ^= 1;
    packet[2] &= 0x7f;
    upstream_send(&upstreams[0], &query, packet, length); /* a query */
    packet[2] |= 0x80;
    packet[7] = 1;
    upstream_send(&upstreams[0], &query, packet, length); /* not well formed */
    upstream_answer(&upstreams[0], &query, 0);
    assert_answered(client, 7);
    close(client);

    struct dns_statistics statistics;
    dns_server_statistics(serving.server, &statistics);
    assert_int_equal(statistics.forward_strange, 4);
    assert_int_equal(statistics.forwarded, 1);
}

static void after_many_guesses_it_asks_over_tcp(void **state)
{
    static uint8_t packet[UINT16_MAX];
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.com", A);
    struct received query = upstream_receive(&upstreams[0]);
    size_t length = upstream_respond(&query, packet, 3, 0);
    packet[0] ^= 1;
    for (int i = 0; i < 8; i++)
        upstream_send(&upstreams[0], &query, packet, length);
    upstream_answer_stream(&upstreams[0], 0);
    assert_answered(client, 7);
    close(client);
}

/* Of 40 ids in a row hardly one differs by 1 from the one before, were they not chosen at random;
 * sockets that are open at a time cannot share a port. */
static void ids_and_ports_are_different_each_time(void **state)
{
    enum { QUERIES = 40 };
    struct received queries[QUERIES];
    unsigned neighbours = 0;
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    for (uint16_t i = 0; i < QUERIES; i++) {
        char name[32];
        snprintf(name, sizeof name, "host%u.example.com", i);
        client_ask(client, i, name, A);
        queries[i] = upstream_receive(&upstreams[0]);
        for (uint16_t j = 0; j < i; j++)
            assert_int_not_equal(queries[i].client.sin6_port, queries[j].client.sin6_port);
        if (i > 0) {
            int step = (queries[i].packet[0] << 8 | queries[i].packet[1]) -
                       (queries[i - 1].packet[0] << 8 | queries[i - 1].packet[1]);
            neighbours += step >= -1 && step <= 1;
        }
    }
    assert_true(neighbours < 3);
    for (uint16_t i = 0; i < QUERIES; i++) {
        upstream_answer(&upstreams[0], &queries[QUERIES - 1 - i], 0);
        assert_answered(client, (uint16_t)(QUERIES - 1 - i));
    }
    close(client);
}

static void equal_questions_share_one_query(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int clients[3];
    for (uint16_t i = 0; i < 3; i++) {
        clients[i] = udp_client();
        client_ask(clients[i], i, i == 1 ? "wwW.example.com" : "www.example.com", A);
        client_ask(clients[i], i, "www.example.com", A); /* a retransmission */
        assert_silence(clients[i]);
    }
    struct received query = upstream_receive(&upstreams[0]);
    assert_true(upstream_has_nothing(&upstreams[0]));
    upstream_answer(&upstreams[0], &query, 0);
    for (uint16_t i = 0; i < 3; i++) {
        assert_answered(clients[i], i);
        assert_silence(clients[i]);
        close(clients[i]);
    }
}

/* --- upstreams that fail --- */

static void where_no_upstream_is_the_client_is_told_at_once(void **state)
{
    (void)state;
    upstream_close(&upstreams[0]);
    upstream_close(&upstreams[1]);
    serving.fixture.config.forward.to_count = 2;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.com", A);
    ldns_pkt *response = client_receive(client);
    assert_true(ldns_pkt_ra(response));
    assert_failure(response, 7, 23, "no upstream resolver answered");
    client_ask(client, 8, "www.example.org", A);
    assert_response(client_receive(client), 8, LDNS_RCODE_NOERROR);
    close(client);
    client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 9, "www.example.org", A);
    client_write(client, 10, "www.example.com", A);
    assert_response(client_read(client), 9, LDNS_RCODE_NOERROR);
    assert_failure(client_read(client), 10, 23, "no upstream resolver answered");
    close(client);

    struct dns_statistics statistics;
    dns_server_statistics(serving.server, &statistics);
    assert_int_equal(statistics.forward_unanswered, 2);
}

static void a_silent_upstream_is_asked_twice_and_then_given_up(void **state)
{
    (void)state;
    serving.fixture.config.forward.timeout = SHORT_TIMEOUT;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.com", A);
    struct received first = upstream_receive(&upstreams[0]),
                    second = upstream_receive(&upstreams[0]);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.packet, second.packet, first.length);
    assert_failure(client_receive(client), 7, 23, "no upstream resolver answered");
    close(client);
}

static void the_next_upstream_is_asked_and_remembered(void **state)
{
    (void)state;
    upstream_close(&upstreams[0]);
    serving.fixture.config.forward.to_count = 2;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.com", A);
    struct received query = upstream_receive(&upstreams[1]);
    upstream_answer(&upstreams[1], &query, 0);
    assert_answered(client, 7);

    /* The first is there again, but for a while it is not the first. */
    upstream_open_again(&upstreams[0]);
    client_ask(client, 8, "www.example.com", A);
    query = upstream_receive(&upstreams[1]);
    upstream_answer(&upstreams[1], &query, 0);
    assert_answered(client, 8);
    assert_true(upstream_has_nothing(&upstreams[0]));
    close(client);
}

static void a_late_answer_counts(void **state)
{
    (void)state;
    serving.fixture.config.forward.to_count = 2;
    serving.fixture.config.forward.timeout = 10 * SHORT_TIMEOUT;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 7, "www.example.com", A);
    struct received first = upstream_receive(&upstreams[0]);
    upstream_receive(&upstreams[1]);
    upstream_answer(&upstreams[0], &first, 0);
    assert_answered(client, 7);
    close(client);
}

static void an_upstream_that_failed_gives_way_to_the_next(void **state)
{
    (void)state;
    serving.fixture.config.forward.to_count = 2;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    for (uint16_t id = 1; id < 3; id++) {
        client_ask(client, id, "www.example.com", A);
        struct received query = upstream_receive(&upstreams[0]);
        upstream_answer(&upstreams[0], &query, LDNS_RCODE_SERVFAIL);
        query = upstream_receive(&upstreams[1]);
        upstream_answer(&upstreams[1], &query, id == 1 ? LDNS_RCODE_NXDOMAIN : LDNS_RCODE_REFUSED);
        assert_response(client_receive(client), id,
                        id == 1 ? LDNS_RCODE_NXDOMAIN : LDNS_RCODE_REFUSED);
    }
    close(client);
}

/* --- limits and changes --- */

static void one_client_has_a_limit(void **state)
{
    (void)state;
    serving.fixture.config.forward.client_queries = 2;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 1, "a.example.com", A);
    struct received query = upstream_receive(&upstreams[0]);
    client_ask(client, 2, "b.example.com", A);
    client_ask(client, 3, "c.example.com", A);
    assert_failure(client_receive(client), 3, 0, "too many queries are forwarded");
    upstream_answer(&upstreams[0], &query, 0);
    assert_answered(client, 1);
    upstream_receive(&upstreams[0]);
    client_ask(client, 4, "c.example.com", A);
    query = upstream_receive(&upstreams[0]);
    upstream_answer(&upstreams[0], &query, 0);
    assert_answered(client, 4);
    close(client);

    struct dns_statistics statistics;
    dns_server_statistics(serving.server, &statistics);
    assert_int_equal(statistics.forward_refused, 1);
}

static void all_clients_together_have_a_limit(void **state)
{
    (void)state;
    serving.fixture.config.forward.queries = 1;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client();
    client_ask(client, 1, "a.example.com", A);
    client_ask(client, 2, "b.example.com", A);
    assert_failure(client_receive(client), 2, 0, "too many queries are forwarded");
    struct received query = upstream_receive(&upstreams[0]);
    upstream_answer(&upstreams[0], &query, 0);
    assert_answered(client, 1);
    close(client);
}

static void a_new_table_takes_effect_and_what_is_under_way_goes_on(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 2);
    int client = udp_client();
    client_ask(client, 1, "a.example.com", A);
    struct received query = upstream_receive(&upstreams[0]);
    serving.fixture.config.forward.to_count = 0;
    fixture_build(&serving.fixture);
    dns_server_swap(serving.server, serving.fixture.table);
    serving.fixture.table = NULL;
    client_ask(client, 2, "a.example.com", A);
    assert_response(client_receive(client), 2, LDNS_RCODE_REFUSED);
    upstream_answer(&upstreams[0], &query, 0);
    assert_answered(client, 1);
    close(client);
}

/* The server is stopped with them. */
static void queries_under_way_do_not_keep_the_server(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = udp_client(), stream = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_ask(client, 1, "a.example.com", A);
    client_write(stream, 2, "b.example.com", A);
    upstream_receive(&upstreams[0]);
    upstream_receive(&upstreams[0]);
    close(client);
    close(stream);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_outside_the_zones_are_forwarded),
        TEST(our_own_names_are_not_forwarded),
        TEST(names_below_a_delegation_are_forwarded),
        TEST(other_clients_are_refused),
        TEST(anyone_means_anyone),
        TEST(who_does_not_desire_recursion_is_refused),
        TEST(do_and_cd_reach_the_upstream_and_nothing_else_of_edns_does),
        TEST(a_client_without_edns_gets_none),
        TEST(a_cut_answer_is_fetched_over_tcp),
        TEST(a_connection_that_ends_forgets_its_queries),
        TEST(what_nobody_waits_for_any_more_is_not_asked_on),
        TEST(an_upstream_may_have_an_ipv6_address),
        TEST(only_an_answer_to_our_query_counts),
        TEST(after_many_guesses_it_asks_over_tcp),
        TEST(ids_and_ports_are_different_each_time),
        TEST(equal_questions_share_one_query),
        TEST(where_no_upstream_is_the_client_is_told_at_once),
        TEST(a_silent_upstream_is_asked_twice_and_then_given_up),
        TEST(the_next_upstream_is_asked_and_remembered),
        TEST(a_late_answer_counts),
        TEST(an_upstream_that_failed_gives_way_to_the_next),
        TEST(one_client_has_a_limit),
        TEST(all_clients_together_have_a_limit),
        TEST(a_new_table_takes_effect_and_what_is_under_way_goes_on),
        TEST(queries_under_way_do_not_keep_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
