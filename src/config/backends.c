#include "config/backends.h"

/* Not "config.h", which is this room's own here. */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "config/value.h"

/* With what stands before it, well below what xenstored takes. */
#define XENSTORE_KEY_MAX 255

#define DEFAULT_CONNECTION "qemu:///system"

static const bool is_built[CONFIG_BACKEND_XEN + 1] = {
    [CONFIG_BACKEND_QEMU] = true,
#ifdef HAVE_LIBVIRT
    [CONFIG_BACKEND_LIBVIRT] = true,
#endif
#ifdef HAVE_XEN
    [CONFIG_BACKEND_XEN] = true,
#endif
};

void config_found_backend(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    struct config_service_entry *entry = object;
    entry->draft.backend = mark;
}

void config_found_vcpus(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading, (void)mark;
    struct config_service_entry *entry = object;
    entry->draft.vcpus_given = true;
}

enum config_taken config_take_connect(struct config_loading *loading, void *object,
                                      const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    if (!strstr(scalar->text, ":/"))
        return CONFIG_WRONG;
    entry->service.connect = config_loading_text(loading, scalar->text);
    return CONFIG_TAKEN;
}

enum config_taken config_take_domain(struct config_loading *loading, void *object,
                                     const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    if (scalar->length == 0 || scalar->length >= CONFIG_DOMAIN_MAX)
        return CONFIG_WRONG;
    entry->service.domain = config_loading_text(loading, scalar->text);
    return CONFIG_TAKEN;
}

/* That of one station: the lowest bit of the first byte says otherwise. */
enum config_taken config_take_mac(struct config_loading *loading, void *object,
                                  const struct config_scalar *scalar)
{
    (void)loading;
    struct config_service_entry *entry = object;
    uint8_t *mac = entry->service.mac;
    int end = 0;
    if (scalar->length != strlen("02:00:5e:10:00:01") ||
        strspn(scalar->text, "0123456789abcdefABCDEF:") != scalar->length ||
        sscanf(scalar->text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
               &mac[3], &mac[4], &mac[5], &end) != CONFIG_MAC_SIZE ||
        (size_t)end != scalar->length || (mac[0] & 1) || !config_has_mac(&entry->service)) {
        memset(mac, 0, CONFIG_MAC_SIZE);
        return CONFIG_WRONG;
    }
    return CONFIG_TAKEN;
}

/* --- disks --- */

static const char *const format_words[] = {
    [CONFIG_DISK_RAW] = "raw", [CONFIG_DISK_QCOW2] = "qcow2", NULL};

/* The default of a disk's format: what its name says, never what its content does, which the
 * machine can write itself. */
static enum config_disk_format format_of(const char *path)
{
    static const char ending[] = ".qcow2";
    size_t length = strlen(path);
    bool qcow2 =
        length > sizeof ending - 1 && strcmp(path + length - (sizeof ending - 1), ending) == 0;
    return qcow2 ? CONFIG_DISK_QCOW2 : CONFIG_DISK_RAW;
}

#define FORMAT_UNSET UINT8_MAX

enum config_taken config_take_disk(struct config_loading *loading, void *object,
                                   const struct config_scalar *scalar)
{
    struct config_service_entry *entry = object;
    char *path = config_take_path(loading, scalar, "disks");
    if (!path)
        return scalar->length == 0 ? CONFIG_WRONG : CONFIG_REPORTED;
    entry->disks[entry->service.disk_count++] =
        (struct config_disk){.path = path, .format = (uint8_t)format_of(path)};
    return CONFIG_TAKEN;
}

static const struct config_key disk_keys[] = {
    {.name = "path",
     .type = CONFIG_KEY_PATH,
     .required = true,
     CONFIG_MEMBER(struct config_disk, path)},
    {.name = "format",
     .type = CONFIG_KEY_WORD,
     CONFIG_MEMBER(struct config_disk, format),
     .words = format_words},
    {.name = "read-only",
     .type = CONFIG_KEY_WORD,
     CONFIG_MEMBER(struct config_disk, read_only),
     .words = config_no_yes_words},
};

static void *begin_disk(struct config_loading *loading)
{
    loading->disk = (struct config_disk){.format = FORMAT_UNSET};
    return &loading->disk;
}

