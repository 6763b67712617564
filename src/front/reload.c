/* A reload, in this order: the keeper opens the file, which may lie where only root can look, it is
 * read and checked, then the zones' files likewise, the new answers are compiled, the keeper takes
 * up the same file, the new answers are swapped in and the services follow, sockets that are
 * missing are opened. Until the keeper has agreed everything can be given up, and the old
 * configuration goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/descriptor.h"
#include "common/log.h"
#include "front/process.h"

struct reload {
    struct front *front;
    struct config *config;
    struct dns_zone_text *zone_texts; /* of config->zones; the texts are owned */
    uint32_t next_file;               /* as in MESSAGE_FILE: what is being opened */
    bool all_read;                    /* nothing is opened any more */
    struct dns_table *table;
    bool prepared; /* summoner_reload_prepare() has been called */
    struct opening *opening;
    uint64_t digest;
    char *problems; /* one a line; NULL: none */
    size_t problems_length;
    FILE *problems_stream;
    void (*done)(void *argument, const char *problem);
    void *argument;
};

static void free_zone_texts(struct reload *reload)
{
    for (size_t i = 0; reload->zone_texts && i < reload->config->zone_count; i++)
        free((char *)reload->zone_texts[i].text);
    free(reload->zone_texts);
    reload->zone_texts = NULL;
}

void reload_free(struct reload *reload)
{
    if (!reload)
        return;
    if (reload->prepared)
        summoner_reload_abandon(reload->front->summoner);
    dns_table_free(reload->table);
    free_zone_texts(reload);
    config_free(reload->config);
    opening_free(reload->opening);
    fclose(reload->problems_stream);
    free(reload->problems);
    free(reload);
}

static bool has_problems(struct reload *reload)
{
    fflush(reload->problems_stream);
    return reload->problems_length > 0;
}

/* Ends it, told with the problems there were, if any. */
static void finish(struct reload *reload)
{
    struct front *front = reload->front;
    bool failed = has_problems(reload);
    if (failed) {
        log_error("reload of %s failed; the old configuration stays", front->config->file);
        front_tell_supervisor(front, FRONT_RELOAD_FAILED, 0);
    }
    front->reload = NULL;
    reload->done(reload->argument, failed ? reload->problems : NULL);
    reload_free(reload);
}

static void report(void *argument, const char *text)
{
    struct reload *reload = argument;
    log_error("%s", text);
    fprintf(reload->problems_stream, "%s\n", text);
}

static void give_up(struct reload *reload, const char *why)
{
    report(reload, why);
    finish(reload);
}

