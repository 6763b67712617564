#include "original.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "original_service.h"
#include "original_text.h"

/* The options of the original, and those of ours that it can be used with. */
static const char short_options[] = "b:c:d:f:l:m:p:t:x:vV";

enum long_option {
    OPTION_SYNJITSU = 256,
    OPTION_PERSISTDB,
    OPTION_FORWARD_FROM,
    OPTION_RUN_DIRECTORY,
    OPTION_CHECK,
    OPTION_PRINT,
    OPTION_FOREGROUND,
    OPTION_STOP_MACHINES,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"bind", required_argument, NULL, 'b'},
    {"connect", required_argument, NULL, 'c'},
    {"delay", required_argument, NULL, 'd'},
    {"forwarder", required_argument, NULL, 'f'},
    {"listen", required_argument, NULL, 'l'},
    {"mode", required_argument, NULL, 'm'},
    {"port", required_argument, NULL, 'p'},
    {"ttl", required_argument, NULL, 't'},
    {"backend", required_argument, NULL, 'x'},
    {"synjitsu", required_argument, NULL, OPTION_SYNJITSU},
    {"persistdb", required_argument, NULL, OPTION_PERSISTDB},
    {"forward-from", required_argument, NULL, OPTION_FORWARD_FROM},
    {"run-directory", required_argument, NULL, OPTION_RUN_DIRECTORY},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"print-configuration", no_argument, NULL, OPTION_PRINT},
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"stop-machines", no_argument, NULL, OPTION_STOP_MACHINES},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

#define RESOLVERS_MAX 3 /* of resolv.conf(5) */
#define FROM_MAX      64

struct original {
    struct original_text *text;
    const char *bind, *listen, *forwarder, *port, *ttl, *backend_name, *connect, *delay, *mode;
    const char *persistdb, *run_directory;
    const char *from[FROM_MAX];
    size_t from_count;
    enum original_backend backend;
    struct original_service *services;
    size_t service_count;
};

/* --- is it meant? --- */

static bool is_pair(const char *argument)
{
    size_t key =
        strspn(argument, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return key > 0 && argument[key] == '=';
}

/* Ours, which the name of a file follows: -c, -fc or --config. */
static bool is_config_option(const char *option)
{
    bool is_short = option[0] == '-' && option[1] && option[1] != '-';
    return strcmp(option, "--config") == 0 || (is_short && option[strlen(option) - 1] == 'c');
}

bool original_is_meant(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-x", 2) == 0 || strncmp(argv[i], "--backend", 9) == 0)
            return true;
        if (is_pair(argv[i]) && !is_config_option(argv[i - 1]))
            return true;
    }
    return false;
}

/* --- options --- */

static void take_from(struct original *original, const char *prefix)
{
    if (original->from_count < FROM_MAX)
        original->from[original->from_count++] = prefix;
    else
        original_fault(original->text, "--forward-from", "given more than %d times", FROM_MAX);
}

/* Returns -1 if an option was not understood. */
static int take_option(struct original *original, struct original_options *options, int option)
{
    switch (option) {
    case 'b':
        original->bind = optarg;
        break;
    case 'c':
        original->connect = optarg;
        break;
    case 'd':
        original->delay = optarg;
        break;
    case 'f':
        original->forwarder = optarg;
        break;
    case 'l':
        original->listen = optarg;
        break;
    case 'm':
        original->mode = optarg;
        break;
    case 'p':
        original->port = optarg;
        break;
    case 't':
        original->ttl = optarg;
        break;
    case 'x':
        original->backend_name = optarg;
        break;
    case 'v':
        options->verbose = true;
        break;
    case 'V':
        options->version = true;
        break;
    case OPTION_PERSISTDB:
        original->persistdb = optarg;
        break;
    case OPTION_FORWARD_FROM:
        take_from(original, optarg);
        break;
    case OPTION_RUN_DIRECTORY:
        original->run_directory = optarg;
        break;
    case OPTION_CHECK:
        options->check = true;
        break;
    case OPTION_PRINT:
        options->print = true;
        break;
    case OPTION_STOP_MACHINES:
        options->stop_machines = true;
        break;
    case OPTION_HELP:
        options->help = true;
        break;
    case OPTION_SYNJITSU:   /* jitsud does itself what that machine did */
    case OPTION_FOREGROUND: /* where the original always was */
        break;
    default:
        return -1;
    }
    return 0;
}

