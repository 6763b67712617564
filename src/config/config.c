#include <config.h>

#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/index.h"
#include "config/sections.h"

static const struct config_mark file_start = {1, 1};

/* --- the loading's memory --- */

void config_loading_exhausted(struct config_loading *loading)
{
    if (!config_source_stopped(loading->source))
        config_fault(loading->faults, config_source_mark(loading->source),
                     "memory is exhausted; expected enough to hold the configuration");
    config_source_stop(loading->source);
}

char *config_loading_text(struct config_loading *loading, const char *text)
{
    uint32_t unused;
    const char *known = config_index_find(loading->strings, text, &unused);
    if (known)
        return (char *)known;
    char *copy = config_arena_text(loading->config->arena, text, strlen(text));
    if (!copy || config_index_add(loading->strings, copy, 0, &unused) < 0) {
        config_loading_exhausted(loading);
        return NULL;
    }
    return copy;
}

void *config_loading_grow(struct config_loading *loading, void *array, size_t count,
                          size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    /* Numbers of entries are kept in 32 bits. */
    size_t wanted = *capacity ? *capacity + *capacity / 2 : 16;
    void *grown = wanted > UINT32_MAX / 2 ? NULL : reallocarray(array, wanted, size);
    if (!grown) {
        config_loading_exhausted(loading);
        return NULL;
    }
    *capacity = wanted;
    return grown;
}

/* The directory of `file`, absolute; NULL if memory is exhausted or there is no current directory.
 */
static char *directory_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    size_t length = slash ? (size_t)(slash - file) : 0;
    if (file[0] == '/')
        return strndup(file, length);
    char *current = getcwd(NULL, 0);
    if (!current || !slash)
        return current;
    char *directory = NULL;
    if (asprintf(&directory, "%s/%.*s", current, (int)length, file) < 0)
        directory = NULL;
    free(current);
    return directory;
}

/* --- defaults --- */

static unsigned default_workers(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 1 ? 1 : processors > 256 ? 256 : (unsigned)processors;
}

/* Half of what the host has. */
static uint64_t default_memory_limit(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages / 2 * (uint64_t)size : UINT64_C(1) << 30;
}

static void set_defaults(struct config_loading *loading, const char *file)
{
    struct config *config = loading->config;
    config->file = config_loading_text(loading, file);
    config->workers = default_workers();
    config->run_directory = config_loading_text(loading, "/run/jitsu");
    config->state_directory = config_loading_text(loading, "/var/lib/jitsu");
    config->log = LOG_LEVEL_INFO;
    config->memory_limit = default_memory_limit();
    config->machine_limit = 64;
    config->start_limit = 4;
    config->held_limit = UINT64_C(64) << 20;
    config->held_connection_limit = 1024;
    config_forward_defaults(loading);
}

static void keep_listen(struct config_loading *loading)
{
    struct config *config = loading->config;
    if (config->listen_count == 0) {
        endpoint_parse("127.0.0.1@53", &loading->listen[0]);
        endpoint_parse("::1@53", &loading->listen[1]);
        config->listen_count = 2;
    }
    config->listen = config_arena_copy(config->arena, loading->listen, config->listen_count,
                                       sizeof(struct endpoint), alignof(struct endpoint));
    if (!config->listen)
        config_loading_exhausted(loading);
}

/* --- life --- */

static struct config *config_new(void)
{
    struct config *config = calloc(1, sizeof *config);
    if (!config)
        return NULL;
    config->arena = config_arena_new();
    config->index = config_index_new();
    if (config->arena && config->index)
        return config;
    config_free(config);
    return NULL;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    config_index_free(config->index);
    free(config->networks);
    free(config->zones);
    free(config->services);
    config_arena_free(config->arena);
    free(config);
}

static void loading_free(struct config_loading *loading)
{
    if (!loading)
        return;
    config_source_free(loading->source);
    config_arena_free(loading->scratch);
    config_index_free(loading->strings);
    config_index_free(loading->networks);
    config_index_free(loading->zones);
    config_free(loading->config);
    free(loading->directory);
    free(loading->drafts);
    free(loading);
}

