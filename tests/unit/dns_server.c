/* The running server over UDP and TCP: transports, swapping tables, statistics. */
#include "dns_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { A = 1, TXT = 16, AAAA = 28 };

static struct serving serving;

static int setup(void **state)
{
    (void)state;
    serving_init(&serving);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    serving_stop(&serving);
    return 0;
}

static void test_udp(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    client_ask(client, 7, "WWW.example.org", A);
    ldns_pkt *response = client_receive(client);
    assert_section(ldns_pkt_answer(response), "WWW.example.org. 60 IN A 10.0.0.1");
    assert_response(response, 7, LDNS_RCODE_NOERROR);
    assert_int_equal(sem_wait(&serving.wanted), 0);
    assert_string_equal(serving.want.name, "www.example.org");
    close(client);
}

static void test_many_queries_at_once_over_udp(void **state)
{
    enum { QUERIES = 150 };
    bool seen[QUERIES] = {false};
    (void)state;
    serve(&serving, "127.0.0.1", 2);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    for (uint16_t id = 0; id < QUERIES; id++)
        client_ask(client, id, id % 2 ? "www.example.org" : "nothing.example.org", A);
    for (int i = 0; i < QUERIES; i++) {
        ldns_pkt *response = client_receive(client);
        uint16_t id = ldns_pkt_id(response);
        assert_true(id < QUERIES && !seen[id]);
        seen[id] = true;
        assert_response(response, id, id % 2 ? LDNS_RCODE_NOERROR : LDNS_RCODE_NXDOMAIN);
    }
    close(client);
}

/* More than is handled in one wake-up waits in the socket, and nothing comes after it. */
static void test_a_flood_is_answered_to_the_last(void **state)
{
    enum { QUERIES = 270 };
    (void)state;
    serving.hold_worker = true;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM), buffer = 1 << 20;
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    client_ask(client, 0, "www.example.org", A);
    assert_int_equal(sem_wait(&serving.wanted), 0);
    for (uint16_t id = 1; id <= QUERIES; id++)
        client_ask(client, id, "www.example.org", A);
    sem_post(&serving.go_on);
    for (uint16_t id = 0; id <= QUERIES; id++)
        assert_response(client_receive(client), id, LDNS_RCODE_NOERROR);
    close(client);
}

static void test_responses_and_rubbish_are_not_answered(void **state)
{
    uint8_t packet[512];
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    size_t length = fixture_query(packet, 1, "www.example.org", A, 0);
    packet[2] |= 0x80;
    assert_int_equal(send(client, packet, length, 0), length);
    assert_int_equal(send(client, packet, 5, 0), 5);
    assert_int_equal(send(client, packet, 0, 0), 0);
    assert_silence(client);
    packet[2] &= 0x7f;
    assert_int_equal(send(client, packet, length - 1, 0), length - 1);
    assert_response(client_receive(client), 1, LDNS_RCODE_FORMERR);
    close(client);

    struct dns_statistics statistics;
    dns_server_statistics(serving.server, &statistics);
    assert_int_equal(statistics.dropped, 3);
}

static void test_a_long_answer_is_cut_over_udp_and_whole_over_tcp(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    client_ask(client, 7, "big.example.org", TXT);
    ldns_pkt *response = client_receive(client);
    assert_true(ldns_pkt_tc(response));
    assert_int_equal(ldns_pkt_ancount(response), 0);
    assert_response(response, 7, LDNS_RCODE_NOERROR);
    close(client);

    client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 8, "big.example.org", TXT);
    response = client_read(client);
    assert_false(ldns_pkt_tc(response));
    assert_int_equal(ldns_pkt_ancount(response), 20);
    assert_response(response, 8, LDNS_RCODE_NOERROR);
    close(client);
}

/* A connected client takes responses from no other address than the one it asked. */
static void test_responses_come_from_the_address_that_was_asked(void **state)
{
    (void)state;
    serve(&serving, "0.0.0.0", 1);
    for (int i = 1; i < 4; i++) {
        char address[16];
        snprintf(address, sizeof address, "127.0.0.%d", i);
        int client = client_open(&serving, address, SOCK_DGRAM);
        client_ask(client, 7, "www.example.org", A);
        assert_response(client_receive(client), 7, LDNS_RCODE_NOERROR);
        close(client);
    }
}

