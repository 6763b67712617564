#include "keeper/message.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/descriptor.h"

/* Length of a message up to and with `member`. */
#define UNTIL(member) (offsetof(struct message, member) + sizeof((struct message *)0)->member)

struct message message_make(enum message_type type, uint32_t serial, const char *service)
{
    struct message message;
    /* Not an initializer: padding goes over the socket too and must not hold old memory. */
    memset(&message, 0, sizeof message);
    message.type = type;
    message.serial = serial;
    if (service)
        strncpy(message.service, service, sizeof message.service - 1);
    return message;
}

static size_t text_length(const char text[MESSAGE_TEXT_MAX])
{
    return strnlen(text, MESSAGE_TEXT_MAX - 1) + 1;
}

size_t message_size(const struct message *message)
{
    switch (message->type) {
    case MESSAGE_LISTEN:
        return UNTIL(listen);
    case MESSAGE_STOP:
        return UNTIL(stop);
    case MESSAGE_START:
        return UNTIL(start);
    case MESSAGE_FILE:
        return UNTIL(file);
    case MESSAGE_RELOAD:
        return UNTIL(reload);
    case MESSAGE_PORT:
    case MESSAGE_PORT_MISSING:
        return UNTIL(port);
    case MESSAGE_PORT_OPENED:
        return offsetof(struct message, opened.text) + text_length(message->opened.text);
    case MESSAGE_LISTENING:
    case MESSAGE_FILE_OPENED:
    case MESSAGE_RELOADED:
        return offsetof(struct message, answer.text) + text_length(message->answer.text);
    case MESSAGE_MACHINE:
    case MESSAGE_SPAWNED:
    case MESSAGE_ENTERED:
    case MESSAGE_READY:
        return UNTIL(machine);
    case MESSAGE_FAILED:
    case MESSAGE_EXITED:
        return offsetof(struct message, end.text) + text_length(message->end.text);
    case MESSAGE_SUSPENDED:
        return UNTIL(end.moment);
    case MESSAGE_CONSOLE:
        return offsetof(struct message, console.bytes) + message->console.length;
    case MESSAGE_USED:
        return UNTIL(use);
    case MESSAGE_FIRST_BYTE:
        return UNTIL(first_byte);
    default: /* SEEN_READY, LOOK and SYNCHRONISED have nothing more */
        return UNTIL(service);
    }
}

static bool is_about_machine(uint32_t type)
{
    switch (type) {
    case MESSAGE_LISTEN:
    case MESSAGE_FILE:
    case MESSAGE_FILE_OPENED:
    case MESSAGE_RELOAD:
    case MESSAGE_PORT:
    case MESSAGE_PORT_MISSING:
    case MESSAGE_LISTENING:
    case MESSAGE_RELOADED:
    case MESSAGE_PORT_OPENED:
    case MESSAGE_SYNCHRONISED:
        return false;
    default:
        return true;
    }
}

/* Looks at a bool as the byte it is: reading another value than 0 or 1 through it is undefined. */
static bool is_bool(const bool *value)
{
    unsigned char byte;
    memcpy(&byte, value, 1);
    return byte <= 1;
}

static bool is_ended(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_address(const struct address *address)
{
    static const uint8_t zeroes[12];
    if (address->family == AF_INET)
        return memcmp(address->bytes + 4, zeroes, sizeof zeroes) == 0;
    return address->family == AF_INET6;
}

static bool is_place(const struct message_place *place)
{
    if (place->count > CONFIG_PLACE_ADDRESSES_MAX)
        return false;
    for (size_t i = 0; i < place->count; i++)
        if (!is_address(&place->addresses[i]))
            return false;
    return true;
}

/* Is the part that belongs to the type in order? */
static bool body_is_valid(const struct message *message)
{
    switch (message->type) {
    case MESSAGE_LISTEN:
        return is_address(&message->listen.endpoint.address) && is_bool(&message->listen.stream) &&
               is_bool(&message->listen.reuse_port);
    case MESSAGE_STOP:
        return message->stop.mode <= CONFIG_STOP_SUSPEND;
    case MESSAGE_START:
        return is_place(&message->start.place);
    case MESSAGE_PORT:
    case MESSAGE_PORT_MISSING:
        return message->port.network[0] != '\0' &&
               is_ended(message->port.network, sizeof message->port.network);
    case MESSAGE_PORT_OPENED:
        return is_bool(&message->opened.failed) &&
               is_ended(message->opened.text, sizeof message->opened.text);
    case MESSAGE_LISTENING:
    case MESSAGE_FILE_OPENED:
    case MESSAGE_RELOADED:
        return is_bool(&message->answer.failed) &&
               is_ended(message->answer.text, sizeof message->answer.text);
    case MESSAGE_MACHINE:
    case MESSAGE_SPAWNED:
    case MESSAGE_ENTERED:
    case MESSAGE_READY:
        return is_bool(&message->machine.ready) && is_bool(&message->machine.prewarmed) &&
               message->machine.pid >= 0 && message->machine.forward_count <= CONFIG_PORTS_MAX &&
               is_ended(message->machine.domain, sizeof message->machine.domain) &&
               message->machine.ready_rule <= CONFIG_READY_AFTER &&
               is_place(&message->machine.place) && isfinite(message->machine.started) &&
               message->machine.started >= 0;
    case MESSAGE_FAILED:
    case MESSAGE_EXITED:
        return is_bool(&message->end.asked_for) && is_bool(&message->end.blameless) &&
               is_ended(message->end.text, sizeof message->end.text);
    case MESSAGE_CONSOLE:
        return message->console.length <= MESSAGE_CONSOLE_MAX;
    case MESSAGE_USED:
        return is_bool(&message->use.used);
    default:
        return true;
    }
}

int message_check(const void *bytes, size_t length, struct message *message)
{
    memset(message, 0, sizeof *message);
    if (length < UNTIL(service) || length > sizeof *message)
        goto bad;
    memcpy(message, bytes, length);
    if (message->type < MESSAGE_LISTEN || message->type >= MESSAGE_TYPES ||
        !is_ended(message->service, sizeof message->service) ||
        (is_about_machine(message->type) && message->service[0] == '\0'))
        goto bad;
    /* What was not received reads as zeroes, so looking at it is safe; whether the length is right
     * is known only when the counts in it are. */
    if (!body_is_valid(message) || message_size(message) != length)
        goto bad;
    return 0;

bad:
    errno = EBADMSG;
    return -1;
}

int message_send(int socket, const struct message *message, int descriptor)
{
    return descriptor_send(socket, message, message_size(message), descriptor);
}

int message_receive(int socket, struct message *message, int *descriptor)
{
    struct message bytes;
    ssize_t length = descriptor_receive(socket, &bytes, sizeof bytes, descriptor);
    if (length == 0)
        return 0;
    if (length < 0) {
        if (errno == EMSGSIZE)
            errno = EBADMSG;
        return -1;
    }
    if (message_check(&bytes, (size_t)length, message) == 0 &&
        (*descriptor == -1 || message->type == MESSAGE_LISTENING ||
         message->type == MESSAGE_FILE_OPENED || message->type == MESSAGE_PORT_OPENED))
        return 1;
    descriptor_close(descriptor);
    errno = EBADMSG;
    return -1;
}

uint64_t message_digest(const void *bytes, uint64_t length)
{
    const uint8_t *byte = bytes;
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (uint64_t i = 0; i < length; i++)
        digest = (digest ^ byte[i]) * UINT64_C(0x100000001b3);
    return digest;
}