static void find_backend(struct original *original)
{
    const char *name = original->backend_name;
    if (!name || strcmp(name, "libvirt") == 0)
        original->backend = ORIGINAL_LIBVIRT;
    else if (strcmp(name, "libxl") == 0 || strcmp(name, "xen") == 0)
        original->backend = ORIGINAL_LIBXL;
    else if (strcmp(name, "qemu") == 0)
        original->backend = ORIGINAL_QEMU;
    else if (strcmp(name, "xapi") == 0)
        original_fault(original->text, "-x",
                       "backend 'xapi' is not supported; expected 'libvirt', with -c xen:///, or "
                       "'libxl', on the Xen host itself");
    else
        original_fault(original->text, "-x",
                       "'%s' is no backend; expected 'libvirt', 'libxl' or "
                       "'qemu'",
                       name);
}

static void check_number(struct original *original, const char *option, const char *value,
                         const char *expected)
{
    if (value && (!*value || value[strspn(value, "0123456789")] || strlen(value) > 9))
        original_fault(original->text, option, "'%s' is no number; expected %s", value, expected);
}

static void check_options(struct original *original)
{
    enum config_stop stop;
    find_backend(original);
    check_number(original, "-l", original->listen, "a port, such as 53");
    check_number(original, "-p", original->port, "a port, such as 53");
    check_number(original, "-t", original->ttl, "seconds, such as 60");
    if (original->mode && config_stop_parse(original->mode, &stop) != 0)
        original_fault(original->text, "-m",
                       "'%s' is no mode; expected 'destroy', 'suspend' or 'shutdown'",
                       original->mode);
    if (original->connect && original->backend != ORIGINAL_LIBVIRT)
        original_fault(original->text, "-c",
                       "a connection is for backend 'libvirt'; expected none, or -x libvirt");
}

/* --- the sections --- */

static void write_server(struct original *original)
{
    const char *address = original->bind ? original->bind : "127.0.0.1";
    const char *port = original->listen ? original->listen : "53";
    const char *origin = original->bind ? "-b" : "-l";
    char *endpoint = NULL;
    original_line(original->text, origin, "server:");
    if (asprintf(&endpoint, "%s@%s", address, port) >= 0)
        original_list(original->text, origin, "  listen", (const char *const *)&endpoint, 1);
    free(endpoint);
    original_value(original->text, "--run-directory", "  run-directory", original->run_directory);
    original_value(original->text, "--persistdb", "  state-directory", original->persistdb);
}

/* Where we ourselves listen: a host may have us as its resolver. */
static bool is_own(const struct original *original, const struct endpoint *resolver)
{
    const char *bind = original->bind ? original->bind : "127.0.0.1";
    bool is_any = strcmp(bind, "0.0.0.0") == 0 || strcmp(bind, "::") == 0;
    struct address address;
    return address_parse(bind, &address) == 0 &&
           resolver->port == (original->listen ? atoi(original->listen) : 53) &&
           (address_equal(&address, &resolver->address) ||
            (is_any && address_is_loopback(&resolver->address)));
}

/* The resolvers of this host. Returns how many. */
static size_t read_resolvers(const struct original *original, const char *path,
                             char texts[RESOLVERS_MAX][ENDPOINT_TEXT_SIZE])
{
    FILE *file = fopen(path, "re");
    char line[512], word[128];
    size_t count = 0;
    while (file && count < RESOLVERS_MAX && fgets(line, sizeof line, file)) {
        struct endpoint resolver = {.port = 53};
        if (sscanf(line, " nameserver %127s", word) == 1 &&
            address_parse(word, &resolver.address) == 0 && !is_own(original, &resolver))
            endpoint_format(&resolver, texts[count++]);
    }
    if (file)
        fclose(file);
    return count;
}

