/* Descriptions of domains: what libvirt is asked for, whatever the configuration's texts hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "keeper/libvirt/xml.h"

static char name[] = "www.example.org", image_path[] = "/images/<a>&'b'.elf", ramdisk[] = "/r",
            lan_name[] = "lan", bridge[] = "br0", template_path[] = "/d.xml";
static struct config_network lan = {
    .name = lan_name, .type = CONFIG_NETWORK_BRIDGE, .bridge = bridge};
static struct address address = {.family = 2, .bytes = {10, 0, 0, 10}};
static const uint8_t uuid[16] = {0, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15};
static const char uuid_text[] = "00010203-0405-4607-8809-0a0b0c0d0e0f";

static struct config_service service_with_image(void)
{
    return (struct config_service){.name = name,
                                   .image = image_path,
                                   .ramdisk = ramdisk,
                                   .network = &lan,
                                   .addresses = &address,
                                   .address_count = 1,
                                   .vcpus = 2,
                                   .memory = 16 << 20};
}

static struct libvirt_xml wanted_of(const struct config_service *service, const struct image *image)
{
    return (struct libvirt_xml){.uri = "qemu:///system",
                                .name = "jitsu-www.example.org",
                                .uuid = uuid,
                                .service = service,
                                .image = image,
                                .kernel_line = "motd=\"<&>\"",
                                .console = "/run/console.sock",
                                .device = "jm-1"};
}

static void expect(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no %s in %s", part, text);
}

static char *make(const struct libvirt_xml *wanted)
{
    struct error error = {""};
    char *text = libvirt_xml_make(wanted, &error);
    assert_string_equal(error.text, "");
    assert_non_null(text);
    return text;
}

static void a_unikernel_gets_the_smallest_machine(void **state)
{
    (void)state;
    struct config_service service = service_with_image();
    struct image image = {.kind = IMAGE_PVH, .announces = true};
    struct libvirt_xml wanted = wanted_of(&service, &image);
    char *text = make(&wanted);
    expect(text, "<domain type=\"qemu\">");
    expect(text, "<name>jitsu-www.example.org</name>");
    expect(text, uuid_text);
    expect(text, "<memory unit=\"b\">16777216</memory><vcpu>2</vcpu>");
    expect(text, "<type machine=\"microvm\" arch=\"x86_64\">hvm</type>");
    expect(text, "<initrd>/r</initrd>");
    expect(text, "<feature policy=\"require\" name=\"rdrand\"/>");
    expect(text, "<controller type=\"usb\" model=\"none\"/><memballoon model=\"none\"/>");
    expect(text, "<source bridge=\"br0\"/><target dev=\"jm-1\"/>");
    expect(text, "<source mode=\"connect\" path=\"/run/console.sock\">");
    assert_null(strstr(text, "acpi"));
    free(text);
}

static void texts_of_the_configuration_stay_texts(void **state)
{
    (void)state;
    struct config_service service = service_with_image();
    struct image image = {.kind = IMAGE_PVH};
    struct libvirt_xml wanted = wanted_of(&service, &image);
    char *text = make(&wanted);
    expect(text, "<kernel>/images/&lt;a&gt;&amp;'b'.elf</kernel>");
    expect(text, "<cmdline>motd=\"&lt;&amp;&gt;\"</cmdline>");
    free(text);
}

static void linux_finds_its_devices_by_acpi(void **state)
{
    (void)state;
    struct config_service service = service_with_image();
    struct image image = {.kind = IMAGE_LINUX};
    struct libvirt_xml wanted = wanted_of(&service, &image);
    char *text = make(&wanted);
    expect(text, "<features><acpi/></features>");
    free(text);
}

static void kvm_is_asked_for_where_it_was_proven(void **state)
{
    (void)state;
    struct config_service service = service_with_image();
    struct image image = {.kind = IMAGE_PVH, .announces = true};
    struct libvirt_xml wanted = wanted_of(&service, &image);
    wanted.kvm = true;
    char *text = make(&wanted);
    expect(text, "<domain type=\"kvm\">");
    expect(text, "<cpu mode=\"host-passthrough\"/>");
    free(text);
}

static void disks_alone_are_booted_by_a_pc(void **state)
{
    (void)state;
    static char raw[] = "/dev/vg/a", qcow2[] = "/b.qcow2";
    static struct config_disk disks[] = {{.path = raw, .format = CONFIG_DISK_RAW},
                                         {qcow2, CONFIG_DISK_QCOW2, true}};
    static const bool is_block[] = {true, false};
    struct config_service service = service_with_image();
    service.image = service.ramdisk = NULL;
    service.disks = disks;
    service.disk_count = 2;
    struct libvirt_xml wanted = wanted_of(&service, NULL);
    wanted.disk_is_block = is_block;
    char *text = make(&wanted);
    expect(text, "<disk type=\"block\" device=\"disk\"><driver type=\"raw\" name=\"qemu\"/>"
                 "<source dev=\"/dev/vg/a\"/><target dev=\"vda\" bus=\"virtio\"/></disk>");
    expect(text,
           "<source file=\"/b.qcow2\"/><target dev=\"vdb\" bus=\"virtio\"/><readonly/></disk>");
    expect(text, "<boot dev=\"hd\"/>");
    assert_null(strstr(text, "microvm"));
    assert_null(strstr(text, "<cmdline>"));
    free(text);
}

static void other_hypervisors_get_their_own_types(void **state)
{
    (void)state;
    struct config_service service = service_with_image();
    struct image image = {.kind = IMAGE_PVH};
    struct libvirt_xml wanted = wanted_of(&service, &image);
    wanted.console = wanted.device = NULL;
    wanted.uri = "test:///default";
    char *text = make(&wanted);
    expect(text, "<domain type=\"test\">");
    free(text);
    wanted.uri = "xen+ssh://host/";
    text = make(&wanted);
    expect(text, "<domain type=\"xen\">");
    expect(text, "xenpvh");
    free(text);
}

/* --- templates --- */

