/* The phases of a boot: in order, and however many there are, the last one is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jitsu/boot.h"
#include "jitsu/console.h"
#include "jitsu/options.h"
#include "platform/platform.h"

static uint64_t counter;

uint64_t platform_stamp(void)
{
    return ++counter;
}

uint64_t platform_stamp_time(uint64_t stamp)
{
    return stamp * 1000;
}

struct option option_get(const char *name)
{
    (void)name;
    return (struct option){0};
}

void console_print(const char *format, ...)
{
    (void)format;
}

static void keeps_the_last_phase_where_there_are_too_many(void **state)
{
    const struct boot_phase *phases;

    (void)state;
    assert_int_equal(boot_phases(&phases), 0);
    for (size_t i = 0; i < BOOT_PHASES_MAX; i++) {
        boot_phase("one of many");
        assert_int_equal(boot_phases(&phases), i + 1);
        assert_int_equal(phases[i].ended, (i + 1) * 1000);
    }
    boot_phase("one too many");
    boot_phase("ready");
    assert_int_equal(boot_phases(&phases), BOOT_PHASES_MAX);
    assert_string_equal(phases[BOOT_PHASES_MAX - 1].name, "ready");
    assert_int_equal(phases[BOOT_PHASES_MAX - 1].ended, (BOOT_PHASES_MAX + 2) * 1000);
    assert_int_equal(phases[BOOT_PHASES_MAX - 2].ended, (BOOT_PHASES_MAX - 1) * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_last_phase_where_there_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
