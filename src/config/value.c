#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

const char *const config_network_type_words[] = {
    [CONFIG_NETWORK_BRIDGE] = "bridge", [CONFIG_NETWORK_USER] = "user", NULL};
const char *const config_backend_words[] = {[CONFIG_BACKEND_QEMU] = "qemu",
                                            [CONFIG_BACKEND_LIBVIRT] = "libvirt",
                                            [CONFIG_BACKEND_XEN] = "xen",
                                            NULL};
const char *const config_hold_words[] = {[CONFIG_HOLD_DELAY] = "delay",
                                         [CONFIG_HOLD_HANDOFF] = "handoff",
                                         [CONFIG_HOLD_PROXY] = "proxy",
                                         NULL};
const char *const config_accel_words[] = {
    [CONFIG_ACCEL_AUTO] = "auto", [CONFIG_ACCEL_KVM] = "kvm", [CONFIG_ACCEL_TCG] = "tcg", NULL};
const char *const config_answer_words[] = {
    [CONFIG_ANSWER_AT_ONCE] = "at-once", [CONFIG_ANSWER_WHEN_READY] = "when-ready", NULL};
const char *const config_idle_connections_words[] = {
    [CONFIG_CONNECTIONS_KEEP] = "keep", [CONFIG_CONNECTIONS_IGNORE] = "ignore", NULL};
const char *const config_stop_words[] = {[CONFIG_STOP_DESTROY] = "destroy",
                                         [CONFIG_STOP_SHUTDOWN] = "shutdown",
                                         [CONFIG_STOP_SUSPEND] = "suspend",
                                         NULL};
const char *const config_suspend_to_words[] = {
    [CONFIG_SUSPEND_TO_MEMORY] = "memory", [CONFIG_SUSPEND_TO_DISK] = "disk", NULL};
const char *const config_keep_words[] = {
    [CONFIG_KEEP_ON_DEMAND] = "on-demand", [CONFIG_KEEP_ALWAYS] = "always", NULL};
const char *const config_log_words[] = {[LOG_LEVEL_ERROR] = "error",
                                        [LOG_LEVEL_WARNING] = "warning",
                                        [LOG_LEVEL_INFO] = "info",
                                        [LOG_LEVEL_DEBUG] = "debug",
                                        NULL};
const char *const config_no_yes_words[] = {"no", "yes", NULL};

struct unit {
    const char *name;
    uint64_t value;
};

/* Largest first. */
static const struct unit durations[] = {
    {"d", 86400 * NANOSECONDS_PER_SECOND}, {"h", 3600 * NANOSECONDS_PER_SECOND},
    {"m", 60 * NANOSECONDS_PER_SECOND},    {"s", NANOSECONDS_PER_SECOND},
    {"ms", NANOSECONDS_PER_MILLISECOND},   {NULL, 0},
};
static const struct unit sizes[] = {
    {"T", UINT64_C(1) << 40},
    {"G", UINT64_C(1) << 30},
    {"M", UINT64_C(1) << 20},
    {"K", UINT64_C(1) << 10},
    {"", 1},
    {NULL, 0},
};

int config_word_parse(const char *const *words, const char *text)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    return -1;
}

/* Reads digits; returns what follows them, or NULL if there are none or too many. */
static const char *parse_digits(const char *text, uint64_t *number)
{
    *number = 0;
    if (*text < '0' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*text - '0'), number))
            return NULL;
    return text;
}

int config_number_parse(const char *text, uint64_t *number)
{
    const char *rest = parse_digits(text, number);
    return rest && *rest == '\0' ? 0 : -1;
}

static int parse_with_unit(const char *text, const struct unit *units, uint64_t *value)
{
    uint64_t number;
    const char *rest = parse_digits(text, &number);
    if (!rest)
        return -1;
    for (; units->name; units++)
        if (strcmp(units->name, rest) == 0)
            return __builtin_mul_overflow(number, units->value, value) ? -1 : 0;
    return -1;
}

int config_parse_duration(const char *text, uint64_t *nanoseconds)
{
    if (strcmp(text, "0") == 0) {
        *nanoseconds = 0;
        return 0;
    }
    return parse_with_unit(text, durations, nanoseconds);
}

int config_parse_size(const char *text, uint64_t *bytes)
{
    return parse_with_unit(text, sizes, bytes);
}

static const char *format_with_unit(uint64_t value, const struct unit *units, char *text)
{
    while (units->name && (value == 0 || value % units->value != 0))
        units++;
    snprintf(text, CONFIG_UNIT_TEXT_SIZE, "%" PRIu64 "%s",
             units->name ? value / units->value : value, units->name ? units->name : "");
    return text;
}

const char *config_duration_format(uint64_t nanoseconds, char text[CONFIG_UNIT_TEXT_SIZE])
{
    return format_with_unit(nanoseconds, durations, text);
}

const char *config_size_format(uint64_t bytes, char text[CONFIG_UNIT_TEXT_SIZE])
{
    return format_with_unit(bytes, sizes, text);
}

int config_port_parse(const char *text, struct config_port *port)
{
    uint64_t listen, machine;
    const char *rest = parse_digits(text, &listen);
    if (!rest || listen < 1 || listen > UINT16_MAX)
        return -1;
    machine = listen;
    if (*rest == ':')
        rest = parse_digits(rest + 1, &machine);
    if (!rest || *rest != '\0' || machine < 1 || machine > UINT16_MAX)
        return -1;
    *port = (struct config_port){(uint16_t)listen, (uint16_t)machine};
    return 0;
}

static const char *label_fault(const char *label, size_t length)
{
    if (length == 0)
        return "it has an empty label";
    if (length > 63)
        return "it has a label of more than 63 characters";
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)label[i] >= 0x80)
            return "it has letters outside ASCII (write it in its xn-- form)";
        if (!config_is_label_character(label[i]))
            return "it has a character that is not a letter, digit, hyphen or underscore";
    }
    if (label[0] == '-' || label[length - 1] == '-')
        return "it has a label that begins or ends with a hyphen";
    return NULL;
}

const char *config_name_parse(const char *text, char name[CONFIG_NAME_TEXT_MAX])
{
    size_t length = strlen(text);
    if (length > 0 && text[length - 1] == '.')
        length--;
    if (length == 0)
        return "it has no label";
    if (length >= CONFIG_NAME_TEXT_MAX)
        return "it is longer than 253 characters";
    for (size_t i = 0; i < length; i++)
        name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    name[length] = '\0';

    for (const char *label = name;;) {
        size_t label_length = strcspn(label, ".");
        const char *fault = label_fault(label, label_length);
        if (fault || label[label_length] == '\0')
            return fault;
        label += label_length + 1;
    }
}

long config_placeholder_fault(const char *cmdline)
{
    static const char *const known[] = {"%{name}",      "%{label}",   "%{address}",
                                        "%{prefixlen}", "%{gateway}", "%{mac}"};
    for (const char *at = cmdline; (at = strstr(at, "%{")) != NULL; at += 2) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            is_known |= strncmp(at, known[i], strlen(known[i])) == 0;
        if (!is_known)
            return at - cmdline;
    }
    return -1;
}

const char *config_backend_name(unsigned backend)
{
    return config_backend_words[backend];
}

const char *config_hold_name(unsigned hold)
{
    return config_hold_words[hold];
}

const char *config_stop_name(unsigned stop)
{
    return config_stop_words[stop];
}

int config_stop_parse(const char *word, enum config_stop *stop)
{
    int number = config_word_parse(config_stop_words, word);
    if (number < 0)
        return -1;
    *stop = (enum config_stop)number;
    return 0;
}
