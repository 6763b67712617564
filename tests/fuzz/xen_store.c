/* A xenstore that gives the machine the input's bytes, as messages or as they are. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/xen_world.h"
#include "common/cursor.h"
#include "platform/xen/control.h"
#include "platform/xen/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct reader input;

static void nothing(void)
{
}

static void run(void)
{
    char value[STORE_VALUE_MAX];

    control_start(&(const struct control_orders){nothing, nothing});
    while (reader_left(&input) > 0) {
        uint8_t action = reader_u8(&input);
        if (action & 1)
            store_ask_read("some", "name");
        if (action & 2)
            world.store.answers_given += reader_u8(&input);
        if (action & 4)
            world.store.requests_taken += reader_u8(&input);
        for (unsigned i = action >> 4; i > 0; i--)
            world.store.answers[world.store.answers_given++ % sizeof world.store.answers] =
                reader_u8(&input);
        store_poll();
        if (action & 1 && store_answer_text(value) && strlen(value) >= sizeof value)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    world_start();
    world.store_piece = length % 50;
    input = reader_over(bytes, length);
    world_ends(run);
    return 0;
}
