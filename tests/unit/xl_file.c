/* Which xl.cfg jitsud takes, and what it says about others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "keeper/xen/xl_file.h"

struct problems {
    char text[4096];
    size_t length;
};

static void keep(void *argument, const char *text)
{
    struct problems *problems = argument;
    problems->length += (size_t)snprintf(problems->text + problems->length,
                                         sizeof problems->text - problems->length, "%s\n", text);
}

static int parse(const char *text, struct xl_file *file, struct problems *problems)
{
    *problems = (struct problems){0};
    return xl_file_parse(text, strlen(text), "a.cfg", file, keep, problems);
}

static void assert_refused(const char *text, const char *expected)
{
    struct xl_file file;
    struct problems problems;
    assert_int_equal(parse(text, &file, &problems), -1);
    assert_string_equal(problems.text, expected);
}

static void every_setting_is_read(void **state)
{
    (void)state;
    static const char text[] = "# a machine\n"
                               "type = 'pvh'; name = \"legacy\"\n"
                               "uuid=\"7a3f2c1e-0b52-4a80-9f4e-1d2c3b4a5968\"\n"
                               "kernel = \"/k # no comment\"   # a comment\n"
                               "ramdisk = \"/r\"\n"
                               "root = \"/dev/xvda1 ro\"\n"
                               "extra = 'console=hvc0'\n"
                               "memory = 0x80\n"
                               "vcpus = 2\n"
                               "vif = [ # the only one\n"
                               "  'mac=02:00:5e:10:00:01, bridge=br0,type=vif',\n"
                               "]\n"
                               "disk = [ '/dev/vg/a,raw,xvda,w', \"format=qcow2, vdev=xvdb, "
                               "access=ro, target=/b.qcow2\" ]\n"
                               "on_poweroff = 'destroy'\n"
                               "on_reboot = \"destroy\"\n"
                               "on_crash = 'destroy' # the last line has no end";
    static const uint8_t mac[] = {2, 0, 0x5e, 0x10, 0, 1};
    struct xl_file file;
    struct problems problems;
    int failed = parse(text, &file, &problems);
    assert_string_equal(problems.text, "");
    assert_int_equal(failed, 0);
    assert_int_equal(file.type, XL_TYPE_PVH);
    assert_string_equal(file.name, "legacy");
    assert_true(file.has_uuid);
    assert_string_equal(file.kernel, "/k # no comment");
    assert_string_equal(file.ramdisk, "/r");
    assert_string_equal(file.cmdline, "root=/dev/xvda1 ro console=hvc0");
    assert_int_equal(file.memory, 128 << 20);
    assert_int_equal(file.vcpus, 2);
    assert_true(file.has_mac);
    assert_memory_equal(file.mac, mac, sizeof mac);
    assert_string_equal(file.bridge, "br0");
    assert_int_equal(file.disk_count, 2);
    assert_string_equal(file.disks[0].pdev_path, "/dev/vg/a");
    assert_true(file.disks[0].readwrite);
    assert_int_equal(file.disks[1].format, LIBXL_DISK_FORMAT_QCOW2);
    assert_false(file.disks[1].readwrite);
    xl_file_free(&file);
}

static void little_is_needed(void **state)
{
    (void)state;
    struct xl_file file;
    struct problems problems;
    assert_int_equal(parse("kernel='/k'\nmemory=64\ncmdline='quiet'", &file, &problems), 0);
    assert_int_equal(file.type, XL_TYPE_DEFAULT);
    assert_null(file.name);
    assert_string_equal(file.cmdline, "quiet");
    assert_int_equal(file.vcpus, 0);
    assert_int_equal(file.disk_count, 0);
    xl_file_free(&file);
}

static void all_errors_are_told_in_one_go(void **state)
{
    (void)state;
    assert_refused(
        "type='hvm'\nuuid='x'\nbuilder='hvm'\nkernel='k'\n\nmemory='much'\nvcpus=0\n"
        "cmdline='a'\nextra='b'\nname='a/b'\nvif=['model=e1000','bridge=b']\ndisk='/a'\n"
        "on_reboot='restart'\nmemory=3\n",
        "a.cfg:3: jitsud does not know 'builder'; expected one of those in jitsud.yaml(5)\n"
        "a.cfg:14: 'memory' is set in line 6 already; expected it once\n"
        "a.cfg:1: type is 'hvm'; expected \"pv\" or \"pvh\"\n"
        "a.cfg:2: uuid is 'x'; expected one such as \"7a3f2c1e-0b52-4a80-9f4e-1d2c3b4a5968\"\n"
        "a.cfg:8: 'cmdline' besides 'extra'; expected either 'cmdline', or 'root' and 'extra'\n"
        "a.cfg:13: on_reboot is 'restart'; expected \"destroy\": jitsud starts a machine when it "
        "is wanted\n"
        "a.cfg:11: 'vif' is not right; expected a list of one text, such as [\"bridge=br0\"]\n"
        "a.cfg:12: 'disk' is not right; expected a list of texts\n"
        "a.cfg:4: 'kernel' is 'k'; expected an absolute path\n"
        "a.cfg:7: 'vcpus' is not right; expected a number from 1 to 64\n"
        "a.cfg:10: name is 'a/b'; expected one without a slash\n");
}

/* By its UUID a later jitsud finds a domain again, and zeroes are dom0's. */
static void the_uuid_of_dom0_is_refused(void **state)
{
    (void)state;
    assert_refused("kernel='/k'\nmemory=16\nuuid='00000000-0000-0000-0000-000000000000'\n",
                   "a.cfg:3: uuid is '00000000-0000-0000-0000-000000000000'; expected one such as "
                   "\"7a3f2c1e-0b52-4a80-9f4e-1d2c3b4a5968\"\n");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    assert_refused("", "a.cfg: no 'kernel'; expected the path of one\n"
                       "a.cfg: no 'memory'; expected it in megabytes\n");
}

