/* Good files: every key is taken, every default is as jitsud.yaml(5) says. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "config/config.h"

#define SECONDS NANOSECONDS_PER_SECOND

static void print(void *argument, const char *text)
{
    (void)argument;
    print_error("%s\n", text);
}

static void count(void *argument, const char *text)
{
    (void)text;
    ++*(unsigned *)argument;
}

/* The configuration in `text`, which has no fault. */
static struct config *parse(const char *text)
{
    struct config *config = config_parse(text, strlen(text), "/etc/jitsu/jitsud.yaml", print, NULL);
    assert_non_null(config);
    return config;
}

static unsigned faults(const char *text)
{
    unsigned number = 0;
    struct config *config = config_parse(text, strlen(text), "t.yaml", count, &number);
    assert_true((config == NULL) == (number > 0));
    config_free(config);
    return number;
}

static void assert_endpoint(const struct endpoint *endpoint, const char *text)
{
    char found[ENDPOINT_TEXT_SIZE];
    assert_string_equal(endpoint_format(endpoint, found), text);
}

static void assert_address(const struct address *address, const char *text)
{
    char found[ADDRESS_TEXT_SIZE];
    assert_string_equal(address_format(address, found), text);
}

static const char minimal[] = "zones:\n"
                              "- name: example.org\n"
                              "services:\n"
                              "- name: www.example.org\n"
                              "  address: 127.0.0.10\n"
                              "  image: /www.elf\n";

static void what_the_file_does_not_give_has_its_default(void **state)
{
    (void)state;
    struct config *config = parse(minimal);
    assert_string_equal(config->file, "/etc/jitsu/jitsud.yaml");
    assert_int_equal(config->listen_count, 2);
    assert_endpoint(&config->listen[0], "127.0.0.1@53");
    assert_endpoint(&config->listen[1], "::1@53");
    assert_int_equal(config->workers, sysconf(_SC_NPROCESSORS_ONLN));
    assert_null(config->user);
    assert_string_equal(config->run_directory, "/run/jitsu");
    assert_string_equal(config->state_directory, "/var/lib/jitsu");
    assert_false(config->has_metrics);
    assert_int_equal(config->log, LOG_LEVEL_INFO);
    uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_true(config->memory_limit <= host / 2 && config->memory_limit > host / 2 - 65536);
    assert_int_equal(config->machine_limit, 64);
    assert_int_equal(config->start_limit, 4);
    assert_int_equal(config->held_limit, 64 << 20);
    assert_int_equal(config->held_connection_limit, 1024);
    assert_int_equal(config->network_count, 1);
    assert_string_equal(config->networks[0].name, "user");
    assert_int_equal(config->networks[0].type, CONFIG_NETWORK_USER);
    assert_int_equal(config->networks[0].hold, CONFIG_HOLD_PROXY);
    assert_int_equal(config->zone_count, 1);
    assert_null(config->zones[0].file);
    assert_int_equal(config->zones[0].ttl, 60);
    config_free(config);
}

