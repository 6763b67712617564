#include "unit/stream_double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitsu/clock.h"
#include "jitsu/console.h"
#include "jitsu/options.h"

struct stream {
    struct client *client;
};

struct client {
    struct client *next;
    struct stream stream;
    void *state;
    uint8_t *waiting; /* sent, and not taken by the server */
    size_t waiting_length;
    uint8_t *received;
    size_t received_length, acknowledged;
    uint64_t deadline;
    unsigned inside;
    bool is_reading, has_ended, end_reported, wants_room, is_gone;
    enum client_state client_state;
};

static struct stream_machine machine;
static const struct stream_handler *handler;
static struct client *clients;
static uint64_t now;
static char console[4096];
static size_t console_length;

/* --- what the server calls --- */

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

uint64_t clock_now(void)
{
    return now;
}

void console_write(const char *text, size_t length)
{
    require(length < sizeof console - console_length, "too much for the console");
    memcpy(console + console_length, text, length);
    console_length += length;
}

struct option option_get(const char *name)
{
    size_t name_length = strlen(name);

    for (const char *at = machine.options; at && *at;) {
        size_t length = strcspn(at, " ");
        if (strncmp(at, name, name_length) == 0 && name_length == length)
            return (struct option){"", 0};
        if (strncmp(at, name, name_length) == 0 && at[name_length] == '=')
            return (struct option){at + name_length + 1, length - name_length - 1};
        at += length + (at[length] == ' ');
    }
    return (struct option){NULL, 0};
}

uint64_t option_number(const char *name, uint64_t missing, uint64_t least, uint64_t most)
{
    struct option option = option_get(name);
    uint64_t number = option.value ? strtoull(option.value, NULL, 10) : missing;

    require(number >= least && number <= most, "an option out of its range");
    return number;
}

size_t stream_capacity(void)
{
    return machine.capacity;
}

void stream_listen(uint16_t port, const struct stream_handler *functions)
{
    (void)port;
    handler = functions;
}

struct stream_address stream_peer(const struct stream *stream)
{
    require(!stream->client->is_gone, "a stream is used after its end");
    return (struct stream_address){.bytes = {0}, .port = 1};
}

const char *stream_address_text(const struct stream_address *address,
                                char text[STREAM_ADDRESS_TEXT_SIZE])
{
    (void)address;
    return strcpy(text, "fd00::1");
}

size_t stream_unacknowledged(const struct stream *stream)
{
    require(!stream->client->is_gone, "a stream is used after its end");
    return stream->client->received_length - stream->client->acknowledged;
}

void stream_deadline(struct stream *stream, uint64_t deadline)
{
    require(!stream->client->is_gone, "a stream is used after its end");
    stream->client->deadline = deadline;
}

static bool is_leaving(const struct client *client)
{
    return client->client_state == CLIENT_CLOSED || client->client_state == CLIENT_ABORTED;
}

static void finish(struct client *client)
{
    if (client->is_gone || client->inside > 0 || !is_leaving(client))
        return;
    client->is_gone = true;
    if (client->state)
        handler->closed(client->state);
}

static void leave(struct client *client, enum client_state how)
{
    require(!client->is_gone, "a stream is used after its end");
    if (!is_leaving(client))
        client->client_state = how;
    finish(client);
}

void stream_close(struct stream *stream)
{
    leave(stream->client, CLIENT_CLOSED);
}

void stream_abort(struct stream *stream)
{
    leave(stream->client, CLIENT_ABORTED);
}

void stream_shutdown(struct stream *stream)
{
    require(!stream->client->is_gone, "a stream is used after its end");
    if (!is_leaving(stream->client))
        stream->client->client_state = CLIENT_SHUT;
}

size_t stream_write(struct stream *stream, const void *bytes, size_t length, unsigned flags)
{
    struct client *client = stream->client;
    size_t room = machine.room - stream_unacknowledged(stream);

    (void)flags;
    if (is_leaving(client))
        return length;
    require(client->client_state == CLIENT_CONNECTED, "written after the end");
    client->wants_room = length > room;
    if (length > room)
        length = room;
    if (length == 0)
        return 0;
    client->received = realloc(client->received, client->received_length + length);
    require(client->received, "no memory");
    memcpy(client->received + client->received_length, bytes, length);
    client->received_length += length;
    return length;
}

