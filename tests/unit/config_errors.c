/* Every fault of a file is reported in one run, with its place, in the order of the file: the files
 * in config-errors/ against the complete output beside them, and what cannot be kept as a file. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

struct output {
    char *text;
    size_t length;
};

static void add_line(void *argument, const char *line)
{
    struct output *output = argument;
    size_t length = strlen(line);
    output->text = realloc(output->text, output->length + length + 2);
    assert_non_null(output->text);
    memcpy(output->text + output->length, line, length);
    output->length += length;
    output->text[output->length++] = '\n';
    output->text[output->length] = '\0';
}

/* What loading `file` reports; the caller frees it. */
static char *load(const char *file)
{
    struct output output = {0};
    struct config *config = config_load(file, add_line, &output);
    assert_null(config);
    assert_non_null(output.text);
    return output.text;
}

static char *parse(const char *text, size_t length)
{
    struct output output = {0};
    struct config *config = config_parse(text, length, "memory.yaml", add_line, &output);
    assert_null(config);
    assert_non_null(output.text);
    return output.text;
}

static char *read_whole(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    *length = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

static void check_file(const char *yaml)
{
    char expected_path[300];
    size_t length;
    snprintf(expected_path, sizeof expected_path, "%.*s.expected", (int)(strlen(yaml) - 5), yaml);
    char *expected = read_whole(expected_path, &length);
    char *found = load(yaml);
    assert_string_equal(found, expected);
    free(found);

    /* From memory the same is found, under the same name. */
    struct output output = {0};
    char *text = read_whole(yaml, &length);
    assert_null(config_parse(text, length, yaml, add_line, &output));
    assert_string_equal(output.text, expected);
    free(output.text);
    free(text);
    free(expected);
}

/* Those about a backend are for a build with it. */
static bool is_for_this_build(const char *file)
{
#ifndef HAVE_LIBVIRT
    if (strcmp(file, "libvirt.yaml") == 0)
        return false;
#endif
#ifndef HAVE_XEN
    if (strcmp(file, "xen.yaml") == 0)
        return false;
#endif
    return file[0] != '\0';
}

static void each_faulty_file_gives_exactly_its_faults(void **state)
{
    (void)state;
    unsigned count = 0;
    DIR *directory = opendir(".");
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".yaml") != 0 || !is_for_this_build(entry->d_name))
            continue;
        check_file(entry->d_name);
        count++;
    }
    closedir(directory);
    assert_true(count >= 30);
}

#ifndef HAVE_LIBVIRT
static void a_service_of_libvirt_is_refused_where_it_is_not_built(void **state)
{
    (void)state;
    static const char text[] = "zones: [{name: example.org}]\n"
                               "services:\n"
                               "- {name: a.example.org, address: 127.0.0.1, backend: libvirt, "
                               "domain: legacy}\n";
    char *found = parse(text, sizeof text - 1);
    assert_string_equal(found, "memory.yaml:3:54: this jitsud was built without backend 'libvirt'; "
                               "expected another one\n");
    free(found);
}
#endif

#ifndef HAVE_XEN
static void a_service_of_xen_is_refused_where_it_is_not_built(void **state)
{
    (void)state;
    static const char text[] = "networks: [{name: lan, type: bridge, bridge: br0, "
                               "prefix: 10.0.0.0/24}]\n"
                               "zones: [{name: example.org}]\n"
                               "services:\n"
                               "- {name: a.example.org, backend: xen, image: k}\n";
    char *found = parse(text, sizeof text - 1);
    assert_string_equal(found, "memory.yaml:4:34: this jitsud was built without backend 'xen'; "
                               "expected another one\n");
    free(found);
}
#endif

static void a_file_that_is_not_there_is_reported(void **state)
{
    (void)state;
    char *found = load("no-such-file.yaml");
    assert_string_equal(found, "no-such-file.yaml:1:1: the file cannot be opened: No such file or "
                               "directory; expected a readable file\n");
    free(found);
}

static void a_directory_is_reported(void **state)
{
    (void)state;
    char *found = load("/");
    assert_string_equal(found, "/:1:1: this is a directory; expected a file\n");
    free(found);
}

