/* What the keeper reads that others wrote: kernel files, consoles, QEMU's monitor, records; and the
 * command line it writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keeper/console.h"
#include "keeper/device_name.h"
#include "keeper/image.h"
#include "keeper/qemu/command.h"
#include "keeper/qemu/qmp.h"
#include "keeper/qemu/usernet.h"
#include "keeper/record.h"

/* --- kernel files --- */

/* An ELF64 executable with one loadable segment and a PVH entry note, and Jitsu's note if
 * `announces`. */
static size_t make_image(uint8_t *file, bool announces)
{
    static const uint8_t elf[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    static const uint8_t xen[] = {4, 0, 0,   0,   4,   0, 0, 0, 18, 0,
                                  0, 0, 'X', 'e', 'n', 0, 0, 0, 16, 0};
    static const uint8_t jitsu[] = {6,   0,   0,   0,   4,   0, 0, 0, 1, 0, 0, 0,
                                    'J', 'i', 't', 's', 'u', 0, 0, 0, 1, 0, 0, 0};
    size_t notes = sizeof xen + (announces ? sizeof jitsu : 0);
    memset(file, 0, 512);
    memcpy(file, elf, sizeof elf);
    file[16] = 2;           /* executable */
    file[18] = 62;          /* x86-64 */
    file[20] = 1;           /* version */
    file[32] = 64;          /* program headers */
    file[52] = 64;          /* size of this header */
    file[54] = 56;          /* of a program header */
    file[56] = 2;           /* how many */
    file[64] = 1;           /* PT_LOAD */
    file[64 + 8 + 1] = 1;   /* offset 256 */
    file[64 + 24 + 2] = 16; /* physical address 1 MiB */
    file[64 + 32] = 16;     /* bytes in the file */
    file[64 + 40 + 1] = 16; /* 4096 in memory */
    file[120] = 4;          /* PT_NOTE */
    file[120 + 8] = 176;
    file[120 + 32] = (uint8_t)notes;
    file[120 + 40] = (uint8_t)notes;
    file[120 + 48] = 4;
    memcpy(file + 176, xen, sizeof xen);
    if (announces)
        memcpy(file + 176 + sizeof xen, jitsu, sizeof jitsu);
    return 512;
}

static void an_image_is_known_by_its_notes(void **state)
{
    (void)state;
    uint8_t file[512];
    struct image image;
    struct error error;
    for (unsigned announces = 0; announces < 2; announces++) {
        size_t length = make_image(file, announces);
        assert_int_equal(image_examine_bytes(file, length, "x", &image, &error), 0);
        assert_int_equal(image.kind, IMAGE_PVH);
        assert_int_equal(image.announces, announces);
        assert_int_equal(image.memory_end, 0x100000 + 4096);
    }
}

static void what_is_no_kernel_is_refused_in_words(void **state)
{
    (void)state;
    uint8_t file[512];
    struct image image;
    struct error error;
    assert_int_equal(image_examine_bytes("hello", 5, "page.html", &image, &error), -1);
    assert_non_null(strstr(error.text, "page.html"));
    make_image(file, false);
    file[176 + 8] = 17; /* another note of Xen's */
    assert_int_equal(image_examine_bytes(file, sizeof file, "x", &image, &error), -1);
    assert_non_null(strstr(error.text, "PVH"));
    assert_int_equal(image_examine("/nonexistent/image", &image, &error), -1);
    assert_non_null(strstr(error.text, "/nonexistent/image"));
}

static void an_image_that_is_cut_off_is_refused_at_every_length(void **state)
{
    (void)state;
    uint8_t file[512];
    struct image image;
    make_image(file, true);
    for (size_t length = 0; length < 256 + 16; length++) {
        uint8_t *exact = malloc(length + 1); /* so that a sanitizer sees what is read beyond */
        memcpy(exact, file, length);
        uint8_t *shrunk = realloc(exact, length ? length : 1);
        assert_int_equal(image_examine_bytes(shrunk, length, "x", &image, NULL), -1);
        free(shrunk);
    }
}

/* --- consoles --- */

struct heard {
    unsigned count[CONSOLE_WANTED + 1];
    char last[CONSOLE_LINE_MAX + 1];
};

static void hear(void *argument, enum console_event event, const char *line)
{
    struct heard *heard = argument;
    heard->count[event]++;
    strcpy(heard->last, line);
}

static void console_lines_mean_something_only_as_whole_lines(void **state)
{
    (void)state;
    static const char text[] = "jitsu: entered\r\nnot jitsu: ready\njitsu: ready please\njitsu: re"
                               "ady\njitsu: fatal: out of memory\nlogin: ";
    struct console console;
    struct heard heard = {0};
    console_begin(&console, "login:");
    for (size_t i = 0; i < sizeof text - 1; i++)
        console_feed(&console, text + i, 1, hear, &heard);
    assert_int_equal(heard.count[CONSOLE_ENTERED], 1);
    assert_int_equal(heard.count[CONSOLE_READY], 1);
    assert_int_equal(heard.count[CONSOLE_FATAL], 1);
    assert_int_equal(heard.count[CONSOLE_WANTED], 1);
    assert_int_equal(heard.count[CONSOLE_LINE], 2);
    assert_string_equal(console_last_words(&console), "out of memory");
}

static void an_endless_line_is_cut(void **state)
{
    (void)state;
    struct console console;
    struct heard heard = {0};
    console_begin(&console, NULL);
    for (unsigned i = 0; i < 10000; i++)
        console_feed(&console, "xyz", 3, hear, &heard);
    console_feed(&console, "\n", 1, hear, &heard);
    assert_int_equal(heard.count[CONSOLE_LINE], 1);
    assert_int_equal(strlen(heard.last), CONSOLE_LINE_MAX);
}

/* --- QEMU's monitor --- */

static const char ports[] =
    "Hub -1 (network):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port "
    "RecvQ SendQ\r\n"
    "  TCP[SYN_SENT]     17       127.0.0.1 40001       10.0.2.15    80     0     0\r\n"
    "  TCP[ESTABLISHED]  18       127.0.0.1 40002       10.0.2.15    81     0     0\r\n"
    "  TCP[HOST_FORWARD] 12       127.0.0.1 32927       10.0.2.15    80     0     0\r\n"
    "  TCP[HOST_FORWARD] 13       127.0.0.1 32928       10.0.2.15    81     0     0\r\n";

static void ports_and_connections_are_found_in_the_monitors_table(void **state)
{
    (void)state;
    assert_int_equal(usernet_forward(ports, 80), 32927);
    assert_int_equal(usernet_forward(ports, 81), 32928);
    assert_int_equal(usernet_forward(ports, 82), 0);
    assert_int_equal(usernet_forward("", 80), 0);
    assert_false(usernet_is_established(ports, 80));
    assert_true(usernet_is_established(ports, 81));
}

static void assert_line(const char *line, enum qmp_kind kind, const char *text)
{
    static struct qmp_line parsed;
    assert_int_equal(qmp_parse(line, strlen(line), &parsed), 0);
    assert_int_equal(parsed.kind, kind);
    assert_string_equal(parsed.text, text);
}

static void monitor_lines_are_told_apart(void **state)
{
    (void)state;
    static struct qmp_line parsed;
    assert_line("{\"QMP\": {\"version\": {}}}", QMP_GREETING, "");
    assert_line("{\"return\": {}}", QMP_ANSWER, "");
    assert_line("{\"return\": \"text\"}", QMP_ANSWER, "text");
    assert_line("{\"return\": {\"status\": \"paused\"}}", QMP_ANSWER, "paused");
    assert_line("{\"error\": {\"class\": \"x\", \"desc\": \"no\"}}", QMP_ERROR, "no");
    assert_line("{\"event\": \"STOP\", \"timestamp\": {}}", QMP_EVENT, "STOP");
    assert_int_equal(qmp_parse("[]", 2, &parsed), -1);
    assert_int_equal(qmp_parse("{\"return\"", 9, &parsed), -1);
}

/* --- records --- */

static void records_are_checked(void **state)
{
    (void)state;
    static const char good[] =
        "{\"service\":\"www.example\",\"serial\":7,\"started\":1.5,\"shutdown-timeout\":9,"
        "\"ready\":true,\"suspended\":false,\"forwards\":[[80,32927]]}";
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"service\":\"\",\"serial\":7,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[]}",
        "{\"service\":\"a\",\"serial\":-1,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[]}",
        "{\"service\":\"a\",\"serial\":1,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[[80,70000]]}",
        "{\"service\":\"a\",\"serial\":1,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[],\"token\":\"0123456789abcdef0123456789abcdeg\"}",
        "{\"service\":\"a\",\"serial\":1,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[],\"token\":\"0123\"}",
        "{\"service\":\"a\",\"serial\":1,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[],\"addresses\":[\"10.0.0\"]}",
        "{\"service\":\"a\",\"serial\":1,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[],\"addresses\":[7]}",
        "{\"service\":\"a\",\"serial\":1,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[],\"addresses\":[\"10.0.0.1\",\"fd00::1\",\"fd00::2\"]"
        "}"};
    static const char of_instance[] =
        "{\"service\":\"a\",\"serial\":1,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[],\"addresses\":[\"10.0.0.1\",\"fd00::1\"]}";
    static const char with_token[] =
        "{\"service\":\"a\",\"serial\":1,\"started\":1.5,\"shutdown-timeout\":9,\"ready\":true,"
        "\"suspended\":false,\"forwards\":[],\"token\":\"0123456789abcdef0123456789abcdef\"}";
    static const char of_libvirt[] =
        "{\"service\":\"www.example\",\"serial\":7,\"started\":1.5,"
        "\"shutdown-timeout\":10000000000,\"ready\":true,\"suspended\":true,\"forwards\":[],"
        "\"libvirt\":{\"connect\":\"qemu:///system\",\"name\":\"legacy\",\"uuid\":"
        "\"0123456789abcdef0123456789abcdef\",\"existing\":true,\"saves\":false,\"saved\":true,"
        "\"user\":64055,\"pid\":12}}";
    struct record record;
    struct error error;
    assert_int_equal(record_parse(good, sizeof good - 1, &record, &error), 0);
    assert_string_equal(record.service, "www.example");
    assert_int_equal(record.serial, 7);
    assert_true(record.ready);
    assert_int_equal(record.forward_count, 1);
    assert_int_equal(record.forwards[0].host, 32927);
    assert_int_equal(record.token[0], 0);
    assert_int_equal(record_parse(with_token, sizeof with_token - 1, &record, &error), 0);
    assert_int_equal(record.token[0], 0x01);
    assert_int_equal(record.token[15], 0xef);
    assert_int_equal(record.place.count, 0);
    assert_string_equal(record.libvirt.connect, "");
    assert_int_equal(record_parse(of_libvirt, sizeof of_libvirt - 1, &record, &error), 0);
    assert_string_equal(record.libvirt.connect, "qemu:///system");
    assert_string_equal(record.libvirt.name, "legacy");
    assert_int_equal(record.libvirt.uuid[15], 0xef);
    assert_true(record.libvirt.existing && record.libvirt.saved && !record.libvirt.saves);
    assert_int_equal(record.libvirt.user, 64055);
    assert_int_equal(record.libvirt.pid, 12);
    assert_int_equal(record_parse(of_instance, sizeof of_instance - 1, &record, &error), 0);
    assert_int_equal(record.place.count, 2);
    assert_int_equal(record.place.addresses[1].family, AF_INET6);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(record_parse(bad[i], strlen(bad[i]), &record, &error), -1);
}

