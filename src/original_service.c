#include "original_service.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALL (ORIGINAL_LIBVIRT | ORIGINAL_LIBXL | ORIGINAL_QEMU)

/* Machines that jitsud makes, rather than finds. */
#define MADE (ORIGINAL_LIBXL | ORIGINAL_QEMU)

/* How long the original waited before it answered for a machine that it had just started. */
#define DEFAULT_DELAY "0.1"

static const struct {
    const char *name;
    unsigned backends;
    bool many; /* may be given more than once */
} keys[ORIGINAL_KEYS] = {
    [ORIGINAL_DNS] = {"dns", ALL, true},
    [ORIGINAL_IP] = {"ip", ALL, true},
    [ORIGINAL_NAME] = {"name", ALL, false},
    [ORIGINAL_UUID] = {"uuid", ORIGINAL_LIBVIRT, false},
    [ORIGINAL_RESPONSE_DELAY] = {"response_delay", ALL, false},
    [ORIGINAL_WAIT_FOR_KEY] = {"wait_for_key", ORIGINAL_LIBXL, false},
    [ORIGINAL_USE_SYNJITSU] = {"use_synjitsu", ALL, false},
    [ORIGINAL_KERNEL] = {"kernel", MADE, false},
    [ORIGINAL_MEMORY] = {"memory", MADE, false},
    [ORIGINAL_CMDLINE] = {"cmdline", MADE, false},
    [ORIGINAL_NIC] = {"nic", ALL, false},
    [ORIGINAL_MAC] = {"mac", ORIGINAL_LIBVIRT, false},
    [ORIGINAL_DISK] = {"disk", ORIGINAL_LIBXL, true},
    [ORIGINAL_PORT] = {"port", ALL, true},
    [ORIGINAL_RAMDISK] = {"ramdisk", MADE, false},
};

/* The original's keys that have no meaning here. */
static const struct {
    const char *name, *why;
} refused[] = {
    {"script", "jitsud puts a machine's interface on its bridge itself, without a script; leave it "
               "out"},
    {"rumprun_config", "jitsud writes nothing to xenstore; give it in 'cmdline' of a configuration "
                       "file, as a JSON object"},
    {"rump_config", "jitsud writes nothing to xenstore; give it in 'cmdline' of a configuration "
                    "file, as a JSON object"},
};

static const char *backend_name(enum original_backend backend)
{
    return backend == ORIGINAL_LIBVIRT ? "libvirt" : backend == ORIGINAL_LIBXL ? "libxl" : "qemu";
}

/* --- taking it apart --- */

static void take_value(struct original_service *service, enum original_key key, const char *value,
                       struct original_text *text)
{
    struct original_values *values = &service->keys[key];
    if (values->count > 0 && !keys[key].many)
        original_fault(text, service->origin, "'%s' is given twice; expected it once",
                       keys[key].name);
    else if (values->count == ORIGINAL_VALUES_MAX)
        original_fault(text, service->origin, "'%s' is given more than %d times", keys[key].name,
                       ORIGINAL_VALUES_MAX);
    else
        values->values[values->count++] = value;
}

static void list_keys(enum original_backend backend, char *list, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < ORIGINAL_KEYS; i++)
        if (keys[i].backends & backend && used < size)
            used +=
                (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "", keys[i].name);
}

static void take_pair(struct original_service *service, char *pair, enum original_backend backend,
                      struct original_text *text)
{
    char list[256];
    char *value = strchr(pair, '=');
    if (!value) {
        original_fault(text, service->origin, "'%s' is no pair; expected KEY=VALUE", pair);
        return;
    }
    *value++ = '\0';
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(pair, refused[i].name) == 0) {
            original_fault(text, service->origin, "'%s' is not supported: %s", pair,
                           refused[i].why);
            return;
        }
    for (size_t i = 0; i < ORIGINAL_KEYS; i++)
        if (strcmp(pair, keys[i].name) == 0 && keys[i].backends & backend) {
            take_value(service, (enum original_key)i, value, text);
            return;
        }
    list_keys(backend, list, sizeof list);
    original_fault(text, service->origin, "'%s' is no key of backend '%s'; expected one of %s",
                   pair, backend_name(backend), list);
}

/* The first pair stands for the whole argument. */
static char *origin_of(const char *argument)
{
    char *origin = NULL;
    const char *comma = strchr(argument, ',');
    int length = (int)(comma ? (size_t)(comma - argument) : strlen(argument));
    return asprintf(&origin, "%.*s%s", length, argument, comma ? ",..." : "") < 0 ? NULL : origin;
}

