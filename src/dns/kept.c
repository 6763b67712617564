#include "dns/kept.h"

#include "dns/tcp.h"
#include "dns/udp.h"

bool kept_query_take(struct kept_query *kept, const struct question *question,
                     const uint8_t *packet, const struct peer *peer)
{
    if (peer->address_length > sizeof kept->address || peer->control_length > sizeof kept->control)
        return false;
    kept->question = *question;
    kept->question.name.wire = kept->question.folded;
    kept->peer = *peer;
    kept->peer.address = (struct sockaddr *)&kept->address;
    memcpy(&kept->address, peer->address, peer->address_length);
    if (peer->control_length > 0) {
        kept->peer.control = kept->control;
        memcpy(kept->control, peer->control, peer->control_length);
    }
    memcpy(kept->packet, packet, question->end);
    if (peer->connection)
        tcp_hold(peer->connection);
    return true;
}

void kept_query_release(struct kept_query *kept)
{
    if (kept->peer.connection)
        tcp_unhold(kept->peer.connection);
}

static bool same_peer(const struct peer *a, const struct peer *b)
{
    return a->udp == b->udp && a->connection == b->connection &&
           a->address_length == b->address_length &&
           memcmp(a->address, b->address, a->address_length) == 0;
}

bool kept_query_is(const struct kept_query *kept, const struct question *question,
                   const uint8_t *packet, const struct peer *peer)
{
    return memcmp(kept->packet, packet, 2) == 0 && kept->question.type == question->type &&
           name_equal(kept->question.name, question->name) && same_peer(&kept->peer, peer);
}

void kept_query_send(const struct kept_query *kept, const uint8_t *response, size_t length)
{
    if (kept->peer.udp)
        udp_send(&kept->peer, response, length);
    else
        tcp_send(kept->peer.connection, response, length);
}
