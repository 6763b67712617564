/* Bridge networks in the configuration, and the addresses of services on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "config/config.h"

static void print(void *argument, const char *text)
{
    (void)argument;
    print_error("%s\n", text);
}

static void keep(void *argument, const char *text)
{
    snprintf(argument, ERROR_TEXT_SIZE, "%s", text);
}

static struct config *parse(const char *text)
{
    struct config *config = config_parse(text, strlen(text), "/jitsud.yaml", print, NULL);
    assert_non_null(config);
    return config;
}

/* The configuration with those networks, one of which is `lan`, and those services. */
static const char *file_of(const char *networks, const char *services)
{
    static char text[65536];
    snprintf(text, sizeof text, "networks:\n%szones: [{name: example.org}]\nservices:\n%s",
             networks, services);
    return text;
}

static void assert_address(const struct address *address, const char *expected)
{
    char text[ADDRESS_TEXT_SIZE];
    assert_string_equal(address_format(address, text), expected);
}

static void a_bridge_network_has_one_prefix_of_each_kind(void **state)
{
    (void)state;
    char text[PREFIX_TEXT_SIZE];
    struct config *config = parse(file_of(
        "  - {name: lan, type: bridge, bridge: br0, create: yes, prefix: [\"fd00::/64\", "
        "10.0.0.0/24],"
        " gateway: [10.0.0.1, \"fd00::1\"], port-address: 10.0.0.2, hold: handoff}\n"
        "  - {name: dmz, type: bridge, bridge: br1, prefix: 10.1.0.0/24}\n",
        "  - {name: a.example.org, network: lan, image: k, address: [10.0.0.3, \"fd00::3\"]}\n"));
    const struct config_network *lan = &config->networks[0], *dmz = &config->networks[1];
    assert_int_equal(lan->type, CONFIG_NETWORK_BRIDGE);
    assert_string_equal(lan->bridge, "br0");
    assert_true(lan->create);
    assert_string_equal(prefix_format(&lan->ipv4.prefix, text), "10.0.0.0/24");
    assert_string_equal(prefix_format(&lan->ipv6.prefix, text), "fd00::/64");
    assert_address(&lan->ipv4.gateway, "10.0.0.1");
    assert_address(&lan->ipv6.gateway, "fd00::1");
    assert_address(&lan->port_address, "10.0.0.2");
    assert_int_equal(lan->hold, CONFIG_HOLD_HANDOFF);
    assert_int_equal(dmz->hold, CONFIG_HOLD_DELAY);
    assert_false(dmz->create);
    assert_int_equal(dmz->ipv4.gateway.family, 0);
    assert_int_equal(dmz->ipv6.prefix.address.family, 0);
    assert_int_equal(config->services[0].hold, CONFIG_HOLD_HANDOFF);
    const struct address *addresses = config->services[0].addresses;
    assert_ptr_equal(config_network_subnet(lan, &addresses[0]), &lan->ipv4);
    assert_ptr_equal(config_network_subnet(lan, &addresses[1]), &lan->ipv6);
    config_free(config);
}

static const char both_kinds[] =
    "  - {name: lan, type: bridge, bridge: br0, prefix: [10.0.0.0/16, \"fd00::/64\"]}\n";

static void an_address_that_is_left_out_is_chosen_by_the_name(void **state)
{
    (void)state;
    struct config *config = parse(file_of(both_kinds, "  - {name: a.example.org, image: k}\n"
                                                      "  - {name: b.example.org, image: k}\n"));
    const struct config_service *service = &config->services[0];
    assert_int_equal(service->address_count, 2);
    assert_address(&service->addresses[0], "10.0.105.175");
    assert_address(&service->addresses[1], "fd00::e6f0:75b:4366:69af");
    struct config *other = parse(file_of(both_kinds, "  - {name: c.example.org, image: k}\n"
                                                     "  - {name: a.example.org, image: k}\n"));
    assert_true(address_equal(&other->services[1].addresses[0], &service->addresses[0]));
    assert_true(address_equal(&other->services[1].addresses[1], &service->addresses[1]));
    assert_true(config_service_same_machine(&other->services[1], service));
    config_free(config);
    config_free(other);
}