static void what_a_service_does_not_give_has_its_default(void **state)
{
    (void)state;
    struct config *config = parse(minimal);
    assert_int_equal(config->service_count, 1);
    const struct config_service *service = &config->services[0];
    assert_string_equal(service->name, "www.example.org");
    assert_int_equal(service->alias_count, 0);
    assert_string_equal(service->image, "/www.elf");
    assert_null(service->ramdisk);
    assert_string_equal(service->cmdline, "");
    assert_null(service->connect);
    assert_null(service->domain);
    assert_null(service->xl);
    assert_null(service->ready_text);
    assert_ptr_equal(service->network, &config->networks[0]);
    assert_int_equal(service->summon_from_count, 0);
    assert_int_equal(service->address_count, 1);
    assert_address(&service->addresses[0], "127.0.0.10");
    assert_int_equal(service->port_count, 0);
    assert_int_equal(service->backend, CONFIG_BACKEND_QEMU);
    assert_int_equal(service->accel, CONFIG_ACCEL_AUTO);
    assert_int_equal(service->answer, CONFIG_ANSWER_AT_ONCE);
    assert_int_equal(service->hold, CONFIG_HOLD_PROXY);
    assert_int_equal(service->ready, CONFIG_READY_DEFAULT);
    assert_int_equal(service->idle_connections, CONFIG_CONNECTIONS_KEEP);
    assert_int_equal(service->stop, CONFIG_STOP_DESTROY);
    assert_int_equal(service->keep, CONFIG_KEEP_ON_DEMAND);
    assert_int_equal(service->summon, CONFIG_SUMMON_DNS | CONFIG_SUMMON_PACKET);
    assert_int_equal(service->prewarm, 0);
    assert_int_equal(service->vcpus, 1);
    assert_int_equal(service->ttl, 60);
    assert_int_equal(service->line, 4);
    assert_int_equal(service->zone, 0);
    assert_true(service->memory == 16 << 20);
    assert_true(service->boot_timeout == 10 * SECONDS);
    assert_true(service->shutdown_timeout == 10 * SECONDS);
    assert_true(service->answer_delay == 0);
    assert_true(service->idle == 120 * SECONDS);
    config_free(config);
}

#ifdef HAVE_LIBVIRT
static void keys_of_libvirt_are_taken(void **state)
{
    (void)state;
    struct config *config = parse("networks: [{name: lan, type: bridge, bridge: br0, "
                                  "prefix: 10.0.0.0/24}]\n"
                                  "zones: [{name: example.org}]\n"
                                  "services:\n"
                                  "- {name: a.example.org, backend: libvirt, domain: legacy, "
                                  "address: 10.0.0.9, mac: '52:54:00:00:00:09', "
                                  "connect: 'test:///default'}\n"
                                  "- name: b.example.org\n"
                                  "  backend: libvirt\n"
                                  "  disks: [a.qcow2, /dev/sdb, {path: /c.iso, read-only: yes}, "
                                  "{path: d, format: qcow2}]\n"
                                  "- {name: c.example.org, backend: libvirt, domain-xml: d.xml, "
                                  "image: k}\n");
    const struct config_service *domain = &config->services[0], *disks = &config->services[1],
                                *template = &config->services[2];
    assert_int_equal(domain->backend, CONFIG_BACKEND_LIBVIRT);
    assert_string_equal(domain->connect, "test:///default");
    assert_string_equal(domain->domain, "legacy");
    assert_ptr_equal(domain->network, &config->networks[0]);
    assert_string_equal(disks->connect, "qemu:///system");
    assert_int_equal(disks->disk_count, 4);
    assert_string_equal(disks->disks[0].path, "/etc/jitsu/a.qcow2");
    assert_int_equal(disks->disks[0].format, CONFIG_DISK_QCOW2);
    assert_false(disks->disks[0].read_only);
    assert_string_equal(disks->disks[1].path, "/dev/sdb");
    assert_int_equal(disks->disks[1].format, CONFIG_DISK_RAW);
    assert_int_equal(disks->disks[2].format, CONFIG_DISK_RAW);
    assert_true(disks->disks[2].read_only);
    assert_int_equal(disks->disks[3].format, CONFIG_DISK_QCOW2);
    assert_string_equal(template->domain_xml, "/etc/jitsu/d.xml");
    assert_false(config_service_same_machine(domain, disks));
    assert_true(config_service_same_machine(disks, disks));
    config_free(config);
}
#endif