/* Disks are read within their service's entry. */
static void end_disk(struct config_loading *loading, void *object)
{
    struct config_service_entry *entry = &loading->entry;
    struct config_disk *disk = object;
    if (!disk->path)
        return; /* reported */
    if (disk->format == FORMAT_UNSET)
        disk->format = (uint8_t)format_of(disk->path);
    entry->disks[entry->service.disk_count++] = *disk;
}

const struct config_schema config_disk_schema = {
    .what = "a disk",
    .keys = disk_keys,
    .count = sizeof disk_keys / sizeof disk_keys[0],
    .begin = begin_disk,
    .end = end_disk,
};

/* --- what goes together --- */

/* A key that one backend knows and others do not. */
static void check_key(struct config_loading *loading, const struct config_service *service,
                      const char *key, bool given, enum config_backend backend)
{
    if (given && service->backend != backend)
        config_fault(loading->faults, loading->object_mark,
                     "'%s' is for backend '%s'; expected a service of backend '%s' without it", key,
                     config_backend_words[backend], config_backend_words[service->backend]);
}

static bool is_wildcard(const struct config_service_entry *entry)
{
    return entry->service.name && config_is_wildcard(&entry->service);
}

static bool has_writable_disk(const struct config_service_entry *entry)
{
    for (size_t i = 0; i < entry->service.disk_count; i++)
        if (!entry->disks[i].read_only)
            return true;
    return false;
}

/* Several machines would write to the same disk. */
static void check_shared_disks(struct config_loading *loading,
                               const struct config_service_entry *entry)
{
    bool wildcard = is_wildcard(entry);
    if ((entry->service.prewarm > 0 || wildcard) && has_writable_disk(entry))
        config_fault(loading->faults, loading->object_mark,
                     "%s with a disk that is written to: two machines would have it at a time; "
                     "expected 'read-only: yes' for it, or no %s",
                     wildcard ? "a wildcard" : "'prewarm'", wildcard ? "wildcard" : "'prewarm'");
}

/* The first key that says what machine to make, or NULL. */
static const char *key_of_new_machine(const struct config_service_entry *entry)
{
    const struct config_service *service = &entry->service;
    return entry->draft.image.line               ? "image"
           : service->domain_xml                 ? "domain-xml"
           : service->disk_count > 0             ? "disks"
           : service->ramdisk                    ? "ramdisk"
           : service->cmdline[0]                 ? "cmdline"
           : entry->draft.vcpus_given            ? "vcpus"
           : service->prewarm > 0                ? "prewarm"
           : service->accel != CONFIG_ACCEL_AUTO ? "accel"
                                                 : NULL;
}

static void check_existing_domain(struct config_loading *loading,
                                  const struct config_service_entry *entry)
{
    const char *key = key_of_new_machine(entry);
    if (key)
        config_fault(loading->faults, loading->object_mark,
                     "'%s' is for machines that jitsud makes, and 'domain' is one that exists "
                     "already; expected one of the two",
                     key);
    if (entry->service.ready == CONFIG_READY_ANNOUNCE ||
        entry->service.ready == CONFIG_READY_CONSOLE)
        config_fault(loading->faults, loading->object_mark,
                     "ready '%s' is for machines that jitsud makes, whose console it reads, and "
                     "'domain' is one that exists already; expected tcp:PORT, 'arp' or after:TIME",
                     entry->service.ready == CONFIG_READY_ANNOUNCE ? "announce" : "console:");
}

static void check_made_domain(struct config_loading *loading,
                              const struct config_service_entry *entry)
{
    const struct config_service *service = &entry->service;
    check_shared_disks(loading, entry);
    bool image = entry->draft.image.line > 0;
    if (!image && !service->domain_xml && service->disk_count == 0)
        config_fault(loading->faults, loading->object_mark,
                     "a service of backend 'libvirt' without 'domain', 'image', 'disks' and "
                     "'domain-xml'; expected one of them");
    if (service->domain_xml && service->disk_count > 0)
        config_fault(loading->faults, loading->object_mark,
                     "'disks' besides 'domain-xml', which lists them itself; expected one of the "
                     "two");
    if (!image && !service->domain_xml && (service->ramdisk || service->cmdline[0]))
        config_fault(loading->faults, loading->object_mark,
                     "'%s' without 'image', the kernel that it is for; expected both",
                     service->ramdisk ? "ramdisk" : "cmdline");
}