static void write_forward(struct original *original, const char *resolvers)
{
    char texts[RESOLVERS_MAX][ENDPOINT_TEXT_SIZE];
    const char *to[RESOLVERS_MAX] = {texts[0], texts[1], texts[2]};
    const char *origin = resolvers;
    char *endpoint = NULL;
    size_t count;
    if (!original->forwarder) {
        count = read_resolvers(original, resolvers, texts);
    } else {
        const char *port = original->port ? original->port : "53";
        origin = "-f";
        count = strcmp(original->forwarder, "0.0.0.0") != 0 &&
                asprintf(&endpoint, "%s@%s", original->forwarder, port) >= 0;
        to[0] = endpoint;
    }
    if (count > 0) {
        original_line(original->text, origin, "forward:");
        original_list(original->text, origin, "  to", to, count);
        if (original->from_count == 0)
            original_line(original->text, origin,
                          "  # for clients on this host; --forward-from=PREFIX names others");
        original_list(original->text, "--forward-from", "  from", original->from,
                      original->from_count);
    }
    free(endpoint);
}

/* The last dot of a name says nothing. */
static size_t name_length(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && name[length - 1] == '.' ? length - 1 : length;
}

static bool is_same_name(const char *a, const char *b)
{
    size_t length = name_length(a);
    return length == name_length(b) && strncasecmp(a, b, length) == 0;
}

static bool is_first(const struct original *original, size_t number, size_t place)
{
    const char *name = original->services[number].keys[ORIGINAL_DNS].values[place];
    for (size_t i = 0; i <= number; i++) {
        const struct original_values *names = &original->services[i].keys[ORIGINAL_DNS];
        for (size_t j = 0; j < names->count && (i < number || j < place); j++)
            if (is_same_name(name, names->values[j]))
                return false;
    }
    return true;
}

/* Each name is a zone: like the original we know of it and of nothing around it. */
static void write_zones(struct original *original)
{
    original_line(original->text, NULL, "zones:");
    for (size_t i = 0; i < original->service_count; i++) {
        const struct original_values *names = &original->services[i].keys[ORIGINAL_DNS];
        for (size_t j = 0; j < names->count; j++) {
            if (!is_first(original, i, j))
                continue;
            original_value(original->text, NULL, "  - name", names->values[j]);
            if (original->ttl)
                original_line(original->text, "-t", "    ttl: %s", original->ttl);
        }
    }
}

static bool same_nic(const struct original_service *a, const struct original_service *b)
{
    const char *one = original_service_value(a, ORIGINAL_NIC);
    const char *other = original_service_value(b, ORIGINAL_NIC);
    return one && other && strcmp(one, other) == 0;
}

/* Shortens the prefix until it holds the address. */
static void widen(struct prefix *prefix, const struct address *address)
{
    while (prefix->length > 0 && !prefix_contains(prefix, address)) {
        prefix->length--;
        prefix->address.bytes[prefix->length / 8] &= (uint8_t) ~(0x80 >> prefix->length % 8);
    }
}

/* A network's prefix is what holds its machines' addresses, but at least as much as is usual. */
static void add_address(struct prefix *prefix, const struct address *address)
{
    unsigned length = address->family == AF_INET ? 24 : 64;
    if (!prefix->address.family) {
        *prefix = (struct prefix){*address, (uint8_t)length};
        memset(prefix->address.bytes + length / 8, 0, sizeof prefix->address.bytes - length / 8);
    }
    widen(prefix, address);
}

static void write_network(struct original *original, size_t number)
{
    const struct original_service *first = &original->services[number];
    const char *origin = first->keys[ORIGINAL_NIC].origin;
    const char *nic = original_service_value(first, ORIGINAL_NIC);
    struct prefix prefixes[2] = {0};
    char texts[2][PREFIX_TEXT_SIZE];
    const char *list[2];
    size_t count = 0;
    for (size_t i = 0; i < original->service_count; i++) {
        const struct original_values *addresses = &original->services[i].keys[ORIGINAL_IP];
        for (size_t j = 0; j < addresses->count && same_nic(first, &original->services[i]); j++) {
            struct address address;
            if (address_parse(addresses->values[j], &address) == 0)
                add_address(&prefixes[address.family == AF_INET6], &address);
        }
    }
    for (size_t i = 0; i < 2; i++)
        if (prefixes[i].address.family)
            list[count++] = prefix_format(&prefixes[i], texts[i]);
    original_value(original->text, origin, "  - name", nic);
    original_line(original->text, origin, "    type: bridge");
    original_value(original->text, origin, "    bridge", nic);
    original_list(original->text, origin, "    prefix", list, count);
}

