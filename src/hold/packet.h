/* What a frame from the bridge is, read once. */
#ifndef JITSU_HOLD_PACKET_H
#define JITSU_HOLD_PACKET_H

#include "hold/arp.h"
#include "hold/ethernet.h"
#include "hold/ip.h"
#include "hold/neighbour.h"
#include "hold/tcp.h"

enum packet_kind {
    PACKET_OTHER, /* of a protocol that means nothing to the port, or malformed beyond Ethernet */
    PACKET_ARP,
    PACKET_NEIGHBOUR,
    PACKET_CONDUIT,
    PACKET_TCP, /* with its header; not a later fragment */
    PACKET_UDP, /* the same */
    PACKET_IP,  /* any other IP */
};

struct packet {
    enum packet_kind kind;
    const uint8_t *frame;
    size_t length;
    struct ethernet_header ethernet;
    struct ip_packet ip; /* NEIGHBOUR, TCP, UDP, IP */
    union {
        struct arp arp;
        struct neighbour neighbour;
        struct tcp_segment tcp;
        struct {
            uint16_t source_port, destination_port;
        } udp;
        struct {
            const uint8_t *payload;
            size_t length;
        } conduit;
    };
};

/* Reads a frame; the packet points into it. False if it is not even an Ethernet frame. */
bool packet_read(struct packet *packet, const uint8_t *frame, size_t length);

static inline bool packet_is_ip(const struct packet *packet)
{
    return packet->kind >= PACKET_TCP;
}

/* Where it comes from; the port is 0 where its protocol has none. It is an IP packet. */
struct endpoint packet_source(const struct packet *packet);

/* Of TCP and UDP; else 0. */
uint16_t packet_destination_port(const struct packet *packet);

#endif