/* They are made of more than there are keys for. */
static void refuse_wildcards(const struct original_values *names, struct original_text *text)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->values[i][0] == '*')
            original_fault(text, names->origin,
                           "'%s' is a wildcard, which needs a configuration file; expected a whole "
                           "name",
                           names->values[i]);
}

static void require(struct original_service *service, enum original_key key, const char *what,
                    struct original_text *text)
{
    if (service->keys[key].count == 0)
        original_fault(text, service->origin, "there is no '%s'; expected %s", keys[key].name,
                       what);
}

int original_service_parse(struct original_service *service, const char *argument,
                           enum original_backend backend, struct original_text *text)
{
    *service =
        (struct original_service){.argument = strdup(argument), .origin = origin_of(argument)};
    bool exhausted = !service->argument || !service->origin;
    for (size_t i = 0; i < ORIGINAL_KEYS && !exhausted; i++)
        if (asprintf(&service->keys[i].origin, "%s: %s", service->origin, keys[i].name) < 0) {
            service->keys[i].origin = NULL;
            exhausted = true;
        }
    if (exhausted) {
        original_service_free(service);
        return -1;
    }
    char *rest = service->argument;
    for (char *pair; (pair = strsep(&rest, ",")) != NULL;)
        take_pair(service, pair, backend, text);

    refuse_wildcards(&service->keys[ORIGINAL_DNS], text);
    require(service, ORIGINAL_DNS, "the name of the service", text);
    require(service, ORIGINAL_IP, "its address", text);
    if (backend == ORIGINAL_LIBVIRT && service->keys[ORIGINAL_UUID].count == 0)
        require(service, ORIGINAL_NAME, "the name of a domain, or 'uuid'", text);
    if (backend & MADE)
        require(service, ORIGINAL_KERNEL, "the path of a kernel", text);
    if (backend == ORIGINAL_LIBXL)
        require(service, ORIGINAL_NIC, "the bridge that the machine is attached to", text);
    return 0;
}

void original_service_free(struct original_service *service)
{
    for (size_t i = 0; i < ORIGINAL_KEYS; i++)
        free(service->keys[i].origin);
    free(service->origin);
    free(service->argument);
}

const char *original_service_value(const struct original_service *service, enum original_key key)
{
    return service->keys[key].count > 0 ? service->keys[key].values[0] : NULL;
}

/* --- writing it down --- */

static void write_key(const struct original_service *service, enum original_key key,
                      const char *ours, struct original_text *text)
{
    original_value(text, service->keys[key].origin, ours, original_service_value(service, key));
}

/* The text may be moved to a file elsewhere, so paths are written whole. */
static void write_path(const char *path, const char *origin, const char *key,
                       struct original_text *text)
{
    char *directory = path && path[0] && path[0] != '/' ? getcwd(NULL, 0) : NULL;
    char *whole = NULL;
    if (directory && asprintf(&whole, "%s/%s", directory, path) < 0)
        whole = NULL;
    original_value(text, origin, key, whole ? whole : path);
    free(whole);
    free(directory);
}

/* Seconds, with fraction, as milliseconds. Returns -1, having reported it, if they are not. */
static int milliseconds_of(const char *seconds, const char *origin, unsigned long *milliseconds,
                           struct original_text *text)
{
    char *end;
    errno = 0;
    double value = strtod(seconds, &end);
    if (end == seconds || *end || errno || !isfinite(value) || value < 0 || value > 3600) {
        original_fault(text, origin, "'%s' is no number of seconds; expected one such as 0.1",
                       seconds);
        return -1;
    }
    *milliseconds = (unsigned long)(value * 1000 + 0.5);
    return 0;
}

/* Where packets are held there is no need to wait before the answer, unless it is asked for. Where
 * they are not, waiting is all there is, as it was for the original. */
static void write_answer(const struct original_service *service,
                         const struct original_common *common, struct original_text *text)
{
    const char *key = original_service_value(service, ORIGINAL_WAIT_FOR_KEY);
    const char *own = original_service_value(service, ORIGINAL_RESPONSE_DELAY);
    const char *delay = own ? own : common->delay;
    const char *origin = own             ? service->keys[ORIGINAL_RESPONSE_DELAY].origin
                         : common->delay ? "-d"
                                         : service->origin;
    bool is_held =
        common->backend == ORIGINAL_QEMU || original_service_value(service, ORIGINAL_NIC);
    unsigned long milliseconds;

    if (key) {
        original_line(text, service->keys[ORIGINAL_WAIT_FOR_KEY].origin, "    answer: when-ready");
        char *ready = NULL;
        if (asprintf(&ready, "xenstore:%s", key) >= 0)
            original_value(text, service->keys[ORIGINAL_WAIT_FOR_KEY].origin, "    ready", ready);
        free(ready);
    }
    if (!delay && is_held)
        return;
    if (milliseconds_of(delay ? delay : DEFAULT_DELAY, origin, &milliseconds, text) != 0)
        return;
    if (is_held) {
        original_line(text, origin, "    answer-delay: %lums", milliseconds);
        return;
    }
    original_line(text, origin, "    answer: when-ready");
    original_line(text, origin, "    ready: after:%lums", milliseconds);
}

