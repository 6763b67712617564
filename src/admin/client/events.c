/* jitsuctl events: one line for each transition. */
#include <string.h>

#include "admin/client/commands.h"
#include "admin/client/connection.h"
#include "admin/client/output.h"

#define SERVICE_WIDTH 24
#define STATES_WIDTH  22 /* "suspended -> starting" */

/* "dns, www.example.org A from 192.0.2.1@5353: why" */
static void print_cause(const json_t *event)
{
    static const struct {
        const char *before, *key;
    } parts[] = {{", ", "query"}, {" from ", "client"}, {": ", "reason"}};

    print_text(stdout, text_of(event, "cause"));
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *text = text_of(event, parts[i].key);
        if (text[0]) {
            fputs(parts[i].before, stdout);
            print_text(stdout, text);
        }
    }
}

/* "wanted 0.0 | spawned 1.2 | entered 48.1 | ready 55.0 | first byte 58.3 ms"; nothing if no phase
 * was reached. */
static void print_phases(const json_t *event)
{
    static const struct {
        const char *word, *key;
    } phases[] = {{"spawned", "spawned"},
                  {"entered", "entered"},
                  {"ready", "ready"},
                  {"first byte", "first_byte"}};
    const json_t *times = json_object_get(event, "phases");
    bool any = false;

    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        const json_t *time = json_object_get(times, phases[i].key);
        if (!json_is_number(time))
            continue;
        printf("%s | %s %.1f", any ? "" : "  wanted 0.0", phases[i].word, json_number_value(time));
        any = true;
    }
    fputs(any ? " ms" : "", stdout);
}

static void print_event(const json_t *event)
{
    char time[TEXT_SIZE];
    const char *from = text_of(event, "from"), *to = text_of(event, "to");
    size_t width = columns_of(from) + strlen(" -> ") + columns_of(to);

    set_colour(COLOUR_DIM);
    fputs(format_time(number_of(event, "time"), true, time), stdout);
    set_colour(COLOUR_NONE);
    fputs("  ", stdout);
    print_padded(stdout, text_of(event, "service"), SERVICE_WIDTH);
    fputs("  ", stdout);
    if (strcmp(from, to) == 0)
        width = columns_of(to);
    else
        printf("%s -> ", from);
    set_colour(colour_of_state(to));
    print_text(stdout, to);
    set_colour(COLOUR_NONE);
    printf("%*s  ", width < STATES_WIDTH ? (int)(STATES_WIDTH - width) : 0, "");
    print_cause(event);
    print_phases(event);
    putchar('\n');
}

/* The last line of the stream: how it ended. */
static int finish_stream(const struct answer *answer, bool json)
{
    if (json_is_true(json_object_get(answer->object, "ok")))
        return EXIT_DONE;
    if (json)
        puts(answer->line);
    else
        print_error("%s", text_of(answer->object, "error"));
    return EXIT_REFUSED;
}

static int print_events(struct connection *connection, bool json)
{
    struct answer answer;

    for (;;) {
        if (request_receive(connection, &answer) != 0)
            return EXIT_REFUSED;
        if (answer_is_last(&answer)) {
            int status = finish_stream(&answer, json);
            json_decref(answer.object);
            return status;
        }
        if (json)
            puts(answer.line);
        else
            print_event(answer.object);
        json_decref(answer.object);
        if (!connection_has_more(connection) && finish_output(EXIT_DONE) != EXIT_DONE)
            return EXIT_REFUSED;
    }
}

int command_events(const struct arguments *arguments)
{
    struct connection connection;
    int status = EXIT_REFUSED;
    json_t *request =
        json_pack("{s:s, s:b}", "command", "events", "follow", (int)arguments->follow);

    if (arguments->lines >= 0)
        json_object_set_new(request, "last", json_integer(arguments->lines));
    if (request_begin(&connection, arguments->socket, request) == 0)
        status = print_events(&connection, arguments->json);
    connection_close(&connection);
    return finish_output(status);
}
