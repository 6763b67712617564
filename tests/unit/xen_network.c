/* The driver of Xen's network interfaces, against a backend in this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "platform/xen/netfront.h"
#include "platform/xen/store.h"
#include "xen_world.h"

#define BACKEND_STATE "/local/domain/7/backend/vif/3/0/state"

static struct network_device *network;
static uint8_t memory[20 * XEN_PAGE] __attribute__((aligned(XEN_PAGE)));

static int start(void **state)
{
    (void)state;
    world_start();
    for (size_t i = 0; i < sizeof memory; i++)
        memory[i] = (uint8_t)(i * 7 + i / 251);
    network = world_network();
    return network ? 0 : -1;
}

static bool send(const void *bytes, uint32_t length, void *owner)
{
    const struct frame_part part = {bytes, length};
    const struct frame frame = {.parts = &part, .part_count = 1, .owner = owner};

    return network->driver->send(network, &frame);
}

static const struct xen_send_request *request(uint32_t index)
{
    return &world_send_slot(index)->request;
}

static void tells_its_backend_what_it_needs(void **state)
{
    (void)state;
    assert_string_equal(world_get("device/vif/0/request-rx-copy"), "1");
    assert_string_equal(world_get("device/vif/0/event-channel"), "5");
    assert_string_equal(world_get("device/vif/0/state"), "4");
    assert_true(network->offloads_checksum);
    assert_true(network->cuts_segments);
    const uint8_t address[6] = {0, 0x16, 0x3e, 0, 0, 0x10};
    assert_memory_equal(network->hardware_address, address, 6);
    assert_int_equal(world_receive_ring()->request_given, network->receive_buffers);
}

static void cuts_no_segments_where_the_backend_cannot(void **state)
{
    (void)state;
    world_start();
    world_set("/local/domain/7/backend/vif/3/0/feature-gso-tcpv6", "0");
    network = world_network();
    assert_true(network->offloads_checksum);
    assert_false(network->cuts_segments);
}

static void short_frames_are_the_senders_again_at_once(void **state)
{
    int owner;

    (void)state;
    assert_true(send(memory + 4090, 60, &owner));
    assert_int_equal(world.sent, 1);
    assert_ptr_equal(world.owners[0], &owner);
    assert_int_equal(world_send_ring()->request_given, 0);
    network->driver->flush(network);
    assert_int_equal(world_send_ring()->request_given, 1);
    assert_int_equal(world.events, 1);
    assert_int_equal(request(0)->size, 60);
    assert_int_equal(request(0)->flags, 0);
    assert_memory_equal(world_bytes(request(0)), memory + 4090, 60);
}

static void long_frames_are_granted_page_by_page_until_they_are_answered(void **state)
{
    int owner;
    const struct frame_part parts[] = {{memory + 100, 54}, {memory + 8000, 5000}};
    const struct frame frame = {.parts = parts, .part_count = 2, .owner = &owner};

    (void)state;
    assert_true(network->driver->send(network, &frame));
    network->driver->flush(network);
    /* 54 + 74 bytes of head, the rest of the page at 4096, all of that at 8192, and what is left.
     */
    assert_int_equal(world_send_ring()->request_given, 4);
    assert_int_equal(request(0)->size, 5054);
    assert_memory_equal(world_bytes(request(0)), memory + 100, 54);
    assert_memory_equal(world_bytes(request(0)) + 54, memory + 8000, 74);
    const uint8_t *at = memory + 8074;
    for (uint32_t i = 1; i < 4; i++) {
        assert_ptr_equal(world_bytes(request(i)), at);
        assert_true(request(i)->offset + request(i)->size <= XEN_PAGE);
        assert_true(world.grants[request(i)->grant].read_only);
        assert_int_equal(world.grants[request(i)->grant].domain, WORLD_DOMAIN);
        assert_int_equal(!!(request(i - 1)->flags & XEN_SEND_MORE), 1);
        at += request(i)->size;
    }
    assert_ptr_equal(at, memory + 13000);
    assert_int_equal(request(3)->flags, 0);

    uint32_t grants[4];
    for (uint32_t i = 0; i < 4; i++)
        grants[i] = request(i)->grant;
    const uint16_t ids[] = {request(0)->id, request(1)->id, request(2)->id, request(3)->id};
    world_answer(ids[2], 0);
    world_answer(ids[0], 0);
    world_answer(ids[3], 0);
    assert_true(network->driver->poll(network));
    assert_int_equal(world.sent, 0);
    assert_non_null(world.grants[grants[1]].page);
    assert_null(world.grants[grants[2]].page);
    world_answer(ids[1], -1);
    assert_true(network->driver->poll(network));
    assert_int_equal(world.sent, 1);
    assert_ptr_equal(world.owners[0], &owner);
    assert_null(world.grants[grants[1]].page);
}

