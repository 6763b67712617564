/* Bridges and TAP devices as the keeper makes them, in a network namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <linux/if_bridge.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keeper/bridges.h"
#include "keeper/device_name.h"
#include "keeper/netlink.h"
#include "keeper/tap.h"

#define RUN_DIRECTORY "/run/jitsu"
#define ETHERTYPE     0x88b5
#define PATIENCE      10000 /* milliseconds */

static char lan[] = "lan", br0[] = "br0", br1[] = "br1", www[] = "www.example.org",
            wiki[] = "wiki.example.org";

static struct config_network network_on(char *bridge, bool create)
{
    return (struct config_network){
        .name = lan, .type = CONFIG_NETWORK_BRIDGE, .bridge = bridge, .create = create};
}

static struct config_service service_on(char *name, const struct config_network *network)
{
    return (struct config_service){.name = name, .network = network};
}

/* --- names and addresses, which must never change --- */

static const char *machine_mac(const char *network, const char *service, char text[MAC_TEXT_SIZE])
{
    uint8_t mac[MAC_SIZE];
    device_machine_mac(network, service, mac);
    assert_int_equal(mac[0], 2);
    return mac_format(mac, text);
}

static void names_and_addresses_are_the_same_for_ever(void **state)
{
    (void)state;
    char text[MAC_TEXT_SIZE], name[IF_NAMESIZE];
    uint8_t mac[MAC_SIZE];
    assert_string_equal(machine_mac(lan, www, text), "02:db:2e:45:4d:5c");
    device_port_mac(lan, mac);
    assert_string_equal(mac_format(mac, text), "02:cd:b4:70:2d:7d");
    device_machine_name(RUN_DIRECTORY, www, name);
    assert_string_equal(name, "jm-16e007fce60b");
    device_port_name(RUN_DIRECTORY, lan, name);
    assert_string_equal(name, "jp-373ca2aa2bd7");
}

static void every_name_has_its_own_address_and_device(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static char macs[COUNT][MAC_TEXT_SIZE], devices[COUNT][IF_NAMESIZE];
    for (int i = 0; i < COUNT; i++) {
        char service[32];
        snprintf(service, sizeof service, "s%d.example.org", i / 2);
        machine_mac(i % 2 ? "lan" : "dmz", service, macs[i]);
        device_machine_name(i % 2 ? "/run/a" : "/run/b", service, devices[i]);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(macs[i], macs[j]);
            assert_string_not_equal(devices[i], devices[j]);
        }
    }
}

static void a_bridge_prefers_hardware_then_the_port_then_machines(void **state)
{
    (void)state;
    uint8_t port[MAC_SIZE], machine[MAC_SIZE];
    device_port_host_mac(lan, port);
    device_machine_host_mac(lan, www, machine);
    assert_true(port[0] < machine[0] && port[0] > 0xf0);
    assert_int_equal(port[0] & 3, 2); /* locally administered, of one station */
    assert_int_equal(machine[0] & 3, 2);
}

/* --- what there is --- */

static struct netlink *kernel(void)
{
    static struct netlink *netlink;
    struct error error;
    if (!netlink)
        netlink = netlink_open(&error);
    assert_non_null(netlink);
    return netlink;
}

static bool exists(const char *name, struct netlink_device *device)
{
    struct error error;
    int found = netlink_find(kernel(), name, device, &error);
    if (found == -1)
        fail_msg("%s", error.text);
    return found;
}

static bool is_there(const char *name)
{
    struct netlink_device device;
    return exists(name, &device);
}

static void host_mac_of(const char *name, char text[MAC_TEXT_SIZE])
{
    struct ifreq request = {0};
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    assert_int_equal(ioctl(any, SIOCGIFHWADDR, &request), 0);
    close(any);
    mac_format((const uint8_t *)request.ifr_hwaddr.sa_data, text);
}

static bool has_address(const char *device, const char *text)
{
    struct ifaddrs *all;
    bool found = false;
    struct endpoint endpoint;
    struct address address;
    assert_int_equal(address_parse(text, &address), 0);
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *one = all; one; one = one->ifa_next)
        found |= strcmp(one->ifa_name, device) == 0 && one->ifa_addr &&
                 endpoint_from_sockaddr(one->ifa_addr, &endpoint) == 0 &&
                 address_equal(&endpoint.address, &address);
    freeifaddrs(all);
    return found;
}

static void make_foreign_bridge(const char *name, bool up)
{
    static const uint8_t mac[MAC_SIZE] = {0x52, 0x54, 0, 0, 0, 1};
    struct error error;
    struct netlink_device bridge;
    struct netlink_change change = {.up = up, .mtu = 1600};
    assert_int_equal(netlink_create_bridge(kernel(), name, mac, "somebody's", &error), 0);
    assert_true(exists(name, &bridge));
    assert_int_equal(netlink_change(kernel(), bridge.index, name, &change, &error), 0);
}

