#include "keeper/keeper.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/backends.h"
#include "keeper/bridge_watch.h"
#include "keeper/bridges.h"
#include "keeper/device_name.h"
#include "keeper/listening.h"
#include "keeper/machine.h"
#include "keeper/process.h"

/* While so many messages wait for the front, nothing more is taken from it. */
#define QUEUED_MAX 1024

static void end(struct keeper *keeper, enum keeper_status status)
{
    keeper->status = (int)status;
    event_base_loopbreak(keeper->base);
}

/* --- the link to the front --- */

void keeper_send(struct keeper *keeper, const struct message *message, int descriptor)
{
    if (keeper->link)
        message_link_send(keeper->link, message, descriptor);
}

void keeper_synchronise(struct keeper *keeper)
{
    if (!keeper->link || keeper->synchronised || keeper->adopting > 0)
        return;
    keeper->synchronised = true;
    keeper_machine_list(keeper);
    struct message message = message_make(MESSAGE_SYNCHRONISED, 0, NULL);
    keeper_send(keeper, &message, -1);
}

static void answer(struct keeper *keeper, enum message_type type, uint32_t serial,
                   const struct error *error, int descriptor)
{
    struct message message = message_make(type, serial, NULL);
    message.answer.failed = error != NULL;
    if (error)
        snprintf(message.answer.text, sizeof message.answer.text, "%s", error->text);
    keeper_send(keeper, &message, descriptor);
}

static void take_listen(struct keeper *keeper, const struct message *message)
{
    struct error error;
    int descriptor = listening_open(keeper->listening, message, &error);
    answer(keeper, MESSAGE_LISTENING, message->serial, descriptor == -1 ? &error : NULL,
           descriptor);
    descriptor_close(&descriptor);
}

static const struct config_network *find_bridge_network(const struct config *config,
                                                        const char *name)
{
    for (size_t i = 0; i < config->network_count; i++)
        if (config->networks[i].type == CONFIG_NETWORK_BRIDGE &&
            strcmp(config->networks[i].name, name) == 0)
            return &config->networks[i];
    return NULL;
}

static void take_port(struct keeper *keeper, const struct message *question)
{
    struct error error;
    int descriptor = -1;
    const char *name = question->port.network;
    const struct config_network *network = find_bridge_network(keeper->config, name);
    struct message message = message_make(MESSAGE_PORT_OPENED, question->serial, NULL);
    if (network)
        descriptor = bridges_open_port(keeper->bridges, network, &error);
    else
        error_set(&error, "the keeper's configuration has no such network");
    device_port_mac(name, message.opened.mac);
    message.opened.failed = descriptor == -1;
    if (descriptor == -1)
        snprintf(message.opened.text, sizeof message.opened.text, "%s", error.text);
    keeper_send(keeper, &message, descriptor);
    descriptor_close(&descriptor);
}

static void port_missing(void *argument, const char *network)
{
    struct message message = message_make(MESSAGE_PORT_MISSING, 0, NULL);
    snprintf(message.port.network, sizeof message.port.network, "%s", network);
    keeper_send(argument, &message, -1);
}

static void ignore_problem(void *argument, const char *text)
{
    (void)argument, (void)text; /* the front finds the same */
}

static int open_configuration(struct keeper *keeper, struct error *error)
{
    const char *path = keeper->config->file;
    size_t length;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor == -1)
        return error_set_errno(error, "cannot open %s", path);
    char *text = config_read_open(descriptor, path, &length, error);
    if (!text) {
        close(descriptor);
        return -1;
    }
    keeper->candidate = config_parse(text, length, path, ignore_problem, NULL);
    keeper->candidate_digest = message_digest(text, length);
    free(text);
    return descriptor;
}