static void segments_to_be_cut_say_so(void **state)
{
    uint8_t head[66] = {[12] = 0x86, [13] = 0xdd};
    const struct frame_part parts[] = {{head, sizeof head}, {memory + 1, network->segment_max}};
    const struct frame frame = {.parts = parts,
                                .part_count = 2,
                                .checksum_from = 54,
                                .checksum_at = 16,
                                .segment_size = 1440,
                                .headers_length = 66,
                                .owner = head};

    (void)state;
    assert_true(network->driver->send(network, &frame));
    network->driver->flush(network);
    assert_int_equal(request(0)->flags,
                     XEN_SEND_CHECKSUM_BLANK | XEN_SEND_VALIDATED | XEN_SEND_MORE | XEN_SEND_EXTRA);
    const struct xen_extra *extra = &world_send_slot(1)->extra;
    assert_int_equal(extra->type, XEN_EXTRA_CUT);
    assert_int_equal(extra->kind, XEN_CUT_TCP6);
    assert_int_equal(extra->size, 1440);
    /* Without the extra, which is no slot of the frame's. */
    assert_true(world_send_ring()->request_given - 1 <= XEN_SLOTS_MAX);
    uint32_t sum = 0;
    for (uint32_t i = 2; i < world_send_ring()->request_given; i++)
        sum += request(i)->size;
    assert_int_equal(sum + 128, request(0)->size);

    /* The extra's answer has no id. */
    for (uint32_t i = 0, end = world_send_ring()->request_given; i < end; i++)
        world_answer(i == 1 ? 999 : request(i)->id, i == 1 ? XEN_SEND_NULL : 0);
    network->driver->poll(network);
    assert_int_equal(world.sent, 1);
}

static void a_full_ring_takes_no_more_until_something_is_answered(void **state)
{
    unsigned count = 0;

    (void)state;
    while (send(memory, 1500, memory))
        count++;
    assert_int_equal(count, 128);
    network->driver->flush(network);
    uint16_t first = request(0)->id, second = request(1)->id;
    world_answer(first, 0);
    network->driver->poll(network);
    assert_false(send(memory, 1500, memory));
    world_answer(second, 0);
    network->driver->poll(network);
    assert_int_equal(world.sent, 1);
    assert_true(send(memory, 1500, memory));
    assert_false(send(memory, 1500, memory));
}

static void what_comes_is_reported_and_its_page_used_again(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 1000; i++) {
        world_receive(memory + i, 1 + i % 1514, i % 2 ? XEN_RECEIVE_VALIDATED : 0);
        assert_true(network->driver->poll(network));
        assert_int_equal(world.received, i);
        assert_int_equal(world.frame_length, 1 + i % 1514);
        assert_memory_equal(world.frame, memory + i, world.frame_length);
        assert_int_equal(world.frame_is_good, i % 2);
        network->driver->release(network, world.frame_buffer);
        network->driver->flush(network);
    }
    assert_false(network->driver->poll(network));
}

