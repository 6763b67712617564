#include "keeper/xen/xl_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libxlutil.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper/xen/xl_keys.h"

#define SIZE_MAX_OF_FILE (256 * 1024)
#define MIB              (UINT64_C(1) << 20)
#define VCPUS_MAX        64
#define MEMORY_MAX       (1L << 20) /* in MiB, as in jitsud.yaml */
#define PROBLEM_SIZE     1024

/* The settings that are read. Of the others none is ignored. */
static const char *const known[] = {
    "name",        "uuid",      "type",        "kernel",   "ramdisk",       "cmdline",
    "root",        "extra",     "memory",      "vcpus",    "vif",           "disk",
    "on_poweroff", "on_reboot", "on_watchdog", "on_crash", "on_soft_reset",
};
#define KNOWN (sizeof known / sizeof known[0])

struct reading {
    const char *path;
    struct xl_file *file;
    XLU_Config *config;
    unsigned lines[KNOWN]; /* where each is; 0: it is not */
    unsigned problems;
    bool complained; /* libxlutil has written why */
    xl_problem_function *report;
    void *argument;
};

/* --- problems --- */

static void problem(struct reading *reading, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void problem(struct reading *reading, unsigned line, const char *format, ...)
{
    char text[PROBLEM_SIZE];
    va_list values;
    int length = line ? snprintf(text, sizeof text, "%s:%u: ", reading->path, line)
                      : snprintf(text, sizeof text, "%s: ", reading->path);
    if (length < 0 || (size_t)length >= sizeof text)
        length = 0;
    va_start(values, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, values);
    va_end(values);
    reading->problems++;
    reading->report(reading->argument, text);
}

static void exhausted(struct reading *reading)
{
    problem(reading, 0, "memory is exhausted");
}

static char *copy(struct reading *reading, const char *text)
{
    char *duplicate = strdup(text);
    if (!duplicate)
        exhausted(reading);
    return duplicate;
}

static size_t number_of(const char *name)
{
    size_t i = 0;
    while (strcmp(known[i], name) != 0)
        i++;
    return i;
}

static unsigned line_of(const struct reading *reading, const char *name)
{
    return reading->lines[number_of(name)];
}

/* --- which settings there are --- */

static bool is_known(const struct xl_key *key, size_t *number)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (strlen(known[i]) == key->length && memcmp(known[i], key->name, key->length) == 0) {
            *number = i;
            return true;
        }
    return false;
}

static void take_key(void *argument, const struct xl_key *key)
{
    struct reading *reading = argument;
    size_t number;
    int length = key->length < 64 ? (int)key->length : 64;
    if (!is_known(key, &number))
        problem(reading, key->line,
                "jitsud does not know '%.*s'; expected one of those in jitsud.yaml(5)", length,
                key->name);
    else if (reading->lines[number])
        problem(reading, key->line, "'%s' is set in line %u already; expected it once",
                known[number], reading->lines[number]);
    else
        reading->lines[number] = key->line;
}

/* --- values --- */

/* NULL if it is not set, or is a list. */
static const char *text_of(struct reading *reading, const char *name)
{
    const char *text = NULL;
    if (line_of(reading, name) && xlu_cfg_get_string(reading->config, name, &text, 1) != 0)
        problem(reading, line_of(reading, name), "'%s' is a list; expected one value", name);
    return text;
}

static char *take_text(struct reading *reading, const char *name)
{
    const char *text = text_of(reading, name);
    return text ? copy(reading, text) : NULL;
}

static char *take_path(struct reading *reading, const char *name)
{
    const char *text = text_of(reading, name);
    if (!text)
        return NULL;
    if (text[0] != '/') {
        problem(reading, line_of(reading, name), "'%s' is '%s'; expected an absolute path", name,
                text);
        return NULL;
    }
    return copy(reading, text);
}

static long take_number(struct reading *reading, const char *name, long least, long most)
{
    long value = 0;
    unsigned line = line_of(reading, name);
    if (!line)
        return 0;
    if (xlu_cfg_get_long(reading->config, name, &value, 1) != 0 || value < least || value > most) {
        problem(reading, line, "'%s' is not right; expected a number from %ld to %ld", name, least,
                most);
        return 0;
    }
    return value;
}

