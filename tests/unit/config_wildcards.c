/* Wildcards in the configuration: the places of their instances, and what an instance is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

static void print(void *argument, const char *text)
{
    (void)argument;
    print_error("%s\n", text);
}

static struct config *parse(const char *networks, const char *services)
{
    static char text[8192];
    int length = snprintf(text, sizeof text,
                          "server: {listen: [127.5.0.3@53], metrics: 127.5.0.4@80}\nnetworks:\n%s"
                          "zones: [{name: example.org}]\nservices:\n%s",
                          networks, services);
    struct config *config = config_parse(text, (size_t)length, "/jitsud.yaml", print, NULL);
    assert_non_null(config);
    return config;
}

#define LAN                                                                                        \
    "  - {name: lan, type: bridge, bridge: br0, prefix: [10.0.0.0/28, \"fd00::/64\"],"             \
    " gateway: 10.0.0.1, port-address: 10.0.0.2}\n"
#define USER "  - {name: user, type: user}\n"

static bool has(const struct config_places *places, const char *text)
{
    struct address address;
    assert_int_equal(address_parse(text, &address), 0);
    for (size_t i = 0; i < (size_t)places->count * places->address_count; i++)
        if (address_equal(&places->addresses[i], &address))
            return true;
    return false;
}

static void places_are_all_that_is_left_of_a_prefix_and_no_more(void **state)
{
    (void)state;
    struct config *config = parse(LAN, "  - {name: a.example.org, image: k, address: 10.0.0.5}\n"
                                       "  - {name: \"*.example.org\", image: k, instances: 10}\n"
                                       "  - {name: b.example.org, image: k}\n");
    const struct config_places *places = config->services[1].places;
    assert_int_equal(places->count, 10);
    assert_int_equal(places->address_count, 2);
    assert_int_equal(config->services[1].address_count, 0);
    static const char *const others[] = {"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.5",
                                         "10.0.0.15"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(has(places, others[i]));
    for (size_t i = 0; i < config->services[2].address_count; i++)
        for (size_t k = 0; k < 20; k++)
            assert_false(address_equal(&places->addresses[k], &config->services[2].addresses[i]));
    for (uint32_t i = 0; i < places->count; i++) {
        assert_int_equal(config_find_place(places, config_place(places, i), 2), i);
        assert_int_equal(config_find_place(places, config_place(places, i), 1), -1);
        assert_int_equal(config_place(places, i)[0].family, AF_INET);
        assert_int_equal(config_place(places, i)[1].family, AF_INET6);
    }
    struct address mixed[2] = {config_place(places, 0)[0], config_place(places, 1)[1]};
    assert_int_equal(config_find_place(places, mixed, 2), -1);
    config_free(config);
}

static void places_are_the_same_whenever_the_file_is_read(void **state)
{
    (void)state;
    static const char service[] = "  - {name: \"*.example.org\", image: k, instances: 4}\n";
    static const char more[] = "  - {name: a.example.org, network: user, image: k,"
                               " address: 127.9.0.1}\n"
                               "  - {name: \"*.example.org\", network: user, image: k, instances: "
                               "4}\n";
    struct config *first = parse(USER, service), *second = parse(USER, more);
    assert_memory_equal(first->services[0].places->addresses, second->services[1].places->addresses,
                        4 * sizeof(struct address));
    assert_true(address_is_loopback(&first->services[0].places->addresses[0]));
    config_free(first);
    config_free(second);
}

static void what_the_host_listens_on_is_nobodys_place(void **state)
{
    (void)state;
    struct config *config =
        parse(USER, "  - {name: a.example.org, image: k, address: 127.5.0.5, ports: [80]}\n"
                    "  - {name: \"*.example.org\", image: k, instances: 3, prefix: 127.5.0.0/29}\n"
                    "  - {name: \"*.b.example.org\", image: k, instances: 5, prefix: "
                    "127.0.0.0/29}\n");
    static const char *const others[] = {"127.5.0.0", "127.5.0.3", "127.5.0.4", "127.5.0.5",
                                         "127.5.0.7"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(has(config->services[1].places, others[i]));
    assert_false(has(config->services[2].places, "127.0.0.1"));
    config_free(config);
}

static void an_instance_is_its_wildcard_with_a_label(void **state)
{
    (void)state;
    struct error error;
    struct config *config =
        parse(USER, "  - {name: \"*.a.example.org\", aliases: [\"*.b.example.org\"], image: "
                    "\"/i/%{name}/%{label}\", ramdisk: \"%{label}\", cmdline: \"%{label}\","
                    " instances: 2, ports: [80], ttl: 7}\n"
                    "  - {name: \"*.c.example.org\", image: k, instances: 2}\n");
    const struct config_service *wildcard = &config->services[0];
    struct config_service *instance = config_instance_new(wildcard, "shop", 1, &error);
    assert_non_null(instance);
    assert_true(config_is_wildcard(wildcard) && !config_is_instance(wildcard));
    assert_true(config_is_instance(instance) && !config_is_wildcard(instance));
    assert_string_equal(instance->name, "shop.a.example.org");
    assert_string_equal(instance->aliases[0], "shop.b.example.org");
    assert_string_equal(instance->image, "/i/shop.a.example.org/shop");
    assert_string_equal(instance->ramdisk, "/shop");
    assert_string_equal(instance->cmdline, "%{label}");
    assert_int_equal(instance->address_count, 1);
    assert_ptr_equal(instance->addresses, config_place(wildcard->places, 1));
    assert_int_equal(instance->ttl, 7);
    assert_true(config_has_files_of_instances(wildcard));
    assert_false(config_has_files_of_instances(&config->services[1]));
    free(instance);

    static const char *const bad[] = {"", "..", ".", "a/b", "a.b", "-a", "a-", "A", "%{name}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(config_instance_new(wildcard, bad[i], 0, &error));
    config_free(config);
}

static void a_name_has_one_wildcard_at_most(void **state)
{
    (void)state;
    char label[CONFIG_LABEL_MAX + 1];
    struct config *config =
        parse(USER, "  - {name: \"*.a.example.org\", aliases: [\"*.b.example.org\"], image: k,"
                    " instances: 2}\n"
                    "  - {name: own.a.example.org, aliases: [\"*.all.example.org\"], image: k,"
                    " address: 127.0.0.9}\n");
    const struct config_service *wildcard = &config->services[0];
    assert_ptr_equal(config_find_wildcard(config, "x.a.example.org", label), wildcard);
    assert_string_equal(label, "x");
    assert_ptr_equal(config_find_wildcard(config, "y.b.example.org", label), wildcard);
    assert_string_equal(label, "y");
    static const char *const others[] = {"own.a.example.org",
                                         "x.x.a.example.org",
                                         "a.example.org",
                                         "x.all.example.org",
                                         "*.a.example.org",
                                         "example.org",
                                         "x",
                                         "",
                                         ".a.example.org"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_null(config_find_wildcard(config, others[i], label));
    config_free(config);
}

static void a_label_may_be_too_long_for_a_name(void **state)
{
    (void)state;
    struct error error;
    char text[1024], long_label[64];
    /* A name of 236 characters: there is room for labels of 18. */
    char rest[256] = "";
    for (int i = 0; i < 4; i++)
        strcat(rest, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.");
    strcat(rest, "bb.example.org");
    snprintf(text, sizeof text, "  - {name: \"*.%s\", image: k, instances: 1}\n", rest);
    struct config *config = parse(USER, text);
    memset(long_label, 'x', sizeof long_label);
    size_t room = CONFIG_NAME_TEXT_MAX - 2 - strlen(rest);
    long_label[room] = '\0';
    struct config_service *instance =
        config_instance_new(&config->services[0], long_label, 0, &error);
    assert_non_null(instance);
    assert_int_equal(strlen(instance->name), CONFIG_NAME_TEXT_MAX - 1);
    free(instance);
    long_label[room] = 'x';
    long_label[room + 1] = '\0';
    assert_null(config_instance_new(&config->services[0], long_label, 0, &error));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_all_that_is_left_of_a_prefix_and_no_more),
        cmocka_unit_test(places_are_the_same_whenever_the_file_is_read),
        cmocka_unit_test(what_the_host_listens_on_is_nobodys_place),
        cmocka_unit_test(an_instance_is_its_wildcard_with_a_label),
        cmocka_unit_test(a_name_has_one_wildcard_at_most),
        cmocka_unit_test(a_label_may_be_too_long_for_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
