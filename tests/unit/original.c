/* The original's command line: what becomes of each option and key, and how faults are told. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "original.h"

#define MILLISECOND NANOSECONDS_PER_MILLISECOND
#define SECOND      NANOSECONDS_PER_SECOND

#define SERVICE "dns=www.example.org,ip=10.0.0.1,name=www"
#define GUEST   "dns=www.example.org,ip=10.0.0.1,kernel=/www.xen,nic=br0"

static char faults[8192];
static struct original_options options;
static bool is_usage;

static void collect(void *argument, const char *text)
{
    (void)argument;
    size_t used = strlen(faults);
    snprintf(faults + used, sizeof faults - used, "%s\n", text);
}

/* Translates "-m suspend dns=..." (words separated by spaces), where resolv.conf holds `resolvers`.
 */
static struct original *translate(const char *line, const char *resolvers)
{
    static char copy[4096];
    static char *argv[64];
    char file[] = "/tmp/jitsu-resolv-XXXXXX", *rest = copy;
    int argc = 0, descriptor = mkstemp(file);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, resolvers, strlen(resolvers)), strlen(resolvers));
    close(descriptor);
    snprintf(copy, sizeof copy, "jitsud %s", line);
    while ((argv[argc] = strsep(&rest, " ")) != NULL)
        argc++;
    assert_true(original_is_meant(argc, argv));
    faults[0] = '\0';
    struct original *original =
        original_translate(argc, argv, file, &options, &is_usage, collect, NULL);
    unlink(file);
    return original;
}

static struct config *configure_with(const char *line, const char *resolvers)
{
    struct original *original = translate(line, resolvers);
    assert_string_equal(faults, "");
    assert_non_null(original);
    struct config *config = original_config(original);
    assert_string_equal(faults, "");
    assert_non_null(config);
    original_free(original);
    return config;
}

static struct config *configure(const char *line)
{
    return configure_with(line, "");
}

/* All that is wrong, a line each. */
static void assert_faults(const char *line, const char *expected)
{
    struct original *original = translate(line, "");
    struct config *config = original ? original_config(original) : NULL;
    assert_string_equal(faults, expected);
    assert_null(config);
    original_free(original);
}

static void assert_address(const struct address *address, const char *text)
{
    char found[ADDRESS_TEXT_SIZE];
    assert_string_equal(address_format(address, found), text);
}

static void assert_endpoint(const struct endpoint *endpoint, const char *text)
{
    char found[ENDPOINT_TEXT_SIZE];
    assert_string_equal(endpoint_format(endpoint, found), text);
}

static void assert_prefix(const struct prefix *prefix, const char *text)
{
    char found[PREFIX_TEXT_SIZE];
    assert_string_equal(prefix_format(prefix, found), text);
}

/* --- whose command line is it? --- */

static bool is_meant(const char *first, const char *second, const char *third)
{
    char *argv[] = {(char *)"jitsud", (char *)first, (char *)second, (char *)third, NULL};
    int argc = 1;
    while (argv[argc])
        argc++;
    return original_is_meant(argc, argv);
}

static void services_or_a_backend_tell_the_originals_command_line(void **state)
{
    (void)state;
    assert_true(is_meant(SERVICE, NULL, NULL));
    assert_true(is_meant("-c", "xen:///", SERVICE));
    assert_true(is_meant("-f", "8.8.8.8", SERVICE));
    assert_true(is_meant("-x", "libvirt", NULL));
    assert_true(is_meant("-xlibxl", NULL, NULL));
    assert_true(is_meant("--backend=xapi", NULL, NULL));
    assert_false(is_meant(NULL, NULL, NULL));
    assert_false(is_meant("-f", "-c", "jitsud.yaml"));
    assert_false(is_meant("-c", "name=odd", NULL));
    assert_false(is_meant("-fvc", "name=odd", NULL));
    assert_false(is_meant("--config", "name=odd", "-t"));
    assert_false(is_meant("-t", "--config=jitsud.yaml", NULL));
    assert_false(is_meant("jitsud.yaml", NULL, NULL));
    assert_false(is_meant("/etc/x=y", NULL, NULL));
}

