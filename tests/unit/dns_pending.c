/* Queries that wait: for their host's release, for its delay; and what else may become of them. */
#include "dns_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { A = 1, TXT = 16, AAAA = 28 };

static struct serving serving;
static struct dns_host *host;

static int setup(void **state)
{
    (void)state;
    serving_init(&serving);
    host = &serving.fixture.hosts[0];
    host->disposition = DNS_WHEN_READY;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    serving_stop(&serving);
    return 0;
}

static void release(enum dns_disposition disposition, bool ready)
{
    host->disposition = (uint8_t)disposition;
    dns_server_release(serving.server, host, ready);
}

static void test_kept_until_ready(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    client_ask(client, 1, "wWw.example.org", A);
    client_ask(client, 2, "www.example.org", AAAA);
    assert_silence(client);
    assert_int_equal(sem_wait(&serving.wanted), 0);
    release(DNS_ANSWER, true);
    for (int i = 0; i < 2; i++) {
        ldns_pkt *response = client_receive(client);
        if (ldns_pkt_id(response) == 1)
            assert_section(ldns_pkt_answer(response), "wWw.example.org. 60 IN A 10.0.0.1");
        else
            assert_int_equal(ldns_pkt_id(response), 2);
        assert_true(ldns_pkt_edns(response));
        ldns_pkt_free(response);
    }
    client_ask(client, 3, "www.example.org", A);
    assert_response(client_receive(client), 3, LDNS_RCODE_NOERROR);
    close(client);
}

static void test_released_on_every_worker(void **state)
{
    enum { CLIENTS = 16 };
    int clients[CLIENTS];
    (void)state;
    serve(&serving, "0.0.0.0", 3);
    for (uint16_t i = 0; i < CLIENTS; i++) {
        clients[i] = client_open(&serving, "127.0.0.2", SOCK_DGRAM);
        client_ask(clients[i], i, "www.example.org", A);
        assert_silence(clients[i]);
    }
    release(DNS_ANSWER, true);
    for (uint16_t i = 0; i < CLIENTS; i++) {
        assert_response(client_receive(clients[i]), i, LDNS_RCODE_NOERROR);
        close(clients[i]);
    }
}

static void test_failed_while_waiting(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    client_ask(client, 1, "www.example.org", A);
    assert_silence(client);
    release(DNS_FAILED, false);
    assert_failure(client_receive(client), 1, 14, "the machine did not start");
    host->disposition = DNS_WHEN_READY;
    client_ask(client, 2, "www.example.org", A);
    assert_silence(client);
    release(DNS_NO_RESOURCES, false);
    assert_failure(client_receive(client), 2, 0, "no room for another machine");
    close(client);
}

static void test_never_released(void **state)
{
    (void)state;
    serving.options.keep = 20 * 1000 * 1000;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    client_ask(client, 1, "www.example.org", A);
    assert_failure(client_receive(client), 1, 14, "the machine is not ready");
    close(client);
}

static void test_a_retransmission_is_kept_once(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    for (int i = 0; i < 3; i++)
        client_ask(client, 1, "www.example.org", A);
    client_ask(client, 2, "www.example.org", A);
    assert_silence(client);
    release(DNS_ANSWER, true);
    ldns_pkt *first = client_receive(client), *second = client_receive(client);
    assert_int_equal(ldns_pkt_id(first) + ldns_pkt_id(second), 3);
    ldns_pkt_free(first);
    ldns_pkt_free(second);
    assert_silence(client);
    close(client);
}

static void test_release_of_another_host_changes_nothing(void **state)
{
    (void)state;
    struct dns_host *other = fixture_service(&serving.fixture, "other.example.org", "", "10.0.0.2");
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    client_ask(client, 1, "www.example.org", A);
    assert_silence(client);
    dns_server_release(serving.server, other, true);
    assert_silence(client);
    release(DNS_ANSWER, true);
    assert_response(client_receive(client), 1, LDNS_RCODE_NOERROR);
    close(client);
}

static void test_delay(void **state)
{
    (void)state;
    host->disposition = DNS_DELAY;
    host->answer_delay = 30 * 1000 * 1000;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    client_ask(client, 1, "www.example.org", A);
    assert_response(client_receive(client), 1, LDNS_RCODE_NOERROR);
    host->disposition = DNS_WHEN_READY;
    client_ask(client, 2, "www.example.org", A);
    assert_silence(client);
    release(DNS_ANSWER, true);
    assert_response(client_receive(client), 2, LDNS_RCODE_NOERROR);
    close(client);
}