static void what_was_not_asked_for_is_not_reported(void **state)
{
    (void)state;
    /* A frame in three pages, one with something more to be said, an error, none at all. */
    world_receive(memory, 4096, XEN_RECEIVE_MORE);
    world_receive(memory, 4096, XEN_RECEIVE_MORE);
    world_receive(memory, 100, 0);
    world_receive(memory, 100, XEN_RECEIVE_EXTRA);
    struct xen_ring *ring = world_receive_ring();
    world_receive_slot(ring->response_given++)->extra =
        (struct xen_extra){.type = 1, .flags = XEN_EXTRA_MORE};
    world_receive_slot(ring->response_given++)->extra = (struct xen_extra){.type = 1};
    world_receive_slot(ring->response_given++)->response =
        (struct xen_receive_response){.status = -1};
    world_receive_slot(ring->response_given++)->response =
        (struct xen_receive_response){.offset = 4000, .status = 97};
    assert_true(network->driver->poll(network));
    assert_int_equal(world.received, 0);
    network->driver->flush(network);
    assert_int_equal(ring->request_given - ring->response_given, network->receive_buffers);
    world_receive(memory, 100, 0);
    network->driver->poll(network);
    assert_int_equal(world.received, 1);
}

static void arming_asks_for_what_there_is_to_wait_for(void **state)
{
    (void)state;
    assert_true(network->driver->arm(network, false));
    assert_int_equal(world_receive_ring()->response_event, 1);
    for (int i = 0; i < 10; i++)
        send(memory, 1500, memory);
    network->driver->flush(network);
    assert_true(network->driver->arm(network, true));
    assert_int_equal(world_send_ring()->response_event, 20 / 2 + 1);
    world_receive(memory, 100, 0);
    assert_false(network->driver->arm(network, false));
}

static void poll(void)
{
    network->driver->poll(network);
}

static void a_backend_that_claims_too_much_ends_the_machine(void **state)
{
    (void)state;
    send(memory, 1500, memory);
    network->driver->flush(network);
    world_send_ring()->response_given = 3;
    assert_true(world_ends(poll));
    assert_non_null(strstr(world.fatal, "backend"));
}

static void a_backend_that_answers_twice_ends_the_machine(void **state)
{
    (void)state;
    send(memory, 1500, memory);
    network->driver->flush(network);
    uint16_t id = request(0)->id;
    world_answer(id, 0);
    world_answer(id, 0);
    assert_true(world_ends(poll));
}

static void a_backend_that_keeps_a_page_ends_the_machine(void **state)
{
    (void)state;
    send(memory, 1500, memory);
    network->driver->flush(network);
    world.grants[request(1)->grant].is_mapped = true;
    world_answer(request(1)->id, 0);
    assert_true(world_ends(poll));
}

static void a_backend_that_goes_and_comes_back_is_followed(void **state)
{
    (void)state;
    send(memory, 1500, memory);
    network->driver->flush(network);
    world_receive(memory, 100, 0);
    network->driver->poll(network);
    unsigned out = world.frame_buffer;

    world_set(BACKEND_STATE, "5");
    network->driver->poll(network);
    assert_string_equal(world_get("device/vif/0/state"), "6");
    network->driver->poll(network);
    assert_int_equal(world.sent, 1);
    assert_true(send(memory, 1500, memory)); /* and it is lost */
    assert_int_equal(world.sent, 2);
    assert_true(network->driver->arm(network, true));
    network->driver->flush(network);

    world_set(BACKEND_STATE, "2");
    network->driver->poll(network);
    assert_string_equal(world_get(BACKEND_STATE), "4");
    assert_string_equal(world_get("device/vif/0/event-channel"), "6");
    assert_int_equal(world.connected, 1);
    assert_int_equal(world_receive_ring()->request_given, network->receive_buffers - 1);
    network->driver->release(network, out);
    network->driver->flush(network);
    assert_int_equal(world_receive_ring()->request_given, network->receive_buffers);
    send(memory, 60, memory);
    network->driver->flush(network);
    assert_memory_equal(world_bytes(request(0)), memory, 60);
    world_receive(memory, 100, 0);
    network->driver->poll(network);
    assert_int_equal(world.received, 2);
}

