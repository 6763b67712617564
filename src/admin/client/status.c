/* jitsuctl status: all services as a table, or one in detail. */
#include <stdlib.h>
#include <string.h>

#include "admin/client/commands.h"
#include "admin/client/connection.h"
#include "admin/client/output.h"
#include "common/clock.h"

#define CELL_SIZE 320

enum column { NAME, STATE, ADDRESS, UPTIME, LAST_USE, CONNECTIONS, STARTS, MEMORY, COLUMNS };

static const struct {
    const char *title;
    bool right; /* aligned to the right */
} columns[COLUMNS] = {
    [NAME] = {"NAME", false},    [STATE] = {"STATE", false},      [ADDRESS] = {"ADDRESS", false},
    [UPTIME] = {"UPTIME", true}, [LAST_USE] = {"LAST USE", true}, [CONNECTIONS] = {"CONNS", true},
    [STARTS] = {"STARTS", true}, [MEMORY] = {"MEMORY", true},
};

/* --- cells --- */

/* The first address, and how many more there are. */
static void address_cell(const json_t *service, char cell[CELL_SIZE])
{
    const json_t *addresses = json_object_get(service, "address");
    const char *first = json_string_value(json_array_get(addresses, 0));
    size_t count = json_array_size(addresses);

    if (count > 1)
        snprintf(cell, CELL_SIZE, "%s +%zu", first ? first : "-", count - 1);
    else
        snprintf(cell, CELL_SIZE, "%s", first ? first : "-");
}

/* A wildcard is in no state: it has so many of its instances. */
static void state_cell(const json_t *service, char cell[CELL_SIZE])
{
    if (json_object_get(service, "instance_limit"))
        snprintf(cell, CELL_SIZE, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
                 count_of(service, "instances"), count_of(service, "instance_limit"));
    else
        snprintf(cell, CELL_SIZE, "%s", text_of(service, "state"));
}

/* Time since a moment; "-" if it never was. */
static void since_cell(double moment, double now, const char *suffix, char cell[CELL_SIZE])
{
    char text[TEXT_SIZE];

    if (moment > 0)
        snprintf(cell, CELL_SIZE, "%s%s", text_duration(now - moment, text), suffix);
    else
        strcpy(cell, "-");
}

/* Does a machine in this state take memory? */
static bool has_memory(const char *state)
{
    return strcmp(state, "off") != 0 && strcmp(state, "failed") != 0;
}

static void count_cell(const json_t *service, const char *key, char cell[CELL_SIZE])
{
    if (json_is_null(json_object_get(service, key)))
        snprintf(cell, CELL_SIZE, "-");
    else
        snprintf(cell, CELL_SIZE, "%" JSON_INTEGER_FORMAT, count_of(service, key));
}

static void fill_cell(const json_t *service, enum column column, double now, char cell[CELL_SIZE])
{
    char text[TEXT_SIZE];

    switch (column) {
    case NAME:
        snprintf(cell, CELL_SIZE, "%s", text_of(service, "name"));
        break;
    case STATE:
        state_cell(service, cell);
        break;
    case ADDRESS:
        address_cell(service, cell);
        break;
    case UPTIME:
        since_cell(number_of(service, "started"), now, "", cell);
        break;
    case LAST_USE:
        since_cell(number_of(service, "last_use"), now, " ago", cell);
        break;
    case CONNECTIONS:
        count_cell(service, "connections", cell);
        break;
    case STARTS:
        snprintf(cell, CELL_SIZE, "%" JSON_INTEGER_FORMAT, count_of(service, "starts"));
        break;
    default:
        snprintf(cell, CELL_SIZE, "%s",
                 has_memory(text_of(service, "state")) ? text_size(size_of(service, "memory"), text)
                                                       : "-");
        break;
    }
}

/* --- the table --- */

static void measure(const json_t *services, double now, size_t widths[COLUMNS])
{
    char cell[CELL_SIZE];
    size_t index;
    json_t *service;

    for (unsigned column = 0; column < COLUMNS; column++)
        widths[column] = strlen(columns[column].title);
    json_array_foreach(services, index, service)
    {
        for (unsigned column = 0; column < COLUMNS; column++) {
            fill_cell(service, column, now, cell);
            if (columns_of(cell) > widths[column])
                widths[column] = columns_of(cell);
        }
    }
}

static void print_cell(const char *cell, enum column column, const size_t widths[COLUMNS])
{
    if (columns[column].right) {
        print_padded(stdout, "", widths[column] - columns_of(cell));
        print_text(stdout, cell);
    } else {
        print_padded(stdout, cell, widths[column]);
    }
    fputs(column + 1 < COLUMNS ? "  " : "\n", stdout);
}

static void print_error_of(const json_t *service, double now)
{
    char text[TEXT_SIZE];
    double retry = number_of(service, "retry");

    fputs("  ", stdout);
    set_colour(COLOUR_RED);
    print_text(stdout, text_of(service, "error"));
    set_colour(COLOUR_NONE);
    if (retry > now)
        printf("; tries again on demand in %s", text_duration(retry - now, text));
    putchar('\n');
}