static void test_a_long_delay_keeps_the_answer(void **state)
{
    (void)state;
    host->disposition = DNS_DELAY;
    host->answer_delay = UINT64_C(3600) * 1000 * 1000 * 1000;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    client_ask(client, 1, "www.example.org", A);
    assert_silence(client);
    close(client);
}

static void test_over_tcp_others_are_answered_meanwhile(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 1, "www.example.org", A);
    client_write(client, 2, "static.example.org", TXT);
    assert_response(client_read(client), 2, LDNS_RCODE_NOERROR);
    shutdown(client, SHUT_WR);
    release(DNS_ANSWER, true);
    assert_response(client_read(client), 1, LDNS_RCODE_NOERROR);
    client_read_end(client);
    close(client);
}

static void test_a_waiting_connection_is_not_idle(void **state)
{
    (void)state;
    serving.options.tcp_idle = 1000 * 1000;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    int other = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 1, "www.example.org", A);
    client_read_end(other);
    release(DNS_ANSWER, true);
    assert_response(client_read(client), 1, LDNS_RCODE_NOERROR);
    client_read_end(client);
    close(client);
    close(other);
}

static void test_a_connection_that_goes_takes_its_queries_with_it(void **state)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int udp = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 1, "www.example.org", A);
    client_write(client, 2, "static.example.org", TXT);
    assert_response(client_read(client), 2, LDNS_RCODE_NOERROR);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(client);
    assert_silence(udp);
    release(DNS_ANSWER, true);
    assert_silence(udp);
    close(udp);
}

static void test_only_so_many_are_kept(void **state)
{
    enum { KEPT = 4096 };
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    for (uint16_t id = 0; id <= KEPT; id++)
        client_write(client, id, "www.example.org", A);
    assert_failure(client_read(client), KEPT, 0, "too many queries are waiting");
    close(client);
    /* with the connection they are gone, and there is room again */
    client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    for (;;) {
        client_write(client, 1, "www.example.org", A);
        client_write(client, 2, "static.example.org", TXT);
        ldns_pkt *response = client_read(client);
        bool kept = ldns_pkt_id(response) == 2;
        ldns_pkt_free(response);
        if (kept)
            break;
        assert_response(client_read(client), 2, LDNS_RCODE_NOERROR);
    }
    close(client);
}

static void test_swap_keeps_what_still_has_its_host(void **state)
{
    struct fixture same, without;
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    client_ask(client, 1, "www.example.org", A);
    assert_silence(client);

    fixture_init(&same);
    fixture_zone(&same, "example.org", "@ SOA n h 1 2 3 4 5\n@ NS n\nstatic TXT x\n");
    fixture_service(&same, "www.example.org", "", "10.0.0.9");
    same.host_pointers[0] = host;
    fixture_build(&same);
    dns_server_swap(serving.server, same.table);
    same.table = NULL;
    assert_silence(client);
    client_ask(client, 2, "www.example.org", A);
    assert_silence(client);
    release(DNS_ANSWER, true);
    for (int i = 0; i < 2; i++) {
        ldns_pkt *response = client_receive(client);
        assert_section(ldns_pkt_answer(response), "www.example.org. 60 IN A 10.0.0.9");
        ldns_pkt_free(response);
    }

    host->disposition = DNS_WHEN_READY;
    client_ask(client, 3, "www.example.org", A);
    assert_silence(client);
    fixture_init(&without);
    fixture_zone(&without, "example.org", NULL);
    fixture_build(&without);
    dns_server_swap(serving.server, without.table);
    without.table = NULL;
    assert_failure(client_receive(client), 3, 0, "the configuration has changed");
    close(client);
    fixture_free(&same);
    fixture_free(&without);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_kept_until_ready),
        test(test_released_on_every_worker),
        test(test_failed_while_waiting),
        test(test_never_released),
        test(test_a_retransmission_is_kept_once),
        test(test_release_of_another_host_changes_nothing),
        test(test_delay),
        test(test_a_long_delay_keeps_the_answer),
        test(test_over_tcp_others_are_answered_meanwhile),
        test(test_a_waiting_connection_is_not_idle),
        test(test_a_connection_that_goes_takes_its_queries_with_it),
        test(test_only_so_many_are_kept),
        test(test_swap_keeps_what_still_has_its_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