static void each_key_of_server_and_limits_is_taken(void **state)
{
    (void)state;
    struct config *config = parse("server:\n"
                                  "  listen: [0.0.0.0@5300, \"fd00::1@53\"]\n"
                                  "  workers: 3\n"
                                  "  user: daemon\n"
                                  "  run-directory: /run/elsewhere\n"
                                  "  state-directory: state\n"
                                  "  metrics: \"::1@9153\"\n"
                                  "  log: debug\n"
                                  "limits: {memory: 4G, machines: 7, starts: 2, held: 1M,\n"
                                  "  held-connections: 65536}\n");
    assert_int_equal(config->listen_count, 2);
    assert_endpoint(&config->listen[0], "0.0.0.0@5300");
    assert_endpoint(&config->listen[1], "fd00::1@53");
    assert_int_equal(config->workers, 3);
    assert_string_equal(config->user, "daemon");
    assert_string_equal(config->run_directory, "/run/elsewhere");
    assert_string_equal(config->state_directory, "/etc/jitsu/state");
    assert_true(config->has_metrics);
    assert_endpoint(&config->metrics, "::1@9153");
    assert_int_equal(config->log, LOG_LEVEL_DEBUG);
    assert_true(config->memory_limit == UINT64_C(4) << 30);
    assert_int_equal(config->machine_limit, 7);
    assert_int_equal(config->start_limit, 2);
    assert_int_equal(config->held_limit, 1 << 20);
    assert_int_equal(config->held_connection_limit, 65536);
    config_free(config);
}

static void forwarding_is_off_and_has_defaults(void **state)
{
    (void)state;
    char text[PREFIX_TEXT_SIZE];
    struct config *config = parse(minimal);
    assert_int_equal(config->forward.to_count, 0);
    config_free(config);

    config = parse("forward: {to: [192.0.2.1, \"2001:db8::1@5353\"]}\n");
    const struct config_forward *forward = &config->forward;
    assert_int_equal(forward->to_count, 2);
    assert_endpoint(&forward->to[0], "192.0.2.1@53");
    assert_endpoint(&forward->to[1], "2001:db8::1@5353");
    assert_int_equal(forward->from_count, 2);
    assert_string_equal(prefix_format(&forward->from[0], text), "127.0.0.0/8");
    assert_string_equal(prefix_format(&forward->from[1], text), "::1/128");
    assert_false(forward->anyone);
    assert_int_equal(forward->timeout, 4 * SECONDS);
    assert_int_equal(forward->queries, 1000);
    assert_int_equal(forward->client_queries, 100);
    config_free(config);
}

static void each_key_of_forward_is_taken(void **state)
{
    (void)state;
    char text[PREFIX_TEXT_SIZE];
    struct config *config = parse("forward:\n"
                                  "  to: 127.0.0.1@5353\n"
                                  "  from: [10.0.0.0/8]\n"
                                  "  timeout: 1s\n"
                                  "  queries: 7\n"
                                  "  client-queries: 3\n");
    assert_endpoint(&config->forward.to[0], "127.0.0.1@5353");
    assert_int_equal(config->forward.from_count, 1);
    assert_string_equal(prefix_format(&config->forward.from[0], text), "10.0.0.0/8");
    assert_int_equal(config->forward.timeout, SECONDS);
    assert_int_equal(config->forward.queries, 7);
    assert_int_equal(config->forward.client_queries, 3);
    config_free(config);

    config = parse("forward: {to: 192.0.2.1, from: anyone}\n");
    assert_true(config->forward.anyone);
    config_free(config);
}