static void take_type(struct reading *reading)
{
    const char *type = text_of(reading, "type");
    if (!type)
        return;
    if (strcmp(type, "pv") == 0)
        reading->file->type = XL_TYPE_PV;
    else if (strcmp(type, "pvh") == 0)
        reading->file->type = XL_TYPE_PVH;
    else
        problem(reading, line_of(reading, "type"), "type is '%s'; expected \"pv\" or \"pvh\"",
                type);
}

static void take_uuid(struct reading *reading)
{
    const char *text = text_of(reading, "uuid");
    if (!text)
        return;
    if (libxl_uuid_from_string(&reading->file->uuid, text) == 0 &&
        !libxl_uuid_is_nil(&reading->file->uuid))
        reading->file->has_uuid = true;
    else
        problem(reading, line_of(reading, "uuid"),
                "uuid is '%s'; expected one such as \"7a3f2c1e-0b52-4a80-9f4e-1d2c3b4a5968\"",
                text);
}

/* As xl does: `cmdline`, or else `root` and `extra`. */
static void take_cmdline(struct reading *reading)
{
    const char *cmdline = text_of(reading, "cmdline");
    const char *root = text_of(reading, "root");
    const char *extra = text_of(reading, "extra");
    char **place = &reading->file->cmdline;
    if (cmdline && (root || extra))
        problem(reading, line_of(reading, "cmdline"),
                "'cmdline' besides '%s'; expected either 'cmdline', or 'root' and 'extra'",
                root ? "root" : "extra");
    else if (cmdline)
        *place = copy(reading, cmdline);
    else if (root &&
             asprintf(place, "root=%s%s%s", root, extra ? " " : "", extra ? extra : "") < 0) {
        *place = NULL;
        exhausted(reading);
    } else if (extra && !root)
        *place = copy(reading, extra);
    if (*place && strlen(*place) >= CONFIG_CMDLINE_MAX)
        problem(reading,
                line_of(reading, cmdline ? "cmdline"
                                 : root  ? "root"
                                         : "extra"),
                "the kernel's command line is longer than %d bytes; expected a shorter one",
                CONFIG_CMDLINE_MAX - 1);
}

/* jitsud itself decides what becomes of a machine that has ended. */
static void check_actions(struct reading *reading)
{
    static const char *const actions[] = {"on_poweroff", "on_reboot", "on_watchdog", "on_crash",
                                          "on_soft_reset"};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        const char *action = text_of(reading, actions[i]);
        if (action && strcmp(action, "destroy") != 0)
            problem(reading, line_of(reading, actions[i]),
                    "%s is '%s'; expected \"destroy\": jitsud starts a machine when it is wanted",
                    actions[i], action);
    }
}

/* --- network and disks --- */

static int parse_mac(const char *text, uint8_t mac[MAC_SIZE])
{
    int used = 0;
    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3],
               &mac[4], &mac[5], &used) != MAC_SIZE ||
        used != MAC_TEXT_SIZE - 1 || text[used])
        return -1;
    return 0;
}

static void take_vif_item(struct reading *reading, const char *item)
{
    struct xl_file *file = reading->file;
    unsigned line = line_of(reading, "vif");
    if (strncmp(item, "mac=", 4) == 0) {
        file->has_mac = parse_mac(item + 4, file->mac) == 0;
        if (!file->has_mac)
            problem(reading, line, "mac of 'vif' is '%s'; expected one such as 02:00:5e:10:00:01",
                    item + 4);
    } else if (strncmp(item, "bridge=", 7) == 0) {
        free(file->bridge);
        file->bridge = copy(reading, item + 7);
    } else if (strcmp(item, "type=vif") != 0 && item[0]) {
        problem(reading, line,
                "jitsud does not know '%s' of 'vif'; expected mac=, bridge= and type=vif alone",
                item);
    }
}

