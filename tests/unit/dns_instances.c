/* The instances of wildcards: which names they are found by, what becomes of queries for labels
 * that are not known, and that they can come and go while workers answer. */
#include "dns_client.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { A = 1, TXT = 16, AAAA = 28, ANY = 255 };

#define NEGATIVE "example.org. 5 IN SOA ns.example.org. hostmaster.example.org. 1 2 3 4 5"

static struct serving serving;
static struct fixture *const fixture = &serving.fixture;
static struct dns_host *apps, *texts;

/* A wildcard's host, without an instance. */
static struct dns_host *add_wildcard(const char *name, const char *aliases)
{
    struct dns_host *host = fixture_service(fixture, name, aliases, "");
    host->instances = dns_instances_new(4);
    assert_non_null(host->instances);
    return host;
}

static struct dns_host *make_instance(const char *label, const char *first, const char *second)
{
    struct address addresses[2];
    struct config_service service = {.addresses = addresses, .ttl = 60};
    assert_int_equal(address_parse(first, &addresses[service.address_count++]), 0);
    if (second)
        assert_int_equal(address_parse(second, &addresses[service.address_count++]), 0);
    struct dns_host *host = dns_instance_new(&service, label);
    assert_non_null(host);
    host->summons = true;
    return host;
}

static struct dns_host *add_instance(struct dns_host *wildcard, const char *label,
                                     const char *first, const char *second)
{
    struct dns_host *host = make_instance(label, first, second);
    dns_instances_add(wildcard->instances, host);
    return host;
}

static int setup(void **state)
{
    (void)state;
    serving_init(&serving);
    fixture_zone(fixture, "example.net",
                 "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\n*.texts TXT text\ntoo A 192.0.2.1\n"
                 "to-known CNAME known.apps.example.org.\nto-new CNAME new.apps.example.org.\n"
                 "deep.below.texts A 192.0.2.2\n");
    apps = add_wildcard("*.apps.example.org", "*.also.example.org");
    texts = add_wildcard("*.texts.example.net", "");
    fixture_service(fixture, "own.apps.example.org", "", "10.0.0.2");
    add_instance(apps, "known", "10.0.1.1", "2001:db8::1");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (serving.server)
        serving_stop(&serving);
    else
        fixture_free(fixture);
    dns_instances_free(apps->instances);
    dns_instances_free(texts->instances);
    return 0;
}

/* --- finding --- */

static void an_instance_is_answered_like_a_service(void **state)
{
    (void)state;
    fixture_build(fixture);
    assert_answer(fixture, "known.apps.example.org", A, "NOERROR aa",
                  "known.apps.example.org. 60 IN A 10.0.1.1", "", "");
    assert_answer(fixture, "KNOWN.apps.example.org", AAAA, "NOERROR aa",
                  "KNOWN.apps.example.org. 60 IN AAAA 2001:db8::1", "", "");
    assert_answer(fixture, "known.apps.example.org", ANY, "NOERROR aa",
                  "known.apps.example.org. 60 IN A 10.0.1.1", "", "");
    assert_answer(fixture, "known.apps.example.org", TXT, "NOERROR aa", "", NEGATIVE, "");
    assert_answer(fixture, "known.also.example.org", A, "NOERROR aa",
                  "known.also.example.org. 60 IN A 10.0.1.1", "", "");
    assert_answer(fixture, "to-known.example.net", A, "NOERROR aa",
                  "to-known.example.net. 30 IN CNAME known.apps.example.org.\n"
                  "known.apps.example.org. 60 IN A 10.0.1.1",
                  "", "");
}

static void only_names_that_a_machine_can_have_exist(void **state)
{
    (void)state;
    fixture_build(fixture);
    static const char *const none[] = {"known.known.apps.example.org", "a.b.c.apps.example.org",
                                       "-a.apps.example.org",          "a-.apps.example.org",
                                       "a\\.b.apps.example.org",       "a/b.apps.example.org",
                                       "\\000.apps.example.org",       "x.own.apps.example.org"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_answer(fixture, none[i], A, "NXDOMAIN aa", "", NEGATIVE, "");
        assert_answer(fixture, none[i], TXT, "NXDOMAIN aa", "", NEGATIVE, "");
    }
    /* The asterisk itself is a name like any other, without a machine. */
    assert_answer(fixture, "*.apps.example.org", A, "NOERROR aa", "", NEGATIVE, "");
}

static void what_exists_otherwise_is_not_covered(void **state)
{
    (void)state;
    fixture_build(fixture);
    add_instance(apps, "own", "10.0.1.9", NULL);
    add_instance(texts, "below", "10.0.1.9", NULL);
    assert_answer(fixture, "own.apps.example.org", A, "NOERROR aa",
                  "own.apps.example.org. 60 IN A 10.0.0.2", "", "");
    /* An empty non-terminal (RFC 4592, 2.2.2). */
    ldns_pkt *response = fixture_ask(fixture, "below.texts.example.net", A);
    assert_int_equal(ldns_pkt_ancount(response), 0);
    ldns_pkt_free(response);
}