static void each_key_of_a_service_is_taken(void **state)
{
    (void)state;
    struct config *config = parse("networks:\n"
                                  "  - {name: one, type: user, hold: proxy}\n"
                                  "  - {name: two, type: user}\n"
                                  "zones:\n"
                                  "  - {name: example.net, file: net.zone, ttl: 5}\n"
                                  "  - {name: Example.ORG., file: /zones/org, ttl: 30}\n"
                                  "services:\n"
                                  "  - name: WWW.example.org.\n"
                                  "    aliases: [example.org, Example.Net]\n"
                                  "    network: two\n"
                                  "    address: [10.0.0.10, \"fd00::10\"]\n"
                                  "    ports: [80, 8443:443]\n"
                                  "    backend: qemu\n"
                                  "    image: www.elf\n"
                                  "    ramdisk: /srv/site.cpio\n"
                                  "    cmdline: \"quiet %{name}\"\n"
                                  "    memory: 32M\n"
                                  "    vcpus: 2\n"
                                  "    accel: tcg\n"
                                  "    summon: [packet]\n"
                                  "    answer: when-ready\n"
                                  "    answer-delay: 50ms\n"
                                  "    hold: proxy\n"
                                  "    ready: announce\n"
                                  "    boot-timeout: 3s\n"
                                  "    shutdown-timeout: 4s\n"
                                  "    summon-from: [0.0.0.0/0, \"fd00::/8\"]\n"
                                  "    idle: 5m\n"
                                  "    idle-connections: ignore\n"
                                  "    stop: suspend\n"
                                  "    ttl: 7\n"
                                  "    prewarm: 16\n"
                                  "    keep: always\n");
    assert_int_equal(config->network_count, 2);
    assert_string_equal(config->zones[0].file, "/etc/jitsu/net.zone");
    assert_string_equal(config->zones[1].name, "example.org");
    assert_string_equal(config->zones[1].file, "/zones/org");
    assert_int_equal(config->zones[1].ttl, 30);

    const struct config_service *service = &config->services[0];
    assert_string_equal(service->name, "www.example.org");
    assert_int_equal(service->alias_count, 2);
    assert_string_equal(service->aliases[0], "example.org");
    assert_string_equal(service->aliases[1], "example.net");
    assert_ptr_equal(service->network, &config->networks[1]);
    assert_int_equal(service->address_count, 2);
    assert_address(&service->addresses[1], "fd00::10");
    assert_int_equal(service->port_count, 2);
    assert_int_equal(service->ports[0].listen, 80);
    assert_int_equal(service->ports[0].machine, 80);
    assert_int_equal(service->ports[1].listen, 8443);
    assert_int_equal(service->ports[1].machine, 443);
    assert_string_equal(service->image, "/etc/jitsu/www.elf");
    assert_string_equal(service->ramdisk, "/srv/site.cpio");
    assert_string_equal(service->cmdline, "quiet %{name}");
    assert_true(service->memory == 32 << 20);
    assert_int_equal(service->vcpus, 2);
    assert_int_equal(service->accel, CONFIG_ACCEL_TCG);
    assert_int_equal(service->summon, CONFIG_SUMMON_PACKET);
    assert_int_equal(service->answer, CONFIG_ANSWER_WHEN_READY);
    assert_true(service->answer_delay == SECONDS / 20);
    assert_int_equal(service->hold, CONFIG_HOLD_PROXY);
    assert_int_equal(service->ready, CONFIG_READY_ANNOUNCE);
    assert_true(service->boot_timeout == 3 * SECONDS);
    assert_true(service->shutdown_timeout == 4 * SECONDS);
    assert_int_equal(service->summon_from_count, 2);
    char prefix[PREFIX_TEXT_SIZE];
    assert_string_equal(prefix_format(&service->summon_from[1], prefix), "fd00::/8");
    assert_true(service->idle == 300 * SECONDS);
    assert_int_equal(service->idle_connections, CONFIG_CONNECTIONS_IGNORE);
    assert_int_equal(service->stop, CONFIG_STOP_SUSPEND);
    assert_int_equal(service->ttl, 7);
    assert_int_equal(service->prewarm, 16);
    assert_int_equal(service->keep, CONFIG_KEEP_ALWAYS);
    assert_int_equal(service->zone, 1);
    assert_int_equal(service->line, 8);
    config_free(config);
}

static void each_form_of_ready_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum config_ready ready;
    } forms[] = {
        {"announce", CONFIG_READY_ANNOUNCE},
        {"tcp:8080", CONFIG_READY_TCP},
        {"\"console:login: \"", CONFIG_READY_CONSOLE},
        {"after:2s", CONFIG_READY_AFTER},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char text[400];
        snprintf(text, sizeof text, "%s  ready: %s\n", minimal, forms[i].text);
        struct config *config = parse(text);
        const struct config_service *service = &config->services[0];
        assert_int_equal(service->ready, forms[i].ready);
        if (service->ready == CONFIG_READY_TCP)
            assert_int_equal(service->ready_port, 8080);
        if (service->ready == CONFIG_READY_CONSOLE)
            assert_string_equal(service->ready_text, "login: ");
        if (service->ready == CONFIG_READY_AFTER)
            assert_true(service->ready_after == 2 * SECONDS);
        config_free(config);
    }
}