/* The original's disks were raw, and named; here they are given in their order. */
static void write_disks(const struct original_service *service, struct original_text *text)
{
    const struct original_values *disks = &service->keys[ORIGINAL_DISK];
    if (disks->count > 0)
        original_line(text, disks->origin, "    disks:");
    for (size_t i = 0; i < disks->count; i++) {
        char expected[] = "xvda";
        expected[3] = (char)('a' + i);
        const char *at = strrchr(disks->values[i], '@');
        if (i >= 26 || (at && strcmp(at + 1, expected) != 0)) {
            original_fault(text, disks->origin,
                           "'%s' asks for another device than the next one; expected @%s, as disks "
                           "are given to machines in their order",
                           disks->values[i], expected);
            continue;
        }
        char *path = strndup(disks->values[i],
                             at ? (size_t)(at - disks->values[i]) : strlen(disks->values[i]));
        write_path(path, disks->origin, "      - path", text);
        original_line(text, disks->origin, "        format: raw");
        free(path);
    }
}

static void write_memory(const struct original_service *service, struct original_text *text)
{
    const char *memory = original_service_value(service, ORIGINAL_MEMORY);
    const char *origin = service->keys[ORIGINAL_MEMORY].origin;
    if (memory && (!*memory || memory[strspn(memory, "0123456789")]))
        original_fault(text, origin, "'%s' is no number of KiB; expected one such as 64000",
                       memory);
    else if (memory)
        original_line(text, origin, "    memory: %sK", memory);
}

static void write_network(const struct original_service *service,
                          const struct original_common *common, struct original_text *text)
{
    const char *synjitsu = original_service_value(service, ORIGINAL_USE_SYNJITSU);
    const char *nic = original_service_value(service, ORIGINAL_NIC);
    if (nic)
        write_key(service, ORIGINAL_NIC, "    network", text);
    else if (common->backend == ORIGINAL_QEMU && common->has_networks)
        original_line(text, service->origin, "    network: user");
    write_key(service, ORIGINAL_MAC, "    mac", text);
    if (synjitsu && strcmp(synjitsu, "0") != 0 && !nic)
        original_fault(text, service->keys[ORIGINAL_USE_SYNJITSU].origin,
                       "packets are held by jitsud itself, on the machine's bridge; expected "
                       "nic=BRIDGE too");
}

void original_service_write(const struct original_service *service,
                            const struct original_common *common, struct original_text *text)
{
    const struct original_values *names = &service->keys[ORIGINAL_DNS];
    const struct original_values *addresses = &service->keys[ORIGINAL_IP];
    const struct original_values *ports = &service->keys[ORIGINAL_PORT];

    original_value(text, names->count ? names->origin : service->origin, "  - name",
                   names->count ? names->values[0] : "");
    if (names->count > 1)
        original_list(text, names->origin, "    aliases", names->values + 1, names->count - 1);
    original_list(text, addresses->origin, "    address", addresses->values, addresses->count);
    original_list(text, ports->origin, "    ports", ports->values, ports->count);
    write_network(service, common, text);
    switch (common->backend) {
    case ORIGINAL_LIBVIRT:
        original_line(text, "-x", "    backend: libvirt");
        original_value(text, "-c", "    connect", common->connect);
        write_key(service, service->keys[ORIGINAL_UUID].count ? ORIGINAL_UUID : ORIGINAL_NAME,
                  "    domain", text);
        break;
    case ORIGINAL_LIBXL:
        original_line(text, "-x", "    backend: xen");
        break;
    case ORIGINAL_QEMU:
        original_line(text, "-x", "    backend: qemu");
        break;
    }
    write_path(original_service_value(service, ORIGINAL_KERNEL),
               service->keys[ORIGINAL_KERNEL].origin, "    image", text);
    write_path(original_service_value(service, ORIGINAL_RAMDISK),
               service->keys[ORIGINAL_RAMDISK].origin, "    ramdisk", text);
    write_key(service, ORIGINAL_CMDLINE, "    cmdline", text);
    write_memory(service, text);
    write_disks(service, text);
    write_answer(service, common, text);
    original_value(text, "-m", "    stop", common->stop);
}