static void a_zone_files_records_at_the_wildcard_hold_for_all(void **state)
{
    (void)state;
    fixture_build(fixture);
    add_instance(texts, "known", "10.0.2.1", NULL);
    static const char *const names[] = {"known", "unknown", "a.b", "a+b"};
    for (size_t i = 0; i < 4; i++) {
        char name[64], record[96];
        snprintf(name, sizeof name, "%s.texts.example.net", names[i]);
        snprintf(record, sizeof record, "%s. 30 IN TXT \"text\"", name);
        assert_answer(fixture, name, TXT, "NOERROR aa", record, "", "");
    }
    assert_answer(fixture, "known.texts.example.net", A, "NOERROR aa",
                  "known.texts.example.net. 60 IN A 10.0.2.1", "", "");
    ldns_pkt *response = fixture_ask(fixture, "a.b.texts.example.net", A);
    assert_int_equal(ldns_pkt_get_rcode(response), LDNS_RCODE_NOERROR);
    assert_int_equal(ldns_pkt_ancount(response), 0);
    ldns_pkt_free(response);
}

static void an_alias_may_cover_all_names_for_one_machine(void **state)
{
    (void)state;
    struct dns_host *host =
        fixture_service(fixture, "one.example.org", "*.all.example.org", "10.0.0.7");
    fixture_build(fixture);
    assert_answer(fixture, "x.all.example.org", A, "NOERROR aa",
                  "x.all.example.org. 60 IN A 10.0.0.7", "", "");
    assert_answer(fixture, "a.b.all.example.org", A, "NOERROR aa",
                  "a.b.all.example.org. 60 IN A 10.0.0.7", "", "");
    assert_null(host->instances);
}

static void as_many_as_there_are_are_found(void **state)
{
    struct dns_host *hosts[1000];
    char label[16];
    (void)state;
    fixture_build(fixture);
    for (int i = 0; i < 1000; i++) {
        snprintf(label, sizeof label, "l%d", i);
        hosts[i] = add_instance(apps, label, "10.0.3.1", NULL);
    }
    for (int i = 0; i < 1000; i += 2) {
        dns_instances_remove(apps->instances, hosts[i]);
        dns_instance_free(hosts[i]);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(label, sizeof label, "l%d", i);
        assert_ptr_equal(dns_instances_find(apps->instances, label), i % 2 ? hosts[i] : NULL);
    }
}

/* --- labels that are not known --- */

static void await_question(const char *label, uint16_t type)
{
    assert_int_equal(sem_wait(&serving.asked), 0);
    assert_string_equal(serving.label, label);
    assert_int_equal(serving.asked_type, type);
}

static void tell(const char *label, enum dns_label_fate fate)
{
    dns_server_tell(serving.server, serving.asker, apps, label, fate);
}

static int serve_one(void)
{
    serve(&serving, "127.0.0.1", 1);
    return client_open(&serving, "127.0.0.1", SOCK_DGRAM);
}

static void a_query_waits_until_its_label_is_known(void **state)
{
    (void)state;
    int client = serve_one();
    client_ask(client, 1, "New.apps.example.org", A);
    await_question("new", A);
    client_ask(client, 1, "New.apps.example.org", A); /* a retransmission */
    assert_silence(client);
    struct dns_host *host = add_instance(apps, "new", "10.0.4.1", NULL);
    tell("new", DNS_LABEL_ADDED);
    ldns_pkt *response = client_receive(client);
    assert_section(ldns_pkt_answer(response), "New.apps.example.org. 60 IN A 10.0.4.1");
    ldns_pkt_free(response);
    assert_int_equal(sem_trywait(&serving.asked), -1);
    /* It is wanted by the same query. */
    assert_int_equal(sem_wait(&serving.wanted), 0);
    assert_true(atomic_load(&host->wanted));
    assert_string_equal(serving.want.name, "new.apps.example.org");
    client_ask(client, 2, "new.also.example.org", A);
    assert_response(client_receive(client), 2, LDNS_RCODE_NOERROR);
    close(client);
}

static void one_who_asks_by_another_name_is_answered_too(void **state)
{
    (void)state;
    int client = serve_one();
    client_ask(client, 1, "to-new.example.net", A);
    await_question("new", A);
    add_instance(apps, "new", "10.0.4.1", NULL);
    tell("new", DNS_LABEL_ADDED);
    ldns_pkt *response = client_receive(client);
    assert_section(ldns_pkt_answer(response),
                   "to-new.example.net. 30 IN CNAME new.apps.example.org.\n"
                   "new.apps.example.org. 60 IN A 10.0.4.1");
    ldns_pkt_free(response);
    close(client);
}

