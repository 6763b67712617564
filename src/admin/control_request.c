#include "admin/control_request.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "common/clock.h"

/* Longer waits are for ever, and would overflow nanoseconds. */
#define TIMEOUT_MAX_SECONDS 1e9

/* The members that a command may have besides "command": bits. */
enum member {
    MEMBER_NAME = 1,
    MEMBER_MODE = 2,
    MEMBER_STATE = 4,
    MEMBER_TIMEOUT = 8,
    MEMBER_FOLLOW = 16,
    MEMBER_LAST = 32,
};

static const struct {
    const char *word;
    unsigned members;
    bool needs_name;
} commands[CONTROL_COMMANDS] = {
    [CONTROL_STATUS] = {"status", MEMBER_NAME, false},
    [CONTROL_START] = {"start", MEMBER_NAME, true},
    [CONTROL_STOP] = {"stop", MEMBER_NAME | MEMBER_MODE, true},
    [CONTROL_WAIT] = {"wait", MEMBER_NAME | MEMBER_STATE | MEMBER_TIMEOUT, true},
    [CONTROL_EVENTS] = {"events", MEMBER_FOLLOW | MEMBER_LAST, false},
    [CONTROL_CONSOLE] = {"console", MEMBER_NAME, true},
    [CONTROL_RELOAD] = {"reload", 0, false},
    [CONTROL_STATS] = {"stats", 0, false},
    [CONTROL_VERSION] = {"version", 0, false},
};

static int parse_command(const json_t *value, enum control_command *command, struct error *error)
{
    const char *word = json_string_value(value);
    if (!word)
        return error_set(error, "\"command\" must be a string");
    for (unsigned i = 0; i < CONTROL_COMMANDS; i++)
        if (strcmp(word, commands[i].word) == 0) {
            *command = (enum control_command)i;
            return 0;
        }
    return error_set(error, "unknown command \"%.64s\"", word);
}

/* Domain names are looked up in lower case and without their last dot. */
static int parse_name(const json_t *value, struct control_request *request, struct error *error)
{
    const char *name = json_string_value(value);
    size_t length = json_string_length(value);
    if (!name || length == 0)
        return error_set(error, "\"name\" must be a service's name");
    if (name[length - 1] == '.')
        length--;
    if (length == 0 || length >= sizeof request->name)
        return error_set(error, "\"name\" is not a domain name");
    for (size_t i = 0; i < length; i++)
        request->name[i] = (char)tolower((unsigned char)name[i]);
    request->name[length] = '\0';
    return 0;
}

static int parse_mode(const json_t *value, struct control_request *request, struct error *error)
{
    const char *word = json_string_value(value);
    if (!word || config_stop_parse(word, &request->mode) != 0)
        return error_set(error, "\"mode\" must be \"destroy\", \"shutdown\" or \"suspend\"");
    request->has_mode = true;
    return 0;
}

static int parse_state(const json_t *value, struct control_request *request, struct error *error)
{
    const char *word = json_string_value(value);
    if (!word || machine_state_parse(word, &request->state) != 0)
        return error_set(error, "\"state\" must be \"off\", \"starting\", \"running\", "
                                "\"stopping\", \"suspended\" or \"failed\"");
    return 0;
}

static int parse_timeout(const json_t *value, struct control_request *request, struct error *error)
{
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !isfinite(seconds) || seconds < 0 ||
        seconds > TIMEOUT_MAX_SECONDS)
        return error_set(error, "\"timeout\" must be a number of seconds, at least 0");
    request->has_timeout = true;
    request->timeout = (uint64_t)(seconds * (double)NANOSECONDS_PER_SECOND);
    return 0;
}

static int parse_follow(const json_t *value, struct control_request *request, struct error *error)
{
    if (!json_is_boolean(value))
        return error_set(error, "\"follow\" must be true or false");
    request->follow = json_is_true(value);
    return 0;
}

static int parse_last(const json_t *value, struct control_request *request, struct error *error)
{
    json_int_t last = json_integer_value(value);
    if (!json_is_integer(value) || last < 0)
        return error_set(error, "\"last\" must be a whole number, at least 0");
    request->has_last = true;
    request->last = (uint64_t)last;
    return 0;
}

static const struct {
    const char *key;
    enum member member;
    int (*parse)(const json_t *value, struct control_request *request, struct error *error);
} members[] = {
    {"name", MEMBER_NAME, parse_name},       {"mode", MEMBER_MODE, parse_mode},
    {"state", MEMBER_STATE, parse_state},    {"timeout", MEMBER_TIMEOUT, parse_timeout},
    {"follow", MEMBER_FOLLOW, parse_follow}, {"last", MEMBER_LAST, parse_last},
};

static int parse_member(const char *key, const json_t *value, struct control_request *request,
                        struct error *error)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strcmp(key, members[i].key) == 0 &&
            (commands[request->command].members & members[i].member))
            return members[i].parse(value, request, error);
    return error_set(error, "\"%s\" does not take \"%.64s\"", commands[request->command].word, key);
}

static int parse_object(json_t *object, struct control_request *request, struct error *error)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return error_set(error, "a request is a JSON object");
    if (!json_object_get(object, "command"))
        return error_set(error, "\"command\" is missing");
    if (parse_command(json_object_get(object, "command"), &request->command, error) != 0)
        return -1;
    json_object_foreach(object, key, value)
    {
        if (strcmp(key, "command") != 0 && parse_member(key, value, request, error) != 0)
            return -1;
    }
    if (commands[request->command].needs_name && !request->name[0])
        return error_set(error, "\"%s\" needs a \"name\"", commands[request->command].word);
    return 0;
}

int control_request_parse(const char *line, size_t length, struct control_request *request,
                          struct error *error)
{
    json_error_t problem;

    *request = (struct control_request){.state = MACHINE_RUNNING};
    if (length > CONTROL_REQUEST_MAX)
        return error_set(error, "a request has at most %d bytes", CONTROL_REQUEST_MAX);
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &problem);
    if (!object)
        return error_set(error, "not JSON: %s", problem.text);
    int result = parse_object(object, request, error);
    json_decref(object);
    return result;
}
