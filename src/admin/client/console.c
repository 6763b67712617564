/* jitsuctl console: what a machine's console printed, and what comes, as it is. */
#include "admin/client/commands.h"
#include "admin/client/connection.h"
#include "admin/client/output.h"

static int print_console(struct connection *connection, bool json)
{
    struct answer answer;

    for (;;) {
        if (request_receive(connection, &answer) != 0)
            return EXIT_REFUSED;
        bool last = answer_is_last(&answer);
        const json_t *text = json_object_get(answer.object, "text");
        if (json)
            puts(answer.line);
        else if (last)
            print_error("%s", text_of(answer.object, "error"));
        else
            fwrite(json_string_value(text), 1, json_string_length(text), stdout);
        json_decref(answer.object);
        if (last)
            return EXIT_REFUSED;
        if (finish_output(EXIT_DONE) != EXIT_DONE)
            return EXIT_REFUSED;
    }
}

int command_console(const struct arguments *arguments)
{
    struct connection connection;
    int status = EXIT_REFUSED;
    json_t *request = json_pack("{s:s, s:s}", "command", "console", "name", arguments->operand);

    if (request_begin(&connection, arguments->socket, request) == 0)
        status = print_console(&connection, arguments->json);
    connection_close(&connection);
    return finish_output(status);
}
