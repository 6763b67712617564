/* Connections of the HTTP server: a client gets the same answers however its bytes are cut into
 * pieces and however slowly it takes what it is sent. The first byte says how, the others are what
 * the client sends. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jitsu/http.h"
#include "unit/stream_double.h"

#define ROOM_MOST (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static uint8_t large[20000];

static void answer(const struct http_request *request, struct http_response *response)
{
    if (request->method == HTTP_OTHER)
        http_error(response, 405);
    else if (request->path_length == 2)
        http_reply(response, 200, "a/b", large, sizeof large, STREAM_IN_PLACE);
    else if (request->path_length == 3)
        http_reply(response, 200, "a/b", large, 3000, STREAM_COPY);
    else
        http_reply(response, 200, NULL, "short", 5, STREAM_COPY);
}

static uint32_t dice;

static size_t roll(size_t most)
{
    dice = dice * 1664525 + 1013904223;
    return (dice >> 8) % most;
}

static void begin(size_t room)
{
    const struct stream_machine machine = {.capacity = 4, .room = room, .options = "idle=10"};

    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i >> 8 ^ i);
    machine_start(&machine);
    http_listen(80, answer);
}

/* Lets the client take all that is still to come. */
static size_t take_rest(struct client *client)
{
    size_t before, length;

    do {
        client_received(client, &before);
        client_acknowledge(client, SIZE_MAX);
        client_received(client, &length);
    } while (length > before);
    return length;
}

/* Everything at once, and room for all answers. */
static uint8_t *converse_at_once(const uint8_t *bytes, size_t length, size_t *received_length)
{
    begin(ROOM_MOST);
    struct client *client = client_connect();
    client_send(client, bytes, length);
    client_end(client);
    take_rest(client);
    if (client_state(client) != CLIENT_CLOSED)
        abort();
    const uint8_t *received = client_received(client, received_length);
    uint8_t *copy = malloc(*received_length + 1);
    if (!copy)
        abort();
    if (*received_length > 0)
        memcpy(copy, received, *received_length);
    client_free(client);
    return copy;
}

/* Bit by bit. Does the client break off, or is it so slow that it may be ended? */
static struct client *converse(const uint8_t *bytes, size_t length, bool *may_end_early)
{
    begin(1 + roll(5000));
    struct client *client = client_connect();
    bool is_slow = roll(4) == 0, breaks_off = roll(8) == 0;

    *may_end_early = is_slow || breaks_off;
    for (size_t at = 0; at < length;) {
        size_t count = 1 + roll(roll(2) ? 10 : 1000);
        if (count > length - at)
            count = length - at;
        client_send(client, bytes + at, count);
        at += count;
        if (roll(2))
            client_acknowledge(client, roll(3000));
        if (is_slow)
            machine_pass((double)roll(4));
    }
    if (breaks_off)
        client_reset(client);
    client_end(client);
    return client;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    size_t expected_length, received_length;
    bool may_end_early;

    if (length == 0)
        return 0;
    dice = bytes[0];
    uint8_t *expected = converse_at_once(bytes + 1, length - 1, &expected_length);
    struct client *client = converse(bytes + 1, length - 1, &may_end_early);
    take_rest(client);
    const uint8_t *received = client_received(client, &received_length);
    if (received_length > expected_length ||
        (received_length > 0 && memcmp(received, expected, received_length) != 0))
        abort();
    if (!may_end_early &&
        (received_length < expected_length || client_state(client) != CLIENT_CLOSED))
        abort();
    client_free(client);
    free(expected);
    return 0;
}