static void print_row(const json_t *service, double now, const size_t widths[COLUMNS])
{
    const char *state = text_of(service, "state");
    char cell[CELL_SIZE];

    for (unsigned column = 0; column < COLUMNS; column++) {
        fill_cell(service, column, now, cell);
        if (column == STATE)
            set_colour(colour_of_state(state));
        print_cell(cell, column, widths);
        if (column == STATE)
            set_colour(COLOUR_NONE);
    }
    if (strcmp(state, "failed") == 0 && text_of(service, "error")[0])
        print_error_of(service, now);
}

static void print_limits(const json_t *limits)
{
    char used[TEXT_SIZE], limit[TEXT_SIZE];

    printf("%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " machines, %s of %s memory, "
           "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " starting",
           count_of(limits, "machines"), count_of(limits, "machine_limit"),
           text_size(size_of(limits, "memory"), used),
           text_size(size_of(limits, "memory_limit"), limit), count_of(limits, "starts"),
           count_of(limits, "start_limit"));
    if (count_of(limits, "waiting") > 0)
        printf(", %" JSON_INTEGER_FORMAT " waiting", count_of(limits, "waiting"));
    putchar('\n');
}

static void print_table(const json_t *answer)
{
    const json_t *services = json_object_get(answer, "services");
    size_t widths[COLUMNS], index;
    double now = clock_wall();
    json_t *service;

    measure(services, now, widths);
    set_colour(COLOUR_BOLD);
    for (unsigned column = 0; column < COLUMNS; column++)
        print_cell(columns[column].title, column, widths);
    set_colour(COLOUR_NONE);
    json_array_foreach(services, index, service) print_row(service, now, widths);
    print_limits(json_object_get(answer, "limits"));
}

/* --- one service --- */

static void print_key(const char *key)
{
    printf("%s:%*s", key, (int)(13 - strlen(key)), "");
}

static void print_text_of(const json_t *service, const char *key)
{
    const char *text = text_of(service, key);

    if (!text[0])
        return;
    print_key(key);
    print_text(stdout, text);
    putchar('\n');
}

static void print_list_of(const json_t *service, const char *key)
{
    const json_t *list = json_object_get(service, key);
    size_t index;
    json_t *item;

    if (json_array_size(list) == 0)
        return;
    print_key(key);
    json_array_foreach(list, index, item)
    {
        fputs(index > 0 ? ", " : "", stdout);
        print_text(stdout, json_string_value(item));
    }
    putchar('\n');
}

static void print_count_of(const json_t *service, const char *key)
{
    print_key(key);
    printf("%" JSON_INTEGER_FORMAT "\n", count_of(service, key));
}

static void print_moment(const char *label, double moment, double now)
{
    char time[TEXT_SIZE], duration[TEXT_SIZE];

    if (moment <= 0)
        return;
    print_key(label);
    format_time(moment, false, time);
    if (moment > now)
        printf("%s (in %s)\n", time, text_duration(moment - now, duration));
    else
        printf("%s (%s ago)\n", time, text_duration(now - moment, duration));
}

static void print_service(const json_t *service)
{
    char size[TEXT_SIZE];
    double now = clock_wall();

    print_text_of(service, "name");
    print_list_of(service, "aliases");
    print_key("state");
    set_colour(colour_of_state(text_of(service, "state")));
    print_text(stdout, text_of(service, "state"));
    set_colour(COLOUR_NONE);
    putchar('\n');
    print_text_of(service, "backend");
    print_text_of(service, "network");
    print_text_of(service, "hold");
    print_list_of(service, "address");
    print_list_of(service, "ports");
    print_text_of(service, "image");
    print_key("memory");
    puts(text_size(size_of(service, "memory"), size));
    if (count_of(service, "pid") > 0)
        print_count_of(service, "pid");
    print_text_of(service, "domain");
    print_moment("started", number_of(service, "started"), now);
    print_moment("last use", number_of(service, "last_use"), now);
    if (json_is_integer(json_object_get(service, "connections")))
        print_count_of(service, "connections");
    print_count_of(service, "starts");
    print_count_of(service, "failures");
    print_text_of(service, "error");
    print_moment("retry", number_of(service, "retry"), now);
}

int command_status(const struct arguments *arguments)
{
    json_t *request = json_pack("{s:s, s:s*}", "command", "status", "name", arguments->operand);
    json_t *answer = request_answer(arguments->socket, request, arguments->json);

    if (!answer)
        return EXIT_REFUSED;
    if (arguments->json)
        ;
    else if (arguments->operand)
        print_service(json_array_get(json_object_get(answer, "services"), 0));
    else
        print_table(answer);
    json_decref(answer);
    return finish_output(EXIT_DONE);
}