/* --- the command line --- */

static void an_instance_is_told_its_label_and_has_the_mac_of_its_place(void **state)
{
    (void)state;
    static char name[] = "blog.apps.example", other_name[] = "shop.apps.example",
                cmdline[] = "%{label} of %{name}";
    static const uint8_t token[16];
    struct address address = {AF_INET, {10, 0, 0, 1}};
    struct config_places places = {1, 1, &address};
    struct config_service service = {.name = name,
                                     .cmdline = cmdline,
                                     .addresses = &address,
                                     .address_count = 1,
                                     .places = &places};
    struct config_service other = service;
    struct image image = {.announces = false};
    struct qemu_command command = {.service = &service, .image = &image, .token = token};
    uint8_t mac[MAC_SIZE], others[MAC_SIZE];
    char *line = qemu_command_kernel_line(&command);
    assert_string_equal(line, "blog of blog.apps.example");
    free(line);

    other.name = other_name;
    device_service_mac(&service, mac);
    device_service_mac(&other, others);
    assert_memory_equal(mac, others, sizeof mac);
    address.bytes[3] = 2;
    device_service_mac(&service, others);
    assert_memory_not_equal(mac, others, sizeof mac);
}

static void placeholders_are_replaced_and_announcers_get_their_arguments(void **state)
{
    (void)state;
    static char name[] = "www.example",
                cmdline[] = "a=%{name} b=%{address}/%{prefixlen} c=%{gateway}";
    static const uint8_t token[16] = {0xab};
    struct config_service service = {.name = name, .cmdline = cmdline};
    struct image image = {.announces = false};
    struct qemu_command command = {
        .service = &service, .image = &image, .token = token, .time = 1700000000};
    char *line = qemu_command_kernel_line(&command);
    assert_string_equal(line, "a=www.example b=10.0.2.15/24 c=10.0.2.2");
    free(line);
    image.announces = true;
    line = qemu_command_kernel_line(&command);
    assert_non_null(strstr(line, "ip=10.0.2.15/24 gw=10.0.2.2 name=www.example token=ab00"));
    assert_non_null(strstr(line, " time=1700000000 "));
    assert_non_null(strstr(line, "a=www.example"));
    free(line);
}