static void what_becomes_of_a_label_is_what_its_query_is_told(void **state)
{
    (void)state;
    apps->is_sparse = true;
    int client = serve_one();
    client_ask(client, 1, "a.apps.example.org", A);
    await_question("a", A);
    tell("b", DNS_LABEL_MISSING);
    assert_silence(client);
    tell("a", DNS_LABEL_MISSING);
    assert_response(client_receive(client), 1, LDNS_RCODE_NXDOMAIN);
    client_ask(client, 2, "a.apps.example.org", TXT);
    await_question("a", TXT);
    tell("a", DNS_LABEL_EMPTY);
    assert_response(client_receive(client), 2, LDNS_RCODE_NOERROR);
    client_ask(client, 3, "a.apps.example.org", AAAA);
    await_question("a", AAAA);
    tell("a", DNS_LABEL_NO_RESOURCES);
    assert_failure(client_receive(client), 3, 0, "no room for another machine");
    client_ask(client, 4, "a.apps.example.org", A);
    await_question("a", A);
    tell("a", DNS_LABEL_ADDED); /* and gone again already */
    assert_failure(client_receive(client), 4, 0, "the configuration has changed");
    close(client);
}

static void others_than_addresses_are_asked_about_only_where_labels_may_be_missing(void **state)
{
    (void)state;
    int client = serve_one();
    client_ask(client, 1, "a.apps.example.org", TXT);
    assert_response(client_receive(client), 1, LDNS_RCODE_NOERROR);
    assert_int_equal(sem_trywait(&serving.asked), -1);
    close(client);
}

static void nobody_is_asked_while_there_is_no_room(void **state)
{
    (void)state;
    int client = serve_one();
    atomic_store(&apps->disposition, DNS_NO_RESOURCES);
    client_ask(client, 1, "a.apps.example.org", A);
    assert_failure(client_receive(client), 1, 0, "no room for another machine");
    client_ask(client, 2, "known.apps.example.org", A);
    assert_response(client_receive(client), 2, LDNS_RCODE_NOERROR);
    assert_int_equal(sem_trywait(&serving.asked), -1);
    close(client);
}

static void those_who_may_not_summon_get_none_made(void **state)
{
    static struct prefix others;
    (void)state;
    assert_int_equal(prefix_parse("192.0.2.0/24", &others), 0);
    apps->summon_from = &others;
    apps->summon_from_count = 1;
    int client = serve_one();
    client_ask(client, 1, "a.apps.example.org", A);
    assert_failure(client_receive(client), 1, 18, "not known, and not for this client to start");
    client_ask(client, 2, "known.apps.example.org", A);
    assert_response(client_receive(client), 2, LDNS_RCODE_NOERROR);
    assert_int_equal(sem_trywait(&serving.asked), -1);
    close(client);
}

/* However many labels are made up, only so many wait; the others know at once. */
static void only_so_many_wait(void **state)
{
    enum { ASKED = 200, WAITING = 64 };
    char name[64];
    (void)state;
    int client = serve_one();
    for (uint16_t i = 0; i < ASKED; i++) {
        snprintf(name, sizeof name, "l%u.apps.example.org", i);
        client_ask(client, i, name, A);
    }
    for (uint16_t i = WAITING; i < ASKED; i++)
        assert_failure(client_receive(client), i, 0, "too many queries are waiting");
    for (unsigned i = 0; i < WAITING; i++)
        assert_int_equal(sem_wait(&serving.asked), 0);
    assert_int_equal(sem_trywait(&serving.asked), -1);
    client_ask(client, 999, "www.example.org", A);
    assert_response(client_receive(client), 999, LDNS_RCODE_NOERROR);
    for (uint16_t i = 0; i < WAITING; i++) {
        snprintf(name, sizeof name, "l%u", i);
        tell(name, DNS_LABEL_MISSING);
        assert_response(client_receive(client), i, LDNS_RCODE_NXDOMAIN);
    }
    client_ask(client, 1000, "again.apps.example.org", A);
    assert_int_equal(sem_wait(&serving.asked), 0);
    tell("again", DNS_LABEL_MISSING);
    assert_response(client_receive(client), 1000, LDNS_RCODE_NXDOMAIN);
    close(client);
}

static void nobody_who_says_is_given_up_on(void **state)
{
    (void)state;
    serving.options.keep = 20 * 1000 * 1000;
    int client = serve_one();
    client_ask(client, 1, "a.apps.example.org", A);
    assert_failure(client_receive(client), 1, 14, "the machine is not ready");
    close(client);
}