static void our_long_options_go_with_it(void **state)
{
    (void)state;
    config_free(configure("--check --verbose --stop-machines --foreground " SERVICE));
    assert_true(options.check && options.verbose && options.stop_machines);
    assert_false(options.print || options.help || options.version);
    config_free(configure("-v " SERVICE " --print-configuration"));
    assert_true(options.print && options.verbose && !options.check);
    original_free(translate("-x qemu --help", ""));
    assert_true(options.help);
    original_free(translate("-x qemu -V", ""));
    assert_true(options.version);
    assert_null(translate("--no-such-option " SERVICE, ""));
    assert_true(is_usage);
}

/* --- options --- */

static void without_options_all_is_as_the_original_had_it(void **state)
{
    (void)state;
    struct config *config = configure(SERVICE);
    assert_true(config->is_from_arguments);
    assert_int_equal(config->listen_count, 1);
    assert_endpoint(&config->listen[0], "127.0.0.1@53");
    assert_int_equal(config->forward.to_count, 0);
    assert_int_equal(config->zone_count, 1);
    assert_string_equal(config->zones[0].name, "www.example.org");
    assert_null(config->zones[0].file);
    assert_int_equal(config->zones[0].ttl, 60);
    assert_int_equal(config->service_count, 1);
    const struct config_service *service = &config->services[0];
    assert_string_equal(service->name, "www.example.org");
    assert_int_equal(service->alias_count, 0);
    assert_int_equal(service->address_count, 1);
    assert_address(&service->addresses[0], "10.0.0.1");
    assert_int_equal(service->backend, CONFIG_BACKEND_LIBVIRT);
    assert_string_equal(service->connect, "xen:///");
    assert_string_equal(service->domain, "www");
    assert_null(service->network);
    assert_int_equal(service->stop, CONFIG_STOP_DESTROY);
    assert_int_equal(service->idle, 120 * SECOND);
    assert_int_equal(service->answer, CONFIG_ANSWER_WHEN_READY);
    assert_int_equal(service->ready, CONFIG_READY_AFTER);
    assert_int_equal(service->ready_after, 100 * MILLISECOND);
    config_free(config);
}

static void each_option_is_taken(void **state)
{
    (void)state;
    struct config *config =
        configure("-x libvirt -c vbox:///session -b 192.0.2.53 -l 5300 -f 192.0.2.1 -p 5353 "
                  "-t 7 -d 1.5 -m suspend --synjitsu=6e696eb7-09f4-484c-981b-8d34efa0304d "
                  "--persistdb=/var/lib/x --run-directory /run/x " SERVICE);
    assert_endpoint(&config->listen[0], "192.0.2.53@5300");
    assert_int_equal(config->forward.to_count, 1);
    assert_endpoint(&config->forward.to[0], "192.0.2.1@5353");
    assert_int_equal(config->forward.from_count, 2);
    assert_prefix(&config->forward.from[0], "127.0.0.0/8");
    assert_int_equal(config->zones[0].ttl, 7);
    assert_string_equal(config->state_directory, "/var/lib/x");
    assert_string_equal(config->run_directory, "/run/x");
    const struct config_service *service = &config->services[0];
    assert_string_equal(service->connect, "vbox:///session");
    assert_int_equal(service->stop, CONFIG_STOP_SUSPEND);
    assert_int_equal(service->ready_after, 1500 * MILLISECOND);
    assert_int_equal(service->idle, 14 * SECOND);
    config_free(config);
}

static void options_have_their_long_forms_and_may_come_last(void **state)
{
    (void)state;
    struct config *config = configure(SERVICE " --backend=libvirt --connect=test:///default "
                                              "--bind=::1 --listen=54 --forwarder=::2 --port=55 "
                                              "--ttl=5 --delay=0 --mode=shutdown");
    assert_endpoint(&config->listen[0], "::1@54");
    assert_endpoint(&config->forward.to[0], "::2@55");
    assert_int_equal(config->services[0].stop, CONFIG_STOP_SHUTDOWN);
    assert_int_equal(config->services[0].ready_after, 0);
    assert_string_equal(config->services[0].connect, "test:///default");
    config_free(config);
}

