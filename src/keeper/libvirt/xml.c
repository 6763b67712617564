#include "keeper/libvirt/xml.h"

#include <libvirt/libvirt.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "keeper/qemu/command.h"

/* --- elements --- */

/* NULL all the way where memory is exhausted: what is made of nothing is nothing, and the whole is
 * seen to be missing at the end. */
static xmlNodePtr add(xmlNodePtr parent, const char *name)
{
    return parent ? xmlNewChild(parent, NULL, BAD_CAST name, NULL) : NULL;
}

static xmlNodePtr add_text(xmlNodePtr parent, const char *name, const char *text)
{
    return parent ? xmlNewTextChild(parent, NULL, BAD_CAST name, BAD_CAST text) : NULL;
}

static void set(xmlNodePtr node, const char *attribute, const char *value)
{
    if (node)
        xmlNewProp(node, BAD_CAST attribute, BAD_CAST value);
}

static xmlNodePtr add_with(xmlNodePtr parent, const char *name, const char *attribute,
                           const char *value)
{
    xmlNodePtr node = add(parent, name);
    set(node, attribute, value);
    return node;
}

static void add_number(xmlNodePtr parent, const char *name, uint64_t number, const char *unit)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    xmlNodePtr node = add_text(parent, name, text);
    if (unit)
        set(node, "unit", unit);
}

/* --- what it is for --- */

/* "qemu" of "qemu+ssh://host/system" */
static bool is_for(const struct libvirt_xml *wanted, const char *driver)
{
    size_t length = strlen(driver);
    return strncmp(wanted->uri, driver, length) == 0 &&
           (wanted->uri[length] == ':' || wanted->uri[length] == '+');
}

static const char *domain_type(const struct libvirt_xml *wanted)
{
    if (is_for(wanted, "test"))
        return "test";
    if (is_for(wanted, "xen"))
        return "xen";
    return wanted->kvm ? "kvm" : "qemu";
}

/* QEMU's small machine for kernels that are booted directly; disks alone are booted as by a PC. */
static bool is_microvm(const struct libvirt_xml *wanted)
{
    return wanted->image && is_for(wanted, "qemu");
}

static bool is_on_bridge(const struct config_service *service)
{
    return service->network && service->network->type == CONFIG_NETWORK_BRIDGE;
}

/* --- the parts --- */

static void add_system(xmlNodePtr domain, const struct libvirt_xml *wanted)
{
    const struct config_service *service = wanted->service;
    bool xen = is_for(wanted, "xen");
    xmlNodePtr os = add(domain, "os");
    xmlNodePtr type = add_text(os, "type", xen ? "xenpvh" : "hvm");
    if (is_microvm(wanted))
        set(type, "machine", "microvm");
    if (is_for(wanted, "qemu"))
        set(type, "arch", "x86_64");
    if (wanted->image)
        add_text(os, "kernel", service->image);
    if (service->ramdisk)
        add_text(os, "initrd", service->ramdisk);
    if (wanted->image && wanted->kernel_line[0])
        add_text(os, "cmdline", wanted->kernel_line);
    if (!wanted->image)
        add_with(os, "boot", "dev", "hd");
    /* Linux finds its devices by ACPI, unikernels by their command line. */
    if (!wanted->image || wanted->image->kind == IMAGE_LINUX)
        add(add(domain, "features"), "acpi");
}

/* A unikernel makes keys of the processor's random numbers, which are the host's in both cases. */
static void add_processor(xmlNodePtr domain, const struct libvirt_xml *wanted)
{
    if (!is_for(wanted, "qemu"))
        return;
    if (wanted->kvm) {
        add_with(domain, "cpu", "mode", "host-passthrough");
    } else if (wanted->image && wanted->image->announces) {
        xmlNodePtr cpu = add_with(domain, "cpu", "mode", "custom");
        set(cpu, "match", "exact");
        set(cpu, "check", "none");
        set(add_text(cpu, "model", "qemu64"), "fallback", "forbid");
        set(add_with(cpu, "feature", "policy", "require"), "name", "rdrand");
    }
}