static void one_made_for_when_ready_keeps_its_query_until_then(void **state)
{
    (void)state;
    int client = serve_one();
    client_ask(client, 1, "new.apps.example.org", A);
    await_question("new", A);
    struct dns_host *host = make_instance("new", "10.0.4.1", NULL);
    atomic_store(&host->disposition, DNS_WHEN_READY);
    dns_instances_add(apps->instances, host);
    tell("new", DNS_LABEL_ADDED);
    assert_silence(client);
    atomic_store(&host->disposition, DNS_ANSWER);
    dns_server_release(serving.server, host, true);
    assert_response(client_receive(client), 1, LDNS_RCODE_NOERROR);

    /* One that is forgotten leaves no query behind. */
    atomic_store(&host->disposition, DNS_WHEN_READY);
    client_ask(client, 2, "new.apps.example.org", A);
    assert_silence(client);
    dns_instances_remove(apps->instances, host);
    dns_server_retire(serving.server, host);
    assert_failure(client_receive(client), 2, 0, "the configuration has changed");
    assert_int_equal(sem_wait(&serving.retired), 0);
    client_ask(client, 3, "new.apps.example.org", A);
    assert_int_equal(sem_wait(&serving.asked), 0);
    tell("new", DNS_LABEL_MISSING);
    assert_response(client_receive(client), 3, LDNS_RCODE_NXDOMAIN);
    close(client);
}

static void over_tcp_it_is_the_same(void **state)
{
    (void)state;
    serve(&serving, "127.0.0.1", 1);
    int client = client_open(&serving, "127.0.0.1", SOCK_STREAM);
    client_write(client, 1, "new.apps.example.org", A);
    await_question("new", A);
    add_instance(apps, "new", "10.0.4.1", NULL);
    tell("new", DNS_LABEL_ADDED);
    assert_response(client_read(client), 1, LDNS_RCODE_NOERROR);
    close(client);
}

/* --- at the same time --- */

static atomic_bool stop;

/* Each answer is the instance's, or the query is kept because there is none just then. */
static void *ask_on(void *argument)
{
    int client = client_open(&serving, "127.0.0.1", SOCK_DGRAM);
    uintptr_t answers = 0;
    (void)argument;
    for (uint16_t id = 0; !atomic_load(&stop); id++) {
        uint8_t response[1232];
        char name[64];
        snprintf(name, sizeof name, "l%u.apps.example.org", id % 8u);
        client_ask(client, id, name, A);
        ssize_t length = recv(client, response, sizeof response, MSG_DONTWAIT);
        if (length > 0 && (response[3] & 15) == 0) {
            assert_memory_equal(response + length - 11 - 4, "\12\0\5\1", 4);
            answers++;
        }
    }
    close(client);
    return (void *)answers;
}

static void they_come_and_go_while_workers_answer(void **state)
{
    enum { ROUNDS = 3000 };
    pthread_t clients[2];
    struct dns_host *hosts[8] = {0};
    uintptr_t answers = 0;
    void *counted;
    (void)state;
    atomic_store(&stop, false);
    serve(&serving, "127.0.0.1", 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, ask_on, NULL), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        char label[8];
        struct dns_host **host = &hosts[round % 8];
        snprintf(label, sizeof label, "l%u", round % 8);
        if (*host) {
            dns_instances_remove(apps->instances, *host);
            dns_server_retire(serving.server, *host);
            assert_int_equal(sem_wait(&serving.retired), 0);
        }
        *host = add_instance(apps, label, "10.0.5.1", NULL);
        for (unsigned worker = 0; worker < 2; worker++)
            dns_server_tell(serving.server, worker, apps, label, DNS_LABEL_ADDED);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(clients[i], &counted);
        answers += (uintptr_t)counted;
    }
    assert_true(answers > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_instance_is_answered_like_a_service),
        TEST(only_names_that_a_machine_can_have_exist),
        TEST(what_exists_otherwise_is_not_covered),
        TEST(a_zone_files_records_at_the_wildcard_hold_for_all),
        TEST(an_alias_may_cover_all_names_for_one_machine),
        TEST(as_many_as_there_are_are_found),
        TEST(a_query_waits_until_its_label_is_known),
        TEST(one_who_asks_by_another_name_is_answered_too),
        TEST(what_becomes_of_a_label_is_what_its_query_is_told),
        TEST(others_than_addresses_are_asked_about_only_where_labels_may_be_missing),
        TEST(nobody_is_asked_while_there_is_no_room),
        TEST(those_who_may_not_summon_get_none_made),
        TEST(only_so_many_wait),
        TEST(nobody_who_says_is_given_up_on),
        TEST(one_made_for_when_ready_keeps_its_query_until_then),
        TEST(over_tcp_it_is_the_same),
        TEST(they_come_and_go_while_workers_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
