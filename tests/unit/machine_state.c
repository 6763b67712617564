/* The table of a machine's states, field by field against the one written out here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "summon/machine_state.h"

#define NO  (-1)
#define OFF MACHINE_OFF
#define STA MACHINE_STARTING
#define RUN MACHINE_RUNNING
#define STO MACHINE_STOPPING
#define SUS MACHINE_SUSPENDED
#define FAI MACHINE_FAILED

/* clang-format off */
static const int expected[MACHINE_STATES][MACHINE_EVENTS] = {
    /*            START READY ADOPT START BOOT  EXIT  STOP  STOP  SUS-
     *                        -ED   FAIL  TIME  -ED         -PED  PEND */
    [MACHINE_OFF]       = {STA,  NO,   RUN,  NO,   NO,   NO,   NO,   NO,   SUS},
    [MACHINE_STARTING]  = {NO,   RUN,  RUN,  FAI,  FAI,  FAI,  STO,  OFF,  SUS},
    [MACHINE_RUNNING]   = {NO,   NO,   NO,   NO,   NO,   FAI,  STO,  OFF,  SUS},
    [MACHINE_STOPPING]  = {NO,   NO,   NO,   OFF,  NO,   OFF,  NO,   OFF,  SUS},
    [MACHINE_SUSPENDED] = {STA,  NO,   RUN,  NO,   NO,   OFF,  STO,  OFF,  NO},
    [MACHINE_FAILED]    = {STA,  NO,   NO,   NO,   NO,   NO,   OFF,  NO,   NO},
};
/* clang-format on */

static void each_event_moves_each_state_as_designed(void **state)
{
    (void)state;
    for (unsigned from = 0; from < MACHINE_STATES; from++)
        for (unsigned event = 0; event < MACHINE_EVENTS; event++) {
            int next = machine_state_next((enum machine_state)from, (enum machine_event)event);
            if (next != expected[from][event])
                fail_msg("%s in %s: next is %d, should be %d",
                         machine_event_name((enum machine_event)event),
                         machine_state_name((enum machine_state)from), next, expected[from][event]);
        }
}

static void each_state_has_a_word_that_reads_back(void **state)
{
    (void)state;
    static const char *const words[MACHINE_STATES] = {"off",      "starting",  "running",
                                                      "stopping", "suspended", "failed"};
    for (unsigned i = 0; i < MACHINE_STATES; i++) {
        enum machine_state parsed = MACHINE_STATES;
        assert_string_equal(machine_state_name((enum machine_state)i), words[i]);
        assert_int_equal(machine_state_parse(words[i], &parsed), 0);
        assert_int_equal(parsed, i);
    }
}

static void other_words_are_no_states(void **state)
{
    (void)state;
    enum machine_state parsed = MACHINE_RUNNING;
    assert_int_equal(machine_state_parse("", &parsed), -1);
    assert_int_equal(machine_state_parse("Off", &parsed), -1);
    assert_int_equal(machine_state_parse("runnin", &parsed), -1);
    assert_int_equal(parsed, MACHINE_RUNNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_moves_each_state_as_designed),
        cmocka_unit_test(each_state_has_a_word_that_reads_back),
        cmocka_unit_test(other_words_are_no_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
