/* jitsuctl start, stop, wait, reload and version: an order, and one line for an answer. */
#include "config.h"

#include <string.h>

#include "admin/client/commands.h"
#include "admin/client/connection.h"
#include "admin/client/output.h"

/* Says what a start or stop has changed. A start that was accepted and has not begun waits until
 * there is room for it. */
static void print_states(const json_t *answer, bool start)
{
    const char *before = text_of(answer, "was"), *now = text_of(answer, "state");

    print_text(stdout, text_of(answer, "service"));
    if (start && strcmp(now, "starting") != 0 && strcmp(now, "running") != 0)
        printf(": %s, waits for its turn to start\n", now);
    else if (strcmp(before, now) == 0)
        printf(": %s already\n", now);
    else
        printf(": %s -> %s\n", before, now);
}

static int change_state(const struct arguments *arguments, json_t *request, bool start)
{
    json_t *answer = request_answer(arguments->socket, request, arguments->json);
    if (!answer)
        return finish_output(EXIT_REFUSED);
    if (!arguments->json)
        print_states(answer, start);
    json_decref(answer);
    return finish_output(EXIT_DONE);
}

int command_start(const struct arguments *arguments)
{
    json_t *request = json_pack("{s:s, s:s}", "command", "start", "name", arguments->operand);
    return change_state(arguments, request, true);
}

int command_stop(const struct arguments *arguments)
{
    json_t *request = json_pack("{s:s, s:s, s:s*}", "command", "stop", "name", arguments->operand,
                                "mode", arguments->mode);
    return change_state(arguments, request, false);
}

int command_wait(const struct arguments *arguments)
{
    json_t *request = json_pack("{s:s, s:s, s:s*}", "command", "wait", "name", arguments->operand,
                                "state", arguments->state);
    if (arguments->timeout >= 0)
        json_object_set_new(request, "timeout", json_real(arguments->timeout));
    json_t *answer = request_answer(arguments->socket, request, arguments->json);
    if (!answer)
        return finish_output(EXIT_REFUSED);
    if (!arguments->json) {
        print_text(stdout, text_of(answer, "service"));
        printf(": %s\n", text_of(answer, "state"));
    }
    json_decref(answer);
    return finish_output(EXIT_DONE);
}

int command_reload(const struct arguments *arguments)
{
    json_t *answer =
        request_answer(arguments->socket, json_pack("{s:s}", "command", "reload"), arguments->json);
    if (!answer)
        return finish_output(EXIT_REFUSED);
    if (!arguments->json)
        puts("reloaded");
    json_decref(answer);
    return finish_output(EXIT_DONE);
}

int command_version(const struct arguments *arguments)
{
    if (!arguments->json)
        puts("jitsuctl " PACKAGE_VERSION);
    json_t *answer = request_answer(arguments->socket, json_pack("{s:s}", "command", "version"),
                                    arguments->json);
    if (!answer)
        return finish_output(EXIT_REFUSED);
    if (!arguments->json)
        printf("jitsud %s\n", text_of(answer, "version"));
    json_decref(answer);
    return finish_output(EXIT_DONE);
}
