#include "platform/xen/console.h"

#include <stdbool.h>
#include <stdint.h>

#include "jitsu/clock.h"
#include "platform/xen/events.h"
#include "platform/xen/interface.h"
#include "platform/xen/xen.h"

/* How long a full ring may keep the machine waiting, before what does not fit is given up. */
#define PATIENCE (100 * CLOCK_MILLISECOND)

static struct xen_console *ring;
static uint32_t port;
static bool given_up;

void xen_console_start(void)
{
    ring = xen_parameter_page(XEN_PARAM_CONSOLE_PAGE);
    port = (uint32_t)xen_parameter(XEN_PARAM_CONSOLE_PORT);
}

static uint32_t used(void)
{
    return ring->out_given - __atomic_load_n(&ring->out_taken, __ATOMIC_ACQUIRE);
}

/* Waits until there is room. Returns how much: 0 if there is none for too long, after which there
 * is no waiting, until there is room again. */
static uint32_t room(void)
{
    uint32_t size = sizeof ring->out;

    if (used() >= size && !given_up && xen_can_wait()) {
        uint64_t deadline = clock_now() + PATIENCE;
        while (used() >= size && clock_now() < deadline) {
            events_clear(port);
            if (used() >= size)
                events_wait(&port, 1, deadline);
        }
    }
    given_up = used() >= size;
    return given_up ? 0 : size - used();
}

void xen_console_write(const char *text, size_t length)
{
    if (!ring)
        return;
    while (length > 0) {
        uint32_t count = room();
        if (count == 0)
            return;
        if (count > length)
            count = (uint32_t)length;
        for (uint32_t i = 0; i < count; i++)
            ring->out[(ring->out_given + i) % sizeof ring->out] = (uint8_t)text[i];
        __atomic_store_n(&ring->out_given, ring->out_given + count, __ATOMIC_RELEASE);
        events_send(port);
        text += count;
        length -= count;
    }
}

void xen_console_drain(void)
{
    if (!ring || !xen_can_wait())
        return;
    for (uint64_t deadline = clock_now() + PATIENCE; used() > 0 && clock_now() < deadline;) {
        events_clear(port);
        if (used() > 0)
            events_wait(&port, 1, deadline);
    }
}
