/* The file as a whole, and its sections `server` and `limits`. */
#include <string.h>
#include <sys/un.h>

#include "config/sections.h"
#include "config/value.h"

/* control.sock is in the run directory, and its path must fit the address of a UNIX socket. */
#define RUN_DIRECTORY_MAX (sizeof((struct sockaddr_un *)NULL)->sun_path - sizeof "/control.sock")

static enum config_taken take_listen(struct config_loading *loading, void *object,
                                     const struct config_scalar *scalar)
{
    struct config *config = object;
    struct endpoint endpoint;
    if (endpoint_parse(scalar->text, &endpoint) != 0)
        return CONFIG_WRONG;
    for (size_t i = 0; i < config->listen_count; i++)
        if (endpoint_equal(&loading->listen[i], &endpoint)) {
            config_fault(loading->faults, scalar->mark,
                         "'%s' is listed twice; expected each endpoint once", scalar->text);
            return CONFIG_REPORTED;
        }
    loading->listen_marks[config->listen_count] = scalar->mark;
    loading->listen[config->listen_count++] = endpoint;
    return CONFIG_TAKEN;
}

static enum config_taken take_user(struct config_loading *loading, void *object,
                                   const struct config_scalar *scalar)
{
    struct config *config = object;
    if (scalar->length == 0 || scalar->length > 32 || strpbrk(scalar->text, ": /\t\n"))
        return CONFIG_WRONG;
    config->user = config_loading_text(loading, scalar->text);
    return CONFIG_TAKEN;
}

static enum config_taken take_metrics(struct config_loading *loading, void *object,
                                      const struct config_scalar *scalar)
{
    struct config *config = object;
    if (endpoint_parse(scalar->text, &config->metrics) != 0)
        return CONFIG_WRONG;
    config->has_metrics = true;
    loading->metrics_mark = scalar->mark;
    return CONFIG_TAKEN;
}

static const struct config_key server_keys[] = {
    {.name = "listen",
     .type = CONFIG_KEY_LIST,
     .take = take_listen,
     .least = 1,
     .most = CONFIG_LISTEN_MAX,
     .expected = "addresses with ports, such as 127.0.0.1@53 or \"::1@53\""},
    {.name = "workers",
     .type = CONFIG_KEY_NUMBER,
     CONFIG_MEMBER(struct config, workers),
     .least = 1,
     .most = 256},
    {.name = "user", .type = CONFIG_KEY_OWN, .take = take_user, .expected = "the name of a user"},
    {.name = "run-directory",
     .type = CONFIG_KEY_PATH,
     CONFIG_MEMBER(struct config, run_directory),
     .most = RUN_DIRECTORY_MAX},
    {.name = "state-directory",
     .type = CONFIG_KEY_PATH,
     CONFIG_MEMBER(struct config, state_directory)},
    {.name = "metrics",
     .type = CONFIG_KEY_OWN,
     .take = take_metrics,
     .expected = "an address with a port, such as 127.0.0.1@9153"},
    {.name = "log",
     .type = CONFIG_KEY_WORD,
     CONFIG_MEMBER(struct config, log),
     .words = config_log_words},
};

const struct config_schema config_server_schema = {
    .what = "'server'",
    .keys = server_keys,
    .count = sizeof server_keys / sizeof server_keys[0],
};

static const struct config_key limits_keys[] = {
    {.name = "memory",
     .type = CONFIG_KEY_SIZE,
     CONFIG_MEMBER(struct config, memory_limit),
     .least = UINT64_C(1) << 20,
     .most = UINT64_C(1) << 50},
    {.name = "machines",
     .type = CONFIG_KEY_NUMBER,
     CONFIG_MEMBER(struct config, machine_limit),
     .least = 1,
     .most = 1000000},
    {.name = "starts",
     .type = CONFIG_KEY_NUMBER,
     CONFIG_MEMBER(struct config, start_limit),
     .least = 1,
     .most = 1024},
    {.name = "held",
     .type = CONFIG_KEY_SIZE,
     CONFIG_MEMBER(struct config, held_limit),
     .least = UINT64_C(1) << 20,
     .most = UINT64_C(1) << 40},
    {.name = "held-connections",
     .type = CONFIG_KEY_NUMBER,
     CONFIG_MEMBER(struct config, held_connection_limit),
     .least = 4,
     .most = 65536},
};

const struct config_schema config_limits_schema = {
    .what = "'limits'",
    .keys = limits_keys,
    .count = sizeof limits_keys / sizeof limits_keys[0],
};

static const struct config_key file_keys[] = {
    {.name = "server", .type = CONFIG_KEY_MAPPING, .schema = &config_server_schema},
    {.name = "limits", .type = CONFIG_KEY_MAPPING, .schema = &config_limits_schema},
    {.name = "forward", .type = CONFIG_KEY_MAPPING, .schema = &config_forward_schema},
    {.name = "networks", .type = CONFIG_KEY_MAPPINGS, .schema = &config_network_schema},
    {.name = "zones", .type = CONFIG_KEY_MAPPINGS, .schema = &config_zone_schema},
    {.name = "services", .type = CONFIG_KEY_MAPPINGS, .schema = &config_service_schema},
};

const struct config_schema config_file_schema = {
    .what = "the file",
    .keys = file_keys,
    .count = sizeof file_keys / sizeof file_keys[0],
};