static void an_address_that_is_given_is_not_chosen_for_another(void **state)
{
    (void)state;
    struct config *config =
        parse(file_of(both_kinds, "  - {name: a.example.org, image: k}\n"
                                  "  - {name: b.example.org, image: k, address: 10.0.105.175}\n"));
    const struct config_service *services = config->services;
    assert_int_equal(services[1].address_count, 1);
    assert_false(address_equal(&services[0].addresses[0], &services[1].addresses[0]));
    config_free(config);
}

/* Services s0, s1 and so on, without addresses. */
static const char *many(unsigned count)
{
    static char text[16384];
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "  - {name: s%u.example.org, image: k}\n", i);
    return text;
}

static void a_prefix_is_used_to_the_last_address_and_no_further(void **state)
{
    (void)state;
    char fault[ERROR_TEXT_SIZE] = "";
    static const char network[] = "  - {name: lan, type: bridge, bridge: br0, prefix: 10.0.0.0/25, "
                                  "gateway: 10.0.0.7, port-address: 10.0.0.8}\n";
    bool used[128] = {[0] = true, [7] = true, [8] = true, [127] = true};
    struct config *config = parse(file_of(network, many(124)));
    for (size_t i = 0; i < config->service_count; i++) {
        const struct address *address = &config->services[i].addresses[0];
        assert_int_equal(config->services[i].address_count, 1);
        assert_true(prefix_contains(&config->networks[0].ipv4.prefix, address));
        assert_false(used[address->bytes[3]]);
        used[address->bytes[3]] = true;
    }
    config_free(config);
    const char *text = file_of(network, many(125));
    assert_null(config_parse(text, strlen(text), "t", keep, fault));
    assert_non_null(strstr(fault, "network 'lan' has no address left in 10.0.0.0/25"));
}

static void what_a_machine_is_told_of_its_network_decides_whether_it_stays(void **state)
{
    (void)state;
    static const char *const networks[] = {
        "{name: lan, type: bridge, bridge: br0, prefix: 10.0.0.0/24, gateway: 10.0.0.1}",
        "{name: lan, type: bridge, bridge: br1, prefix: 10.0.0.0/24, gateway: 10.0.0.1}",
        "{name: lan, type: bridge, bridge: br0, prefix: 10.0.0.0/25, gateway: 10.0.0.1}",
        "{name: lan, type: bridge, bridge: br0, prefix: 10.0.0.0/24, gateway: 10.0.0.2}",
        ("{name: lan, type: bridge, bridge: br0, prefix: [10.0.0.0/24, \"fd00::/64\"],"
         " gateway: 10.0.0.1}"),
        "{name: dmz, type: bridge, bridge: br0, prefix: 10.0.0.0/24, gateway: 10.0.0.1}",
    };
    static const char service[] = "  - {name: a.example.org, image: k, address: 10.0.0.3}\n";
    struct config *configs[7];
    for (size_t i = 0; i < 6; i++) {
        char network[256];
        snprintf(network, sizeof network, "  - %s\n", networks[i]);
        configs[i] = parse(file_of(network, service));
    }
    /* How packets are held, and who makes the bridge, is nothing to the machine. */
    configs[6] = parse(file_of("  - {name: lan, type: bridge, bridge: br0, prefix: 10.0.0.0/24, "
                               "gateway: 10.0.0.1, create: yes, hold: handoff}\n",
                               service));
    for (size_t i = 1; i < 6; i++)
        if (config_service_same_machine(configs[0]->services, configs[i]->services))
            fail_msg("'%s' does not restart the machine", networks[i]);
    assert_true(config_service_same_machine(configs[0]->services, configs[6]->services));
    for (size_t i = 0; i < 7; i++)
        config_free(configs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bridge_network_has_one_prefix_of_each_kind),
        cmocka_unit_test(an_address_that_is_left_out_is_chosen_by_the_name),
        cmocka_unit_test(an_address_that_is_given_is_not_chosen_for_another),
        cmocka_unit_test(a_prefix_is_used_to_the_last_address_and_no_further),
        cmocka_unit_test(what_a_machine_is_told_of_its_network_decides_whether_it_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