static void take_vif(struct reading *reading)
{
    XLU_ConfigList *list;
    int count;
    unsigned line = line_of(reading, "vif");
    if (!line)
        return;
    const char *text = xlu_cfg_get_list(reading->config, "vif", &list, &count, 1) == 0 && count == 1
                           ? xlu_cfg_get_listitem(list, 0)
                           : NULL;
    if (!text) {
        problem(reading, line,
                "'vif' is not right; expected a list of one text, such as [\"bridge=br0\"]");
        return;
    }
    char *items = copy(reading, text), *rest = items;
    for (char *item; items && (item = strsep(&rest, ","));)
        take_vif_item(reading, item + strspn(item, " \t"));
    free(items);
}

/* What libxlutil has written about it, a line each; what is not about a place in the file is
 * advice.
 */
static void pass_on(struct reading *reading, char *text)
{
    for (char *line; (line = strsep(&text, "\n"));)
        if (strncmp(line, reading->path, strlen(reading->path)) == 0) {
            reading->problems++;
            reading->report(reading->argument, line);
        }
}

static void take_disk(struct reading *reading, const char *text)
{
    libxl_device_disk *disk = &reading->file->disks[reading->file->disk_count];
    unsigned line = line_of(reading, "disk");
    libxl_device_disk_init(disk);
    reading->file->disk_count++;
    if (xlu_disk_parse(reading->config, 1, &text, disk) != 0) {
        reading->complained = true;
        problem(reading, line,
                "disk '%s' is not right; expected one as in xl-disk-configuration(5)", text);
    } else if (!disk->pdev_path || disk->pdev_path[0] != '/') {
        problem(reading, line, "the target of disk '%s' is not there; expected an absolute path",
                text);
    } else if (disk->script) {
        problem(reading, line, "disk '%s' has a script; expected none", text);
    }
}

static void take_disks(struct reading *reading)
{
    XLU_ConfigList *list;
    int count;
    unsigned line = line_of(reading, "disk");
    if (!line)
        return;
    if (xlu_cfg_get_list(reading->config, "disk", &list, &count, 1) != 0) {
        problem(reading, line, "'disk' is not right; expected a list of texts");
        return;
    }
    if (count > CONFIG_DISKS_MAX) {
        problem(reading, line, "%d disks; expected at most %d", count, CONFIG_DISKS_MAX);
        return;
    }
    reading->file->disks = calloc((size_t)count + 1, sizeof *reading->file->disks);
    if (!reading->file->disks) {
        exhausted(reading);
        return;
    }
    for (int i = 0; i < count; i++) {
        const char *text = xlu_cfg_get_listitem(list, i);
        if (text)
            take_disk(reading, text);
        else
            problem(reading, line, "an item of 'disk' is a list; expected texts alone");
    }
}

/* --- the file --- */

static void take_settings(struct reading *reading)
{
    struct xl_file *file = reading->file;
    take_type(reading);
    take_uuid(reading);
    take_cmdline(reading);
    check_actions(reading);
    take_vif(reading);
    take_disks(reading);
    file->name = take_text(reading, "name");
    file->kernel = take_path(reading, "kernel");
    file->ramdisk = take_path(reading, "ramdisk");
    file->memory = (uint64_t)take_number(reading, "memory", 1, MEMORY_MAX) * MIB;
    file->vcpus = (unsigned)take_number(reading, "vcpus", 1, VCPUS_MAX);
    if (!line_of(reading, "kernel"))
        problem(reading, 0, "no 'kernel'; expected the path of one");
    if (!line_of(reading, "memory"))
        problem(reading, 0, "no 'memory'; expected it in megabytes");
    if (file->name && (!file->name[0] || strchr(file->name, '/')))
        problem(reading, line_of(reading, "name"), "name is '%s'; expected one without a slash",
                file->name);
}

static void parse(struct reading *reading, const char *bytes, size_t length, FILE *complaints,
                  char **text)
{
    reading->config = xlu_cfg_init(complaints, reading->path);
    if (!reading->config) {
        exhausted(reading);
        return;
    }
    if (xlu_cfg_readdata(reading->config, bytes, (int)length) != 0) {
        fflush(complaints);
        pass_on(reading, *text);
        if (reading->problems == 0)
            problem(reading, 0, "it is not an xl.cfg");
    } else {
        xl_keys_list(bytes, length, take_key, reading);
        take_settings(reading);
        fflush(complaints);
        if (reading->complained)
            pass_on(reading, *text);
    }
    xlu_cfg_destroy(reading->config);
}