static struct config_loading *loading_new(const char *file, int descriptor, const char *text,
                                          size_t length, struct config_faults *faults)
{
    struct config_loading *loading = calloc(1, sizeof *loading);
    if (!loading)
        return NULL;
    loading->faults = faults;
    loading->config = config_new();
    loading->source = config_source_new(descriptor, text, length, faults);
    loading->scratch = config_arena_new();
    loading->strings = config_index_new();
    loading->networks = config_index_new();
    loading->zones = config_index_new();
    loading->directory = directory_of(file);
    if (loading->config && loading->source && loading->scratch && loading->strings &&
        loading->networks && loading->zones && loading->directory)
        return loading;
    loading_free(loading);
    return NULL;
}

static void read_file(struct config_loading *loading)
{
    enum config_node node = config_source_next(loading->source);
    struct config_mark mark = config_source_mark(loading->source);
    if (config_source_stopped(loading->source))
        return;
    if (node == CONFIG_NODE_MAPPING) {
        config_read_mapping(loading, &config_file_schema, loading->config);
    } else if (node == CONFIG_NODE_END ||
               (node == CONFIG_NODE_SCALAR && config_source_scalar(loading->source)->empty)) {
        config_fault(loading->faults, file_start,
                     "the file is empty; expected a configuration with 'zones' and 'services'");
    } else {
        config_fault(loading->faults, mark,
                     "the file holds %s; expected a mapping with the keys server, limits, forward, "
                     "networks, zones, services",
                     node == CONFIG_NODE_LIST ? "a list" : "a single value");
        config_source_skip(loading->source, node);
    }
    while (config_source_next(loading->source) != CONFIG_NODE_END)
        ;
}

/* The configuration that the loading has made, or NULL if there are faults. */
static struct config *finish(struct config_loading *loading)
{
    if (!config_source_stopped(loading->source)) {
        keep_listen(loading);
        config_check(loading);
    }
    if (config_faults_any(loading->faults))
        return NULL;
    struct config *config = loading->config;
    loading->config = NULL;
    return config;
}

static struct config *load(const char *file, int descriptor, const char *text, size_t length,
                           struct config_faults *faults)
{
    struct config_loading *loading = loading_new(file, descriptor, text, length, faults);
    if (!loading) {
        config_fault(faults, file_start, "cannot prepare to read the file: %s", strerror(errno));
        return NULL;
    }
    set_defaults(loading, file);
    read_file(loading);
    struct config *config = finish(loading);
    loading_free(loading);
    return config;
}

static struct config *load_path(const char *file, struct config_faults *faults)
{
    struct stat status;
    struct config *config = NULL;
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0 || fstat(descriptor, &status) != 0)
        config_fault(faults, file_start, "the file cannot be opened: %s; expected a readable file",
                     strerror(errno));
    else if (S_ISDIR(status.st_mode))
        config_fault(faults, file_start, "this is a directory; expected a file");
    else if (S_ISREG(status.st_mode) && (uint64_t)status.st_size > CONFIG_FILE_MAX)
        config_fault(faults, file_start, "the file is too large; expected at most %zu MiB",
                     CONFIG_FILE_MAX / 1024 / 1024);
    else
        config = load(file, descriptor, NULL, 0, faults);
    if (descriptor >= 0)
        close(descriptor);
    return config;
}

static struct config *load_and_report(const char *file, const char *text, size_t length,
                                      config_error_function *report, void *argument)
{
    struct config_faults *faults = config_faults_new();
    if (!faults) {
        report(argument, "memory is exhausted; expected enough to hold the configuration");
        return NULL;
    }
    struct config *config = text ? load(file, -1, text, length, faults) : load_path(file, faults);
    config_faults_report(faults, file, report, argument);
    config_faults_free(faults);
    return config;
}

struct config *config_load(const char *file, config_error_function *report, void *argument)
{
    return load_and_report(file, NULL, 0, report, argument);
}

struct config *config_parse(const char *text, size_t length, const char *file,
                            config_error_function *report, void *argument)
{
    return load_and_report(file, text ? text : "", length, report, argument);
}