static void one_value_stands_for_a_list_of_one(void **state)
{
    (void)state;
    struct config *config = parse("server: {listen: 127.0.0.1@5300}\n"
                                  "zones: [{name: example.org}]\n"
                                  "services:\n"
                                  "  - {name: a.example.org, aliases: b.example.org, image: k,\n"
                                  "     address: \"::1\", ports: 8080:80, summon: dns,\n"
                                  "     summon-from: \"::1/128\"}\n");
    const struct config_service *service = &config->services[0];
    assert_int_equal(config->listen_count, 1);
    assert_int_equal(service->alias_count, 1);
    assert_int_equal(service->address_count, 1);
    assert_int_equal(service->port_count, 1);
    assert_int_equal(service->summon, CONFIG_SUMMON_DNS);
    assert_int_equal(service->summon_from_count, 1);
    config_free(config);
}

static void an_empty_list_of_summoners_leaves_only_commands(void **state)
{
    (void)state;
    char text[400];
    snprintf(text, sizeof text, "%s  summon: []\n  ports: []\n  aliases: []\n", minimal);
    struct config *config = parse(text);
    assert_int_equal(config->services[0].summon, 0);
    config_free(config);
}

static void quoting_marks_and_line_ends_do_not_matter(void **state)
{
    (void)state;
    struct config *config =
        parse("\xef\xbb\xbf'server':\r\n  \"workers\": '4'\r\n  log: \"error\"\r\n"
              "# a comment\r\n");
    assert_int_equal(config->workers, 4);
    assert_int_equal(config->log, LOG_LEVEL_ERROR);
    config_free(config);
}

static void sections_may_be_empty_and_in_any_order(void **state)
{
    (void)state;
    struct config *config = parse("services:\nzones:\nnetworks: []\nlimits:\nserver: {}\n");
    assert_int_equal(config->service_count, 0);
    assert_int_equal(config->network_count, 1);
    config_free(config);

    config = parse("services: [{name: a.example.org, address: 127.0.0.1, image: k, memory: 2G}]\n"
                   "limits: {memory: 2G}\n"
                   "zones: [{name: example.org, ttl: 9}]\n"
                   "networks: [{name: n, type: user}]\n");
    assert_string_equal(config->services[0].network->name, "n");
    assert_int_equal(config->services[0].ttl, 9);
    config_free(config);
}

