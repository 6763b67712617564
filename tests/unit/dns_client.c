#include "dns_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void serving_init(struct serving *serving)
{
    static char zone[4096];
    int used =
        snprintf(zone, sizeof zone, "@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\nstatic TXT static\n");
    for (int i = 0; i < 20; i++)
        used += snprintf(zone + used, sizeof zone - (size_t)used, "big TXT %0100d\n", i);
    memset(serving, 0, sizeof *serving);
    sem_init(&serving->wanted, 0, 0);
    sem_init(&serving->go_on, 0, 0);
    sem_init(&serving->asked, 0, 0);
    sem_init(&serving->retired, 0, 0);
    fixture_init(&serving->fixture);
    fixture_zone(&serving->fixture, "example.org", zone);
    fixture_service(&serving->fixture, "www.example.org", "", "10.0.0.1");
}

static void wanted(void *argument, struct dns_host *host, const struct dns_want *want)
{
    struct serving *serving = argument;
    (void)host;
    serving->want = *want;
    sem_post(&serving->wanted);
    if (serving->hold_worker)
        sem_wait(&serving->go_on);
}

static void unknown(void *argument, struct dns_host *wildcard, const char *label, unsigned worker,
                    const struct dns_want *want)
{
    struct serving *serving = argument;
    (void)wildcard;
    strcpy(serving->label, label);
    serving->asked_type = want->type;
    serving->asker = worker;
    sem_post(&serving->asked);
}

static void retired(void *argument, struct dns_host *instance)
{
    struct serving *serving = argument;
    dns_instance_free(instance);
    sem_post(&serving->retired);
}

/* A bound socket, listening if it is TCP; the first to be bound chooses the port. */
static int open_socket(struct endpoint *endpoint, int type)
{
    struct sockaddr_storage address;
    socklen_t length = endpoint_to_sockaddr(endpoint, &address);
    int on = 1, buffer = 1 << 20,
        descriptor = socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (bind(descriptor, (struct sockaddr *)&address, length) != 0) {
        close(descriptor);
        return -1;
    }
    if (type == SOCK_STREAM)
        assert_int_equal(listen(descriptor, 128), 0);
    length = sizeof address;
    getsockname(descriptor, (struct sockaddr *)&address, &length);
    endpoint_from_sockaddr((struct sockaddr *)&address, endpoint);
    return descriptor;
}

/* A pair whose port is free for both. */
static struct dns_sockets open_pair(struct endpoint *endpoint)
{
    for (;;) {
        struct endpoint tried = *endpoint;
        struct dns_sockets pair = {.udp = open_socket(&tried, SOCK_DGRAM)};
        assert_true(pair.udp >= 0);
        pair.tcp = open_socket(&tried, SOCK_STREAM);
        if (pair.tcp >= 0) {
            *endpoint = tried;
            return pair;
        }
        close(pair.udp);
    }
}

void serve(struct serving *serving, const char *address, unsigned workers)
{
    struct dns_sockets sockets[4];
    struct error error;
    assert_int_equal(address_parse(address, &serving->endpoint.address), 0);
    for (unsigned i = 0; i < workers; i++)
        sockets[i] = open_pair(&serving->endpoint);
    fixture_build(&serving->fixture);
    serving->options.workers = workers;
    serving->options.listen_count = 1;
    serving->options.sockets = sockets;
    serving->options.wanted = wanted;
    serving->options.unknown = unknown;
    serving->options.retired = retired;
    serving->options.argument = serving;
    serving->server = dns_server_start(&serving->options, serving->fixture.table, &error);
    assert_non_null(serving->server);
    serving->fixture.table = NULL;
}

void serving_stop(struct serving *serving)
{
    dns_server_stop(serving->server);
    fixture_free(&serving->fixture);
    sem_destroy(&serving->wanted);
    sem_destroy(&serving->go_on);
    sem_destroy(&serving->asked);
    sem_destroy(&serving->retired);
}

int client_open(const struct serving *serving, const char *address, int type)
{
    struct endpoint endpoint = serving->endpoint;
    struct sockaddr_storage storage;
    assert_int_equal(address_parse(address, &endpoint.address), 0);
    socklen_t length = endpoint_to_sockaddr(&endpoint, &storage);
    int client = socket(storage.ss_family, type | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(connect(client, (struct sockaddr *)&storage, length), 0);
    return client;
}

void client_ask(int client, uint16_t id, const char *name, uint16_t type)
{
    uint8_t packet[512];
    size_t length = fixture_query(packet, id, name, type, 1232);
    assert_int_equal(send(client, packet, length, 0), length);
}

static void wait_readable(int client)
{
    struct pollfd wait = {.fd = client, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MILLISECONDS), 1);
}

ldns_pkt *client_receive(int client)
{
    uint8_t packet[4096];
    wait_readable(client);
    ssize_t length = recv(client, packet, sizeof packet, 0);
    assert_true(length > 0);
    return fixture_parse(packet, (size_t)length);
}

void client_write(int client, uint16_t id, const char *name, uint16_t type)
{
    uint8_t packet[514];
    size_t length = fixture_query(packet + 2, id, name, type, 1232);
    packet[0] = (uint8_t)(length >> 8);
    packet[1] = (uint8_t)length;
    assert_int_equal(send(client, packet, length + 2, MSG_NOSIGNAL), length + 2);
}

static void read_bytes(int client, uint8_t *bytes, size_t length)
{
    while (length > 0) {
        wait_readable(client);
        ssize_t got = recv(client, bytes, length, 0);
        assert_true(got > 0);
        bytes += got;
        length -= (size_t)got;
    }
}

ldns_pkt *client_read(int client)
{
    static uint8_t packet[UINT16_MAX];
    uint8_t prefix[2];
    read_bytes(client, prefix, sizeof prefix);
    size_t length = (size_t)prefix[0] << 8 | prefix[1];
    read_bytes(client, packet, length);
    return fixture_parse(packet, length);
}

void client_read_end(int client)
{
    uint8_t byte;
    wait_readable(client);
    ssize_t got = recv(client, &byte, 1, 0);
    assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
}

void assert_response(ldns_pkt *response, uint16_t id, ldns_pkt_rcode rcode)
{
    assert_int_equal(ldns_pkt_id(response), id);
    assert_int_equal(ldns_pkt_get_rcode(response), rcode);
    ldns_pkt_free(response);
}

void assert_failure(ldns_pkt *response, uint16_t id, uint16_t extended, const char *text)
{
    const ldns_rdf *options = ldns_pkt_edns_data(response);
    assert_non_null(options);
    const uint8_t *option = ldns_rdf_data(options);
    assert_int_equal(ldns_rdf_size(options), 6 + strlen(text));
    assert_int_equal(option[4] << 8 | option[5], extended);
    assert_memory_equal(option + 6, text, strlen(text));
    assert_response(response, id, LDNS_RCODE_SERVFAIL);
}

void assert_silence(int client)
{
    client_ask(client, 0xfffe, "static.example.org", 16);
    assert_response(client_receive(client), 0xfffe, LDNS_RCODE_NOERROR);
}
