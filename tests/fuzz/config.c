/* Whatever a configuration file holds, reading it is safe; it gives either a configuration whose
 * services are complete and can be found, or errors, each on one line with its place, in order. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct last_error {
    unsigned line, column;
};

static void check_error(void *argument, const char *text)
{
    struct last_error *last = argument;
    unsigned line, column;
    if (sscanf(text, "fuzz.yaml:%u:%u: ", &line, &column) != 2 || line < 1 || column < 1)
        abort();
    if (line < last->line || (line == last->line && column < last->column))
        abort();
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20)
            abort();
    if (!strstr(text, "; expected "))
        abort();
    *last = (struct last_error){line, column};
}

/* Each place is found by its addresses, and an instance can be made there. */
static void check_wildcard(const struct config *config, const struct config_service *wildcard)
{
    const struct config_places *places = wildcard->places;
    char name[2 * CONFIG_NAME_TEXT_MAX], label[CONFIG_LABEL_MAX + 1];
    struct error error;
    if (!places || places->count == 0 || places->address_count == 0)
        abort();
    for (uint32_t i = 0; i < places->count; i++)
        if (config_find_place(places, config_place(places, i), places->address_count) != (long)i)
            abort();
    snprintf(name, sizeof name, "new%s", wildcard->name + 1);
    const struct config_service *found = config_find_wildcard(config, name, label);
    if (found != wildcard && !config_find_service(config, name) &&
        strlen(name) < CONFIG_NAME_TEXT_MAX)
        abort();
    struct config_service *instance = config_instance_new(wildcard, "new", 0, &error);
    if (instance && (strcmp(instance->name, name) != 0 || !config_is_instance(instance)))
        abort();
    free(instance);
}

static void check_service(const struct config *config, const struct config_service *service)
{
    if (config_find_service(config, service->name) != service)
        abort();
    for (size_t i = 0; i < service->alias_count; i++)
        if (config_find_service(config, service->aliases[i]) != service)
            abort();
    if (config_is_wildcard(service))
        check_wildcard(config, service);
    else if (service->address_count == 0)
        abort();
    if (service->zone >= config->zone_count || service->idle == 0)
        abort();
    if (service->backend == CONFIG_BACKEND_QEMU && (!service->image || !service->network))
        abort();
    if (!config_service_same_machine(service, service))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct last_error last = {0};
    struct config *config =
        config_parse((const char *)bytes, length, "fuzz.yaml", check_error, &last);
    if ((config == NULL) != (last.line > 0))
        abort();
    for (size_t i = 0; config && i < config->service_count; i++)
        check_service(config, &config->services[i]);
    config_free(config);
    return 0;
}