static void without_forwarder_the_hosts_resolvers_are_used(void **state)
{
    static const char resolvers[] = "# comment\n"
                                    "search example.org\n"
                                    "nameserver 127.0.0.1\n"
                                    "nameserver fe80::1%eth0\n"
                                    "nameserver 192.0.2.1\n"
                                    "  nameserver\t2001:db8::1\n";
    (void)state;
    struct config *config = configure_with(SERVICE, resolvers);
    assert_int_equal(config->forward.to_count, 2); /* not the one that we are ourselves */
    assert_endpoint(&config->forward.to[0], "192.0.2.1@53");
    assert_endpoint(&config->forward.to[1], "2001:db8::1@53");
    config_free(config);
    config = configure_with("-l 5300 " SERVICE, resolvers);
    assert_int_equal(config->forward.to_count, 3);
    config_free(config);
    config = configure_with("-b 0.0.0.0 " SERVICE, "nameserver 127.0.0.53\nnameserver ::2\n");
    assert_int_equal(config->forward.to_count, 1);
    assert_endpoint(&config->forward.to[0], "::2@53");
    config_free(config);
    config = configure_with(SERVICE, "nameserver 127.0.0.53\n");
    assert_int_equal(config->forward.to_count, 1);
    assert_endpoint(&config->forward.to[0], "127.0.0.53@53");
    config_free(config);
    config = configure_with("-f 0.0.0.0 " SERVICE, resolvers);
    assert_int_equal(config->forward.to_count, 0);
    config_free(config);
}

static void clients_of_the_forwarder_are_named(void **state)
{
    (void)state;
    struct config *config =
        configure("-f 192.0.2.1 --forward-from 10.0.0.0/8 --forward-from fd00::/8 " SERVICE);
    assert_int_equal(config->forward.from_count, 2);
    assert_prefix(&config->forward.from[0], "10.0.0.0/8");
    assert_prefix(&config->forward.from[1], "fd00::/8");
    config_free(config);
}

/* --- keys --- */

static void keys_of_libvirt_are_taken(void **state)
{
    (void)state;
    struct config *config =
        configure("dns=a.example,dns=b.example,ip=10.0.0.1,ip=fd00::1,"
                  "uuid=6e696eb7-09f4-484c-981b-8d34efa0304d,name=ignored,response_delay=0.25,"
                  "port=80,port=443 -d 3 "
                  "dns=x.a.example,ip=10.0.0.2,name=x");
    assert_int_equal(config->zone_count, 3);
    assert_int_equal(config->service_count, 2);
    const struct config_service *service = &config->services[0];
    assert_string_equal(service->name, "a.example");
    assert_int_equal(service->alias_count, 1);
    assert_string_equal(service->aliases[0], "b.example");
    assert_int_equal(service->address_count, 2);
    assert_address(&service->addresses[1], "fd00::1");
    assert_string_equal(service->domain, "6e696eb7-09f4-484c-981b-8d34efa0304d");
    assert_int_equal(service->ready_after, 250 * MILLISECOND);
    assert_int_equal(service->port_count, 2);
    assert_int_equal(service->line, 1);
    assert_int_equal(config->services[1].ready_after, 3 * SECOND);
    assert_string_equal(config->services[1].domain, "x");
    assert_int_equal(config->services[1].line, 2);
    config_free(config);
}

/* Then packets are held, and nobody need wait for the answer. */
static void a_domain_may_be_on_a_bridge(void **state)
{
    (void)state;
    struct config *config =
        configure(SERVICE ",nic=br0,mac=52:54:00:12:34:56,use_synjitsu=1 "
                          "dns=b.example,ip=10.0.1.2,name=b,nic=br0,mac=52:54:00:12:34:57 "
                          "dns=c.example,ip=192.0.2.2,name=c");
    assert_int_equal(config->network_count, 2);
    const struct config_network *network = config->services[0].network;
    assert_string_equal(network->name, "br0");
    assert_string_equal(network->bridge, "br0");
    assert_int_equal(network->type, CONFIG_NETWORK_BRIDGE);
    assert_prefix(&network->ipv4.prefix, "10.0.0.0/23");
    assert_int_equal(network->ipv6.prefix.address.family, 0);
    assert_int_equal(config->services[0].hold, CONFIG_HOLD_DELAY);
    assert_int_equal(config->services[0].answer, CONFIG_ANSWER_AT_ONCE);
    assert_int_equal(config->services[0].answer_delay, 0);
    assert_ptr_equal(config->services[1].network, network);
    assert_null(config->services[2].network);
    assert_int_equal(config->services[2].answer, CONFIG_ANSWER_WHEN_READY);
    config_free(config);

    config = configure("-d 0.2 " SERVICE ",nic=br0,mac=52:54:00:12:34:56");
    assert_int_equal(config->services[0].answer, CONFIG_ANSWER_AT_ONCE);
    assert_int_equal(config->services[0].answer_delay, 200 * MILLISECOND);
    assert_prefix(&config->services[0].network->ipv4.prefix, "10.0.0.0/24");
    config_free(config);
}

