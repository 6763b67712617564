#include "keeper/record.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/descriptor.h"

#define RECORD_SIZE_MAX 8192

static const char *const files[] = {"pid", "record.json", "record.json.new", "qmp.sock",
                                    "console.sock"};

/* --- directories --- */

int record_open(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

void record_remove(int parent, const char *name)
{
    int directory = record_open(parent, name);
    if (directory == -1)
        return;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlinkat(directory, files[i], 0);
    close(directory);
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* Removes what is in the way, unless it lives. */
static int clear(int parent, const char *name, struct error *error)
{
    pid_t pid;
    int directory = record_open(parent, name);
    if (directory == -1)
        return error_set_errno(error, "cannot open the directory of machine %s", name);
    bool alive = record_is_alive(directory, &pid);
    close(directory);
    if (alive)
        return error_set(error, "process %d of an earlier start still runs", (int)pid);
    record_remove(parent, name);
    return 0;
}

int record_create(int parent, const char *name, struct error *error)
{
    if (name[0] == '.' || strchr(name, '/'))
        return error_set(error, "'%s' cannot be the name of a directory", name);
    if (mkdirat(parent, name, 0700) != 0) {
        if (errno != EEXIST)
            return error_set_errno(error, "cannot make the directory of machine %s", name);
        if (clear(parent, name, error) != 0)
            return -1;
        if (mkdirat(parent, name, 0700) != 0)
            return error_set_errno(error, "cannot make the directory of machine %s", name);
    }
    int directory = record_open(parent, name);
    if (directory == -1)
        return error_set_errno(error, "cannot open the directory of machine %s", name);
    return directory;
}

/* --- the pid file --- */

int record_lock(int directory, struct error *error)
{
    int file = openat(directory, "pid", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file == -1)
        return error_set_errno(error, "cannot make the pid file");
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        error_set_errno(error, "cannot lock the pid file");
        close(file);
        return -1;
    }
    return file;
}

bool record_is_alive(int directory, pid_t *pid)
{
    char text[16] = "";
    *pid = 0;
    int file = openat(directory, "pid", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file == -1)
        return false;
    bool alive = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (alive && read(file, text, sizeof text - 1) > 0 && strchr(text, '\n'))
        *pid = (pid_t)strtol(text, NULL, 10);
    close(file);
    return alive;
}

/* --- the record --- */

static json_t *forwards_to_json(const struct record *record)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < record->forward_count; i++)
        json_array_append_new(array, json_pack("[i, i]", (int)record->forwards[i].machine,
                                               (int)record->forwards[i].host));
    return array;
}

static json_t *place_to_json(const struct record *record)
{
    char text[ADDRESS_TEXT_SIZE];
    json_t *array = json_array();
    for (unsigned i = 0; i < record->place.count; i++)
        json_array_append_new(array,
                              json_string(address_format(&record->place.addresses[i], text)));
    return array;
}

/* Tokens and UUIDs. */
#define BYTES       16
#define HEXADECIMAL (2 * BYTES)
_Static_assert(MESSAGE_TOKEN_SIZE == BYTES, "tokens and UUIDs are written alike");

static void format_bytes(const uint8_t bytes[BYTES], char text[HEXADECIMAL + 1])
{
    for (size_t i = 0; i < BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static int parse_bytes(const char *text, uint8_t bytes[BYTES])
{
    if (strlen(text) != HEXADECIMAL || strspn(text, "0123456789abcdef") != HEXADECIMAL)
        return -1;
    for (size_t i = 0; i < BYTES; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return 0;
}

static int add_libvirt(json_t *object, const struct record_libvirt *libvirt)
{
    char uuid[HEXADECIMAL + 1];
    format_bytes(libvirt->uuid, uuid);
    return json_object_set_new(object, "libvirt",
                               json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:i}", "connect",
                                         libvirt->connect, "name", libvirt->name, "uuid", uuid,
                                         "existing", libvirt->existing, "saves", libvirt->saves,
                                         "saved", libvirt->saved, "user", (json_int_t)libvirt->user,
                                         "pid", (int)libvirt->pid));
}

static int libvirt_from_json(json_t *object, struct record_libvirt *libvirt)
{
    const char *connect, *name, *uuid;
    json_int_t user;
    int existing, saves, saved, pid;
    if (!object)
        return 0;
    if (json_unpack(object, "{s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:i}", "connect", &connect, "name",
                    &name, "uuid", &uuid, "existing", &existing, "saves", &saves, "saved", &saved,
                    "user", &user, "pid", &pid) != 0 ||
        parse_bytes(uuid, libvirt->uuid) != 0 || strlen(connect) >= sizeof libvirt->connect ||
        strlen(name) >= sizeof libvirt->name || user < 0 || user > UINT32_MAX || pid < 0)
        return -1;
    strcpy(libvirt->connect, connect);
    strcpy(libvirt->name, name);
    libvirt->existing = existing;
    libvirt->saves = saves;
    libvirt->saved = saved;
    libvirt->user = (uint32_t)user;
    libvirt->pid = pid;
    return 0;
}

int record_write(int directory, const struct record *record, struct error *error)
{
    char token[HEXADECIMAL + 1];
    format_bytes(record->token, token);
    json_t *object =
        json_pack("{s:s, s:I, s:f, s:I, s:b, s:b, s:o, s:s, s:s, s:o}", "service", record->service,
                  "serial", (json_int_t)record->serial, "started", record->started,
                  "shutdown-timeout", (json_int_t)record->shutdown_timeout, "ready", record->ready,
                  "suspended", record->suspended, "forwards", forwards_to_json(record), "token",
                  token, "domain", record->domain, "addresses", place_to_json(record));
    if (object && record->libvirt.connect[0] && add_libvirt(object, &record->libvirt) != 0) {
        json_decref(object);
        object = NULL;
    }
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return error_set(error, "memory is exhausted");

    int failed = 0;
    size_t length = strlen(text);
    int file = openat(directory, "record.json.new",
                      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file == -1 || write(file, text, length) != (ssize_t)length ||
        renameat(directory, "record.json.new", directory, "record.json") != 0)
        failed = error_set_errno(error, "cannot write the record of %s", record->service);
    descriptor_close(&file);
    free(text);
    return failed;
}

static bool is_port(json_int_t value)
{
    return value > 0 && value <= UINT16_MAX;
}

static int forwards_from_json(const json_t *array, struct record *record)
{
    size_t count = json_array_size(array);
    if (count > CONFIG_PORTS_MAX)
        return -1;
    for (size_t i = 0; i < count; i++) {
        json_int_t machine = 0, host = 0;
        if (json_unpack(json_array_get(array, i), "[I, I]", &machine, &host) != 0 ||
            !is_port(machine) || !is_port(host))
            return -1;
        record->forwards[i] =
            (struct message_forward){.machine = (uint16_t)machine, .host = (uint16_t)host};
    }
    record->forward_count = (uint8_t)count;
    return 0;
}

static int place_from_json(const json_t *array, struct record *record)
{
    size_t count = json_array_size(array);
    if (count > CONFIG_PLACE_ADDRESSES_MAX)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (!text || address_parse(text, &record->place.addresses[i]) != 0)
            return -1;
    }
    record->place.count = (uint8_t)count;
    return 0;
}

