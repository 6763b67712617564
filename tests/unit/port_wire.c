/* The wire formats of the port: what others have written is read, what is malformed is not, and
 * checksums are right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/conduit.h"
#include "common/siphash.h"
#include "hold/checksum.h"
#include "hold/packet.h"
#include "hold/table.h"
#include "hold/unreachable.h"

/* Reads a copy that is exactly as long, so that a read past its end is noticed. */
static bool reads(struct packet *packet, const uint8_t *frame, size_t length)
{
    static uint8_t *copy;
    free(copy);
    copy = NULL;
    if (!frame)
        return false;
    copy = malloc(length ? length : 1);
    assert_non_null(copy);
    memcpy(copy, frame, length);
    return packet_read(packet, copy, length);
}

/* As Linux writes them. */
static const uint8_t linux_arp[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0,  0, 0, 0,  0xcc, 0x08, 0x06, 0, 1, 8, 0,  6, 4, 0,
    1,    0x02, 0,    0,    0,    0,    0xcc, 10, 0, 0, 99, 0,    0,    0,    0, 0, 0, 10, 0, 0, 10,
};

static const uint8_t linux_syn[] = {
    0x02, 0,    0,    0,    0,    0x10, 0x02, 0,    0,    0,    0,    0xcc, 0x08, 0x00, 0x45,
    0x00, 0x00, 0x3c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0x0a, 0x0a, 10,   0,    0,    99,
    10,   0,    0,    10,   0x9c, 0x40, 0x00, 0x50, 0x12, 0x34, 0x56, 0x78, 0x00, 0x00, 0x00,
    0x00, 0xa0, 0x02, 0xfa, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02,
    0x08, 0x0a, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07,
};

static void an_arp_request_is_read(void **state)
{
    struct packet packet;

    (void)state;
    assert_true(reads(&packet, linux_arp, sizeof linux_arp));
    assert_int_equal(packet.kind, PACKET_ARP);
    assert_int_equal(packet.arp.operation, ARP_REQUEST);
    assert_int_equal(packet.arp.sender.bytes[3], 99);
    assert_int_equal(packet.arp.target.bytes[3], 10);
    assert_false(arp_is_probe(&packet.arp));
    reads(NULL, NULL, 0);
}

static void an_opening_segment_is_read_with_its_options(void **state)
{
    struct packet packet;
    uint8_t padded[sizeof linux_syn + 6] = {0};

    (void)state;
    memcpy(padded, linux_syn, sizeof linux_syn);
    assert_true(reads(&packet, padded, sizeof padded));
    assert_int_equal(packet.kind, PACKET_TCP);
    assert_int_equal(packet.ip.length, 60);
    assert_true(tcp_is_opening(&packet.tcp));
    assert_int_equal(packet.tcp.source_port, 40000);
    assert_int_equal(packet.tcp.destination_port, 80);
    assert_int_equal(packet.tcp.sequence, 0x12345678);
    assert_int_equal(packet.tcp.window, 64240);
    assert_int_equal(packet.tcp.segment_max, 1460);
    assert_true(packet.tcp.has_scale);
    assert_int_equal(packet.tcp.scale, 7);
    assert_true(packet.tcp.permits_sack);
    assert_int_equal(packet.tcp.data_length, 0);
    reads(NULL, NULL, 0);
}

/* Cut anywhere, and with any byte changed, it is read within its bounds (sanitizers watch), and cut
 * it is no TCP segment. */
static void what_is_cut_or_changed_does_no_harm(void **state)
{
    struct packet packet;
    uint8_t frame[sizeof linux_syn];

    (void)state;
    for (size_t length = 0; length < sizeof linux_syn; length++)
        if (reads(&packet, linux_syn, length))
            assert_int_equal(packet.kind, PACKET_OTHER);
    for (size_t i = 0; i < sizeof frame; i++)
        for (unsigned value = 0; value < 256; value += 5) {
            memcpy(frame, linux_syn, sizeof frame);
            frame[i] = (uint8_t)value;
            reads(&packet, frame, sizeof frame);
        }
    reads(NULL, NULL, 0);
}

static void a_wrong_header_checksum_is_no_packet(void **state)
{
    struct packet packet;
    uint8_t frame[sizeof linux_syn];

    (void)state;
    memcpy(frame, linux_syn, sizeof frame);
    frame[14 + 8]--; /* time to live */
    assert_true(reads(&packet, frame, sizeof frame));
    assert_int_equal(packet.kind, PACKET_OTHER);
    reads(NULL, NULL, 0);
}