static void check_qemu(struct config_loading *loading, const struct config_service_entry *entry)
{
    if (!entry->draft.image.line)
        config_fault(loading->faults, loading->object_mark,
                     "a service of backend 'qemu' without 'image'; expected the path of a kernel");
    if (entry->service.disk_count > 0)
        config_fault(loading->faults, loading->object_mark,
                     "'disks' are for backends 'libvirt' and 'xen'; expected a service of backend "
                     "'qemu' without them");
}

/* --- xen --- */

/* The first key that says what the file says, or NULL. */
static const char *key_beside_xl(const struct config_service_entry *entry)
{
    const struct config_service *service = &entry->service;
    return entry->draft.image.line    ? "image"
           : service->ramdisk         ? "ramdisk"
           : service->cmdline[0]      ? "cmdline"
           : entry->draft.vcpus_given ? "vcpus"
           : service->disk_count > 0  ? "disks"
                                      : NULL;
}

static void check_xl(struct config_loading *loading, const struct config_service_entry *entry)
{
    const char *key = key_beside_xl(entry);
    if (key)
        config_fault(loading->faults, loading->object_mark,
                     "'%s' besides 'xl', whose file says that; expected one of the two", key);
    if (entry->draft.memory.line == 0)
        config_fault(loading->faults, loading->object_mark,
                     "'xl' without 'memory', by which the machine counts for 'limits'; expected as "
                     "much as its file says");
    if (entry->service.prewarm > 0)
        config_fault(loading->faults, loading->object_mark,
                     "'prewarm' besides 'xl': there is one domain of its file at a time; expected "
                     "one of the two");
}

/* Below the machine's own directory in xenstore, of which it can write some itself. */
static bool is_key(const char *text)
{
    size_t length = strlen(text);
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_@/") ==
               length &&
           length <= XENSTORE_KEY_MAX && text[0] != '/' && text[length - 1] != '/' &&
           !strstr(text, "//");
}

static void check_xen(struct config_loading *loading, const struct config_service_entry *entry)
{
    const struct config_service *service = &entry->service;
    if (service->xl)
        check_xl(loading, entry);
    else if (!entry->draft.image.line)
        config_fault(loading->faults, loading->object_mark,
                     "a service of backend 'xen' without 'xl' and 'image'; expected one of them");
    if (service->accel != CONFIG_ACCEL_AUTO)
        config_fault(loading->faults, loading->object_mark,
                     "'accel' is for QEMU; expected a service of backend 'xen' without it");
    check_shared_disks(loading, entry);
    if (service->ready == CONFIG_READY_XENSTORE && !is_key(service->ready_text))
        config_fault(loading->faults, loading->object_mark,
                     "ready 'xenstore:%s' names no key; expected one below the machine's own "
                     "directory, such as data/ready",
                     config_quote(service->ready_text).text);
}

void config_check_backend(struct config_loading *loading, struct config_service_entry *entry)
{
    struct config_service *service = &entry->service;
    if (!is_built[service->backend]) {
        config_fault(loading->faults, entry->draft.backend,
                     "this jitsud was built without backend '%s'; expected another one",
                     config_backend_words[service->backend]);
        return;
    }
    check_key(loading, service, "connect", service->connect, CONFIG_BACKEND_LIBVIRT);
    check_key(loading, service, "domain", service->domain, CONFIG_BACKEND_LIBVIRT);
    if (service->backend != CONFIG_BACKEND_XEN)
        check_key(loading, service, "suspend-to: disk",
                  service->suspend_to == CONFIG_SUSPEND_TO_DISK, CONFIG_BACKEND_LIBVIRT);
    check_key(loading, service, "domain-xml", service->domain_xml, CONFIG_BACKEND_LIBVIRT);
    check_key(loading, service, "xl", service->xl, CONFIG_BACKEND_XEN);
    check_key(loading, service, "ready: xenstore", service->ready == CONFIG_READY_XENSTORE,
              CONFIG_BACKEND_XEN);
    switch ((enum config_backend)service->backend) {
    case CONFIG_BACKEND_QEMU:
        check_qemu(loading, entry);
        break;
    case CONFIG_BACKEND_LIBVIRT:
        if (!service->connect)
            service->connect = config_loading_text(loading, DEFAULT_CONNECTION);
        if (service->domain)
            check_existing_domain(loading, entry);
        else
            check_made_domain(loading, entry);
        break;
    case CONFIG_BACKEND_XEN:
        check_xen(loading, entry);
        break;
    }
}