int xl_file_parse(const char *bytes, size_t length, const char *path, struct xl_file *file,
                  xl_problem_function *report, void *argument)
{
    struct reading reading = {.path = path, .file = file, .report = report, .argument = argument};
    char *text = NULL, *ended = NULL;
    size_t size;
    *file = (struct xl_file){0};
    libxl_uuid_clear(&file->uuid);
    FILE *complaints = open_memstream(&text, &size);
    /* libxlutil wants even a comment to end with a line break. */
    if (!complaints || asprintf(&ended, "%.*s\n", (int)length, bytes) < 0) {
        ended = NULL;
        exhausted(&reading);
    } else if (memchr(bytes, '\0', length) || length > SIZE_MAX_OF_FILE) {
        problem(&reading, 0, "it is not a text, or longer than %d bytes; expected an xl.cfg",
                SIZE_MAX_OF_FILE);
    } else {
        file->path = copy(&reading, path);
        parse(&reading, ended, strlen(ended), complaints, &text);
    }
    if (complaints)
        fclose(complaints);
    free(text);
    free(ended);
    if (reading.problems == 0)
        return 0;
    xl_file_free(file);
    return -1;
}

/* At most one byte more than is allowed; NULL with errno. */
static char *read_bytes(const char *path, size_t *length)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file == -1)
        return NULL;
    char *bytes = NULL;
    if (fstat(file, &status) == 0 && !S_ISREG(status.st_mode))
        errno = EINVAL;
    else
        bytes = malloc(SIZE_MAX_OF_FILE + 1);
    ssize_t got = bytes ? read(file, bytes, SIZE_MAX_OF_FILE + 1) : -1;
    if (got < 0) {
        free(bytes);
        bytes = NULL;
    }
    *length = (size_t)got;
    close(file);
    return bytes;
}

int xl_file_read(const char *path, struct xl_file *file, xl_problem_function *report,
                 void *argument)
{
    size_t length;
    char *bytes = read_bytes(path, &length);
    if (!bytes) {
        struct reading reading = {.path = path, .report = report, .argument = argument};
        *file = (struct xl_file){0};
        problem(&reading, 0, "cannot read it: %s", strerror(errno));
        return -1;
    }
    int failed = xl_file_parse(bytes, length, path, file, report, argument);
    free(bytes);
    return failed;
}

int xl_file_suits(const struct xl_file *file, const struct config_service *service,
                  xl_problem_function *report, void *argument)
{
    struct reading reading = {.path = file->path, .report = report, .argument = argument};
    uint8_t mac[MAC_SIZE];
    char text[MAC_TEXT_SIZE];
    const struct config_network *network = service->network;
    if (file->memory != service->memory)
        problem(&reading, 0,
                "memory is %lluM, and %lluM in jitsud.yaml, by which it is counted; expected both "
                "to be the same",
                (unsigned long long)(file->memory / MIB),
                (unsigned long long)(service->memory / MIB));
    if ((file->name || file->has_uuid) &&
        (config_is_wildcard(service) || config_is_instance(service)))
        problem(&reading, 0,
                "'%s' for a wildcard, of which there are several machines; expected none",
                file->name ? "name" : "uuid");
    if (file->bridge && network && strcmp(file->bridge, network->bridge) != 0)
        problem(&reading, 0, "bridge of 'vif' is %s; expected %s, that of network '%s', or none",
                file->bridge, network->bridge, network->name);
    device_service_mac(service, mac);
    if (file->has_mac && memcmp(file->mac, mac, MAC_SIZE) != 0)
        problem(&reading, 0,
                "mac of 'vif' is another one than jitsud tells others; expected %s, or that as "
                "'mac' in "
                "jitsud.yaml, or none",
                mac_format(mac, text));
    return reading.problems ? -1 : 0;
}

void xl_file_free(struct xl_file *file)
{
    for (size_t i = 0; i < file->disk_count; i++)
        libxl_device_disk_dispose(&file->disks[i]);
    free(file->disks);
    free(file->path);
    free(file->name);
    free(file->kernel);
    free(file->ramdisk);
    free(file->cmdline);
    free(file->bridge);
    *file = (struct xl_file){0};
}