static void add_disk(xmlNodePtr devices, const struct libvirt_xml *wanted, size_t number)
{
    const struct config_disk *disk = &wanted->service->disks[number];
    bool block = wanted->disk_is_block[number];
    char target[] = "vda";
    target[2] = (char)('a' + number);
    if (is_for(wanted, "xen"))
        target[0] = 'x';
    xmlNodePtr node = add_with(devices, "disk", "type", block ? "block" : "file");
    set(node, "device", "disk");
    xmlNodePtr driver =
        add_with(node, "driver", "type", disk->format == CONFIG_DISK_QCOW2 ? "qcow2" : "raw");
    if (is_for(wanted, "qemu"))
        set(driver, "name", "qemu");
    add_with(node, "source", block ? "dev" : "file", disk->path);
    set(add_with(node, "target", "dev", target), "bus", is_for(wanted, "xen") ? "xen" : "virtio");
    if (disk->read_only)
        add(node, "readonly");
    if (is_microvm(wanted))
        add_with(node, "address", "type", "virtio-mmio");
}

static const char *mac_of(const struct config_service *service, char text[MAC_TEXT_SIZE])
{
    uint8_t mac[MAC_SIZE];
    device_service_mac(service, mac);
    return mac_format(mac, text);
}

static void add_interface(xmlNodePtr devices, const struct libvirt_xml *wanted)
{
    char mac[MAC_TEXT_SIZE];
    const struct config_service *service = wanted->service;
    if (!is_on_bridge(service))
        return;
    xmlNodePtr interface = add_with(devices, "interface", "type", "bridge");
    add_with(interface, "mac", "address", mac_of(service, mac));
    add_with(interface, "source", "bridge", service->network->bridge);
    if (wanted->device)
        add_with(interface, "target", "dev", wanted->device);
    if (!is_for(wanted, "xen"))
        add_with(interface, "model", "type", "virtio");
    if (is_microvm(wanted))
        add_with(interface, "address", "type", "virtio-mmio");
}

/* QEMU goes on without a keeper at the other end, and calls the next one. */
static void add_console(xmlNodePtr devices, const struct libvirt_xml *wanted)
{
    if (!wanted->console) {
        if (!is_for(wanted, "test"))
            add_with(devices, is_for(wanted, "xen") ? "console" : "serial", "type", "pty");
        return;
    }
    xmlNodePtr serial = add_with(devices, "serial", "type", "unix");
    xmlNodePtr source = add_with(serial, "source", "mode", "connect");
    set(source, "path", wanted->console);
    set(add_with(source, "reconnect", "enabled", "yes"), "timeout", "1");
    add_with(serial, "target", "port", "0");
}

static void add_devices(xmlNodePtr domain, const struct libvirt_xml *wanted)
{
    xmlNodePtr devices = add(domain, "devices");
    if (is_microvm(wanted)) {
        set(add_with(devices, "controller", "type", "usb"), "model", "none");
        add_with(devices, "memballoon", "model", "none");
    }
    for (size_t i = 0; i < wanted->service->disk_count; i++)
        add_disk(devices, wanted, i);
    add_interface(devices, wanted);
    add_console(devices, wanted);
}

/* --- the whole --- */

static char *print(xmlDocPtr document, struct error *error)
{
    xmlChar *text = NULL;
    int length;
    xmlNodePtr root = document ? xmlDocGetRootElement(document) : NULL;
    /* Of which the last element is there if all before it are. */
    if (root)
        xmlDocDumpMemory(document, &text, &length);
    char *copy = text ? strdup((const char *)text) : NULL;
    xmlFree(text);
    if (!copy)
        error_set(error, "memory is exhausted while the domain is described");
    return copy;
}