/* A service on a bridge network of both families. */
struct bridge_service {
    struct config_network network;
    struct config_service service;
    struct address addresses[3];
};

static void make_bridge_service(struct bridge_service *made)
{
    static char lan[] = "lan", br0[] = "br0", name[] = "www.example.org", path[] = "/x";
    *made = (struct bridge_service){
        .network = {.name = lan, .type = CONFIG_NETWORK_BRIDGE, .bridge = br0},
        .service = {.name = name,
                    .image = path,
                    .memory = 1 << 20,
                    .network = &made->network,
                    .addresses = made->addresses,
                    .address_count = 2}};
    prefix_parse("10.9.0.0/23", &made->network.ipv4.prefix);
    address_parse("10.9.0.1", &made->network.ipv4.gateway);
    prefix_parse("fd09::/64", &made->network.ipv6.prefix);
    address_parse("10.9.0.10", &made->addresses[0]);
    address_parse("fd09::10", &made->addresses[1]);
}

static void on_a_bridge_the_machine_is_told_its_own_addresses_and_the_port(void **state)
{
    (void)state;
    static const uint8_t token[16] = {0xab};
    static char placeholders[] = "%{address} %{prefixlen} %{gateway} %{mac}";
    struct bridge_service made;
    make_bridge_service(&made);
    struct image image = {.announces = true};
    struct qemu_command command = {.service = &made.service, .image = &image, .token = token};
    char *line = qemu_command_kernel_line(&command);
    static const char told[] = "ip=10.9.0.10/23 gw=10.9.0.1 ip6=fd09::10/64 name=www.example.org "
                               "conduit=02:cd:b4:70:2d:7d token=ab000000";
    assert_int_equal(strncmp(line, told, sizeof told - 1), 0);
    free(line);

    address_parse("fd09::1", &made.network.ipv6.gateway);
    address_parse("fd09::11", &made.addresses[0]);
    line = qemu_command_kernel_line(&command);
    static const char ipv6_alone[] = "ip6=fd09::11/64 gw=fd09::1 ip6=fd09::10/64 name=";
    assert_int_equal(strncmp(line, ipv6_alone, sizeof ipv6_alone - 1), 0);
    free(line);

    image.announces = false;
    made.service.cmdline = placeholders;
    line = qemu_command_kernel_line(&command);
    assert_string_equal(line, "fd09::11 64 fd09::1 02:db:2e:45:4d:5c");
    free(line);
    made.network.ipv6.gateway.family = 0;
    line = qemu_command_kernel_line(&command);
    assert_string_equal(line, "fd09::11 64  02:db:2e:45:4d:5c");
    free(line);
}