static void a_vif_is_what_jitsud_makes_of_it(void **state)
{
    (void)state;
    assert_refused("kernel='/k'\nmemory=64\nvif=['mac=02:00:00:00:00,script=x,ip=10.0.0.1']\n",
                   "a.cfg:3: mac of 'vif' is '02:00:00:00:00'; expected one such as "
                   "02:00:5e:10:00:01\n"
                   "a.cfg:3: jitsud does not know 'script=x' of 'vif'; expected mac=, bridge= and "
                   "type=vif alone\n"
                   "a.cfg:3: jitsud does not know 'ip=10.0.0.1' of 'vif'; expected mac=, bridge= "
                   "and type=vif alone\n");
}

static void disks_are_whole(void **state)
{
    (void)state;
    struct xl_file file;
    struct problems problems;
    assert_int_equal(parse("kernel='/k'\nmemory=64\ndisk=['a.raw,raw,xvda,w','/b,vmdk,xvdb,w']\n",
                           &file, &problems),
                     -1);
    assert_non_null(strstr(problems.text, "a.cfg:3: the target of disk 'a.raw,raw,xvda,w' is not "
                                          "there; expected an absolute path\n"));
    assert_non_null(strstr(problems.text, "a.cfg:3: disk '/b,vmdk,xvdb,w' is not right"));
}

static void a_syntax_error_is_told_with_its_line(void **state)
{
    (void)state;
    struct xl_file file;
    struct problems problems;
    assert_refused("kernel='/k'\nmemory=(3)\n",
                   "a.cfg:2: config parsing error near `(3)': lexical error\n");
    static const char bytes[] = "kernel='/k'\0\nmemory=64\n";
    problems = (struct problems){0};
    assert_int_equal(xl_file_parse(bytes, sizeof bytes - 1, "a.cfg", &file, keep, &problems), -1);
    assert_non_null(strstr(problems.text, "it is not a text"));
}

static void what_cannot_be_read_is_reported(void **state)
{
    (void)state;
    struct xl_file file;
    struct problems problems = {0};
    assert_int_equal(xl_file_read("/no-such-file", &file, keep, &problems), -1);
    assert_int_equal(xl_file_read("/dev/zero", &file, keep, &problems), -1);
    assert_string_equal(problems.text, "/no-such-file: cannot read it: No such file or directory\n"
                                       "/dev/zero: cannot read it: Invalid argument\n");
}

static void the_configuration_and_the_file_say_the_same(void **state)
{
    (void)state;
    char network_name[] = "lan", bridge[] = "br0", name[] = "www.example.org";
    const struct config_network network = {.name = network_name, .bridge = bridge};
    struct config_service service = {.name = name, .network = &network, .memory = 64 << 20};
    struct xl_file file;
    struct problems problems;
    assert_int_equal(parse("kernel='/k'\nmemory=64\nvif=['bridge=br0']", &file, &problems), 0);
    assert_int_equal(xl_file_suits(&file, &service, keep, &problems), 0);
    xl_file_free(&file);

    assert_int_equal(
        parse("kernel='/k'\nmemory=65\nvif=['bridge=br1,mac=02:00:00:00:00:01']", &file, &problems),
        0);
    assert_int_equal(xl_file_suits(&file, &service, keep, &problems), -1);
    assert_non_null(strstr(problems.text, "a.cfg: memory is 65M, and 64M in jitsud.yaml"));
    assert_non_null(strstr(problems.text, "a.cfg: bridge of 'vif' is br1; expected br0"));
    assert_non_null(strstr(problems.text, "a.cfg: mac of 'vif' is another one"));
    xl_file_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_is_read),
        cmocka_unit_test(little_is_needed),
        cmocka_unit_test(all_errors_are_told_in_one_go),
        cmocka_unit_test(the_uuid_of_dom0_is_refused),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(a_vif_is_what_jitsud_makes_of_it),
        cmocka_unit_test(disks_are_whole),
        cmocka_unit_test(a_syntax_error_is_told_with_its_line),
        cmocka_unit_test(what_cannot_be_read_is_reported),
        cmocka_unit_test(the_configuration_and_the_file_say_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