/* Where some machines are on a bridge, the others must say that they are not. */
static bool write_networks(struct original *original)
{
    bool any = false, all = true;
    for (size_t i = 0; i < original->service_count; i++) {
        bool is_new = original_service_value(&original->services[i], ORIGINAL_NIC);
        all = all && is_new;
        for (size_t j = 0; j < i; j++)
            is_new = is_new && !same_nic(&original->services[i], &original->services[j]);
        if (!is_new)
            continue;
        if (!any)
            original_line(original->text, NULL, "networks:");
        any = true;
        write_network(original, i);
    }
    if (any && !all) {
        original_line(original->text, NULL, "  - name: user");
        original_line(original->text, NULL, "    type: user");
    }
    return any;
}

static void write_all(struct original *original, const char *resolvers)
{
    original_line(original->text, NULL,
                  "# Made from a command line like the original Jitsu's, see jitsud(8).");
    write_server(original);
    write_forward(original, resolvers);
    write_zones(original);
    struct original_common common = {
        .backend = original->backend,
        .connect = original->connect ? original->connect : "xen:///",
        .delay = original->delay,
        .stop = original->mode,
        .has_networks = write_networks(original),
    };
    original_line(original->text, NULL, "services:");
    for (size_t i = 0; i < original->service_count; i++)
        original_service_write(&original->services[i], &common, original->text);
}

/* --- all of it --- */

/* Returns -1 if memory is exhausted. */
static int read_services(struct original *original, int count, char **arguments)
{
    if (count == 0)
        original_fault(original->text, "command line",
                       "no service; expected one such as "
                       "dns=www.example.org,ip=10.0.0.1,name=www");
    original->services = calloc((size_t)count + 1, sizeof *original->services);
    if (!original->services)
        return -1;
    for (int i = 0; i < count; i++) {
        if (original_service_parse(&original->services[original->service_count], arguments[i],
                                   original->backend, original->text) != 0)
            return -1;
        original->service_count++;
    }
    return 0;
}

struct original *original_translate(int argc, char **argv, const char *resolvers,
                                    struct original_options *options, bool *is_usage,
                                    config_error_function *report, void *argument)
{
    struct original *original = calloc(1, sizeof *original);
    int option;
    *options = (struct original_options){0};
    *is_usage = false;
    if (original)
        original->text = original_text_new(report, argument);
    if (!original || !original->text)
        goto exhausted;
    optind = 0; /* begins anew, whatever was parsed before */
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
        if (take_option(original, options, option) != 0) {
            *is_usage = true;
            original_free(original);
            return NULL;
        }
    if (options->help || options->version)
        return original;
    check_options(original);
    if (original->backend && read_services(original, argc - optind, argv + optind) != 0)
        goto exhausted;
    if (original->backend)
        write_all(original, resolvers);
    if (original_has_faults(original->text)) {
        original_free(original);
        return NULL;
    }
    if (original_lines(original->text))
        return original;
exhausted:
    report(argument, "memory is exhausted");
    original_free(original);
    return NULL;
}

const char *original_text(const struct original *original)
{
    return original_lines(original->text);
}

/* In messages that have only the place of a service, that is the number of its argument. */
struct config *original_config(struct original *original)
{
    struct config *config = original_read(original->text);
    for (size_t i = 0; config && i < config->service_count; i++)
        config->services[i].line = (uint32_t)i + 1;
    if (config)
        config->is_from_arguments = true;
    return config;
}

void original_free(struct original *original)
{
    if (!original)
        return;
    for (size_t i = 0; i < original->service_count; i++)
        original_service_free(&original->services[i]);
    free(original->services);
    original_text_free(original->text);
    free(original);
}
