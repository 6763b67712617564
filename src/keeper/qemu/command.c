#include "keeper/qemu/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/device_name.h"

/* Of QEMU's user network, which is the same inside every machine. */
#define GUEST_ADDRESS "10.0.2.15"
#define GUEST_PREFIX  "24"
#define GUEST_GATEWAY "10.0.2.2"

#define ARGUMENTS_MAX 64

/* QEMU allocates a gigabyte of address space for translated code where it is not told how much;
 * unikernels are small, and what is not enough is only translated again. */
#define TRANSLATED_MEGABYTES 32

static bool is_on_bridge(const struct config_service *service)
{
    return service->network && service->network->type == CONFIG_NETWORK_BRIDGE;
}

static const char *machine_mac(const struct config_service *service, char text[MAC_TEXT_SIZE])
{
    uint8_t mac[MAC_SIZE];
    device_service_mac(service, mac);
    return mac_format(mac, text);
}

/* --- the kernel's command line --- */

/* One address of the machine, as text. */
struct address_text {
    char address[ADDRESS_TEXT_SIZE], length[4];
    char gateway[ADDRESS_TEXT_SIZE]; /* "": none */
};

static struct address_text address_text(const struct config_service *service, size_t number)
{
    struct address_text text = {GUEST_ADDRESS, GUEST_PREFIX, GUEST_GATEWAY};
    if (!is_on_bridge(service))
        return text;
    const struct address *address = &service->addresses[number];
    const struct config_subnet *subnet = config_network_subnet(service->network, address);
    address_format(address, text.address);
    snprintf(text.length, sizeof text.length, "%u", subnet->prefix.length);
    text.gateway[0] = '\0';
    if (subnet->gateway.family)
        address_format(&subnet->gateway, text.gateway);
    return text;
}

static void print_replaced(FILE *stream, const char *text, const struct config_service *service)
{
    char mac[MAC_TEXT_SIZE], label[CONFIG_LABEL_MAX + 1];
    struct address_text address = address_text(service, 0);
    snprintf(label, sizeof label, "%.*s", (int)strcspn(service->name, "."), service->name);
    const struct {
        const char *placeholder, *value;
    } replacements[] = {
        {"%{name}", service->name},      {"%{label}", label},
        {"%{address}", address.address}, {"%{prefixlen}", address.length},
        {"%{gateway}", address.gateway}, {"%{mac}", machine_mac(service, mac)},
    };
    while (*text) {
        size_t step = 0;
        for (size_t i = 0; i < sizeof replacements / sizeof replacements[0] && !step; i++) {
            size_t length = strlen(replacements[i].placeholder);
            if (strncmp(text, replacements[i].placeholder, length) == 0) {
                fputs(replacements[i].value, stream);
                step = length;
            }
        }
        if (!step) {
            fputc(*text, stream);
            step = 1;
        }
        text += step;
    }
}

/* A gateway is told once for each family, with the first address of that. */
static void print_addresses(FILE *stream, const struct config_service *service)
{
    bool told[2] = {false, false};
    for (size_t i = 0; i == 0 || (is_on_bridge(service) && i < service->address_count); i++) {
        struct address_text text = address_text(service, i);
        bool ipv6 = strchr(text.address, ':');
        fprintf(stream, "%s=%s/%s ", ipv6 ? "ip6" : "ip", text.address, text.length);
        if (text.gateway[0] && !told[ipv6])
            fprintf(stream, "gw=%s ", text.gateway);
        told[ipv6] = true;
    }
}

static void print_conduit(FILE *stream, const struct config_network *network)
{
    uint8_t mac[MAC_SIZE];
    char text[MAC_TEXT_SIZE];
    device_port_mac(network->name, mac);
    fprintf(stream, " conduit=%s", mac_format(mac, text));
}

static void print_announced(FILE *stream, const struct qemu_command *command)
{
    print_addresses(stream, command->service);
    fprintf(stream, "name=%s", command->service->name);
    if (is_on_bridge(command->service))
        print_conduit(stream, command->service->network);
    fputs(" token=", stream);
    for (unsigned i = 0; i < MESSAGE_TOKEN_SIZE; i++)
        fprintf(stream, "%02x", command->token[i]);
    fprintf(stream, " time=%lld", (long long)command->time);
    if (command->tsc_khz)
        fprintf(stream, " tsc_khz=%llu", (unsigned long long)command->tsc_khz);
}

