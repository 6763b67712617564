/* The conduit: frames of any kind given to one end, which owns the right token; and every body.
 * What is read must be written again as it was. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/conduit.h"
#include "common/conduit_link.h"

#define TOKEN_AT 16u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static const uint8_t token[CONDUIT_TOKEN_SIZE] = "0123456789abcde";

static void transmit(void *owner, const uint8_t *payload, size_t length)
{
    struct conduit_frame frame;

    (void)owner;
    if (length > CONDUIT_PAYLOAD_MAX || !conduit_read(&frame, payload, length))
        abort();
}

static void same(const uint8_t *body, size_t length, const uint8_t *written, size_t written_length)
{
    if (written_length != length || memcmp(body, written, length) != 0)
        abort();
}

static void read_bodies(const uint8_t *body, size_t length)
{
    static uint8_t written[CONDUIT_TAKE_MAX];
    struct conduit_hello hello;
    struct conduit_take take;
    struct conduit_taken taken;
    struct conduit_load load;
    struct conduit_stop stop;
    struct conduit_stopped stopped;

    if (conduit_read_hello(&hello, body, length))
        same(body, length, written, conduit_write_hello(&hello, written, CONDUIT_SMALL_BODY_MAX));
    if (conduit_read_taken(&taken, body, length))
        same(body, length, written, conduit_write_taken(&taken, written, CONDUIT_SMALL_BODY_MAX));
    if (conduit_read_load(&load, body, length))
        same(body, length, written, conduit_write_load(&load, written, CONDUIT_SMALL_BODY_MAX));
    if (conduit_read_stop(&stop, body, length))
        same(body, length, written, conduit_write_stop(&stop, written, CONDUIT_SMALL_BODY_MAX));
    if (conduit_read_stopped(&stopped, body, length))
        same(body, length, written,
             conduit_write_stopped(&stopped, written, CONDUIT_SMALL_BODY_MAX));
    if (conduit_read_take(&take, body, length)) {
        if (take.data_length + take.receive_window > CONDUIT_WINDOW ||
            take.data_length + CONDUIT_TAKE_FIXED != length)
            abort();
        size_t written_length = conduit_write_take(&take, written, sizeof written);
        written[9] = body[9]; /* reserved */
        same(body, length, written, written_length);
    }
}

/* The input is a row of frames, each after two bytes with its length. Every other one gets the
 * right token. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct conduit_link link;
    uint64_t now = 0;

    read_bodies(bytes, length);
    conduit_link_start(&link, token, 1, transmit, NULL);
    while (length >= 2) {
        size_t size = (size_t)(bytes[0] & 0x7f) << 8 | bytes[1];
        bool is_known = !(bytes[0] & 0x80);
        struct conduit_message message;
        bytes += 2;
        length -= 2;
        if (size > length)
            size = length;
        uint8_t *payload = malloc(size ? size : 1);
        if (!payload)
            abort();
        memcpy(payload, bytes, size);
        if (is_known && size >= TOKEN_AT + sizeof token)
            memcpy(payload + TOKEN_AT, token, sizeof token);
        if (conduit_link_receive(&link, payload, size, &message)) {
            read_bodies(message.body, message.length);
            conduit_link_accept(&link);
            if (!conduit_link_is_busy(&link))
                conduit_link_send(&link, CONDUIT_LOAD, token, sizeof token, now);
        }
        conduit_link_flush(&link);
        free(payload);
        bytes += size;
        length -= size;
        now += CONDUIT_PATIENCE_FIRST;
        conduit_link_run(&link, now);
    }
    conduit_link_end(&link);
    return 0;
}