static void remove_device(const char *name)
{
    struct error error;
    struct netlink_device device;
    if (exists(name, &device))
        assert_int_equal(netlink_delete(kernel(), device.index, name, &error), 0);
}

static int new_bridges(void **state)
{
    *state = bridges_new(RUN_DIRECTORY);
    return *state ? 0 : -1;
}

static int free_bridges(void **state)
{
    bridges_free(*state);
    remove_device(br0);
    remove_device(br1);
    return 0;
}

/* --- bridges --- */

static void a_bridge_is_made_with_its_addresses_and_removed_at_the_end(void **state)
{
    struct bridges *bridges = *state;
    struct config_network network = network_on(br0, true);
    struct config config = {.networks = &network, .network_count = 1};
    struct netlink_device bridge;
    prefix_parse("10.9.0.0/24", &network.ipv4.prefix);
    address_parse("10.9.0.1", &network.ipv4.gateway);
    prefix_parse("fd09::/64", &network.ipv6.prefix);
    address_parse("fd09::1", &network.ipv6.gateway);
    bridges_prepare(bridges, &config);
    bridges_prepare(bridges, &config); /* as at every start */
    assert_true(exists(br0, &bridge));
    assert_string_equal(bridge.kind, "bridge");
    assert_true(bridge.up);
    assert_non_null(strstr(bridge.alias, "network lan: bridge"));
    assert_true(has_address(br0, "10.9.0.1"));
    assert_true(has_address(br0, "fd09::1"));
    bridges_remove(bridges);
    assert_false(is_there(br0));
}

static void what_a_crashed_jitsud_made_goes_when_it_is_not_configured_any_more(void **state)
{
    struct config_network network = network_on(br0, true);
    struct config config = {.networks = &network, .network_count = 1};
    bridges_prepare(*state, &config);
    struct bridges *next = bridges_new(RUN_DIRECTORY), *other = bridges_new("/run/other");
    network = network_on(br1, true);
    bridges_prepare(other, &config);
    assert_true(is_there(br0)); /* that one is not another jitsud's to remove */
    bridges_remove(other);
    assert_false(is_there(br1));
    bridges_prepare(next, &config);
    assert_false(is_there(br0));
    assert_true(is_there(br1));
    bridges_free(next);
    bridges_free(other);
}

static void a_bridge_of_somebody_else_s_is_used_as_it_is(void **state)
{
    struct config_network network = network_on(br0, true);
    struct config config = {.networks = &network, .network_count = 1};
    prefix_parse("10.9.0.0/24", &network.ipv4.prefix);
    address_parse("10.9.0.1", &network.ipv4.gateway);
    make_foreign_bridge(br0, true);
    bridges_prepare(*state, &config);
    assert_false(has_address(br0, "10.9.0.1"));
    bridges_remove(*state);
    assert_true(is_there(br0));
}

static void a_bridge_stays_while_a_machine_is_attached(void **state)
{
    struct config_network network = network_on(br0, true);
    struct config_service service = service_on(www, &network);
    struct error error;
    char device[IF_NAMESIZE];
    int port = bridges_open_port(*state, &network, &error);
    int tap = bridges_open_machine(*state, &service, www, device, &error);
    assert_int_equal(bridges_attach(*state, &network, device, &error), 0);
    bridges_remove(*state);
    assert_true(is_there(br0));
    close(tap);
    bridges_remove(*state);
    assert_false(is_there(br0));
    close(port);
}

/* --- devices --- */

/* A frame that any station gets, and that says `what`. */
static void send_frame(int tap, bool virtio_header, uint8_t what)
{
    uint8_t bytes[sizeof(struct virtio_net_hdr) + 60] = {0};
    uint8_t *frame = bytes + (virtio_header ? sizeof(struct virtio_net_hdr) : 0);
    memset(frame, 0xff, MAC_SIZE);
    frame[MAC_SIZE] = 2;
    frame[MAC_SIZE + 5] = what;
    frame[12] = ETHERTYPE >> 8;
    frame[13] = ETHERTYPE & 255;
    frame[14] = what;
    size_t length = (size_t)(frame - bytes) + 60;
    assert_int_equal(write(tap, bytes, length), length);
}

/* What the next such frame says; the kernel's own frames are passed over, but may not be the
 * device's. */