char *qemu_command_kernel_line(const struct qemu_command *command)
{
    char *line = NULL;
    size_t length;
    FILE *stream = open_memstream(&line, &length);
    if (!stream)
        return NULL;
    const char *configured = command->service->cmdline ? command->service->cmdline : "";
    if (command->image->announces) {
        print_announced(stream, command);
        if (configured[0])
            fputc(' ', stream);
    }
    print_replaced(stream, configured, command->service);
    if (fclose(stream) != 0) {
        free(line);
        return NULL;
    }
    return line;
}

char *qemu_command_replace(const struct config_service *service, const char *text)
{
    char *replaced = NULL;
    size_t length;
    FILE *stream = open_memstream(&replaced, &length);
    if (!stream)
        return NULL;
    print_replaced(stream, text, service);
    if (fclose(stream) == 0)
        return replaced;
    free(replaced);
    return NULL;
}

/* --- QEMU's arguments --- */

/* The texts one after the other, each ended by NUL, and where each begins. */
struct arguments {
    FILE *stream;
    char *texts;
    size_t size;
    size_t begins[ARGUMENTS_MAX];
    size_t count;
};

static void begin(struct arguments *arguments)
{
    fflush(arguments->stream);
    if (arguments->count == ARGUMENTS_MAX)
        abort(); /* the list below is of fixed length */
    arguments->begins[arguments->count++] = arguments->size;
}

static void end(struct arguments *arguments)
{
    fputc('\0', arguments->stream);
}

static void add(struct arguments *arguments, const char *text)
{
    begin(arguments);
    fputs(text, arguments->stream);
    end(arguments);
}