/* Is `text` among QEMU's arguments? */
static bool is_given(char *const *arguments, const char *text)
{
    while (*arguments && strcmp(*arguments, text) != 0)
        arguments++;
    return *arguments;
}

static const char *after(char *const *arguments, const char *text)
{
    while (strcmp(*arguments, text) != 0)
        arguments++;
    return arguments[1];
}

static void announcers_get_random_numbers_from_any_processor(void **state)
{
    (void)state;
    static char name[] = "www.example", path[] = "/x";
    static const uint8_t token[16];
    struct config_service service = {.name = name, .image = path, .memory = 1 << 20};
    struct image image = {.announces = true};
    struct qemu_command command = {
        .program = "qemu", .title = name, .service = &service, .image = &image, .token = token};
    struct error error;
    char **arguments = qemu_command_make(&command, &error);
    assert_true(is_given(arguments, "qemu64,+rdrand"));
    free(arguments);
    command.kvm = true;
    arguments = qemu_command_make(&command, &error);
    assert_true(is_given(arguments, "host"));
    free(arguments);
    image.announces = command.kvm = false;
    arguments = qemu_command_make(&command, &error);
    assert_false(is_given(arguments, "-cpu"));
    free(arguments);
}

static void on_a_bridge_the_machine_gets_the_device_that_is_passed(void **state)
{
    (void)state;
    static const uint8_t token[16];
    struct bridge_service made;
    make_bridge_service(&made);
    struct image image = {.announces = true};
    struct error error;
    struct qemu_command command = {.program = "qemu",
                                   .title = "x",
                                   .service = &made.service,
                                   .image = &image,
                                   .token = token,
                                   .tap = 7};
    char **arguments = qemu_command_make(&command, &error);
    assert_true(is_given(arguments, "tap,id=network,fd=7"));
    assert_true(is_given(arguments, "virtio-net-device,netdev=network,mac=02:db:2e:45:4d:5c"));
    free(arguments);
    address_parse("10.9.0.11", &made.addresses[1]);
    arguments = qemu_command_make(&command, &error);
    const char *kernel_line = after(arguments, "-append");
    assert_non_null(strstr(kernel_line, "ip=10.9.0.10/23 "));
    assert_non_null(strstr(kernel_line, "ip=10.9.0.11/23 "));
    free(arguments);
}