static char *fill(const char *template, struct error *error)
{
    struct config_service service = service_with_image();
    struct image image = {.kind = IMAGE_PVH};
    service.domain_xml = template_path;
    struct libvirt_xml wanted = wanted_of(&service, &image);
    return libvirt_xml_fill(&wanted, template, error);
}

static void a_template_is_filled_in_and_escaped(void **state)
{
    (void)state;
    struct error error = {""};
    char *text = fill("<domain type='kvm'><name>x</name><uuid>1</uuid><title>%{name}</title>"
                      "<a b='%{cmdline}' c=\"%{image}\">%{memory} %{vcpus} 5%</a></domain>",
                      &error);
    assert_string_equal(error.text, "");
    expect(text, "<title>www.example.org</title>");
    expect(text, "<a b=\"motd=&quot;&lt;&amp;&gt;&quot;\" c=\"/images/&lt;a&gt;&amp;'b'.elf\">"
                 "16384 2 5%</a>");
    expect(text, "<name>jitsu-www.example.org</name>");
    expect(text, uuid_text);
    assert_null(strstr(text, "<name>x</name>"));
    free(text);
}

static void a_faulty_template_is_refused_with_its_reason(void **state)
{
    (void)state;
    struct error error;
    assert_null(fill("<domain>%{nmae}</domain>", &error));
    assert_string_equal(error.text, "/d.xml: unknown placeholder at '%{nmae}</domain>'");
    assert_null(fill("<domain>\n<a></domain>", &error));
    expect(error.text, "/d.xml:2: not well-formed XML: ");
    assert_null(fill("<network/>", &error));
    assert_string_equal(error.text, "/d.xml: its root element is <network>; expected <domain>");
    assert_null(fill("", &error));
    expect(error.text, "not well-formed");
}

/* --- what runs --- */

static void the_device_is_that_of_the_interface_with_the_mac_address(void **state)
{
    (void)state;
    static const uint8_t mac[MAC_SIZE] = {0x52, 0x54, 0, 0xab, 0, 1};
    static const char description[] =
        "<domain><devices><disk><target dev='vda'/></disk>"
        "<interface><mac address='52:54:00:ab:00:02'/><target dev='vnet0'/></interface>"
        "<interface><mac address='52:54:00:AB:00:01'/><target dev='vnet1'/></interface>"
        "</devices></domain>";
    char device[IF_NAMESIZE] = "x";
    libvirt_xml_find_device(description, mac, device);
    assert_string_equal(device, "vnet1");
    libvirt_xml_find_device(
        "<domain><devices><interface><mac address='52:54:00:ab:00:01'/>"
        "<target dev='a-name-that-is-too-long'/></interface></devices></domain>",
        mac, device);
    assert_string_equal(device, "");
    libvirt_xml_find_device("<domain", mac, device);
    assert_string_equal(device, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unikernel_gets_the_smallest_machine),
        cmocka_unit_test(texts_of_the_configuration_stay_texts),
        cmocka_unit_test(linux_finds_its_devices_by_acpi),
        cmocka_unit_test(kvm_is_asked_for_where_it_was_proven),
        cmocka_unit_test(disks_alone_are_booted_by_a_pc),
        cmocka_unit_test(other_hypervisors_get_their_own_types),
        cmocka_unit_test(a_template_is_filled_in_and_escaped),
        cmocka_unit_test(a_faulty_template_is_refused_with_its_reason),
        cmocka_unit_test(the_device_is_that_of_the_interface_with_the_mac_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