static void format_uuid(const uint8_t bytes[VIR_UUID_BUFLEN], char text[VIR_UUID_STRING_BUFLEN])
{
    size_t used = 0;
    for (size_t i = 0; i < VIR_UUID_BUFLEN; i++) {
        const char *hyphen = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
        used += (size_t)snprintf(text + used, VIR_UUID_STRING_BUFLEN - used, "%s%02x", hyphen,
                                 bytes[i]);
    }
}

char *libvirt_xml_make(const struct libvirt_xml *wanted, struct error *error)
{
    char uuid[VIR_UUID_STRING_BUFLEN], description[CONFIG_NAME_TEXT_MAX + 64];
    const struct config_service *service = wanted->service;
    xmlDocPtr document = xmlNewDoc(BAD_CAST "1.0");
    xmlNodePtr domain = document ? xmlNewNode(NULL, BAD_CAST "domain") : NULL;
    if (domain)
        xmlDocSetRootElement(document, domain);
    set(domain, "type", domain_type(wanted));
    add_text(domain, "name", wanted->name);
    format_uuid(wanted->uuid, uuid);
    add_text(domain, "uuid", uuid);
    snprintf(description, sizeof description, "Started on demand by jitsud for %s", service->name);
    add_text(domain, "description", description);
    add_number(domain, "memory", service->memory, "b");
    add_number(domain, "vcpu", service->vcpus, NULL);
    add_system(domain, wanted);
    add_processor(domain, wanted);
    add_text(domain, "on_poweroff", "destroy");
    add_text(domain, "on_reboot", "destroy");
    add_text(domain, "on_crash", "destroy");
    add_devices(domain, wanted);
    char *text = print(document, error);
    xmlFreeDoc(document);
    return text;
}

/* --- what runs --- */

static xmlNodePtr find_child(xmlNodePtr parent, const char *name)
{
    for (xmlNodePtr child = parent ? parent->children : NULL; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0)
            return child;
    return NULL;
}

static bool has_mac(xmlNodePtr interface, const char *mac)
{
    xmlNodePtr node = find_child(interface, "mac");
    xmlChar *address = node ? xmlGetProp(node, BAD_CAST "address") : NULL;
    bool has = address && strcasecmp((const char *)address, mac) == 0;
    xmlFree(address);
    return has;
}

static void take_device(xmlNodePtr interface, char device[IF_NAMESIZE])
{
    xmlNodePtr node = find_child(interface, "target");
    xmlChar *name = node ? xmlGetProp(node, BAD_CAST "dev") : NULL;
    if (name && strlen((const char *)name) < IF_NAMESIZE)
        strcpy(device, (const char *)name);
    xmlFree(name);
}

void libvirt_xml_find_device(const char *description, const uint8_t mac[MAC_SIZE],
                             char device[IF_NAMESIZE])
{
    char text[MAC_TEXT_SIZE];
    xmlDocPtr document = xmlReadMemory(description, (int)strlen(description), "domain.xml", NULL,
                                       XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNodePtr domain = document ? xmlDocGetRootElement(document) : NULL;
    xmlNodePtr devices = find_child(domain, "devices");
    mac_format(mac, text);
    device[0] = '\0';
    for (xmlNodePtr node = devices ? devices->children : NULL; node; node = node->next)
        if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, "interface") == 0 &&
            has_mac(node, text))
            take_device(node, device);
    xmlFreeDoc(document);
}

/* --- templates --- */

/* As it is written between tags and in attributes. */
static void print_escaped(FILE *stream, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", stream);
            break;
        case '<':
            fputs("&lt;", stream);
            break;
        case '>':
            fputs("&gt;", stream);
            break;
        case '"':
            fputs("&quot;", stream);
            break;
        case '\'':
            fputs("&apos;", stream);
            break;
        default:
            fputc(*text, stream);
        }
}

/* Prints what stands for the placeholder at the beginning of `text`, and returns its length; 0:
 * there is no such one. */