static void our_own_backend_qemu_is_taken(void **state)
{
    (void)state;
    char directory[CONFIG_PATH_MAX], expected[CONFIG_PATH_MAX + 32];
    assert_non_null(getcwd(directory, sizeof directory));
    struct config *config =
        configure("-x qemu dns=a.example,ip=127.0.0.5,kernel=www.elf,ramdisk=/site.cpio,"
                  "memory=32768,cmdline=quiet,port=8080:80 "
                  "dns=b.example,ip=10.0.0.5,kernel=/www.elf,nic=br0");
    const struct config_service *service = &config->services[0];
    assert_int_equal(service->backend, CONFIG_BACKEND_QEMU);
    snprintf(expected, sizeof expected, "%s/www.elf", directory);
    assert_string_equal(service->image, expected);
    assert_string_equal(service->ramdisk, "/site.cpio");
    assert_string_equal(service->cmdline, "quiet");
    assert_int_equal(service->memory, 32 << 20);
    assert_int_equal(service->port_count, 1);
    assert_int_equal(service->ports[0].listen, 8080);
    assert_int_equal(service->network->type, CONFIG_NETWORK_USER);
    assert_int_equal(service->answer, CONFIG_ANSWER_AT_ONCE);
    assert_string_equal(config->services[1].network->name, "br0");
    config_free(config);
}

static void one_machine_without_a_bridge_is_on_the_user_network(void **state)
{
    (void)state;
    struct config *config = configure("-x qemu dns=a.example,ip=127.0.0.5,kernel=www.elf");
    assert_int_equal(config->network_count, 1);
    assert_int_equal(config->services[0].network->type, CONFIG_NETWORK_USER);
    config_free(config);
}

/* As text: whether this program has the backend is another question. */
static void keys_of_libxl_are_taken(void **state)
{
    (void)state;
    struct original *original =
        translate("-x libxl -m suspend " GUEST ",name=www,memory=64000,cmdline=a=b,"
                  "disk=/stub.iso@xvda,disk=/data.iso,wait_for_key=data/ready,response_delay=0.5",
                  "");
    assert_string_equal(faults, "");
    assert_string_equal(original_text(original),
                        "# Made from a command line like the original Jitsu's, see jitsud(8).\n"
                        "server:\n"
                        "  listen: [\"127.0.0.1@53\"]\n"
                        "zones:\n"
                        "  - name: \"www.example.org\"\n"
                        "networks:\n"
                        "  - name: \"br0\"\n"
                        "    type: bridge\n"
                        "    bridge: \"br0\"\n"
                        "    prefix: [\"10.0.0.0/24\"]\n"
                        "services:\n"
                        "  - name: \"www.example.org\"\n"
                        "    address: [\"10.0.0.1\"]\n"
                        "    network: \"br0\"\n"
                        "    backend: xen\n"
                        "    image: \"/www.xen\"\n"
                        "    cmdline: \"a=b\"\n"
                        "    memory: 64000K\n"
                        "    disks:\n"
                        "      - path: \"/stub.iso\"\n"
                        "        format: raw\n"
                        "      - path: \"/data.iso\"\n"
                        "        format: raw\n"
                        "    answer: when-ready\n"
                        "    ready: \"xenstore:data/ready\"\n"
                        "    answer-delay: 500ms\n"
                        "    stop: \"suspend\"\n");
    original_free(original);
}

/* The text is a file for the same configuration, whatever the arguments hold. */
static void the_text_can_be_kept_as_a_file(void **state)
{
    (void)state;
    struct original *original =
        translate("-f 192.0.2.1 -c test:///a\\b\"c'#:{\t\xc3\xa4 " SERVICE, "");
    const char *text = original_text(original);
    struct config *config = config_parse(text, strlen(text), "kept.yaml", collect, NULL);
    assert_string_equal(faults, "");
    assert_non_null(config);
    assert_false(config->is_from_arguments);
    assert_string_equal(config->services[0].connect, "test:///a\\b\"c'#:{\t\xc3\xa4");
    config_free(config);
    original_free(original);
}