static void a_service_belongs_to_the_longest_zone(void **state)
{
    (void)state;
    struct config *config =
        parse("zones: [{name: org}, {name: a.example.org}, {name: example.org}]\n"
              "services:\n"
              "  - {name: www.a.example.org, address: 127.0.0.1, image: k}\n"
              "  - {name: ba.example.org, address: 127.0.0.1, image: k}\n"
              "  - {name: a.example.org, address: 127.0.0.1, image: k}\n"
              "  - {name: example2.org, address: 127.0.0.1, image: k}\n");
    static const unsigned zones[] = {1, 2, 1, 0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(config->services[i].zone, zones[i]);
    config_free(config);
}

static void idle_follows_ttl_but_is_never_nothing(void **state)
{
    (void)state;
    struct config *config =
        parse("zones: [{name: example.org, ttl: 0}]\n"
              "services:\n"
              "  - {name: a.example.org, address: 127.0.0.1, image: k, ttl: 45}\n"
              "  - {name: b.example.org, address: 127.0.0.1, image: k}\n"
              "  - {name: c.example.org, address: 127.0.0.1, image: k, ttl: 2147483647}\n"
              "  - {name: d.example.org, address: 127.0.0.1, image: k, idle: 200ms}\n");
    assert_true(config->services[0].idle == 90 * SECONDS);
    assert_true(config->services[1].idle == SECONDS);
    assert_true(config->services[2].idle == UINT64_C(4294967294) * SECONDS);
    assert_true(config->services[3].idle == SECONDS / 5);
    config_free(config);
}

static void services_are_found_by_name_and_alias(void **state)
{
    (void)state;
    enum { SERVICES = 1000 };
    char *text = malloc(SERVICES * 120 + 100);
    assert_non_null(text);
    size_t length = (size_t)sprintf(text, "zones: [{name: example.org}]\nservices:\n");
    for (int i = 0; i < SERVICES; i++)
        length += (size_t)sprintf(text + length,
                                  "- {name: s%d.example.org, aliases: [t%d.example.org, "
                                  "u%d.example.org], address: 127.0.0.1, image: k}\n",
                                  i, i, i);
    struct config *config = parse(text);
    free(text);
    for (int i = 0; i < SERVICES; i++)
        for (const char *letter = "stu"; *letter; letter++) {
            char name[40];
            snprintf(name, sizeof name, "%c%d.example.org", *letter, i);
            assert_ptr_equal(config_find_service(config, name), &config->services[i]);
        }
    assert_null(config_find_service(config, "s1000.example.org"));
    assert_null(config_find_service(config, "S1.example.org"));
    assert_null(config_find_service(config, ""));
    config_free(config);
}

static void the_same_address_may_serve_on_other_ports(void **state)
{
    (void)state;
    assert_int_equal(
        faults("zones: [{name: example.org}]\n"
               "services:\n"
               "  - {name: a.example.org, address: 127.0.0.1, ports: [80], image: k}\n"
               "  - {name: b.example.org, address: 127.0.0.1, ports: [81:80], image: k}\n"
               "  - {name: c.example.org, address: \"::1\", ports: [80], image: k}\n"
               "  - {name: d.example.org, address: 127.0.0.1, image: k}\n"),
        0);
}

/* Does a running machine of the minimal service stay when `more` is added to it? */
static bool stays(const char *more)
{
    char text[500];
    snprintf(text, sizeof text, "%s  %s\n", minimal, more);
    struct config *a = parse(minimal), *b = parse(text);
    bool same = config_service_same_machine(&a->services[0], &b->services[0]);
    assert_true(same == config_service_same_machine(&b->services[0], &a->services[0]));
    config_free(a);
    config_free(b);
    return same;
}

static void what_the_machine_is_made_of_decides_whether_it_stays(void **state)
{
    (void)state;
    static const char *const harmless[] = {
        "ttl: 5",           "idle: 3s",     "aliases: [example.org]", "summon: []",
        "boot-timeout: 1s", "prewarm: 2",   "keep: always",           "stop: suspend",
        "memory: 16384K",   "cmdline: ''",  "answer: when-ready",     "summon-from: 127.0.0.1/32",
        "ports: []",        "ready: tcp:80"};
    static const char *const fundamental[] = {"ramdisk: /r", "cmdline: x", "memory: 17M",
                                              "vcpus: 2",    "accel: tcg", "ports: [80]"};
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (!stays(harmless[i]))
            fail_msg("'%s' restarts the machine", harmless[i]);
    for (size_t i = 0; i < sizeof fundamental / sizeof fundamental[0]; i++)
        if (stays(fundamental[i]))
            fail_msg("'%s' does not restart the machine", fundamental[i]);
}

static void ports_of_the_machine_matter_and_not_those_listened_on(void **state)
{
    (void)state;
    struct config *config = parse(
        "networks: [{name: n, type: user}, {name: m, type: user}]\n"
        "zones: [{name: example.org}]\n"
        "services:\n"
        "  - {name: a.example.org, address: 127.0.0.1, network: n, image: k, ports: [80, 443]}\n"
        "  - {name: b.example.org, address: 127.0.0.2, network: n, image: k,\n"
        "     ports: [8443:443, 8080:80]}\n"
        "  - {name: c.example.org, address: 127.0.0.3, network: n, image: k, ports: [80]}\n"
        "  - {name: d.example.org, address: 127.0.0.4, network: m, image: k, ports: [80]}\n"
        "  - {name: e.example.org, address: 127.0.0.5, network: n, image: l, ports: [80]}\n");
    const struct config_service *s = config->services;
    assert_true(config_service_same_machine(&s[0], &s[1]));
    assert_false(config_service_same_machine(&s[0], &s[2]));
    assert_false(config_service_same_machine(&s[2], &s[3]));
    assert_false(config_service_same_machine(&s[2], &s[4]));
    config_free(config);
}

static void repeated_texts_are_kept_once(void **state)
{
    (void)state;
    struct config *config = parse(
        "zones: [{name: example.org}]\n"
        "services:\n"
        "  - {name: a.example.org, address: 127.0.0.1, image: k, cmdline: quiet}\n"
        "  - {name: b.example.org, address: 127.0.0.1, image: /etc/jitsu/k, cmdline: quiet}\n");
    assert_ptr_equal(config->services[0].image, config->services[1].image);
    assert_ptr_equal(config->services[0].cmdline, config->services[1].cmdline);
    config_free(config);
}

static void the_sample_configuration_is_good(void **state)
{
    (void)state;
    const char *source = getenv("srcdir");
    char path[4096];
    snprintf(path, sizeof path, "%s/conf/jitsud.yaml", source ? source : ".");
    struct config *config = config_load(path, print, NULL);
    assert_non_null(config);
    assert_int_equal(config->service_count, 1);
    config_free(config);
}

static void relative_paths_start_at_the_directory_of_the_file(void **state)
{
    (void)state;
    static const char text[] = "server: {state-directory: s}\n";
    static const struct {
        const char *file, *directory;
    } cases[] = {{"/a/b/c.yaml", "/a/b/s"}, {"/c.yaml", "/s"}};
    for (size_t i = 0; i < 2; i++) {
        struct config *config = config_parse(text, strlen(text), cases[i].file, print, NULL);
        assert_string_equal(config->state_directory, cases[i].directory);
        config_free(config);
    }
    char *current = getcwd(NULL, 0), expected[5000];
    struct config *config = config_parse(text, strlen(text), "sub/c.yaml", print, NULL);
    snprintf(expected, sizeof expected, "%s/sub/s", current);
    assert_string_equal(config->state_directory, expected);
    config_free(config);
    config = config_parse(text, strlen(text), "c.yaml", print, NULL);
    snprintf(expected, sizeof expected, "%s/s", current);
    assert_string_equal(config->state_directory, expected);
    config_free(config);
    free(current);
}

static void nothing_is_freed_without_complaint(void **state)
{
    (void)state;
    config_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_file_does_not_give_has_its_default),
        cmocka_unit_test(what_a_service_does_not_give_has_its_default),
#ifdef HAVE_LIBVIRT
        cmocka_unit_test(keys_of_libvirt_are_taken),
#endif
        cmocka_unit_test(each_key_of_server_and_limits_is_taken),
        cmocka_unit_test(forwarding_is_off_and_has_defaults),
        cmocka_unit_test(each_key_of_forward_is_taken),
        cmocka_unit_test(each_key_of_a_service_is_taken),
        cmocka_unit_test(each_form_of_ready_is_taken),
        cmocka_unit_test(one_value_stands_for_a_list_of_one),
        cmocka_unit_test(an_empty_list_of_summoners_leaves_only_commands),
        cmocka_unit_test(quoting_marks_and_line_ends_do_not_matter),
        cmocka_unit_test(sections_may_be_empty_and_in_any_order),
        cmocka_unit_test(a_service_belongs_to_the_longest_zone),
        cmocka_unit_test(idle_follows_ttl_but_is_never_nothing),
        cmocka_unit_test(services_are_found_by_name_and_alias),
        cmocka_unit_test(the_same_address_may_serve_on_other_ports),
        cmocka_unit_test(what_the_machine_is_made_of_decides_whether_it_stays),
        cmocka_unit_test(ports_of_the_machine_matter_and_not_those_listened_on),
        cmocka_unit_test(repeated_texts_are_kept_once),
        cmocka_unit_test(the_sample_configuration_is_good),
        cmocka_unit_test(relative_paths_start_at_the_directory_of_the_file),
        cmocka_unit_test(nothing_is_freed_without_complaint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
