/* The wire formats: any frame is read within its bounds, and what the port would answer is
 * well-formed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "hold/packet.h"
#include "hold/unreachable.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static uint8_t answer[ETHERNET_FRAME_MAX];

static struct writer begin(const struct packet *packet)
{
    struct writer writer = writer_over(answer, sizeof answer);
    struct ethernet_header header = {packet->ethernet.source, packet->ethernet.source,
                                     packet->ethernet.type};
    ethernet_write(&writer, &header);
    return writer;
}

static void is_well_formed(const struct writer *writer, enum packet_kind kind)
{
    struct packet packet;
    if (writer->failed || !packet_read(&packet, answer, writer->position))
        abort();
    if (packet.kind != kind && packet.kind != PACKET_OTHER)
        abort();
    if (packet.kind == PACKET_TCP && !tcp_checksum_is_right(&packet.ip))
        abort();
}

static void lies_inside(const struct packet *packet, const uint8_t *start, size_t length)
{
    if (start < packet->frame || start + length > packet->frame + packet->length)
        abort();
}

static void read_tcp(const struct packet *packet)
{
    struct ip_packet back = {.source = packet->ip.destination, .destination = packet->ip.source};
    struct tcp_segment reset;
    lies_inside(packet, packet->tcp.data, packet->tcp.data_length);
    tcp_checksum_is_right(&packet->ip);
    if (!tcp_reset_for(&packet->tcp, &reset))
        return;
    struct writer writer = begin(packet);
    tcp_write(&writer, &reset, &back);
    is_well_formed(&writer, PACKET_TCP);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct packet packet;
    if (!packet_read(&packet, bytes, length))
        return 0;
    if (packet.kind == PACKET_ARP) {
        struct writer writer = begin(&packet);
        arp_write(&writer, &packet.arp);
        is_well_formed(&writer, PACKET_ARP);
    }
    if (packet_is_ip(&packet)) {
        lies_inside(&packet, packet.ip.payload, packet.ip.payload_length);
        struct writer writer = begin(&packet);
        if (unreachable_write(&writer, &packet.ip))
            is_well_formed(&writer, PACKET_IP);
    }
    if (packet.kind == PACKET_TCP)
        read_tcp(&packet);
    return 0;
}