/* --- asking it --- */

const struct config_service *config_find_service(const struct config *config, const char *name)
{
    uint32_t number;
    return config_index_find(config->index, name, &number) ? &config->services[number] : NULL;
}

const struct config_service *config_find_wildcard(const struct config *config, const char *name,
                                                  char *label)
{
    char wildcard[CONFIG_NAME_TEXT_MAX + 1];
    uint32_t number;
    size_t length = strcspn(name, ".");
    size_t whole = strlen(name);
    if (!config_label_is_good(name, length) || !name[length] || whole >= CONFIG_NAME_TEXT_MAX ||
        config_index_find(config->index, name, &number))
        return NULL;
    wildcard[0] = '*';
    memcpy(wildcard + 1, name + length, whole - length + 1);
    if (!config_index_find(config->index, wildcard, &number) ||
        !config_is_wildcard(&config->services[number]))
        return NULL;
    memcpy(label, name, length);
    label[length] = '\0';
    return &config->services[number];
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool has_machine_port(const struct config_service *service, uint16_t machine)
{
    for (size_t i = 0; i < service->port_count; i++)
        if (service->ports[i].machine == machine)
            return true;
    return false;
}

static bool same_machine_ports(const struct config_service *a, const struct config_service *b)
{
    for (size_t i = 0; i < a->port_count; i++)
        if (!has_machine_port(b, a->ports[i].machine))
            return false;
    for (size_t i = 0; i < b->port_count; i++)
        if (!has_machine_port(a, b->ports[i].machine))
            return false;
    return true;
}

static bool same_addresses(const struct config_service *a, const struct config_service *b)
{
    if (a->address_count != b->address_count)
        return false;
    for (size_t i = 0; i < a->address_count; i++)
        if (!address_equal(&a->addresses[i], &b->addresses[i]))
            return false;
    return true;
}

const struct config_subnet *config_network_subnet(const struct config_network *network,
                                                  const struct address *address)
{
    return address->family == AF_INET ? &network->ipv4 : &network->ipv6;
}

static bool same_disks(const struct config_service *a, const struct config_service *b)
{
    if (a->disk_count != b->disk_count)
        return false;
    for (size_t i = 0; i < a->disk_count; i++)
        if (strcmp(a->disks[i].path, b->disks[i].path) != 0 ||
            a->disks[i].format != b->disks[i].format ||
            a->disks[i].read_only != b->disks[i].read_only)
            return false;
    return true;
}

static bool same_subnet(const struct config_subnet *a, const struct config_subnet *b)
{
    return a->prefix.length == b->prefix.length &&
           address_equal(&a->prefix.address, &b->prefix.address) &&
           address_equal(&a->gateway, &b->gateway);
}

/* On a bridge the machine has the service's addresses itself; on a user network only jitsud has. */
static bool same_network(const struct config_service *a, const struct config_service *b)
{
    const struct config_network *x = a->network, *y = b->network;
    if (!x || !y)
        return x == y;
    if (x->type != y->type || !same_text(x->name, y->name) || !same_text(x->bridge, y->bridge))
        return false;
    return x->type == CONFIG_NETWORK_USER ||
           (same_subnet(&x->ipv4, &y->ipv4) && same_subnet(&x->ipv6, &y->ipv6) &&
            same_addresses(a, b));
}

bool config_service_same_machine(const struct config_service *a, const struct config_service *b)
{
    return a->backend == b->backend && a->accel == b->accel && a->vcpus == b->vcpus &&
           a->memory == b->memory && same_text(a->image, b->image) &&
           same_text(a->ramdisk, b->ramdisk) && same_text(a->cmdline, b->cmdline) &&
           same_text(a->connect, b->connect) && same_text(a->domain, b->domain) &&
           same_text(a->domain_xml, b->domain_xml) && same_text(a->xl, b->xl) && same_disks(a, b) &&
           memcmp(a->mac, b->mac, sizeof a->mac) == 0 && same_network(a, b) &&
           same_machine_ports(a, b);
}
