/* Moments and durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <time.h>

#include "common/clock.h"

static void the_clock_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = clock_now();
    assert_true(last > 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now();
        assert_true(now >= last);
        last = now;
    }
}

static void the_coarse_clock_is_the_same_one_but_late(void **state)
{
    (void)state;
    uint64_t coarse = clock_now_coarse();
    assert_true(coarse > 0);
    assert_true(coarse <= clock_now());
}

static void wall_time_is_that_of_the_system(void **state)
{
    (void)state;
    double before = (double)time(NULL);
    double wall = clock_wall();
    assert_true(wall >= before - 1 && wall <= (double)time(NULL) + 1);
}

/* Exact in what does not depend on when the test runs: the difference of two moments. */
static void moments_keep_their_distance_as_wall_time(void **state)
{
    (void)state;
    assert_true(clock_to_wall(0) == 0);
    uint64_t now = clock_now();
    double earlier = clock_to_wall(now), later = clock_to_wall(now + 3600 * NANOSECONDS_PER_SECOND);
    assert_true(fabs(later - earlier - 3600) < 60);
}

static void durations_become_timevals(void **state)
{
    (void)state;
    struct timeval value = clock_timeval(1500 * NANOSECONDS_PER_MILLISECOND);
    assert_int_equal(value.tv_sec, 1);
    assert_int_equal(value.tv_usec, 500000);
    value = clock_timeval(999);
    assert_int_equal(value.tv_sec, 0);
    assert_int_equal(value.tv_usec, 0);
    value = clock_timeval(365 * 86400 * NANOSECONDS_PER_SECOND + 1000);
    assert_int_equal(value.tv_sec, 31536000);
    assert_int_equal(value.tv_usec, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_never_goes_back),
        cmocka_unit_test(the_coarse_clock_is_the_same_one_but_late),
        cmocka_unit_test(wall_time_is_that_of_the_system),
        cmocka_unit_test(moments_keep_their_distance_as_wall_time),
        cmocka_unit_test(durations_become_timevals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
