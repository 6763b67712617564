/* Which of those whose opening of a connection is held are there at all. When so much is held that
 * some of it will have to give way, each is sent an acknowledgement of what it has never sent: who
 * has really sent the opening answers with a reset that repeats that number, and goes on waiting
 * for its connection (RFC 9293, section 3.10.7.3; Linux sends its opening again at once). Nobody
 * else can know the number, nor hears of it. */
#include "hold/port_private.h"

/* Of what may be held, one in so many is held without asking. */
#define UNASKED_SHARE 2

static uint32_t number_for(const struct port *port, const struct packet *packet)
{
    /* Not that itself, which says where the connection is in the tables. */
    uint64_t hash = port_flow_hash(port, packet);
    return (uint32_t)siphash(&port->key, &hash, sizeof hash);
}

static bool is_crowded(const struct port_service *service)
{
    const struct port_memory *memory = service->port->memory;
    const struct port_limits *limits = &memory->limits;
    return service->frame_count > limits->frames_per_service / UNASKED_SHARE ||
           service->bytes > limits->bytes_per_service / UNASKED_SHARE ||
           memory->bytes > limits->bytes / UNASKED_SHARE;
}

static void challenge(struct port_service *service, const struct packet *packet)
{
    struct ip_packet back = {.source = packet->ip.destination, .destination = packet->ip.source};
    struct tcp_segment segment = {.source_port = packet->tcp.destination_port,
                                  .destination_port = packet->tcp.source_port,
                                  .acknowledgement = number_for(service->port, packet),
                                  .flags = TCP_ACK};
    service->port->statistics.challenges++;
    port_speak_segment(service, packet->ethernet.source, &back, &segment);
}

/* Those who came before it was crowded, too: they would be the first to give way. */
static void challenge_all(struct port_service *service)
{
    struct held_frame *frame;
    struct packet packet;
    TAILQ_FOREACH(frame, &service->frames, of_service)
    if (frame->is_opening && !frame->is_real && packet_read(&packet, frame->bytes, frame->length))
        challenge(service, &packet);
}

void port_challenge(struct port_service *service, const struct packet *packet)
{
    /* A machine that is ready answers itself. */
    if (service->state == PORT_READY || !is_crowded(service))
        return;
    if (service->is_crowded)
        challenge(service, packet);
    else
        challenge_all(service);
    service->is_crowded = true;
}

bool port_challenge_answered(struct port_service *service, const struct packet *packet)
{
    if ((packet->tcp.flags & (TCP_RST | TCP_SYN)) != TCP_RST || packet->ip.is_fragment ||
        packet->tcp.sequence != number_for(service->port, packet) ||
        !tcp_checksum_is_right(&packet->ip))
        return false;
    struct held_frame *frame = port_find_opening(service->port, packet);
    if (frame && !frame->is_real)
        port_hold_as_real(frame);
    return true;
}