static uint8_t next_frame(int tap, bool virtio_header)
{
    uint8_t bytes[2048];
    size_t header = virtio_header ? sizeof(struct virtio_net_hdr) : 0;
    for (;;) {
        struct pollfd readable = {.fd = tap, .events = POLLIN};
        assert_int_equal(poll(&readable, 1, PATIENCE), 1);
        ssize_t length = read(tap, bytes, sizeof bytes);
        assert_true(length >= (ssize_t)header + 14);
        const uint8_t *frame = bytes + header;
        assert_int_not_equal(frame[MAC_SIZE], 0xfe);
        assert_int_not_equal(frame[MAC_SIZE], 0xfa);
        if (frame[12] == ETHERTYPE >> 8 && frame[13] == (ETHERTYPE & 255))
            return frame[14];
    }
}

static void frames_pass_between_port_and_machines_once_these_are_attached(void **state)
{
    struct config_network network = network_on(br0, false);
    struct config_service first = service_on(www, &network), second = service_on(wiki, &network);
    struct error error;
    struct netlink_device device;
    char one_name[IF_NAMESIZE], two_name[IF_NAMESIZE];
    make_foreign_bridge(br0, true);
    int port = bridges_open_port(*state, &network, &error);
    int one = bridges_open_machine(*state, &first, www, one_name, &error);
    int two = bridges_open_machine(*state, &second, "+spare-1", two_name, &error);
    assert_true(port != -1 && one != -1 && two != -1);
    assert_true(exists(one_name, &device));
    assert_int_equal(device.bridge, 0);
    assert_false(device.up);
    assert_int_equal(device.mtu, 1600); /* the bridge's */
    assert_non_null(strstr(device.alias, "machine of www.example.org"));

    assert_int_equal(bridges_attach(*state, &network, one_name, &error), 0);
    send_frame(port, false, 1);
    assert_int_equal(next_frame(one, true), 1);
    assert_int_equal(bridges_attach(*state, &network, two_name, &error), 0);
    send_frame(port, false, 2);
    assert_int_equal(next_frame(one, true), 2);
    assert_int_equal(next_frame(two, true), 2); /* not 1, which came too early */
    send_frame(two, true, 3);
    assert_int_equal(next_frame(one, true), 3);
    assert_int_equal(next_frame(port, false), 3);
    close(one);
    close(two);
    close(port);
    assert_false(is_there(one_name));
    assert_false(is_there(two_name));
}

static void a_suspended_machine_s_device_gets_nothing(void **state)
{
    struct config_network network = network_on(br0, false);
    struct config_service service = service_on(www, &network);
    struct error error;
    char name[IF_NAMESIZE], found[IF_NAMESIZE];
    make_foreign_bridge(br0, true);
    int port = bridges_open_port(*state, &network, &error);
    int tap = bridges_open_machine(*state, &service, www, name, &error);
    assert_int_equal(bridges_attach(*state, &network, name, &error), 0);
    bridges_find_machine(*state, www, found);
    assert_string_equal(found, name);
    bridges_find_machine(*state, wiki, found);
    assert_string_equal(found, "");

    assert_int_equal(bridges_pause(*state, name, &error), 0);
    send_frame(port, false, 1);
    assert_int_equal(bridges_resume(*state, name, &error), 0);
    send_frame(port, false, 2);
    assert_int_equal(next_frame(tap, true), 2);
    close(tap);
    assert_int_equal(bridges_resume(*state, name, &error), -1);
    assert_non_null(strstr(error.text, name));
    close(port);
}

static void a_port_that_is_still_held_is_replaced_but_nobody_else_s_device(void **state)
{
    struct config_network network = network_on(br0, true);
    struct error error;
    char name[IF_NAMESIZE], byte[2048];
    device_port_name(RUN_DIRECTORY, lan, name);
    int stranger = tap_open(name, false, &error);
    assert_int_not_equal(stranger, -1);
    assert_int_equal(bridges_open_port(*state, &network, &error), -1);
    assert_non_null(strstr(error.text, name));
    close(stranger);

    int earlier = bridges_open_port(*state, &network, &error);
    int port = bridges_open_port(*state, &network, &error);
    assert_true(earlier != -1 && port != -1);
    assert_int_equal(read(earlier, byte, sizeof byte), -1);
    assert_int_not_equal(errno, EAGAIN);
    send_frame(port, false, 1);
    close(earlier);
    assert_true(is_there(name));
    close(port);
    assert_false(is_there(name));
}

static void the_address_of_an_empty_bridge_stays_when_machines_come(void **state)
{
    struct config_network network = network_on(br0, true);
    struct error error;
    char name[IF_NAMESIZE], before[MAC_TEXT_SIZE], after[MAC_TEXT_SIZE];
    int taps[8], any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    /* One without an address of its own, as `brctl addbr` makes it. */
    assert_int_equal(ioctl(any, SIOCBRADDBR, br0), 0);
    close(any);
    int port = bridges_open_port(*state, &network, &error);
    host_mac_of(br0, before);
    for (int i = 0; i < 8; i++) {
        char service[16];
        snprintf(service, sizeof service, "s%d", i);
        struct config_service one = service_on(service, &network);
        taps[i] = bridges_open_machine(*state, &one, service, name, &error);
        assert_int_equal(bridges_attach(*state, &network, name, &error), 0);
        host_mac_of(br0, after);
        assert_string_equal(after, before);
    }
    for (int i = 0; i < 8; i++)
        close(taps[i]);
    close(port);
}