/* Offers what waits, in a block of its own, so that a read past it is noticed. */
static void offer(struct client *client)
{
    client->is_reading = true;
    while (client->waiting_length > 0 && !is_leaving(client)) {
        size_t length = client->waiting_length;
        uint8_t *block = malloc(length);
        require(block, "no memory");
        memcpy(block, client->waiting, length);
        size_t taken = handler->received(&client->stream, client->state, block, length);
        free(block);
        require(taken <= length, "more was taken than there was");
        if (taken == 0)
            break;
        client->waiting_length -= taken;
        memmove(client->waiting, client->waiting + taken, client->waiting_length);
    }
    client->is_reading = false;
    if (client->waiting_length == 0 && client->has_ended && !client->end_reported &&
        !is_leaving(client)) {
        client->end_reported = true;
        handler->ended(&client->stream, client->state);
    }
}

void stream_read(struct stream *stream)
{
    struct client *client = stream->client;

    require(!client->is_gone, "a stream is used after its end");
    if (is_leaving(client) || client->is_reading)
        return;
    client->inside++;
    offer(client);
    client->inside--;
    finish(client);
}

/* Where both have ended and all has arrived, the connection is over. */
static void settle(struct client *client)
{
    if (client->is_gone || client->inside > 0 || client->client_state != CLIENT_SHUT ||
        !client->end_reported || client->acknowledged < client->received_length)
        return;
    client->client_state = CLIENT_CLOSED;
    finish(client);
}

/* --- what the test calls --- */

void machine_start(const struct stream_machine *settings)
{
    require(!clients, "clients of the machine before are left");
    machine = *settings;
    now = CLOCK_SECOND;
    console_length = 0;
}

const char *machine_console(void)
{
    console[console_length] = '\0';
    console_length = 0;
    return console;
}

void machine_pass(double seconds)
{
    now += (uint64_t)(seconds * (double)CLOCK_SECOND);
    for (struct client *client = clients; client; client = client->next) {
        if (client->is_gone || client->deadline == 0 || client->deadline > now)
            continue;
        client->deadline = 0;
        client->inside++;
        handler->expired(&client->stream, client->state);
        client->inside--;
        finish(client);
        settle(client);
    }
}

struct client *client_connect(void)
{
    struct client *client = calloc(1, sizeof *client);

    require(client, "no memory");
    client->stream.client = client;
    client->next = clients;
    clients = client;
    client->inside++;
    client->state = handler->opened(&client->stream);
    if (!client->state)
        client->client_state = CLIENT_ABORTED;
    client->inside--;
    finish(client);
    return client;
}

void client_free(struct client *client)
{
    struct client **place = &clients;

    client_reset(client);
    while (*place != client)
        place = &(*place)->next;
    *place = client->next;
    free(client->waiting);
    free(client->received);
    free(client);
}

void client_send(struct client *client, const void *bytes, size_t length)
{
    if (client->is_gone || length == 0)
        return;
    client->waiting = realloc(client->waiting, client->waiting_length + length);
    require(client->waiting, "no memory");
    memcpy(client->waiting + client->waiting_length, bytes, length);
    client->waiting_length += length;
    stream_read(&client->stream);
}

void client_end(struct client *client)
{
    client->has_ended = true;
    if (!client->is_gone)
        stream_read(&client->stream);
    settle(client);
}

void client_reset(struct client *client)
{
    if (!client->is_gone)
        stream_abort(&client->stream);
}

void client_acknowledge(struct client *client, size_t count)
{
    size_t unacknowledged = client->received_length - client->acknowledged;

    client->acknowledged += count < unacknowledged ? count : unacknowledged;
    if (!client->is_gone && client->wants_room) {
        client->wants_room = false;
        client->inside++;
        handler->writable(&client->stream, client->state);
        client->inside--;
        finish(client);
    }
    settle(client);
}

const uint8_t *client_received(const struct client *client, size_t *length)
{
    *length = client->received_length;
    return client->received;
}

enum client_state client_state(const struct client *client)
{
    return client->client_state;
}
