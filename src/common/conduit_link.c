/* Delivery of the conduit's messages. */
#include "common/conduit_link.h"

#include <stdlib.h>
#include <string.h>

void conduit_link_start(struct conduit_link *link, const uint8_t *token, uint32_t sequence,
                        void (*transmit)(void *owner, const uint8_t *payload, size_t length),
                        void *owner)
{
    *link = (struct conduit_link){
        .transmit = transmit, .owner = owner, .is_first = true, .sequence = sequence};
    memcpy(link->token, token, CONDUIT_TOKEN_SIZE);
}

void conduit_link_end(struct conduit_link *link)
{
    free(link->pieces);
    link->pieces = NULL;
}

bool conduit_link_is_busy(const struct conduit_link *link)
{
    return link->is_busy;
}

static void transmit(struct conduit_link *link, struct conduit_frame *frame)
{
    uint8_t payload[CONDUIT_PAYLOAD_MAX];

    frame->acknowledgement = link->has_received ? link->received : 0;
    frame->token = link->token;
    link->transmit(link->owner, payload, conduit_write(frame, payload));
    link->owes_acknowledgement = false;
}

static void transmit_message(struct conduit_link *link)
{
    const struct conduit_message *message = &link->message;
    size_t offset = 0;

    do {
        size_t left = message->length - offset;
        size_t piece = left < CONDUIT_PIECE_MAX ? left : CONDUIT_PIECE_MAX;
        struct conduit_frame frame = {
            .type = message->type,
            .flags = link->is_first ? CONDUIT_FIRST : 0,
            .sequence = link->sequence,
            .body_length = (uint16_t)message->length,
            .piece_offset = (uint16_t)offset,
            .piece_length = (uint16_t)piece,
            .piece = message->body + offset,
        };
        transmit(link, &frame);
        offset += piece;
    } while (offset < message->length);
}

void conduit_link_send(struct conduit_link *link, uint8_t type, const uint8_t *body, size_t length,
                       uint64_t now)
{
    link->message = (struct conduit_message){type, body, length};
    link->is_busy = true;
    link->patience = CONDUIT_PATIENCE_FIRST;
    link->due = now + link->patience;
    transmit_message(link);
}

static void acknowledged(struct conduit_link *link)
{
    link->is_busy = false;
    link->is_first = false;
    if (++link->sequence == 0)
        link->sequence = 1;
}

enum turn { NEXT, AGAIN, OUT_OF_TURN };

static enum turn turn_of(const struct conduit_link *link, const struct conduit_frame *frame)
{
    uint32_t next = link->received == UINT32_MAX ? 1 : link->received + 1;

    if (frame->sequence == 0)
        return OUT_OF_TURN;
    if (!link->has_received || frame->sequence == next)
        return NEXT;
    if (frame->sequence == link->received)
        return AGAIN;
    /* An end that begins anew, unless the frame was only late. */
    if (frame->flags & CONDUIT_FIRST &&
        link->received - frame->sequence >= CONDUIT_NUMBERS_REMEMBERED)
        return NEXT;
    return OUT_OF_TURN;
}

static void forget_pieces(struct conduit_link *link)
{
    free(link->pieces);
    link->pieces = NULL;
}

/* Pieces come in order; what is missing comes when all is sent again. Returns whether the message
 * is whole. */
static bool add_piece(struct conduit_link *link, const struct conduit_frame *frame)
{
    if (link->pieces &&
        (link->pieces_sequence != frame->sequence || link->pieces_type != frame->type ||
         link->pieces_total != frame->body_length))
        forget_pieces(link);
    if (!link->pieces) {
        if (frame->piece_offset > 0 || !(link->pieces = malloc(frame->body_length)))
            return false;
        link->pieces_sequence = frame->sequence;
        link->pieces_type = frame->type;
        link->pieces_total = frame->body_length;
        link->pieces_received = 0;
    }
    if (frame->piece_offset != link->pieces_received)
        return false;
    memcpy(link->pieces + frame->piece_offset, frame->piece, frame->piece_length);
    link->pieces_received += frame->piece_length;
    return link->pieces_received == link->pieces_total;
}

static bool receive_message(struct conduit_link *link, const struct conduit_frame *frame,
                            struct conduit_message *message)
{
    if (frame->piece_length == frame->body_length) {
        *message = (struct conduit_message){frame->type, frame->piece, frame->piece_length};
    } else {
        if (!add_piece(link, frame))
            return false;
        *message = (struct conduit_message){frame->type, link->pieces, link->pieces_total};
    }
    link->offered = frame->sequence;
    return true;
}

bool conduit_link_receive(struct conduit_link *link, const void *payload, size_t length,
                          struct conduit_message *message)
{
    struct conduit_frame frame;

    if (!conduit_read(&frame, payload, length) || !conduit_token_equal(frame.token, link->token)) {
        link->dropped++;
        return false;
    }
    /* Pieces of a message that was whole were kept for whoever received it. */
    if (link->pieces && link->pieces_received == link->pieces_total)
        forget_pieces(link);
    if (link->is_busy && frame.acknowledgement == link->sequence)
        acknowledged(link);
    if (frame.type == CONDUIT_ACKNOWLEDGEMENT)
        return false;
    switch (turn_of(link, &frame)) {
    case NEXT:
        return receive_message(link, &frame, message);
    case AGAIN:
        if (frame.piece_offset + frame.piece_length == frame.body_length) {
            link->duplicates++;
            link->owes_acknowledgement = true;
        }
        return false;
    case OUT_OF_TURN:
        link->dropped++;
    }
    return false;
}

void conduit_link_accept(struct conduit_link *link)
{
    link->has_received = true;
    link->received = link->offered;
    link->owes_acknowledgement = true;
}

void conduit_link_flush(struct conduit_link *link)
{
    struct conduit_frame frame = {.type = CONDUIT_ACKNOWLEDGEMENT};

    if (link->owes_acknowledgement)
        transmit(link, &frame);
}

uint64_t conduit_link_run(struct conduit_link *link, uint64_t now)
{
    if (!link->is_busy)
        return UINT64_MAX;
    if (link->due <= now) {
        link->patience =
            link->patience * 2 < CONDUIT_PATIENCE_MOST ? link->patience * 2 : CONDUIT_PATIENCE_MOST;
        link->due = now + link->patience;
        link->sent_again++;
        transmit_message(link);
    }
    return link->due;
}
