/* A backend of Xen's network that says what the input says: to the machine's frames, and to its
 * rings.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../unit/xen_world.h"
#include "common/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct network_device *network;
static struct reader input;

static void send(uint8_t parts, uint8_t size, bool cut)
{
    static uint8_t memory[64 * XEN_PAGE] __attribute__((aligned(XEN_PAGE)));
    static int owner;
    struct frame_part pieces[8];
    unsigned count = 1 + parts % 8;

    for (unsigned i = 0; i < count; i++)
        pieces[i] = (struct frame_part){memory + i * 8 * XEN_PAGE + parts * 16u,
                                        i == 0 ? 14u + size % 100 : size * 7u};
    const struct frame frame = {
        .parts = pieces,
        .part_count = count,
        .checksum_from = cut ? 34 : 0,
        .segment_size = cut ? 1460 : 0,
        .headers_length = cut ? 54 : 0,
        .owner = &owner,
    };
    network->driver->send(network, &frame);
}

/* The backend does anything at all to the rings. */
static void act(uint8_t action)
{
    uint8_t one = reader_u8(&input), two = reader_u8(&input), three = reader_u8(&input);

    switch (action % 8) {
    case 0:
        send(one, two, three & 1);
        break;
    case 1:
        network->driver->flush(network);
        break;
    case 2:
        world_answer((uint16_t)(one | (three & 1) << 8), (int8_t)two);
        break;
    case 3:
        world_receive_slot(world_receive_ring()->response_given++)->response =
            (struct xen_receive_response){.offset = (uint16_t)(one << 4),
                                          .flags = two & 15,
                                          .status = (int16_t)(three << 8 | one)};
        break;
    case 4:
        world_send_ring()->response_given += one;
        world_receive_ring()->response_given += two;
        break;
    case 5:
        if (network->driver->arm(network, one & 1))
            network->driver->poll(network);
        break;
    case 6:
        world.grants[256 + one].is_mapped = two & 1;
        break;
    case 7:
        world_set("/local/domain/7/backend/vif/3/0/state", one & 1 ? "5" : two & 1 ? "6" : "2");
        break;
    }
}

static void run(void)
{
    unsigned before = 0;

    network = world_network();
    while (reader_left(&input) > 0) {
        act(reader_u8(&input));
        network->driver->poll(network);
        if (world.received != before)
            network->driver->release(network, world.frame_buffer);
        before = world.received;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    world_start();
    input = reader_over(bytes, length);
    world_ends(run);
    return 0;
}