/* A byte that is no UTF-8 cannot be in a file. */
static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    assert_faults("dns=www.example.org,ip=10.0.0.1,name=a\xff",
                  "dns=www.example.org,...: name: invalid leading UTF-8 octet (0xff); expected "
                  "text in UTF-8\n");
}

/* --- faults --- */

static void faults_name_the_option(void **state)
{
    (void)state;
    assert_faults("-l abc -t x -m pause -d soon " SERVICE,
                  "-l: 'abc' is no number; expected a port, such as 53\n"
                  "-t: 'x' is no number; expected seconds, such as 60\n"
                  "-m: 'pause' is no mode; expected 'destroy', 'suspend' or 'shutdown'\n"
                  "-d: 'soon' is no number of seconds; expected one such as 0.1\n");
    assert_faults("-x xapi " SERVICE,
                  "-x: backend 'xapi' is not supported; expected 'libvirt', with -c xen:///, or "
                  "'libxl', on the Xen host itself\n");
    assert_faults("-x kvm " SERVICE,
                  "-x: 'kvm' is no backend; expected 'libvirt', 'libxl' or 'qemu'\n");
    assert_faults("-x qemu -c xen:/// dns=a.b,ip=127.0.0.1,kernel=/k",
                  "-c: a connection is for backend 'libvirt'; expected none, or -x libvirt\n");
    assert_faults("-b nowhere " SERVICE, "-b: 'nowhere@53' is no value for 'listen'; expected "
                                         "addresses with ports, such as 127.0.0.1@53 or "
                                         "\"::1@53\"\n");
    assert_faults("-c nonsense " SERVICE " dns=b.example,ip=10.0.0.2,name=b",
                  "-c: 'nonsense' is no value for 'connect'; expected a libvirt URI such as "
                  "qemu:///system\n");
    assert_faults("-f 127.0.0.1 " SERVICE,
                  "-f: 127.0.0.1@53 is where DNS listens ('listen' of 'server'), so queries would "
                  "go round in circles; expected another resolver\n");
    assert_faults("-f 192.0.2.1 --forward-from 0.0.0.0/0 " SERVICE,
                  "--forward-from: '0.0.0.0/0' would make this a resolver that is open to the "
                  "whole Internet, as attackers abuse them; expected the prefixes of your own "
                  "clients, or the word 'anyone' where a firewall keeps others out\n");
    assert_faults("-x libvirt", "command line: no service; expected one such as "
                                "dns=www.example.org,ip=10.0.0.1,name=www\n");
}