/* --- checking --- */

static void assert_problem(const struct config_network *network, const char *text)
{
    struct error error = {""};
    assert_int_equal(bridges_check(network, &error), -1);
    if (!strstr(error.text, text))
        fail_msg("'%s' is not in '%s'", text, error.text);
}

static void set_spanning_tree(const char *bridge)
{
    unsigned long arguments[4] = {BRCTL_SET_BRIDGE_STP_STATE, 1};
    struct ifreq request = {.ifr_data = (char *)arguments};
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", bridge);
    assert_int_equal(ioctl(any, SIOCDEVPRIVATE, &request), 0);
    close(any);
}

static void change_privileges(struct __user_cap_data_struct data[2], bool give)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    if (!give)
        assert_int_equal(syscall(SYS_capget, &header, data), 0);
    struct __user_cap_data_struct changed[2] = {data[0], data[1]};
    if (!give)
        changed[0].effective &= ~(1u << CAP_NET_ADMIN);
    assert_int_equal(syscall(SYS_capset, &header, changed), 0);
}

static void a_check_tells_why_a_bridge_network_cannot_work(void **state)
{
    struct __user_cap_data_struct privileges[2];
    struct netlink_device bridge;
    struct config_network network = network_on(br0, false), loopback = network_on(br1, false);
    struct config_service service = service_on(www, &network);
    struct error error;
    char name[IF_NAMESIZE], lo[] = "lo";
    loopback.bridge = lo;
    assert_problem(&network, "there is no bridge br0: ip link add br0 type bridge");
    assert_problem(&loopback, "lo is not a bridge");
    network.create = true;
    assert_int_equal(bridges_check(&network, &error), 0);
    make_foreign_bridge(br0, false);
    assert_problem(&network, "bridge br0 is down: ip link set br0 up");
    remove_device(br0);
    make_foreign_bridge(br0, true);
    assert_int_equal(bridges_check(&network, &error), 0);
    change_privileges(privileges, false);
    assert_problem(&network, "started as root");
    assert_int_equal(bridges_open_machine(*state, &service, www, name, &error), -1);
    assert_non_null(strstr(error.text, "CAP_NET_ADMIN"));
    change_privileges(privileges, true);
    assert_true(exists(br0, &bridge));
    struct netlink_change narrow = {.mtu = 1400}, wide = {.mtu = 1500};
    assert_int_equal(netlink_change(kernel(), bridge.index, br0, &narrow, &error), 0);
    assert_problem(&network, "1400 bytes a packet");
    assert_int_equal(netlink_change(kernel(), bridge.index, br0, &wide, &error), 0);
    set_spanning_tree(br0);
    assert_problem(&network, "for its first 30 s");
}

static bool enter_network(void)
{
    struct error error;
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    int tap = tap_open("test", false, &error);
    if (tap == -1)
        return false;
    close(tap);
    return true;
}

#define with_bridges(test) cmocka_unit_test_setup_teardown(test, new_bridges, free_bridges)

int main(void)
{
    const struct CMUnitTest names[] = {
        cmocka_unit_test(names_and_addresses_are_the_same_for_ever),
        cmocka_unit_test(every_name_has_its_own_address_and_device),
        cmocka_unit_test(a_bridge_prefers_hardware_then_the_port_then_machines),
    };
    const struct CMUnitTest devices[] = {
        with_bridges(a_bridge_is_made_with_its_addresses_and_removed_at_the_end),
        with_bridges(what_a_crashed_jitsud_made_goes_when_it_is_not_configured_any_more),
        with_bridges(a_bridge_of_somebody_else_s_is_used_as_it_is),
        with_bridges(a_bridge_stays_while_a_machine_is_attached),
        with_bridges(frames_pass_between_port_and_machines_once_these_are_attached),
        with_bridges(a_suspended_machine_s_device_gets_nothing),
        with_bridges(a_port_that_is_still_held_is_replaced_but_nobody_else_s_device),
        with_bridges(the_address_of_an_empty_bridge_stays_when_machines_come),
        with_bridges(a_check_tells_why_a_bridge_network_cannot_work),
    };
    if (cmocka_run_group_tests(names, NULL, NULL) != 0)
        return 1;
    if (!enter_network()) {
        puts("1..0 # SKIP no network namespaces or no TAP devices here");
        return 77;
    }
    int failed = cmocka_run_group_tests(devices, NULL, NULL);
    netlink_close(kernel());
    return failed;
}
