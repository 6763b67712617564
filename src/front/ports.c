/* jitsud's ports on bridge networks are made by the keeper; this asks for them, and gives them to
 * the summoner. Where one is missing it is asked for again when the keeper says that there can be
 * one, at a reload, and when there is a new keeper. */
#include <stdlib.h>
#include <string.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "front/process.h"

/* What was asked for and not answered yet. */
struct port_request {
    struct port_request *next;
    uint32_t serial;
    char network[CONFIG_NETWORK_MAX];
};

static void ask(void *argument, const char *network)
{
    struct front *front = argument;
    struct port_request *request = calloc(1, sizeof *request);
    if (!request) {
        log_error("network %s: memory is exhausted: its machines cannot be reached until a reload",
                  network);
        return;
    }
    request->serial = ++front->last_port_serial;
    strncpy(request->network, network, sizeof request->network - 1);
    request->next = front->port_requests;
    front->port_requests = request;

    struct message message = message_make(MESSAGE_PORT, request->serial, NULL);
    memcpy(message.port.network, request->network, sizeof request->network);
    message_link_send(front->link, &message, -1);
}

void front_ask_for_ports(struct front *front)
{
    front_forget_port_requests(front);
    summoner_missing_ports(front->summoner, ask, front);
}

void front_port_missing(struct front *front, const char *network)
{
    for (const struct port_request *request = front->port_requests; request;
         request = request->next)
        if (strcmp(request->network, network) == 0)
            return;
    ask(front, network);
}

void front_forget_port_requests(struct front *front)
{
    struct port_request *request;
    while ((request = front->port_requests)) {
        front->port_requests = request->next;
        free(request);
    }
}

void front_port_opened(struct front *front, const struct message *message, int descriptor)
{
    struct port_request **place = &front->port_requests;
    while (*place && (*place)->serial != message->serial)
        place = &(*place)->next;
    struct port_request *request = *place;
    if (!request) {
        descriptor_close(&descriptor);
        return;
    }
    *place = request->next;
    if (message->opened.failed || descriptor == -1) {
        log_error("network %s: %s; packets start no machine on it, and none is held, until that is "
                  "mended",
                  request->network,
                  message->opened.failed ? message->opened.text : "the keeper sent no port");
        descriptor_close(&descriptor);
    } else if (summoner_port_opened(front->summoner, request->network, message->opened.mac,
                                    descriptor) != 0) {
        log_error("network %s: memory is exhausted while its port is opened", request->network);
    }
    free(request);
}