static bool same_listeners(const struct config *a, const struct config *b)
{
    if (a->listen_count != b->listen_count || a->has_metrics != b->has_metrics ||
        (a->has_metrics && !endpoint_equal(&a->metrics, &b->metrics)))
        return false;
    for (size_t i = 0; i < a->listen_count; i++)
        if (!endpoint_equal(&a->listen[i], &b->listen[i]))
            return false;
    return true;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What the processes were built on stays until the next start; said, so that nobody wonders. */
static void warn_about_restart(const struct config *old, const struct config *new)
{
    static const char later[] = "takes effect when jitsud is restarted";
    if (!same_listeners(old, new))
        log_warning("server: a change of listen or metrics %s", later);
    if (old->workers != new->workers)
        log_warning("server: a change of workers %s", later);
    if (!same_text(old->user, new->user))
        log_warning("server: a change of user %s", later);
    if (!same_text(old->run_directory, new->run_directory) ||
        !same_text(old->state_directory, new->state_directory))
        log_warning("server: a change of run-directory or state-directory %s", later);
}

/* --- reading --- */

static void ask_for_file(struct reload *reload)
{
    struct message message = message_make(MESSAGE_FILE, reload->next_file, NULL);
    message.file.number = reload->next_file;
    message_link_send(reload->front->link, &message, -1);
}

/* All has been read: checks and compiles it. */
static int prepare(struct reload *reload)
{
    struct front *front = reload->front;
    struct error error;
    if (summoner_reload_prepare(front->summoner, reload->config, &error) != 0) {
        report(reload, error.text);
        return -1;
    }
    reload->prepared = true;
    reload->table = dns_table_build_from(reload->config, summoner_reload_hosts(front->summoner),
                                         reload->zone_texts, report, reload);
    free_zone_texts(reload);
    return reload->table ? 0 : -1;
}

/* Asks for the file of the next zone that has one; after the last goes on without. */
static void read_next(struct reload *reload)
{
    const struct config *config = reload->config;
    do
        reload->next_file++;
    while (reload->next_file <= config->zone_count && !config->zones[reload->next_file - 1].file);
    if (reload->next_file <= config->zone_count) {
        ask_for_file(reload);
        return;
    }
    reload->all_read = true;
    if (has_problems(reload) || prepare(reload) != 0) {
        finish(reload);
        return;
    }
    struct message message = message_make(MESSAGE_RELOAD, 0, NULL);
    message.reload.digest = reload->digest;
    message_link_send(reload->front->link, &message, -1);
}

static void take_configuration(struct reload *reload, char *text, size_t length)
{
    reload->digest = message_digest(text, length);
    reload->config = config_parse(text, length, reload->front->config->file, report, reload);
    free(text);
    if (!reload->config) {
        finish(reload);
        return;
    }
    reload->zone_texts = calloc(reload->config->zone_count + 1, sizeof *reload->zone_texts);
    if (!reload->zone_texts)
        give_up(reload, "memory is exhausted");
    else
        read_next(reload);
}

/* A zone's file that cannot be read does not keep others from being looked at. */
void reload_file_opened(struct reload *reload, const struct message *message, int descriptor)
{
    struct error error;
    char *text = NULL;
    size_t length = 0;
    uint32_t number = reload->next_file;
    if (reload->all_read || message->serial != number) {
        descriptor_close(&descriptor);
        return;
    }
    const char *path =
        number == 0 ? reload->front->config->file : reload->config->zones[number - 1].file;
    if (message->answer.failed || descriptor == -1)
        report(reload, message->answer.failed ? message->answer.text : "the keeper sent no file");
    else if (!(text = config_read_open(descriptor, path, &length, &error)))
        report(reload, error.text);
    descriptor_close(&descriptor);
    if (number > 0) {
        reload->zone_texts[number - 1] = (struct dns_zone_text){text, length};
        read_next(reload);
    } else if (text) {
        take_configuration(reload, text, length);
    } else {
        finish(reload);
    }
}

/* --- all of it --- */

void reload_begin(struct front *front, void (*done)(void *argument, const char *problem),
                  void *argument)
{
    if (front->reload || !front->dns || front->link_lost) {
        done(argument, front->reload ? "a reload is under way already"
                       : front->dns  ? "the keeper is being restarted: try again in a moment"
                                     : "jitsud is still starting");
        return;
    }
    if (front->config->is_from_arguments) {
        static const char problem[] =
            "the configuration is jitsud's command line: there is nothing "
            "to read again; start jitsud anew to change it";
        log_warning("asked to reload, but %s", problem);
        done(argument, problem);
        return;
    }
    struct reload *reload = calloc(1, sizeof *reload);
    if (reload)
        reload->problems_stream = open_memstream(&reload->problems, &reload->problems_length);
    if (!reload || !reload->problems_stream) {
        free(reload);
        done(argument, "memory is exhausted");
        return;
    }
    reload->front = front;
    reload->done = done;
    reload->argument = argument;
    front->reload = reload;
    log_info("reading %s again", front->config->file);
    front_tell_supervisor(front, FRONT_RELOADING, 0);
    ask_for_file(reload);
}

static void service_opened(void *argument, const struct opening_request *request, int descriptor,
                           const char *problem)
{
    struct reload *reload = argument;
    front_service_opened(reload->front, request, descriptor, problem);
}

static void all_opened(void *argument)
{
    struct reload *reload = argument;
    log_info("reloaded: serving %zu services in %zu zones", reload->front->config->service_count,
             reload->front->config->zone_count);
    front_tell_supervisor(reload->front, FRONT_RELOADED, reload->digest);
    finish(reload);
}

void reload_answered(struct reload *reload, const struct message *message, int descriptor)
{
    static const struct opening_callbacks callbacks = {service_opened, all_opened};
    struct front *front = reload->front;

    descriptor_close(&descriptor);
    if (message->answer.failed) {
        give_up(reload, message->answer.text);
        return;
    }
    if (reload->opening)
        return;
    warn_about_restart(front->config, reload->config);
    log_set_level(reload->config->log);
    dns_server_swap(front->dns, reload->table);
    reload->table = NULL;
    summoner_reload_commit(front->summoner);
    reload->prepared = false;
    config_free(front->config);
    front->config = reload->config;
    reload->config = NULL;
    front_ask_for_ports(front);

    reload->opening = opening_new(&callbacks, reload);
    if (!reload->opening) {
        give_up(reload, "memory is exhausted: new addresses of services are not listened on");
        return;
    }
    front_add_missing_listeners(front, reload->opening);
    opening_begin(reload->opening, front->link);
}

void reload_opened(struct reload *reload, const struct message *message, int descriptor)
{
    if (reload->opening)
        opening_answer(reload->opening, message, descriptor);
    else
        descriptor_close(&descriptor);
}

void reload_keeper_lost(struct reload *reload)
{
    give_up(reload, "the keeper ended during the reload; try again");
}