static void test_ipv6(void **state)
{
    (void)state;
    serve(&serving, "::", 1);
    int client = client_open(&serving, "::1", SOCK_DGRAM);
    client_ask(client, 7, "www.example.org", A);
    assert_response(client_receive(client), 7, LDNS_RCODE_NOERROR);
    assert_int_equal(sem_wait(&serving.wanted), 0);
    assert_int_equal(serving.want.client.address.family, AF_INET6);
    close(client);
    client = client_open(&serving, "::1", SOCK_STREAM);
    client_write(client, 8, "www.example.org", A);
    assert_response(client_read(client), 8, LDNS_RCODE_NOERROR);
    close(client);
}

/* --- TCP --- */

static void test_tcp_queries_may_be_pipelined(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    for (uint16_t id = 0; id < 500; id++)
        client_write(client, id, "www.example.org", A);
    for (uint16_t id = 0; id < 500; id++)
        assert_response(client_read(client), id, LDNS_RCODE_NOERROR);
    close(client);
}

static void test_tcp_queries_may_come_byte_by_byte(void **state)
{
    uint8_t packet[514];
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    size_t length = fixture_query(packet + 2, 9, "www.example.org", A, 0);
    packet[0] = 0;
    packet[1] = (uint8_t)length;
    for (size_t i = 0; i < length + 2; i++)
        assert_int_equal(send(client, packet + i, 1, 0), 1);
    assert_response(client_read(client), 9, LDNS_RCODE_NOERROR);
    close(client);
}

static void test_a_tcp_client_may_close_its_side_first(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 1, "www.example.org", A);
    client_write(client, 2, "big.example.org", TXT);
    shutdown(client, SHUT_WR);
    assert_response(client_read(client), 1, LDNS_RCODE_NOERROR);
    assert_response(client_read(client), 2, LDNS_RCODE_NOERROR);
    client_read_end(client);
    close(client);
}

static void test_a_tcp_message_that_cannot_be_a_query_ends_the_connection(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    assert_int_equal(send(client, "\xff\xff", 2, 0), 2);
    client_read_end(client);
    close(client);
}

static void test_a_malformed_tcp_query_is_answered(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    assert_int_equal(send(client, "\0\14\0\5\0\0\0\1\0\0\0\0\0\0", 14, 0), 14);
    assert_response(client_read(client), 5, LDNS_RCODE_FORMERR);
    close(client);
}

static void test_the_oldest_idle_connection_gives_way(void **state)
{
    (void)state;
    serving.options.tcp_connections = 3;
    serve(&serving, "127.0.0.1", 1);
    int clients[4];
    for (uint16_t i = 0; i < 4; i++) {
        clients[i] = client_open(&serving, "127.0.0.1", SOCK_STREAM);
        client_write(clients[i], i, "www.example.org", A);
        assert_response(client_read(clients[i]), i, LDNS_RCODE_NOERROR);
        if (i == 2) { /* makes the second the oldest */
            client_write(clients[0], 9, "www.example.org", A);
            assert_response(client_read(clients[0]), 9, LDNS_RCODE_NOERROR);
        }
    }
    client_read_end(clients[1]);
    for (uint16_t i = 0; i < 4; i++) {
        if (i != 1) {
            client_write(clients[i], i, "www.example.org", A);
            assert_response(client_read(clients[i]), i, LDNS_RCODE_NOERROR);
        }
        close(clients[i]);
    }
}

static void test_a_silent_connection_is_closed(void **state)
{
    (void)state;
    serving.options.tcp_idle = 20 * 1000 * 1000;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_read_end(client);
    close(client);
}

static void test_a_client_that_takes_no_answers_is_dropped(void **state)
{
    uint8_t packets[64][514];
    size_t length = 0;
    (void)state;
    serving.options.tcp_idle = 50 * 1000 * 1000;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    for (size_t i = 0; i < 64; i++) {
        uint8_t *packet = (uint8_t *)packets + length;
        size_t query = fixture_query(packet + 2, 1, "big.example.org", TXT, 0);
        packet[0] = 0;
        packet[1] = (uint8_t)query;
        length += query + 2;
    }
    /* Sends until the server, whose answers are not read, has closed the connection. */
    while (send(client, packets, length, MSG_NOSIGNAL) > 0)
        continue;
    close(client);
    client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 1, "www.example.org", A);
    assert_response(client_read(client), 1, LDNS_RCODE_NOERROR);
    close(client);
}

