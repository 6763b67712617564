/* Errors as values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/error.h"

static void an_error_is_a_formatted_message(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(error_set(&error, "service %s: port %d", "a", 80), -1);
    assert_string_equal(error.text, "service a: port 80");
}

static void an_error_of_the_system_says_why_and_keeps_errno(void **state)
{
    (void)state;
    struct error error;
    errno = ENOENT;
    assert_int_equal(error_set_errno(&error, "opening %s", "x"), -1);
    assert_string_equal(error.text, "opening x: No such file or directory");
    assert_int_equal(errno, ENOENT);
}

static void nobody_need_want_the_message(void **state)
{
    (void)state;
    errno = EPERM;
    assert_int_equal(error_set(NULL, "x"), -1);
    assert_int_equal(error_set_errno(NULL, "x"), -1);
    assert_int_equal(errno, EPERM);
}

static void a_long_message_is_cut(void **state)
{
    (void)state;
    struct error error;
    char text[2 * ERROR_TEXT_SIZE];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    error_set(&error, "%s", text);
    assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
    errno = EINVAL;
    error_set_errno(&error, "%s", text);
    assert_int_equal(strlen(error.text), ERROR_TEXT_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_a_formatted_message),
        cmocka_unit_test(an_error_of_the_system_says_why_and_keeps_errno),
        cmocka_unit_test(nobody_need_want_the_message),
        cmocka_unit_test(a_long_message_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