static int from_json(json_t *object, struct record *record)
{
    const char *service, *token = NULL, *domain = ""; /* an earlier jitsud did not write these */
    json_int_t serial, shutdown_timeout;
    json_t *forwards, *addresses = NULL; /* likewise */
    int ready, suspended;

    if (json_unpack(object, "{s:s, s:I, s:F, s:I, s:b, s:b, s:o, s?s, s?s, s?o}", "service",
                    &service, "serial", &serial, "started", &record->started, "shutdown-timeout",
                    &shutdown_timeout, "ready", &ready, "suspended", &suspended, "forwards",
                    &forwards, "token", &token, "domain", &domain, "addresses", &addresses) != 0 ||
        strlen(domain) >= sizeof record->domain ||
        (token && parse_bytes(token, record->token) != 0) || !service[0] ||
        strlen(service) >= sizeof record->service || serial < 0 || serial > UINT32_MAX ||
        shutdown_timeout < 0 || !isfinite(record->started) || record->started < 0 ||
        libvirt_from_json(json_object_get(object, "libvirt"), &record->libvirt) != 0)
        return -1;
    strcpy(record->service, service);
    strcpy(record->domain, domain);
    record->serial = (uint32_t)serial;
    record->shutdown_timeout = (uint64_t)shutdown_timeout;
    record->ready = ready;
    record->suspended = suspended;
    return forwards_from_json(forwards, record) == 0 ? place_from_json(addresses, record) : -1;
}

int record_parse(const char *text, size_t length, struct record *record, struct error *error)
{
    memset(record, 0, sizeof *record);
    json_t *object = json_loadb(text, length, 0, NULL);
    int failed = object ? from_json(object, record) : -1;
    json_decref(object);
    return failed ? error_set(error, "its record makes no sense") : 0;
}

int record_read(int directory, struct record *record, struct error *error)
{
    char text[RECORD_SIZE_MAX];
    int file = openat(directory, "record.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file == -1)
        return error_set_errno(error, "cannot open its record");
    ssize_t length = read(file, text, sizeof text);
    close(file);
    if (length < 0)
        return error_set_errno(error, "cannot read its record");
    return record_parse(text, (size_t)length, record, error);
}

/* --- sockets --- */

/* Through the descriptor, as the directory's own path may be too long for a socket. */
static void make_address(int directory, const char *name, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", directory, name);
}

int record_connect(int directory, const char *name)
{
    struct sockaddr_un address;
    make_address(directory, name, &address);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client == -1)
        return -1;
    if (connect(client, (const struct sockaddr *)&address, sizeof address) == 0)
        return client;
    int saved = errno;
    close(client);
    errno = saved;
    return -1;
}

int record_listen(int directory, const char *name, int *listening, int *client, struct error *error)
{
    struct sockaddr_un address;
    make_address(directory, name, &address);
    *client = -1;
    *listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*listening != -1 &&
        bind(*listening, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(*listening, 4) == 0)
        *client = record_connect(directory, name);
    if (*client != -1)
        return 0;
    error_set_errno(error, "cannot make %s", name);
    descriptor_close(listening);
    return -1;
}
