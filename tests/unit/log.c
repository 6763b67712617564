/* Log lines: one each, that nobody can forge, at the levels that are wanted. */
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

#include "common/log.h"

static int saved_standard_error = -1;
static FILE *captured;

static int begin_capture(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_DEBUG);
    log_set_process(NULL);
    unsetenv("JOURNAL_STREAM");
    captured = tmpfile();
    saved_standard_error = dup(STDERR_FILENO);
    if (!captured || saved_standard_error < 0)
        return -1;
    return dup2(fileno(captured), STDERR_FILENO) < 0;
}

static int end_capture(void **state)
{
    (void)state;
    dup2(saved_standard_error, STDERR_FILENO);
    close(saved_standard_error);
    return fclose(captured);
}

/* All that was logged since begin_capture(). */
static const char *logged(void)
{
    static char text[16384];
    ssize_t length = pread(fileno(captured), text, sizeof text - 1, 0);
    assert_true(length >= 0);
    text[length] = '\0';
    return text;
}

/* What follows the time, which every line on a terminal or in a file begins with. */
static const char *after_time(const char *line)
{
    int year, month, day, hour, minute, second, thousandth, used = 0;
    int fields = sscanf(line, "%4d-%2d-%2d %2d:%2d:%2d.%3d%n", &year, &month, &day, &hour, &minute,
                        &second, &thousandth, &used);
    if (fields != 7)
        fail_msg("no time at the beginning of '%s'", line);
    return line + used;
}

static void a_line_has_time_level_and_text(void **state)
{
    (void)state;
    log_warning("service %s: %d", "www.example.org", 42);
    assert_string_equal(after_time(logged()), " warning: service www.example.org: 42\n");
}

static void a_line_names_the_process(void **state)
{
    (void)state;
    log_set_process("keeper");
    log_info("ready");
    assert_string_equal(after_time(logged()), " info: keeper: ready\n");
}

static void under_systemd_a_line_begins_with_its_priority(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_error("a");
    log_warning("b");
    log_info("c");
    log_set_process("front");
    log_debug("d");
    unsetenv("JOURNAL_STREAM");
    assert_string_equal(logged(), "<3>a\n<4>b\n<6>c\n<7>front: d\n");
}

static void control_characters_cannot_forge_a_line(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_info("%s", "a\nforged\r\t\x1b[31m\x7f caf\xc3\xa9 \\x0a");
    unsetenv("JOURNAL_STREAM");
    assert_string_equal(logged(), "<6>a\\x0aforged\\x0d\\x09\\x1b[31m\\x7f caf\xc3\xa9 \\x0a\n");
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
    (void)state;
    static const char fills[] = {'y', '\n'};
    for (size_t i = 0; i < sizeof fills; i++) {
        char text[5000];
        memset(text, fills[i], sizeof text);
        text[sizeof text - 1] = '\0';
        log_info("%s", text);
    }
    const char *first = logged(), *second = strchr(first, '\n') + 1;
    assert_true(second - first <= 2048 && second - first > 1900);
    assert_true(strlen(second) <= 2048 && strlen(second) > 1900);
    assert_ptr_equal(strchr(second, '\n'), second + strlen(second) - 1);
}

static void less_important_lines_are_left_out(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_WARNING);
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_true(log_enabled(LOG_LEVEL_WARNING));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
    log_info("not this");
    log_debug("nor this");
    assert_string_equal(logged(), "");
    log_error("but this");
    assert_string_equal(after_time(logged()), " error: but this\n");
}

static void levels_read_back(void **state)
{
    (void)state;
    static const char *const words[] = {"error", "warning", "info", "debug"};
    for (unsigned i = 0; i < 4; i++) {
        enum log_level level = LOG_LEVEL_ERROR;
        assert_string_equal(log_level_name((enum log_level)i), words[i]);
        assert_int_equal(log_level_parse(words[i], &level), 0);
        assert_int_equal(level, i);
    }
    enum log_level unchanged = LOG_LEVEL_DEBUG;
    assert_int_equal(log_level_parse("Info", &unchanged), -1);
    assert_int_equal(log_level_parse("", &unchanged), -1);
    assert_int_equal(unchanged, LOG_LEVEL_DEBUG);
}

#define CAPTURED(test) cmocka_unit_test_setup_teardown(test, begin_capture, end_capture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CAPTURED(a_line_has_time_level_and_text),
        CAPTURED(a_line_names_the_process),
        CAPTURED(under_systemd_a_line_begins_with_its_priority),
        CAPTURED(control_characters_cannot_forge_a_line),
        CAPTURED(a_long_line_is_cut_and_still_ends),
        CAPTURED(less_important_lines_are_left_out),
        cmocka_unit_test(levels_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