static void what_is_no_ethernet_frame_of_one_sender_is_none(void **state)
{
    struct packet packet;
    uint8_t frame[sizeof linux_syn];

    (void)state;
    memcpy(frame, linux_syn, sizeof frame);
    frame[6] |= 1; /* from a group */
    assert_false(reads(&packet, frame, sizeof frame));
    memcpy(frame, linux_syn, sizeof frame);
    frame[12] = 0; /* a length: spanning tree, for one */
    assert_false(reads(&packet, frame, sizeof frame));
    reads(NULL, NULL, 0);
}

/* Builds a frame with the writer that goes behind the Ethernet header. */
static struct writer begin(uint8_t *frame, uint16_t type)
{
    static const struct ethernet_header header = {.destination = {{2, 0, 0, 0, 0, 1}},
                                                  .source = {{2, 0, 0, 0, 0, 2}}};
    struct ethernet_header typed = header;
    struct writer writer = writer_over(frame, ETHERNET_FRAME_MAX);
    typed.type = type;
    ethernet_write(&writer, &typed);
    return writer;
}

static const struct address client4 = {AF_INET, {10, 0, 0, 99}},
                            machine4 = {AF_INET, {10, 0, 0, 10}};
static const struct address client6 = {AF_INET6, {0xfd, [15] = 9}};
static const struct address machine6 = {AF_INET6, {0xfd, [15] = 1}};

static void segments_are_read_as_they_were_written(void **state)
{
    static const struct tcp_segment written = {.source_port = 1,
                                               .destination_port = 2,
                                               .sequence = 0xfffffffe,
                                               .acknowledgement = 7,
                                               .flags = TCP_SYN | TCP_ACK,
                                               .window = 64240,
                                               .segment_max = 1440,
                                               .has_scale = true,
                                               .scale = 3,
                                               .permits_sack = true,
                                               .data = (const uint8_t *)"odd",
                                               .data_length = 3};
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ip_packet header = {.source = version ? client6 : client4,
                                   .destination = version ? machine6 : machine4};
        uint8_t frame[ETHERNET_FRAME_MAX];
        struct packet packet;
        struct writer writer = begin(frame, version ? ETHERNET_IPV6 : ETHERNET_IPV4);
        tcp_write(&writer, &written, &header);
        assert_false(writer.failed);
        assert_true(reads(&packet, frame, writer.position));
        assert_int_equal(packet.kind, PACKET_TCP);
        assert_true(tcp_checksum_is_right(&packet.ip));
        assert_true(address_equal(&packet.ip.source, &header.source));
        assert_true(address_equal(&packet.ip.destination, &header.destination));
        assert_int_equal(packet.tcp.sequence, written.sequence);
        assert_int_equal(packet.tcp.acknowledgement, written.acknowledgement);
        assert_int_equal(packet.tcp.flags, written.flags);
        assert_int_equal(packet.tcp.segment_max, written.segment_max);
        assert_int_equal(packet.tcp.scale, written.scale);
        assert_true(packet.tcp.permits_sack);
        assert_int_equal(packet.tcp.data_length, 3);
        assert_memory_equal(packet.tcp.data, "odd", 3);
        frame[writer.position - 1] ^= 1;
        assert_true(reads(&packet, frame, writer.position));
        assert_false(tcp_checksum_is_right(&packet.ip));
    }
    reads(NULL, NULL, 0);
}

static void a_reset_answers_as_rfc_9293_says(void **state)
{
    struct tcp_segment segment = {.source_port = 5,
                                  .destination_port = 80,
                                  .sequence = 100,
                                  .acknowledgement = 900,
                                  .flags = TCP_SYN,
                                  .data_length = 10};
    struct tcp_segment reset;

    (void)state;
    assert_true(tcp_reset_for(&segment, &reset));
    assert_int_equal(reset.source_port, 80);
    assert_int_equal(reset.destination_port, 5);
    assert_int_equal(reset.flags, TCP_RST | TCP_ACK);
    assert_int_equal(reset.sequence, 0);
    assert_int_equal(reset.acknowledgement, 111);
    segment.flags = TCP_ACK | TCP_FIN;
    assert_true(tcp_reset_for(&segment, &reset));
    assert_int_equal(reset.flags, TCP_RST);
    assert_int_equal(reset.sequence, 900);
    segment.flags = TCP_RST;
    assert_false(tcp_reset_for(&segment, &reset));
}