static void faults_name_the_argument_and_the_key(void **state)
{
    (void)state;
    assert_faults("dns=a.example,ip=1.2.3,name=a",
                  "dns=a.example,...: ip: '1.2.3' is no value for 'address'; expected addresses "
                  "such as 127.0.0.10 or \"fd00::10\"\n");
    assert_faults("dns=a..example,ip=1.2.3.4,name=a",
                  "dns=a..example,...: dns: 'a..example' is not a domain name: it has an empty "
                  "label; expected a name such as www.example.org\n");
    assert_faults(SERVICE " ip=10.0.0.2,dns=WWW.example.org,name=b",
                  "ip=10.0.0.2,...: dns: 'www.example.org' is a name of the service of "
                  "'dns=www.example.org,...' already; expected another name\n");
    assert_faults(SERVICE ",vm=x,plain",
                  "dns=www.example.org,...: 'vm' is no key of backend 'libvirt'; expected one of "
                  "dns, ip, name, uuid, response_delay, use_synjitsu, nic, mac, port\n"
                  "dns=www.example.org,...: 'plain' is no pair; expected KEY=VALUE\n");
    assert_faults(SERVICE ",name=again",
                  "dns=www.example.org,...: 'name' is given twice; expected it once\n");
    assert_faults(
        "dns=a.example,dns=*.b.example,ip=10.0.0.1,name=a",
        "dns=a.example,...: dns: '*.b.example' is a wildcard, which needs a configuration "
        "file; expected a whole name\n");
    assert_faults(
        SERVICE ",nic=br0",
        "dns=www.example.org,...: a service with 'domain' on network 'br0' without 'mac'; "
        "expected the MAC address that the domain has there, such as "
        "52:54:00:12:34:56\n");
    assert_faults("name=a", "name=a: there is no 'dns'; expected the name of the service\n"
                            "name=a: there is no 'ip'; expected its address\n");
    assert_faults("dns=a.example,ip=10.0.0.1",
                  "dns=a.example,...: there is no 'name'; expected the name of a domain, or "
                  "'uuid'\n");
    assert_faults("-x libxl dns=a.example,ip=10.0.0.1,name=a",
                  "dns=a.example,...: there is no 'kernel'; expected the path of a kernel\n"
                  "dns=a.example,...: there is no 'nic'; expected the bridge that the machine is "
                  "attached to\n");
    assert_faults(SERVICE ",response_delay=-1",
                  "dns=www.example.org,...: response_delay: '-1' is no number of seconds; expected "
                  "one such as 0.1\n");
    assert_faults(SERVICE ",use_synjitsu=1",
                  "dns=www.example.org,...: use_synjitsu: packets are held by jitsud itself, on "
                  "the machine's bridge; expected nic=BRIDGE too\n");
    assert_faults("-x qemu dns=a.b,ip=127.0.0.1,kernel=/k,memory=16M",
                  "dns=a.b,...: memory: '16M' is no number of KiB; expected one such as 64000\n");
#ifdef HAVE_XEN
    assert_faults("-x libxl " GUEST ",wait_for_key=/absolute",
                  "dns=www.example.org,...: ready 'xenstore:/absolute' names no key; expected one "
                  "below the machine's own directory, such as data/ready\n");
#endif
    assert_faults("-x libxl " GUEST ",script=vif-bridge,rumprun_config=x.json",
                  "dns=www.example.org,...: 'script' is not supported: jitsud puts a machine's "
                  "interface on its bridge itself, without a script; leave it out\n"
                  "dns=www.example.org,...: 'rumprun_config' is not supported: jitsud writes "
                  "nothing to xenstore; give it in 'cmdline' of a configuration file, as a JSON "
                  "object\n");
    assert_faults("-x libxl " GUEST ",disk=/a@xvda,disk=/b@sda",
                  "dns=www.example.org,...: disk: '/b@sda' asks for another device than the next "
                  "one; expected @xvdb, as disks are given to machines in their order\n");
}

#ifndef HAVE_LIBVIRT
static void what_is_not_built_is_refused(void **state)
{
    (void)state;
    static const char refused[] =
        "-x: this jitsud was built without backend 'libvirt'; expected another one\n";
    assert_faults("-x libvirt " SERVICE, refused);
    assert_faults(SERVICE, refused); /* libvirt is the original's default */
}
#endif

int main(void)
{
    const struct CMUnitTest always[] = {
        cmocka_unit_test(services_or_a_backend_tell_the_originals_command_line),
        cmocka_unit_test(our_own_backend_qemu_is_taken),
        cmocka_unit_test(one_machine_without_a_bridge_is_on_the_user_network),
        cmocka_unit_test(keys_of_libxl_are_taken),
        cmocka_unit_test(what_is_no_text_is_refused),
#ifndef HAVE_LIBVIRT
        cmocka_unit_test(what_is_not_built_is_refused),
#endif
    };
    const struct CMUnitTest with_libvirt[] = {
        cmocka_unit_test(our_long_options_go_with_it),
        cmocka_unit_test(without_options_all_is_as_the_original_had_it),
        cmocka_unit_test(each_option_is_taken),
        cmocka_unit_test(options_have_their_long_forms_and_may_come_last),
        cmocka_unit_test(without_forwarder_the_hosts_resolvers_are_used),
        cmocka_unit_test(clients_of_the_forwarder_are_named),
        cmocka_unit_test(keys_of_libvirt_are_taken),
        cmocka_unit_test(a_domain_may_be_on_a_bridge),
        cmocka_unit_test(the_text_can_be_kept_as_a_file),
        cmocka_unit_test(faults_name_the_option),
        cmocka_unit_test(faults_name_the_argument_and_the_key),
    };
    int failed = cmocka_run_group_tests(always, NULL, NULL);
#ifdef HAVE_LIBVIRT
    failed += cmocka_run_group_tests(with_libvirt, NULL, NULL);
#else
    (void)with_libvirt;
#endif
    return failed;
}