static void a_file_without_permission_is_reported(void **state)
{
    (void)state;
    char path[] = "/tmp/jitsu-config-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(fchmod(descriptor, 0), 0);
    close(descriptor);
    /* root may read everything: be somebody else meanwhile. */
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    char *found = load(path);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_non_null(strstr(found, ":1:1: the file cannot be opened: Permission denied; expected"));
    free(found);
    unlink(path);
}

static void a_huge_file_is_refused_before_it_is_read(void **state)
{
    (void)state;
    char path[] = "/tmp/jitsu-config-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(ftruncate(descriptor, (off_t)256 * 1024 * 1024 + 1), 0);
    close(descriptor);
    char *found = load(path);
    assert_non_null(strstr(found, ":1:1: the file is too large; expected at most 256 MiB\n"));
    free(found);
    unlink(path);
}

static void a_device_without_end_is_refused(void **state)
{
    (void)state;
    char *found = load("/dev/zero");
    assert_string_equal(found, "/dev/zero:1:1: control characters are not allowed (0x00); expected "
                               "text in UTF-8\n");
    free(found);
}

static void thousands_of_faults_are_all_reported_in_order(void **state)
{
    (void)state;
    enum { FAULTS = 5000 };
    char *text = malloc(FAULTS * 32 + 32);
    assert_non_null(text);
    size_t length = (size_t)sprintf(text, "zones:\n");
    for (int i = 0; i < FAULTS; i++)
        length += (size_t)sprintf(text + length, "  - {name: a..%d}\n", i);
    char *found = parse(text, length);
    const char *line = found;
    for (unsigned i = 0; i < FAULTS; i++) {
        unsigned at;
        assert_int_equal(sscanf(line, "memory.yaml:%u:", &at), 1);
        assert_int_equal(at, i + 2);
        line = strchr(line, '\n') + 1;
    }
    assert_int_equal(*line, '\0');
    free(found);
    free(text);
}

static void long_values_are_cut_at_a_character(void **state)
{
    (void)state;
    char text[400] = "server:\n  log: a";
    for (int i = 0; i < 60; i++)
        strcat(text, "\xc3\xa9");
    char *found = parse(text, strlen(text));
    char *cut = strstr(found, "...");
    assert_non_null(cut);
    assert_memory_equal(cut - 2, "\xc3\xa9", 2);
    assert_int_equal(cut - strstr(found, "'a"), 72);
    free(found);
}

static void the_bytes_of_a_file_are_those_in_it(void **state)
{
    (void)state;
    struct error error;
    size_t length = 0;
    char *bytes = config_read("crlf.yaml", &length, &error);
    assert_non_null(bytes);
    assert_int_equal(length, 42);
    assert_memory_equal(bytes, "\xef\xbb\xbfserver:\r\n", 12);
    assert_int_equal(bytes[length], '\0');
    free(bytes);

    bytes = config_read("empty.yaml", &length, &error);
    assert_non_null(bytes);
    assert_int_equal(length, 0);
    free(bytes);

    assert_null(config_read("/", &length, &error));
    assert_string_equal(error.text, "/ is not a file of at most 256 MiB");
    assert_null(config_read("no-such-file", &length, &error));
    assert_string_equal(error.text, "cannot open no-such-file: No such file or directory");
}

static int enter_directory(void **state)
{
    (void)state;
    const char *source = getenv("srcdir");
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/unit/config-errors", source ? source : ".");
    return chdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_faulty_file_gives_exactly_its_faults),
#ifndef HAVE_LIBVIRT
        cmocka_unit_test(a_service_of_libvirt_is_refused_where_it_is_not_built),
#endif
#ifndef HAVE_XEN
        cmocka_unit_test(a_service_of_xen_is_refused_where_it_is_not_built),
#endif
        cmocka_unit_test(a_file_that_is_not_there_is_reported),
        cmocka_unit_test(a_directory_is_reported),
        cmocka_unit_test(a_file_without_permission_is_reported),
        cmocka_unit_test(a_huge_file_is_refused_before_it_is_read),
        cmocka_unit_test(a_device_without_end_is_refused),
        cmocka_unit_test(thousands_of_faults_are_all_reported_in_order),
        cmocka_unit_test(long_values_are_cut_at_a_character),
        cmocka_unit_test(the_bytes_of_a_file_are_those_in_it),
    };
    return cmocka_run_group_tests(tests, enter_directory, NULL);
}