static size_t print_placeholder(FILE *stream, const struct libvirt_xml *wanted, const char *text)
{
    const struct config_service *service = wanted->service;
    char memory[24], vcpus[8];
    snprintf(memory, sizeof memory, "%llu", (unsigned long long)service->memory / 1024);
    snprintf(vcpus, sizeof vcpus, "%u", service->vcpus);
    const struct {
        const char *placeholder, *value;
    } replacements[] = {
        {"%{image}", service->image},
        {"%{ramdisk}", service->ramdisk},
        {"%{cmdline}", wanted->kernel_line},
        {"%{memory}", memory},
        {"%{vcpus}", vcpus},
        {"%{console}", wanted->console},
        {"%{device}", wanted->device},
        {"%{bridge}", service->network ? service->network->bridge : NULL},
    };
    for (size_t i = 0; i < sizeof replacements / sizeof replacements[0]; i++) {
        size_t length = strlen(replacements[i].placeholder);
        if (strncmp(text, replacements[i].placeholder, length) == 0) {
            print_escaped(stream, replacements[i].value ? replacements[i].value : "");
            return length;
        }
    }
    return 0;
}

static char *replace(const struct libvirt_xml *wanted, const char *template, struct error *error)
{
    char *text = NULL;
    size_t length;
    const char *unknown = NULL;
    FILE *stream = open_memstream(&text, &length);
    if (!stream) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    for (const char *at = template; *at && !unknown;) {
        size_t step = strncmp(at, "%{", 2) == 0 ? print_placeholder(stream, wanted, at) : 1;
        if (step == 1)
            fputc(*at, stream);
        else if (step == 0)
            unknown = at;
        at += step;
    }
    if (fclose(stream) == 0 && !unknown)
        return text;
    if (unknown)
        error_set(error, "%s: unknown placeholder at '%.40s'", wanted->service->domain_xml,
                  unknown);
    else
        error_set(error, "memory is exhausted");
    free(text);
    return NULL;
}

static void set_child(xmlNodePtr domain, const char *name, const char *text)
{
    xmlNodePtr child = domain->children, next;
    for (; child; child = next) {
        next = child->next;
        if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0) {
            xmlUnlinkNode(child);
            xmlFreeNode(child);
        }
    }
    add_text(domain, name, text);
}

static char *complete(const struct libvirt_xml *wanted, const char *text, struct error *error)
{
    char uuid[VIR_UUID_STRING_BUFLEN];
    xmlDocPtr document = xmlReadMemory(text, (int)strlen(text), "domain.xml", NULL,
                                       XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNodePtr domain = document ? xmlDocGetRootElement(document) : NULL;
    char *completed = NULL;
    if (!domain) {
        const xmlError *last = xmlGetLastError();
        error_set(error, "%s:%d: not well-formed XML: %.*s", wanted->service->domain_xml,
                  last ? last->line : 0,
                  last && last->message ? (int)strcspn(last->message, "\n") : 0,
                  last && last->message ? last->message : "");
    } else if (strcmp((const char *)domain->name, "domain") != 0) {
        error_set(error, "%s: its root element is <%s>; expected <domain>",
                  wanted->service->domain_xml, (const char *)domain->name);
    } else {
        format_uuid(wanted->uuid, uuid);
        set_child(domain, "name", wanted->name);
        set_child(domain, "uuid", uuid);
        completed = print(document, error);
    }
    xmlFreeDoc(document);
    return completed;
}

char *libvirt_xml_fill(const struct libvirt_xml *wanted, const char *template, struct error *error)
{
    /* First what is replaced in command lines, too: none of those needs to be escaped. */
    char *known = qemu_command_replace(wanted->service, template);
    char *text = known ? replace(wanted, known, error) : NULL;
    char *completed = text ? complete(wanted, text, error) : NULL;
    if (!known)
        error_set(error, "memory is exhausted");
    free(text);
    free(known);
    return completed;
}