/* --- tables and counters --- */

static void test_swapping_tables(void **state)
{
    struct fixture other;
    (void)state;
    serve(&serving, "127.0.0.1", 2);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    fixture_init(&other);
    fixture_zone(&other, "example.org", NULL);
    fixture_service(&other, "www.example.org", "", "10.0.0.9");
    fixture_build(&other);
    dns_server_swap(serving.server, other.table);
    other.table = NULL;
    for (uint16_t id = 0; id < 20; id++) {
        client_ask(client, id, "www.example.org", A);
        ldns_pkt *response = client_receive(client);
        assert_section(ldns_pkt_answer(response), "www.example.org. 60 IN A 10.0.0.9");
        assert_response(response, id, LDNS_RCODE_NOERROR);
    }
    close(client);
    fixture_free(&other);
}

static void test_statistics(void **state)
{
    struct dns_statistics statistics;
    (void)state;
    serve(&serving, "127.0.0.1", 2);
    int udp = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    int tcp = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    static const uint16_t types[] = {1, 1, 28, 6, 2, 255, 16};
    for (uint16_t i = 0; i < sizeof types / sizeof *types; i++) {
        client_ask(udp, i, "www.example.org", types[i]);
        ldns_pkt_free(client_receive(udp));
    }
    client_ask(udp, 20, "big.example.org", TXT);
    ldns_pkt_free(client_receive(udp));
    client_write(tcp, 21, "nothing.example.org", AAAA);
    ldns_pkt_free(client_read(tcp));
    client_write(tcp, 22, "example.net", A);
    ldns_pkt_free(client_read(tcp));
    dns_server_statistics(serving.server, &statistics);
    assert_int_equal(statistics.queries[DNS_COUNT_A][DNS_UDP], 2);
    assert_int_equal(statistics.queries[DNS_COUNT_AAAA][DNS_UDP], 1);
    assert_int_equal(statistics.queries[DNS_COUNT_SOA][DNS_UDP], 1);
    assert_int_equal(statistics.queries[DNS_COUNT_NS][DNS_UDP], 1);
    assert_int_equal(statistics.queries[DNS_COUNT_ANY][DNS_UDP], 1);
    assert_int_equal(statistics.queries[DNS_COUNT_OTHER][DNS_UDP], 2);
    assert_int_equal(statistics.queries[DNS_COUNT_A][DNS_TCP], 1);
    assert_int_equal(statistics.queries[DNS_COUNT_AAAA][DNS_TCP], 1);
    assert_int_equal(statistics.answers[DNS_NOERROR], 8);
    assert_int_equal(statistics.answers[DNS_NXDOMAIN], 1);
    assert_int_equal(statistics.answers[DNS_REFUSED], 1);
    assert_int_equal(statistics.truncated, 1);
    assert_int_equal(statistics.dropped, 0);
    close(udp);
    close(tcp);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_udp),
        test(test_many_queries_at_once_over_udp),
        test(test_a_flood_is_answered_to_the_last),
        test(test_responses_and_rubbish_are_not_answered),
        test(test_a_long_answer_is_cut_over_udp_and_whole_over_tcp),
        test(test_responses_come_from_the_address_that_was_asked),
        test(test_ipv6),
        test(test_tcp_queries_may_be_pipelined),
        test(test_tcp_queries_may_come_byte_by_byte),
        test(test_a_tcp_client_may_close_its_side_first),
        test(test_a_tcp_message_that_cannot_be_a_query_ends_the_connection),
        test(test_a_malformed_tcp_query_is_answered),
        test(test_the_oldest_idle_connection_gives_way),
        test(test_a_silent_connection_is_closed),
        test(test_a_client_that_takes_no_answers_is_dropped),
        test(test_swapping_tables),
        test(test_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