static void a_backend_that_comes_back_in_vain_does_not_end_the_machine(void **state)
{
    (void)state;
    world_set(BACKEND_STATE, "6");
    network->driver->poll(network);
    world.backend_is_dead = true;
    for (int i = 0; i < 2; i++) {
        world_set(BACKEND_STATE, "2");
        network->driver->poll(network);
        assert_string_equal(world_get("device/vif/0/state"), "6");
        assert_true(send(memory, 1500, memory));
        assert_int_equal(world.sent, i + 1);
    }
    world.backend_is_dead = false;
    world_set(BACKEND_STATE, "2");
    network->driver->poll(network);
    assert_int_equal(world.connected, 1);
}

static void a_machine_that_was_saved_goes_on_elsewhere(void **state)
{
    (void)state;
    send(memory, 1500, memory);
    network->driver->flush(network);
    world_receive(memory, 100, 0);

    /* Another domain: nothing is granted, nobody watches anything, and xenstore's ring is empty. */
    memset(world.grants, 0, sizeof world.grants);
    for (size_t i = 0; i < world.name_count; i++)
        world.names[i].token[0] = '\0';
    memset(&world.store, 0, sizeof world.store);
    world_set(BACKEND_STATE, "2");
    store_start();
    assert_true(netfront_begin_again());
    assert_ptr_equal(netfront_finish(), network);
    assert_int_equal(world.sent, 1);
    assert_int_equal(world.received, 0);
    assert_int_equal(world_receive_ring()->request_given, network->receive_buffers);
    send(memory, 60, memory);
    network->driver->flush(network);
    assert_memory_equal(world_bytes(request(0)), memory, 60);
    world_receive(memory, 100, 0);
    network->driver->poll(network);
    assert_int_equal(world.received, 1);
    world_set(BACKEND_STATE, "5");
    network->driver->poll(network);
    assert_string_equal(world_get("device/vif/0/state"), "6");
}

static void connect_to_nobody(void)
{
    world_network();
}

static void a_backend_that_never_comes_ends_the_machine(void **state)
{
    (void)state;
    world_start();
    world.backend_is_dead = true;
    assert_true(world_ends(connect_to_nobody));
    assert_non_null(strstr(world.fatal, "does not connect"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tells_its_backend_what_it_needs, start),
        cmocka_unit_test(cuts_no_segments_where_the_backend_cannot),
        cmocka_unit_test_setup(short_frames_are_the_senders_again_at_once, start),
        cmocka_unit_test_setup(long_frames_are_granted_page_by_page_until_they_are_answered, start),
        cmocka_unit_test_setup(segments_to_be_cut_say_so, start),
        cmocka_unit_test_setup(a_full_ring_takes_no_more_until_something_is_answered, start),
        cmocka_unit_test_setup(what_comes_is_reported_and_its_page_used_again, start),
        cmocka_unit_test_setup(what_was_not_asked_for_is_not_reported, start),
        cmocka_unit_test_setup(arming_asks_for_what_there_is_to_wait_for, start),
        cmocka_unit_test_setup(a_backend_that_claims_too_much_ends_the_machine, start),
        cmocka_unit_test_setup(a_backend_that_answers_twice_ends_the_machine, start),
        cmocka_unit_test_setup(a_backend_that_keeps_a_page_ends_the_machine, start),
        cmocka_unit_test_setup(a_backend_that_goes_and_comes_back_is_followed, start),
        cmocka_unit_test_setup(a_backend_that_comes_back_in_vain_does_not_end_the_machine, start),
        cmocka_unit_test_setup(a_machine_that_was_saved_goes_on_elsewhere, start),
        cmocka_unit_test(a_backend_that_never_comes_ends_the_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
