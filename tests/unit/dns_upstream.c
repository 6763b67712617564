#include "dns_upstream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cursor.h"
#include "dns_client.h"

enum { A = 1, TXT = 16 };

static int open_at(struct endpoint *endpoint, int type)
{
    struct sockaddr_storage address;
    socklen_t length = endpoint_to_sockaddr(endpoint, &address);
    int descriptor = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    if (bind(descriptor, (struct sockaddr *)&address, length) != 0) {
        close(descriptor);
        return -1;
    }
    if (type == SOCK_STREAM)
        assert_int_equal(listen(descriptor, 16), 0);
    length = sizeof address;
    getsockname(descriptor, (struct sockaddr *)&address, &length);
    endpoint_from_sockaddr((struct sockaddr *)&address, endpoint);
    return descriptor;
}

void upstream_open(struct upstream *upstream, const char *address)
{
    for (;;) {
        assert_int_equal(address_parse(address, &upstream->endpoint.address), 0);
        upstream->endpoint.port = 0;
        upstream->udp = open_at(&upstream->endpoint, SOCK_DGRAM);
        upstream->tcp = open_at(&upstream->endpoint, SOCK_STREAM);
        if (upstream->tcp >= 0)
            return;
        close(upstream->udp);
    }
}

void upstream_close(struct upstream *upstream)
{
    if (upstream->udp >= 0)
        close(upstream->udp);
    if (upstream->tcp >= 0)
        close(upstream->tcp);
    upstream->udp = upstream->tcp = -1;
}

void upstream_open_again(struct upstream *upstream)
{
    upstream->udp = open_at(&upstream->endpoint, SOCK_DGRAM);
    assert_true(upstream->udp >= 0);
}

struct received upstream_receive(const struct upstream *upstream)
{
    struct received received;
    received.client_length = sizeof received.client;
    struct pollfd wait = {.fd = upstream->udp, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MILLISECONDS), 1);
    ssize_t got = recvfrom(upstream->udp, received.packet, sizeof received.packet, 0,
                           (struct sockaddr *)&received.client, &received.client_length);
    assert_true(got > 12);
    received.length = (size_t)got;
    return received;
}

bool upstream_has_nothing(const struct upstream *upstream)
{
    uint8_t byte;
    return recv(upstream->udp, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

size_t upstream_respond(const struct received *query, uint8_t *packet, uint8_t rcode,
                        unsigned answers)
{
    struct writer writer = writer_over(packet, UINT16_MAX);
    size_t question = query->length - 11; /* without our OPT record */
    writer_bytes(&writer, query->packet, question);
    packet[2] = 0x85;                    /* QR, AA, RD */
    packet[3] = (uint8_t)(0xa0 | rcode); /* RA, AD */
    packet[7] = (uint8_t)(answers > 0 ? answers : rcode == 0);
    for (unsigned i = 0; i < packet[7]; i++) {
        writer_u16(&writer, 0xc00c);
        writer_u16(&writer, answers ? TXT : A);
        writer_u16(&writer, 1);
        writer_u32(&writer, 60);
        if (answers == 0) {
            writer_u16(&writer, 4);
            writer_bytes(&writer, (uint8_t[]){192, 0, 2, 7}, 4);
            continue;
        }
        writer_u16(&writer, 200);
        writer_u8(&writer, 199);
        for (unsigned j = 0; j < 199; j++)
            writer_u8(&writer, (uint8_t)('a' + i % 26));
    }
    writer_bytes(&writer, query->packet + question, 11);
    assert_false(writer.failed);
    return writer.position;
}

void upstream_send(const struct upstream *upstream, const struct received *query,
                   const uint8_t *packet, size_t length)
{
    assert_int_equal(sendto(upstream->udp, packet, length, 0,
                            (const struct sockaddr *)&query->client, query->client_length),
                     length);
}

void upstream_answer(const struct upstream *upstream, const struct received *query, uint8_t rcode)
{
    static uint8_t packet[UINT16_MAX];
    upstream_send(upstream, query, packet, upstream_respond(query, packet, rcode, 0));
}

void upstream_answer_stream(const struct upstream *upstream, unsigned answers)
{
    static uint8_t packet[2 + UINT16_MAX];
    struct received query;
    struct pollfd wait = {.fd = upstream->tcp, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, PATIENCE_MILLISECONDS), 1);
    int connection = accept(upstream->tcp, NULL, NULL);
    assert_true(connection >= 0);
    assert_int_equal(recv(connection, packet, 2, MSG_WAITALL), 2);
    query.length = (size_t)packet[0] << 8 | packet[1];
    assert_int_equal(recv(connection, query.packet, query.length, MSG_WAITALL), query.length);
    size_t length = upstream_respond(&query, packet + 2, 0, answers);
    packet[0] = (uint8_t)(length >> 8);
    packet[1] = (uint8_t)length;
    for (size_t sent = 0; sent < length + 2;) {
        size_t piece = length + 2 - sent < 700 ? length + 2 - sent : 700;
        assert_int_equal(send(connection, packet + sent, piece, MSG_NOSIGNAL), piece);
        sent += piece;
    }
    close(connection);
}