static void extension_headers_are_gone_past(void **state)
{
    struct ip_packet header = {
        .source = client6, .destination = machine6, .protocol = 0, .hop_limit = 64};
    static const uint8_t hop_by_hop[] = {60, 0, 1, 4, 0, 0, 0, 0};
    static const uint8_t options[] = {17, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t datagram[] = {0x10, 0, 0, 53, 0, 8, 0, 0};
    uint8_t frame[ETHERNET_FRAME_MAX];
    struct packet packet;

    (void)state;
    struct writer writer = begin(frame, ETHERNET_IPV6);
    ip_write(&writer, &header, sizeof hop_by_hop + sizeof options + sizeof datagram);
    writer_bytes(&writer, hop_by_hop, sizeof hop_by_hop);
    writer_bytes(&writer, options, sizeof options);
    writer_bytes(&writer, datagram, sizeof datagram);
    assert_true(reads(&packet, frame, writer.position));
    assert_int_equal(packet.kind, PACKET_UDP);
    assert_int_equal(packet_destination_port(&packet), 53);
    assert_int_equal(packet_source(&packet).port, 0x1000);
    reads(NULL, NULL, 0);
}

static void a_later_fragment_has_no_ports(void **state)
{
    struct ip_packet header = {
        .source = client6, .destination = machine6, .protocol = 44, .hop_limit = 64};
    static const uint8_t later[] = {17, 0, 0, 8, 0, 0, 0, 1, 0, 80, 0, 80, 0, 8, 0, 0};
    uint8_t frame[ETHERNET_FRAME_MAX];
    struct packet packet;

    (void)state;
    struct writer writer = begin(frame, ETHERNET_IPV6);
    ip_write(&writer, &header, sizeof later);
    writer_bytes(&writer, later, sizeof later);
    assert_true(reads(&packet, frame, writer.position));
    assert_int_equal(packet.kind, PACKET_IP);
    assert_true(packet.ip.is_later_fragment);
    assert_int_equal(packet_destination_port(&packet), 0);
    reads(NULL, NULL, 0);
}

static void neighbours_are_read_as_they_were_written(void **state)
{
    struct address group = neighbour_group(&machine6);
    struct ip_packet header = {.source = client6, .destination = group};
    struct neighbour written = {.type = NEIGHBOUR_SOLICITATION,
                                .target = machine6,
                                .has_mac = true,
                                .mac = {{2, 0, 0, 0, 0, 2}}};
    uint8_t frame[ETHERNET_FRAME_MAX];
    struct packet packet;

    (void)state;
    assert_int_equal(group.bytes[1], 2);
    assert_int_equal(group.bytes[11], 1);
    assert_int_equal(group.bytes[12], 0xff);
    assert_int_equal(group.bytes[15], 1);
    struct writer writer = begin(frame, ETHERNET_IPV6);
    neighbour_write(&writer, &written, &header);
    assert_true(reads(&packet, frame, writer.position));
    assert_int_equal(packet.kind, PACKET_NEIGHBOUR);
    assert_int_equal(packet.neighbour.type, NEIGHBOUR_SOLICITATION);
    assert_true(address_equal(&packet.neighbour.target, &machine6));
    assert_true(packet.neighbour.has_mac);
    assert_true(mac_equal(packet.neighbour.mac, written.mac));

    /* From beyond a router, with a wrong checksum, with an empty option: not valid. */
    frame[14 + 7]--;
    assert_true(reads(&packet, frame, writer.position));
    assert_int_equal(packet.kind, PACKET_IP);
    frame[14 + 7]++;
    frame[writer.position - 1]++;
    assert_true(reads(&packet, frame, writer.position));
    assert_int_equal(packet.kind, PACKET_IP);
    frame[writer.position - 1]--;
    frame[writer.position - 7] = 0;
    frame[14 + 40 + 3]++; /* its checksum as it would be then */
    assert_true(reads(&packet, frame, writer.position));
    assert_int_equal(packet.kind, PACKET_IP);
    reads(NULL, NULL, 0);
}

static void a_link_local_address_comes_from_the_mac_address(void **state)
{
    struct address expected, address = neighbour_link_local((struct mac){{0x52, 0x54, 0, 1, 2, 3}});

    (void)state;
    assert_int_equal(address_parse("fe80::5054:ff:fe01:203", &expected), 0);
    assert_true(address_equal(&address, &expected));
}

static void unreachable_quotes_what_was_sent(void **state)
{
    (void)state;
    for (int version = 0; version < 2; version++) {
        struct ip_packet header = {.source = version ? client6 : client4,
                                   .destination = version ? machine6 : machine4,
                                   .protocol = IP_PROTOCOL_UDP,
                                   .hop_limit = 64};
        uint8_t frame[ETHERNET_FRAME_MAX], answer[ETHERNET_FRAME_MAX],
            datagram[1400] = {0, 9, 0, 80, 5, 0x78};
        uint16_t type = version ? ETHERNET_IPV6 : ETHERNET_IPV4;
        struct packet packet, read;
        struct writer writer = begin(frame, type);
        ip_write(&writer, &header, sizeof datagram);
        writer_bytes(&writer, datagram, sizeof datagram);
        assert_true(packet_read(&packet, frame, writer.position));
        struct writer out = begin(answer, type);
        assert_true(unreachable_write(&out, &packet.ip));
        assert_true(reads(&read, answer, out.position));
        assert_int_equal(read.kind, PACKET_IP);
        assert_true(address_equal(&read.ip.destination, &header.source));
        assert_int_equal(read.ip.length, version ? 1280 : 576);
        assert_int_equal(read.ip.payload[0], version ? 1 : 3);
        assert_int_equal(read.ip.payload[1], version ? 4 : 3);
        assert_memory_equal(read.ip.payload + 8, packet.ip.bytes, read.ip.payload_length - 8);
        uint64_t sum = version ? ip_pseudo_header(&read.ip, read.ip.payload_length) : 0;
        assert_int_equal(
            checksum_finish(checksum_add(sum, read.ip.payload, read.ip.payload_length)), 0);

        /* No errors about errors. */
        struct writer none = begin(frame, type);
        assert_false(unreachable_write(&none, &read.ip));
    }
    reads(NULL, NULL, 0);
}

/* The first and some of the other test vectors of SipHash's authors. */
static void siphash_is_siphash(void **state)
{
    struct siphash_key key = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
    uint8_t bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_true(siphash(&key, bytes, 0) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(siphash(&key, bytes, 8) == UINT64_C(0x93f5f5799a932462));
    assert_true(siphash(&key, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
}

static void a_table_finds_what_is_in_it(void **state)
{
    struct item {
        size_t number;
        struct table_entry entry;
    } items[1000];
    struct table table;

    (void)state;
    assert_int_equal(table_init(&table), 0);
    for (size_t i = 0; i < 1000; i++) {
        items[i].number = i;
        table_add(&table, &items[i].entry, i / 2 * 64);
    }
    for (size_t i = 0; i < 1000; i += 2)
        table_remove(&table, &items[i].entry);
    for (size_t i = 0; i < 1000; i += 2) {
        struct table_entry *entry = table_first(&table, i / 2 * 64);
        assert_non_null(entry);
        assert_int_equal(TABLE_OWNER(entry, struct item, entry)->number, i + 1);
        assert_null(table_next(entry));
    }
    table_clear(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arp_request_is_read),
        cmocka_unit_test(an_opening_segment_is_read_with_its_options),
        cmocka_unit_test(what_is_cut_or_changed_does_no_harm),
        cmocka_unit_test(a_wrong_header_checksum_is_no_packet),
        cmocka_unit_test(what_is_no_ethernet_frame_of_one_sender_is_none),
        cmocka_unit_test(segments_are_read_as_they_were_written),
        cmocka_unit_test(a_reset_answers_as_rfc_9293_says),
        cmocka_unit_test(extension_headers_are_gone_past),
        cmocka_unit_test(a_later_fragment_has_no_ports),
        cmocka_unit_test(neighbours_are_read_as_they_were_written),
        cmocka_unit_test(a_link_local_address_comes_from_the_mac_address),
        cmocka_unit_test(unreachable_quotes_what_was_sent),
        cmocka_unit_test(siphash_is_siphash),
        cmocka_unit_test(a_table_finds_what_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