/* The front may read what the configuration is made of, and nothing else. */
static int open_zone(const struct keeper *keeper, uint32_t number, struct error *error)
{
    const struct config *config = keeper->candidate;
    if (!config || number >= config->zone_count || !config->zones[number].file)
        return error_set(error, "%s has changed while it was read: reload once more",
                         keeper->config->file);
    const struct config_zone *zone = &config->zones[number];
    int descriptor = open(zone->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (descriptor == -1)
        return error_set_errno(error, "%s: cannot be opened (zone %s)", zone->file, zone->name);
    return descriptor;
}

static void take_file(struct keeper *keeper, const struct message *message)
{
    struct error error;
    uint32_t number = message->file.number;
    int descriptor;
    if (number == 0) {
        config_free(keeper->candidate);
        keeper->candidate = NULL;
        descriptor = open_configuration(keeper, &error);
    } else {
        descriptor = open_zone(keeper, number - 1, &error);
    }
    answer(keeper, MESSAGE_FILE_OPENED, message->serial, descriptor == -1 ? &error : NULL,
           descriptor);
    descriptor_close(&descriptor);
}

/* The front has read the same file by now, and found it good. */
static void take_reload(struct keeper *keeper, const struct message *message)
{
    struct error error;
    struct config *config = keeper->candidate;
    keeper->candidate = NULL;
    bool is_same = config && message->reload.digest == keeper->candidate_digest;
    if (!is_same || listening_reload(keeper->listening, config) != 0) {
        if (is_same)
            error_set(&error, "the keeper's memory is exhausted");
        else
            error_set(&error, "%s has changed while it was read: reload once more",
                      keeper->config->file);
        config_free(config);
        answer(keeper, MESSAGE_RELOADED, message->serial, &error, -1);
        return;
    }
    bridges_prepare(keeper->bridges, config);
    bridge_watch_follow(keeper->bridge_watch, config);
    backends_reload(keeper, config);
    config_free(keeper->own_config);
    keeper->config = keeper->own_config = config;
    answer(keeper, MESSAGE_RELOADED, message->serial, NULL, -1);
}

static void received(void *argument, const struct message *message, int descriptor)
{
    struct keeper *keeper = argument;
    descriptor_close(&descriptor);
    switch (message->type) {
    case MESSAGE_LISTEN:
        take_listen(keeper, message);
        break;
    case MESSAGE_START:
        keeper_machine_start(keeper, message->service, message->serial, &message->start.place);
        break;
    case MESSAGE_STOP:
        keeper_machine_stop(keeper, message->service, message->serial,
                            (enum config_stop)message->stop.mode);
        break;
    case MESSAGE_FILE:
        take_file(keeper, message);
        break;
    case MESSAGE_RELOAD:
        take_reload(keeper, message);
        break;
    case MESSAGE_PORT:
        take_port(keeper, message);
        break;
    case MESSAGE_SEEN_READY:
        keeper_machine_seen_ready(keeper, message->service, message->serial);
        break;
    case MESSAGE_LOOK:
        keeper_machine_look(keeper, message->service, message->serial);
        break;
    default:
        log_warning("the front sent a message that is not for the keeper; ignoring it");
    }
}

static void lost(void *argument, const char *why)
{
    struct keeper *keeper = argument;
    log_info("the front is gone (%s); machines go on, waiting for a new one", why);
    message_link_free(keeper->link);
    keeper->link = NULL;
    keeper->synchronised = false;
}

static void connect_front(struct keeper *keeper, int socket)
{
    message_link_free(keeper->link);
    keeper->synchronised = false;
    keeper->link = message_link_new(keeper->base, socket, received, lost, keeper);
    if (!keeper->link) {
        log_error("memory is exhausted while connecting to the front");
        end(keeper, KEEPER_FAILED);
        return;
    }
    message_link_hold_back(keeper->link, QUEUED_MAX);
    keeper_synchronise(keeper);
}

/* --- the supervisor --- */

static void on_supervisor(evutil_socket_t socket, short events, void *argument)
{
    (void)events;
    struct keeper *keeper = argument;
    char packet[16];
    int descriptor;
    ssize_t length = descriptor_receive(socket, packet, sizeof packet, &descriptor);
    if (length <= 0)
        end(keeper, KEEPER_ORPHANED);
    else if (descriptor != -1)
        connect_front(keeper, descriptor);
}

static void on_terminate(evutil_socket_t signal, short events, void *argument)
{
    (void)signal, (void)events;
    end(argument, KEEPER_ENDED);
}

/* --- life --- */

static int begin(struct keeper *keeper, struct error *error)
{
    const struct keeper_options *options = keeper->options;
    error_set(error, "memory is exhausted");
    keeper->base = event_base_new();
    keeper->listening =
        listening_new(options->config, options->passed_first, options->passed_count);
    keeper->bridges = bridges_new(options->config->run_directory);
    if (!keeper->base || !keeper->listening || !keeper->bridges)
        return -1;
    keeper->bridge_watch = bridge_watch_new(keeper->base, keeper->bridges, port_missing, keeper);
    if (!keeper->bridge_watch)
        return -1;
    keeper->supervisor_readable =
        event_new(keeper->base, options->supervisor, EV_READ | EV_PERSIST, on_supervisor, keeper);
    keeper->terminated = evsignal_new(keeper->base, SIGTERM, on_terminate, keeper);
    if (!keeper->supervisor_readable || !keeper->terminated ||
        event_add(keeper->supervisor_readable, NULL) != 0 ||
        event_add(keeper->terminated, NULL) != 0)
        return -1;
    bridges_prepare(keeper->bridges, options->config);
    bridge_watch_follow(keeper->bridge_watch, options->config);
    if (backends_open(keeper, error) != 0)
        return -1;
    connect_front(keeper, options->link);
    return 0;
}

static void finish(struct keeper *keeper)
{
    keeper_machine_forget_all(keeper);
    backends_close(keeper);
    if (keeper->bridges && keeper->status == KEEPER_ENDED)
        bridges_remove(keeper->bridges);
    bridge_watch_free(keeper->bridge_watch);
    bridges_free(keeper->bridges);
    message_link_free(keeper->link);
    listening_free(keeper->listening);
    if (keeper->supervisor_readable)
        event_free(keeper->supervisor_readable);
    if (keeper->terminated)
        event_free(keeper->terminated);
    if (keeper->base)
        event_base_free(keeper->base);
    config_free(keeper->own_config);
    config_free(keeper->candidate);
    descriptor_close(&keeper->supervisor);
}

int keeper_run(const struct keeper_options *options)
{
    struct error error;
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper) {
        log_error("memory is exhausted");
        return KEEPER_FAILED;
    }
    keeper->options = options;
    keeper->config = options->config;
    keeper->supervisor = options->supervisor;
    if (begin(keeper, &error) == 0) {
        if (!event_base_got_break(keeper->base))
            event_base_dispatch(keeper->base);
    } else {
        log_error("%s", error.text);
        keeper->status = KEEPER_FAILED;
    }
    int status = keeper->status;
    finish(keeper);
    free(keeper);
    return status;
}