static void add_format(struct arguments *arguments, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_format(struct arguments *arguments, const char *format, ...)
{
    va_list values;
    begin(arguments);
    va_start(values, format);
    vfprintf(arguments->stream, format, values);
    va_end(values);
    end(arguments);
}

/* QEMU divides options at commas; one that is meant is written twice. */
static void add_name(struct arguments *arguments, const char *title)
{
    begin(arguments);
    fputs("guest=", arguments->stream);
    for (; *title; title++) {
        if (*title == ',')
            fputc(',', arguments->stream);
        fputc(*title, arguments->stream);
    }
    end(arguments);
}

/* Bundled unikernels need no more than a local APIC and the clock chip, by which they know the time
 * of day also after they have been paused, and each device less is time won. Other PVH
 * kernels get the timers and the interrupt controller of a PC, and find virtio devices as the
 * bundled ones do, by their command line, to which QEMU adds them; Linux finds them by ACPI. */
static const char *machine_type(const struct image *image)
{
    if (image->announces)
        return "microvm,x-option-roms=off,isa-serial=on,acpi=off,pic=off,pit=off,rtc=on";
    if (image->kind == IMAGE_PVH)
        return "microvm,x-option-roms=off,isa-serial=on,acpi=off";
    return "microvm,x-option-roms=off,isa-serial=on";
}

static void add_machine(struct arguments *arguments, const struct qemu_command *command)
{
    const struct config_service *service = command->service;
    add(arguments, "-M");
    add(arguments, machine_type(command->image));
    add(arguments, "-accel");
    if (command->kvm)
        add(arguments, "kvm");
    else
        add_format(arguments, "tcg,tb-size=%d", TRANSLATED_MEGABYTES);
    /* A unikernel makes keys of the processor's random numbers, which are the host's in both cases.
     */
    if (command->kvm || command->image->announces) {
        add(arguments, "-cpu");
        add(arguments, command->kvm ? "host" : "qemu64,+rdrand");
    }
    add(arguments, "-m");
    add_format(arguments, "%lluB", (unsigned long long)service->memory);
    if (service->vcpus > 1) {
        add(arguments, "-smp");
        add_format(arguments, "%u", service->vcpus);
    }
    add(arguments, "-nodefaults");
    add(arguments, "-no-user-config");
    add(arguments, "-display");
    add(arguments, "none");
    add(arguments, "-no-reboot");
    add(arguments, "-sandbox");
    add(arguments, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    if (command->paused)
        add(arguments, "-S");
}

/* The keeper's connections wait in both sockets, so waiting for them costs nothing, and nothing
 * that the machine prints is lost. */
static void add_channels(struct arguments *arguments)
{
    add(arguments, "-chardev");
    add_format(arguments, "socket,id=console,fd=%d,server=on,wait=on", QEMU_FD_CONSOLE);
    add(arguments, "-serial");
    add(arguments, "chardev:console");
    add(arguments, "-chardev");
    add_format(arguments, "socket,id=qmp,fd=%d,server=on,wait=on", QEMU_FD_QMP);
    add(arguments, "-mon");
    add(arguments, "chardev=qmp,mode=control");
}

static void add_user_network(struct arguments *arguments, const struct qemu_command *command)
{
    begin(arguments);
    fputs("user,id=network", arguments->stream);
    for (unsigned i = 0; i < command->forward_count; i++)
        fprintf(arguments->stream, ",hostfwd=tcp:127.0.0.1:%u-:%u", command->forwards[i].host,
                command->forwards[i].machine);
    end(arguments);
}

static void add_network(struct arguments *arguments, const struct qemu_command *command)
{
    char mac[MAC_TEXT_SIZE];
    add(arguments, "-netdev");
    if (is_on_bridge(command->service))
        add_format(arguments, "tap,id=network,fd=%d", command->tap);
    else
        add_user_network(arguments, command);
    add(arguments, "-device");
    add_format(arguments, "virtio-net-device,netdev=network,mac=%s",
               machine_mac(command->service, mac));
}

static void add_kernel(struct arguments *arguments, const struct qemu_command *command,
                       const char *kernel_line)
{
    /* Through it a bundled unikernel ends QEMU with an exit status of its own. */
    if (command->image->announces) {
        add(arguments, "-device");
        add(arguments, "isa-debug-exit,iobase=0x501,iosize=4");
    }
    add(arguments, "-kernel");
    add(arguments, command->service->image);
    if (command->service->ramdisk) {
        add(arguments, "-initrd");
        add(arguments, command->service->ramdisk);
    }
    if (kernel_line[0]) {
        add(arguments, "-append");
        add(arguments, kernel_line);
    }
}

/* Puts the pointers and the texts into one allocation. */
static char **pack(const struct arguments *arguments)
{
    size_t pointers = (arguments->count + 1) * sizeof(char *);
    char **packed = malloc(pointers + arguments->size);
    if (!packed)
        return NULL;
    char *texts = (char *)packed + pointers;
    memcpy(texts, arguments->texts, arguments->size);
    for (size_t i = 0; i < arguments->count; i++)
        packed[i] = texts + arguments->begins[i];
    packed[arguments->count] = NULL;
    return packed;
}

static int check(const struct qemu_command *command, struct error *error)
{
    const struct config_service *service = command->service;
    if (command->image->memory_end > service->memory)
        return error_set(error, "its image needs more than the %llu KiB of memory that are given",
                         (unsigned long long)(service->memory / 1024));
    return 0;
}

char **qemu_command_make(const struct qemu_command *command, struct error *error)
{
    struct arguments arguments = {0};
    char **packed = NULL;

    if (check(command, error) != 0)
        return NULL;
    char *kernel_line = qemu_command_kernel_line(command);
    arguments.stream = open_memstream(&arguments.texts, &arguments.size);
    if (kernel_line && arguments.stream) {
        add(&arguments, command->program);
        add(&arguments, "-name");
        add_name(&arguments, command->title);
        add_machine(&arguments, command);
        add_channels(&arguments);
        add_network(&arguments, command);
        add_kernel(&arguments, command, kernel_line);
        if (fflush(arguments.stream) == 0)
            packed = pack(&arguments);
    }
    if (arguments.stream)
        fclose(arguments.stream);
    free(arguments.texts);
    free(kernel_line);
    if (!packed)
        error_set(error, "memory is exhausted");
    return packed;
}