static void an_image_larger_than_the_memory_is_refused(void **state)
{
    (void)state;
    static char name[] = "www.example", path[] = "/x";
    struct config_service service = {.name = name, .image = path, .memory = 1 << 20};
    struct image image = {.memory_end = 2 << 20};
    struct qemu_command command = {
        .program = "qemu", .title = name, .service = &service, .image = &image};
    struct error error;
    assert_null(qemu_command_make(&command, &error));
    assert_non_null(strstr(error.text, "memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_known_by_its_notes),
        cmocka_unit_test(what_is_no_kernel_is_refused_in_words),
        cmocka_unit_test(an_image_that_is_cut_off_is_refused_at_every_length),
        cmocka_unit_test(console_lines_mean_something_only_as_whole_lines),
        cmocka_unit_test(an_endless_line_is_cut),
        cmocka_unit_test(ports_and_connections_are_found_in_the_monitors_table),
        cmocka_unit_test(monitor_lines_are_told_apart),
        cmocka_unit_test(records_are_checked),
        cmocka_unit_test(placeholders_are_replaced_and_announcers_get_their_arguments),
        cmocka_unit_test(an_instance_is_told_its_label_and_has_the_mac_of_its_place),
        cmocka_unit_test(on_a_bridge_the_machine_is_told_its_own_addresses_and_the_port),
        cmocka_unit_test(on_a_bridge_the_machine_gets_the_device_that_is_passed),
        cmocka_unit_test(announcers_get_random_numbers_from_any_processor),
        cmocka_unit_test(an_image_larger_than_the_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
